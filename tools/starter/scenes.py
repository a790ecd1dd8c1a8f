"""Scenes: things of a style, size, place and colour on a ground, and how they are painted.

Everything is a function of the random generator passed in, so scene ``n`` of seed ``s`` is the
same picture on every machine and in every resumed run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from tools.starter.grounds import PIXELS, Picture, paint
from tools.starter.pictograms import PictogramShelf, load
from tools.starter.vocabulary import (
    BACKGROUNDS,
    FIRST,
    THREE_D,
    Background,
    Ground,
    Rgb,
    Style,
    Subject,
    Tint,
)

SIZES: Final = {"small": 64, "": 96, "big": 116}
"""Side of a pictogram's box in pixels."""

PLACES: Final = {"": (0, 0), "left": (-26, 0), "right": (26, 0), "top": (0, -26), "bottom": (0, 26)}
"""How far a box stands from the middle, in pixels."""

SHARED_BOX: Final = 60
"""Side of the box of each of two things."""

RED_GREEN_BLUE: Final = np.array((0.299, 0.587, 0.114), dtype=np.float32)
"""Shares of a colour's lightness (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One thing in a picture.

    Attributes:
        subject: What it is.
        style: How it is drawn.
        size: A key of ``SIZES``.
        place: A key of ``PLACES``.
        tint: Its colour; None for its own.
    """

    subject: Subject
    style: Style = THREE_D
    size: str = ""
    place: str = ""
    tint: Tint | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What is in the picture: one thing, or one on the left and one on the right."""

    things: tuple[Thing, ...]
    ground: Ground


def draw(shelf: PictogramShelf, scene: Scene, random: Generator) -> Picture:
    """Paint a scene with a little jitter of place, angle and shade."""
    return compose([_cut_out(shelf, thing) for thing in scene.things], scene, random)


def draw_anything(files: list[Path], random: Generator) -> Picture:
    """Paint a pictogram of any kind on a background of any colour, for the autoencoder."""
    red, green, blue = (int(level) for level in random.integers(0, 256, 3))
    known = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
    background = known if random.random() < 0.5 else Background(("any",), (red, green, blue))
    thing = Thing(subject=FIRST[0], size=str(random.choice(list(SIZES))))
    pictogram = load(files[random.integers(len(files))])
    return compose([pictogram], Scene((thing,), background), random)


def compose(pictograms: list[Image.Image], scene: Scene, random: Generator) -> Picture:
    """Put one cut-out for each thing on the scene's ground."""
    canvas = Image.fromarray(paint(scene.ground, random)).convert("RGBA")
    for pictogram, thing in zip(pictograms, scene.things, strict=True):
        wanted = SIZES[thing.size] if len(scene.things) == 1 else SHARED_BOX
        box = round(wanted * random.uniform(0.96, 1.04))
        turned = pictogram.rotate(random.uniform(-5.0, 5.0), Image.Resampling.BICUBIC)
        cut_out = turned.resize((box, box), Image.Resampling.BICUBIC)
        across, down = (
            min(max((PIXELS - box) // 2 + away + int(jitter), 0), PIXELS - box)
            for away, jitter in zip(PLACES[thing.place], random.integers(-4, 5, 2), strict=True)
        )
        canvas.alpha_composite(cut_out, (across, down))
    return np.asarray(canvas.convert("RGB"))


def _cut_out(shelf: PictogramShelf, thing: Thing) -> Image.Image:
    pictogram = shelf.by_name(thing.subject.pictogram, thing.style)
    return pictogram if thing.tint is None else tinted(pictogram, thing.tint.rgb)


def tinted(pictogram: Image.Image, colour: Rgb) -> Image.Image:
    """Paint a pictogram in one colour, its light and shade kept.

    What is lighter than the colour fades to white, what is darker to black; the whole is brought
    half of the way to the colour's own lightness, or a yellow coal would be black.
    """
    pixels = np.asarray(pictogram, dtype=np.float32) / 255
    light: NDArray[np.floating[Any]] = pixels[..., :3] @ RED_GREEN_BLUE
    cover = pixels[..., 3]
    wanted = np.array(colour, dtype=np.float32) / 255
    own = float(wanted @ RED_GREEN_BLUE)
    mean = float((light * cover).sum() / max(float(cover.sum()), 1e-6))
    light = (light + 0.5 * (own - mean)).clip(0, 1)[..., None]
    darker, lighter = light / own, (light - own) / (1 - own)
    painted = np.where(light < own, wanted * darker, wanted + (1 - wanted) * lighter)
    whole = np.concatenate([painted, cover[..., None]], axis=-1)
    return Image.fromarray((whole * 255).round().clip(0, 255).astype(np.uint8), "RGBA")
