"""What people put beside a model file: notes, suggested settings, a preview, an LDM config."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, cast

from webui.library.folders import PREVIEW_EXTENSIONS

MAX_BYTES: Final = 1024**2
"""A larger file beside a model is left unread."""

MAX_TEXT: Final = 20_000
"""Of a longer text only the beginning is kept, in characters."""

USER: Final = ".json"
CIVITAI: Final = ".civitai.info"
CONFIG: Final = ".yaml"
TEXTS: Final = (".txt", ".description.txt")
"""The owner's own notes, the download site's, the LDM config, and plain descriptions."""

PREVIEWS: Final = tuple(
    ending for extension in PREVIEW_EXTENSIONS for ending in (extension, f".preview{extension}")
)
"""Endings of previews; the first that is there is shown."""

SAYING: Final = (USER, CIVITAI, *TEXTS)
"""Endings of the files whose texts are read."""

ENDINGS: Final = (*SAYING, CONFIG, *PREVIEWS)
"""Everything that may stand beside a model file."""

SUFFIXES: Final = frozenset({".json", ".info", ".yaml", ".txt", *PREVIEW_EXTENSIONS})
"""How the names of those files end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecars:
    """What stands beside one model file; all of it is data from strangers, to be shown as text.

    Attributes:
        title: What its maker calls it.
        description: For people, from the ``.json``, or a ``.txt``, or the download site.
        notes: The owner's own.
        vae: VAE that this checkpoint wants: "Automatic", "None", a file name, or empty.
        suggested: Settings with which it draws well, under A1111's request field names.
        trigger_words: Words that call what it has learned.
        negative_words: Words for the negative prompt.
        weight: How strongly its owner likes it; 0 for as usual.
        base: For which kind of checkpoint it was made, as somebody says.
    """

    title: str = ""
    description: str = ""
    notes: str = ""
    vae: str = ""
    suggested: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trigger_words: str = ""
    negative_words: str = ""
    weight: float = 0.0
    base: str = ""


NOTHING: Final = Sidecars()
"""What a file says that nobody has written anything about."""


def told_by(texts: Sidecars) -> dict[str, Any]:
    """Return what somebody has written, by the names of the fields; the rest is left out."""
    found = {part.name: getattr(texts, part.name) for part in fields(texts)}
    return {name: value for name, value in found.items() if value != getattr(NOTHING, name)}


def beside(path: Path) -> list[str]:
    """Return the endings of the files that stand beside a model file now."""
    stem = path.name if path.is_dir() else path.stem
    names = ((ending, path.with_name(stem + ending)) for ending in ENDINGS)
    return [ending for ending, other in names if other != path and other.is_file()]


def read_sidecars(path: Path, endings: Collection[str]) -> Sidecars:
    """Return what stands beside a model file; what cannot be read is left out.

    Args:
        path: The model file, or the folder of a diffusers checkpoint.
        endings: Of the files beside it; see ``beside``.
    """
    if not any(ending in endings for ending in SAYING):
        return NOTHING
    stem = path.name if path.is_dir() else path.stem

    def text(ending: str) -> str:
        return _read(path.with_name(stem + ending)) if ending in endings else ""

    said, site = _json(text(USER)), _json(text(CIVITAI))
    suggested: object = said.get("suggested")
    return Sidecars(
        title=_title(site),
        description=_text(said, "description")
        or next((found for ending in TEXTS if (found := text(ending))), "")[:MAX_TEXT]
        or plain_text(_text(site, "description")),
        notes=_text(said, "notes"),
        vae=_text(said, "vae"),
        suggested=cast("dict[str, Any]", suggested) if isinstance(suggested, dict) else {},
        trigger_words=_text(said, "activation text") or _trained_words(site),
        negative_words=_text(said, "negative text"),
        weight=_weight(said),
        base=_text(said, "sd version") or _text(site, "baseModel"),
    )


def preview_of(path: Path, stem: str, endings: Collection[str]) -> Path | None:
    """Return the picture that shows what a model draws, if one stands beside it."""
    found = next((ending for ending in PREVIEWS if ending in endings), None)
    return path.with_name(stem + found) if found else None


class _Words(HTMLParser):
    """Gathers the words of a page and forgets its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in ("p", "br", "li", "div", "h1", "h2", "h3"):
            self.said.append("\n")


def plain_text(html: str) -> str:
    """Return the words of a piece of HTML, one line a paragraph."""
    if "<" not in html and "&" not in html:
        return html
    words = _Words()
    words.feed(html)
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.said).splitlines())
    return "\n".join(line for line in lines if line)


def _title(site: Mapping[str, Any]) -> str:
    model: object = site.get("model")
    name = _text(cast("dict[str, Any]", model), "name") if isinstance(model, dict) else ""
    return " ".join(part for part in (name, _text(site, "name")) if part)[:200]


def _trained_words(site: Mapping[str, Any]) -> str:
    words: object = site.get("trainedWords")
    listed = cast("list[object]", words) if isinstance(words, list) else []
    kept = (word.strip(" ,") for word in listed if isinstance(word, str))
    return sayable(", ".join(kept)[:MAX_TEXT])


def _weight(said: Mapping[str, Any]) -> float:
    value = said.get("preferred weight")
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e6 < value < 1e6:  # noqa: PLR2004 - no sane weight
        return 0.0
    return float(value)


def _json(text: str) -> dict[str, Any]:
    try:
        said: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return sayable(value[:MAX_TEXT]) if isinstance(value, str) else ""


def sayable(text: str) -> str:
    """Return a text without half letters, which JSON may hold and nothing can show."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
