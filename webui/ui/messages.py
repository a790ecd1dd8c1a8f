"""Everything the page says, in the reader's language.

Labels of components are handed to Gradio in one language at a time. Fragments of HTML carry every
language at once, and the style sheet shows the reader's: a switch of language needs no redrawing.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any, Final, cast

from gradio import I18n

from webui.jobs.views import Failure
from webui.modules.errors import WebuiError

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "zh": "中文"}
"""The languages of the page, each by its own name; the first is the fallback."""

_CHINESE: Final = ("zh", "zh-CN", "zh-TW", "zh-HK", "zh-SG", "zh-MO")


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The texts of all languages under dotted keys, such as ``form.steps``."""

    texts: Mapping[str, Mapping[str, str]]

    def say(self, key: str, language: str, **values: object) -> str:
        """Return one text in one language, with its values filled in."""
        return self.texts[language][key].format(**values)

    def html(self, key: str, **values: object) -> str:
        """Return one text in all languages as HTML, with its values escaped."""
        return spoken({language: self.say(key, language, **values) for language in self.texts})

    def for_gradio(self) -> I18n:
        """Return the texts for Gradio's first painting, by the browser's own language."""
        chinese = {locale: dict(self.texts["zh"]) for locale in _CHINESE}
        return I18n(en=dict(self.texts["en"]), **chinese)


def load_words(more: Mapping[str, Mapping[str, str]] | None = None) -> Words:
    """Read the texts that ship with the page.

    Args:
        more: Texts of others, such as extensions, by language and key.
    """
    folder = files("webui.ui") / "texts"
    own = {
        language: dict(_flat(tomllib.loads((folder / f"{language}.toml").read_text("utf-8"))))
        for language in LANGUAGES
    }
    return Words(
        texts={
            language: {**(more or {}).get(language, {}), **texts} for language, texts in own.items()
        }
    )


def spoken(texts: Mapping[str, str]) -> str:
    """Return HTML that says the same in every language, one of which is shown."""
    spans = (f'<span lang="{name}">{escape(text)}</span>' for name, text in texts.items())
    return f'<span class="say">{"".join(spans)}</span>'


def explain(problem: WebuiError | Failure, words: Words) -> str:
    """Return a notice: what went wrong, naming the value, and what to do next.

    English readers get the error's own words, which are the most exact; others get the sentence
    of its code with the value in it.
    """
    message = problem.message if isinstance(problem, Failure) else str(problem)
    keys = f"error.{problem.code}.sentence", f"error.{problem.code}.hint"
    own = _sentence(message), _sentence(problem.hint)
    sentence, hint = (
        spoken(
            {
                language: text if language == "en" and text else said
                for language in words.texts
                for said in [words.say(key, language, value=problem.value).strip()]
            }
        )
        for key, text in zip(keys, own, strict=True)
    )
    return notice(sentence, hint, kind="error")


def notice(sentence: str, hint: str = "", *, kind: str = "note") -> str:
    """Return a notice from two pieces of HTML."""
    role = "alert" if kind == "error" else "status"
    return (
        f'<div class="notice notice-{kind}" role="{role}">'
        f"<strong>{sentence}</strong>{hint and f'<span>{hint}</span>'}</div>"
    )


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    ending = "" if text.endswith((".", "!", "?", "…")) else "."
    return text[0].upper() + text[1:] + ending


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
