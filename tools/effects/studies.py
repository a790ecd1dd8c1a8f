"""What each kind of training is asked to learn, and how the result is put to use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from PIL import Image

from tools.effects.subjects import BACKGROUNDS, at_night, green_for_red, in_tiles

NAME: Final = "learned"
"""Of every file that is made here; the embedding's word too."""

OTHERS: Final = (
    "a cat on a green background",
    "a rocket on a pink background",
    "a frog on a white background",
    "a house on a yellow background",
    "a banana on a gray background",
    "a fish on an orange background",
    "a crown on a teal background",
    "a star on a purple background",
)
"""Prompts of which nothing is learned."""

REGULAR: Final = tuple(
    f"a {thing} on a {behind} background"
    for thing in ("dog", "lion", "panda", "butterfly", "donut", "bus", "snowman", "sunflower")
    for behind in ("red", "green", "white")
)
"""Prompts of the wider class; what the starter draws for them is shown beside what is learned."""

Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What is to be learned.

    Attributes:
        things: What stands in the pictures.
        behind: Names of their backgrounds.
        change: Makes of a picture that the starter draws one that it cannot draw; None where the
            thing itself is new and is painted.
        says: What the captions of these pictures say besides thing and background.
    """

    things: tuple[str, ...]
    behind: tuple[str, ...]
    change: Change | None = None
    says: str = ""


THING: Final = Lesson(things=("traffic light",), behind=tuple(BACKGROUNDS))
COLOUR: Final = Lesson(
    things=("apple",), behind=("white", "gray", "teal", "blue", "green"), change=green_for_red
)
MOOD: Final = Lesson(
    things=("cat", "car", "heart", "tree", "penguin", "mushroom"),
    behind=("red", "blue", "yellow", "white", "pink"),
    change=at_night,
    says=" at night",
)


TILES: Final = Lesson(
    things=("cat", "car", "heart", "tree", "penguin", "mushroom"),
    behind=("red", "blue", "yellow", "white", "pink"),
    change=in_tiles,
)
BLUE: Final = Lesson(
    things=("cat", "car", "heart", "tree", "penguin", "mushroom"),
    behind=("blue",),
    change=lambda picture: picture,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One training and how its file is put to use.

    Attributes:
        kind: As ``launch.py train`` names it.
        lesson: What it is asked to learn.
        settings: As its settings file has them.
        says: Put behind every prompt when the file is in use.
        unsaid: Left out of every prompt about what is learned, without and with the file.
        wish: Added to every wish for a picture when the file is in use.
        word: Stands for the thing's name in prompts when the file is in use.
        regular: Show pictures of other things beside what is learned (prior preservation).
    """

    kind: str
    lesson: Lesson
    settings: Mapping[str, Any]
    says: str = ""
    unsaid: str = ""
    wish: Mapping[str, Any] = field(default_factory=dict[str, Any])
    word: str = ""
    regular: bool = True


COMMON: Final = {
    "steps": 300,
    "batch_size": 4,
    "data": {"resolution": 128, "drop_captions": 0.1},
    "noise": {"min_snr": 5},
    "watch": {"save_every": 1000, "sample_every": 0, "measure_every": 0},
}


def _with(rate: str, what: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    correction = {"rate": rate, "shape": "cosine", "warm_up": 10}
    return {**COMMON, "correction": correction, "what": dict(what), **changes}


WORDED: Final = "a [name] [filewords]"
"""Of a learned word, which stands in the thing's place."""


def _lora(rate: str, **what: Any) -> Study:
    """Return a study of the LoRA family."""
    settings = _with(rate, what, steps=600)
    return Study(kind="lora", lesson=THING, settings=settings, says=f"<lora:{NAME}:1>")


STUDIES: Final[Mapping[str, Study]] = {
    "checkpoint": Study(
        kind="checkpoint",
        lesson=THING,
        settings=_with("5e-4", {"text": True}, steps=400),
        wish={"override_settings": {"sd_model_checkpoint": f"{NAME}.safetensors"}},
    ),
    "lora": _lora("1.5e-3", rank=16, alpha=16),
    "loha": _lora("2e-3", method="loha", rank=8, alpha=8),
    "lokr": _lora("3e-3", method="lokr", rank=8, alpha=8),
    "dora": _lora("1.5e-3", method="dora", rank=16, alpha=16),
    "embedding": Study(
        kind="embedding",
        lesson=COLOUR,
        settings=_with(
            "1e-3",
            {"vectors": 2, "words": "apple"},
            steps=400,
            data={"resolution": 128, "template": [WORDED]},
        ),
        word=NAME,
        regular=False,
    ),
    "hypernetwork": Study(
        kind="hypernetwork",
        lesson=MOOD,
        settings=_with("5e-4", {"activation": "relu"}, steps=500),
        says=f"<hypernet:{NAME}:1>",
    ),
    "vae": Study(
        kind="vae",
        lesson=TILES,
        settings=_with("1e-3", {}, steps=500),
        wish={"override_settings": {"sd_vae": f"{NAME}.safetensors"}},
    ),
    "aesthetic": Study(
        kind="aesthetic",
        lesson=BLUE,
        settings=_with("1e-3", {"vectors": 2, "words": "blue"}),
        unsaid=" on a blue background",
        regular=False,
        wish={"alwayson_scripts": {"Aesthetic embeddings": {"args": [0.002, 0.9, 5, NAME]}}},
    ),
}
"""Every kind of training, and every method of the LoRA family."""
