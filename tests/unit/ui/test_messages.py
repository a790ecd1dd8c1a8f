"""Everything that can go wrong, and everything on the page, is said in every language."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from webui.jobs.views import Failure, JobState
from webui.modules.errors import SizeError, WebuiError
from webui.modules.training.plan import TRAINABLE
from webui.services.guide import KINDS, PARTS
from webui.services.training_presets import SUBJECTS
from webui.ui import messages
from webui.ui.drawing_tab import SHAPES
from webui.ui.easel import HANDS, STEPS
from webui.ui.messages import LANGUAGES, explain, load_words
from webui.ui.script_fields import FORMS, LETTERS
from webui.ui.start_fields import SOFT, Mode

WORDS = load_words()

MISSING = ("no_picture", "no_pictures", "no_strokes", "no_mask")
"""What may still have to be given before drawing."""


def family(error: type[WebuiError]) -> Iterator[type[WebuiError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("error", list(family(WebuiError)), ids=lambda error: error.code)
def test_every_error_has_a_sentence_and_a_way_out(error: type[WebuiError], language: str) -> None:
    """A new class of error cannot be forgotten in a translation."""
    sentence = WORDS.say(f"error.{error.code}.sentence", language, value="VALUE")
    hint = WORDS.say(f"error.{error.code}.hint", language)

    assert sentence
    assert hint


def test_every_language_says_the_same_things() -> None:
    """The same keys, each with the same blanks to fill."""
    blanks = {
        language: {
            key: {name for _, name, _, _ in Formatter().parse(text) if name}
            for key, text in texts.items()
        }
        for language, texts in WORDS.texts.items()
    }

    assert blanks["zh"] == blanks["en"]


def test_nothing_is_translated_in_vain() -> None:
    """Every text is said somewhere on the page."""
    folder = Path(inspect.getfile(messages)).parent
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    built = ("error.", "history.")  # put together from a code or from what was found

    unsaid = [key for key in WORDS.texts["en"] if key not in code and not key.startswith(built)]

    tools = [tool for group in (*HANDS, *STEPS) for tool in group]
    lists = {
        "explain": (
            *(f"{kind}_means" for kind in KINDS),
            *(f"part_{part}" for part in (*PARTS, "others")),
            *("relative", "change", "keys", "values", "read_texts", "read_noise"),
        ),
        "guide": (
            *(f"{how}{kind}" for kind in KINDS for how in ("", "corrects_", "touches_")),
            *(f"part_{part}" for part in (*PARTS, "words", "keys", "values")),
        ),
        "form": SHAPES,
        "easel": (*tools, "give", "give_hint", "refused", "remove", "size", "color"),
        "mask": SOFT,
        "models": (
            *(f"{found}_hint" for found in ("empty", "no_match")),
            *(f"arrived_{how}" for how in ("new", "renamed", "already")),
            *("partly", "unfit", "use_txt2img", "use_img2img"),
        ),
        "script": (*FORMS, *(f"{letter}_type" for letter in LETTERS)),
        "send": ("txt2img", "img2img", "inpaint"),
        "start": (*(f"mode_{mode}" for mode in Mode), *(f"{said}_hint" for said in MISSING)),
        "tab": ("txt2img", "img2img"),
        "train": (
            *(f"{said}_{kind}" for said in ("kind", "about") for kind in TRAINABLE),
            *(f"preset_{subject}" for subject in SUBJECTS),
            *("steps", "rank", "resolution", "batch_size", "seed", "pause", "resume", "stop"),
            *(f"state_{state}" for state in (*JobState, "paused", "stopped")),
            *("not_learning_hint", "by_heart_hint"),
        ),
        "workshop": (
            *("first", "second", "third", "base", "tuned"),
            *(f"result_{fact}" for fact in ("layers", "rank", "keeps")),
        ),
    }
    assert set(unsaid) <= {f"{part}.{name}" for part, names in lists.items() for name in names}


def test_an_error_names_the_value_in_every_language() -> None:
    """English readers get the error's own words, others the translated sentence."""
    error = SizeError("width is 100 pixels", hint="Use a multiple of 8.", value=100)

    said = explain(error, WORDS)

    assert "Width is 100 pixels." in said
    assert "100 像素" in said
    assert "Use a multiple of 8." in said


def test_words_of_a_failed_job_cannot_become_markup() -> None:
    """File names may hold anything."""
    failure = Failure(code="model.file", message="<img src=x>", hint="<b>", value="<script>")

    said = explain(failure, WORDS)

    assert "<img" not in said
    assert "<script" not in said
    assert "<b>" not in said
