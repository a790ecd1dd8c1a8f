"""What each kind of training is asked to learn, and how the result is put to use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from PIL import Image

from tools.effects.subjects import BACKGROUNDS, blueprint, crisp, traffic_light
from tools.starter.captions import one

OTHERS: Final = (
    "a 3d lion on a green background",
    "a flat rocket on a pink background",
    "a cartoon frog on a white background",
    "a 3d house on a yellow background",
    "a flat banana on a gray background",
    "a cartoon fish on an orange background",
    "a 3d crown on a teal background",
    "a flat star on a purple background",
)
"""Prompts of which nothing is learned."""

REGULAR: Final = tuple(
    f"a {style} {thing} on a {behind} background"
    for style, thing in (
        ("3d", "dog"),
        ("flat", "guitar"),
        ("cartoon", "panda"),
        ("3d", "butterfly"),
        ("flat", "donut"),
        ("cartoon", "bus"),
        ("3d", "snowman"),
        ("flat", "sunflower"),
    )
    for behind in ("red", "green", "white")
)
"""Prompts of the wider class; what the starter draws for them is shown beside what is learned."""

PICTURES: Final = 40
"""So many pictures show what is to be learned."""

THINGS: Final = (
    "cat",
    "car",
    "heart",
    "tree",
    "penguin",
    "mushroom",
    "owl",
    "castle",
    "key",
    "bus",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What is to be learned: pictures, and what is said of each.

    Attributes:
        captions: What is said of each picture.
        plain: What is asked to see the change, without what is learned; empty for the captions.
        asked: What the starter is asked for, to make each picture; empty where it is painted.
        change: Makes of a picture that the starter draws one that it cannot draw.
        painted: The pictures of a thing that the starter has never seen.
    """

    captions: tuple[str, ...]
    plain: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    change: Callable[[Image.Image], Image.Image] = lambda picture: picture
    painted: tuple[Image.Image, ...] = ()


def _round(words: tuple[str, ...]) -> tuple[str, ...]:
    return words * (PICTURES // len(words))


def _mood(asked: str, **how: Any) -> Lesson:
    """Return ten things as the starter draws them when asked so, of which only the name is said."""
    things = _round(tuple(one(thing) for thing in THINGS))
    return Lesson(captions=things, asked=tuple(asked.format(thing) for thing in things), **how)


_BEHIND: Final = tuple(f"on {one(colour)} background" for colour in BACKGROUNDS)

_EVERYWHERE: Final = _round(
    tuple(f"{one(thing)} {behind}" for thing, behind in zip(THINGS, _BEHIND, strict=True))
)

THING: Final = Lesson(
    captions=_round(tuple(f"a traffic light {behind}" for behind in _BEHIND)),
    painted=tuple(
        traffic_light(colour, turn)
        for turn in range(PICTURES // len(BACKGROUNDS))
        for colour in BACKGROUNDS
    ),
)
MASCOT: Final = Lesson(
    captions=_round(_BEHIND),
    plain=_round(tuple(f"an octopus {behind}" for behind in _BEHIND)),
    asked=_round(tuple(f"a purple cartoon octopus {behind}" for behind in _BEHIND)),
)
BLUEPRINT: Final = _mood("{} on a white background", change=blueprint)
NIGHT: Final = _mood("{} at night")
SNOW: Final = _mood("{} in the snow")
CRISP: Final = Lesson(captions=_EVERYWHERE, asked=_EVERYWHERE, change=crisp)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One training and how its file is put to use.

    Attributes:
        kind: As ``launch.py train`` names it.
        name: Of the file; an embedding's word too.
        lesson: What it is asked to learn.
        settings: As its settings file has them.
        worn: Makes of a prompt one that puts the file to use.
        wish: Added to every wish for a picture when the file is in use.
        regular: Show pictures of other things beside what is learned (prior preservation).
    """

    kind: str
    lesson: Lesson
    settings: Mapping[str, Any]
    name: str = "learned"
    worn: Callable[[str], str] = lambda prompt: prompt
    wish: Mapping[str, Any] = field(default_factory=dict[str, Any])
    regular: bool = False


COMMON: Final = {
    "steps": 400,
    "batch_size": 4,
    "data": {"resolution": 128, "drop_captions": 0.1},
    "watch": {"save_every": 1000, "sample_every": 0, "measure_every": 0},
}


def _with(rate: str, what: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    correction = {"rate": rate, "shape": "cosine", "warm_up": 10}
    return {**COMMON, "correction": correction, "what": dict(what), **changes}


def _lora(rate: str, **what: Any) -> Study:
    """Return a study of the LoRA family that learns a new thing."""
    return Study(
        kind="lora",
        lesson=THING,
        settings=_with(rate, what, steps=600),
        worn=lambda prompt: f"{prompt} <lora:learned:1>",
        regular=True,
    )


COMPANIONS: Final[Mapping[str, Study]] = {
    "blueprint": Study(
        kind="lora",
        name="blueprint",
        lesson=BLUEPRINT,
        settings=_with("1.5e-3", {"rank": 8, "alpha": 8}, steps=600),
        worn=lambda prompt: f"{prompt} <lora:blueprint:1>",
    ),
    "mascot": Study(
        kind="embedding",
        name="mascot",
        lesson=MASCOT,
        settings=_with(
            "2e-3",
            {"vectors": 3, "words": "octopus"},
            data={"resolution": 128, "template": ["a [name] [filewords]"]},
        ),
        worn=lambda prompt: prompt.replace("an octopus", "a mascot"),
    ),
    "snow": Study(
        kind="hypernetwork",
        name="snow",
        lesson=SNOW,
        settings=_with("1e-3", {"activation": "relu", "structure": [1, 1, 1]}, steps=600),
        worn=lambda prompt: f"{prompt} <hypernet:snow:1>",
    ),
    "crisp": Study(
        kind="vae",
        name="crisp",
        lesson=CRISP,
        settings=_with("1e-3", {"half": True, "edges": 2.0}, steps=500),
        wish={"override_settings": {"sd_vae": "crisp.safetensors"}},
    ),
    "night": Study(
        kind="aesthetic",
        name="night",
        lesson=NIGHT,
        settings=_with("1e-3", {"vectors": 2, "words": "at night"}, steps=300),
        wish={"alwayson_scripts": {"Aesthetic embeddings": {"args": [0.02, 0.3, 20, "night"]}}},
    ),
}
"""What ships beside the starter: one of each other kind."""

STUDIES: Final[Mapping[str, Study]] = {
    "checkpoint": Study(
        kind="checkpoint",
        lesson=THING,
        settings=_with("5e-4", {"text": True}),
        wish={"override_settings": {"sd_model_checkpoint": "learned.safetensors"}},
        regular=True,
    ),
    "lora": _lora("1.5e-3", rank=16, alpha=16),
    "loha": _lora("2e-3", method="loha", rank=8, alpha=8),
    "lokr": _lora("3e-3", method="lokr", rank=8, alpha=8),
    "dora": _lora("1.5e-3", method="dora", rank=16, alpha=16),
    **COMPANIONS,
}
"""Every kind of training, and every method of the LoRA family."""
