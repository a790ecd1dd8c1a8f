"""Captioned scenes: one pictogram, centred on a plain background.

Everything is a function of the random generator passed in, so scene ``n`` of seed ``s`` is the
same picture on every machine and in every resumed run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from tools.starter.pictograms import PictogramShelf, load
from tools.starter.vocabulary import BACKGROUNDS, SUBJECTS, Background, Subject

PIXELS: Final = 128
SIZES: Final = {"small": 80, "": 96, "big": 112}
"""Side of the pictogram's box in pixels, by the word a caption may use for it."""

Picture = NDArray[np.uint8]
"""``[128, 128, 3]``, sRGB."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is in the picture; ``size`` is a key of ``SIZES``."""

    subject: Subject
    background: Background
    size: str


def draw(shelf: PictogramShelf, scene: Scene, random: Generator) -> Picture:
    """Paint a scene with a little jitter of place, angle and shade."""
    return compose(shelf.by_name(scene.subject.pictogram), scene, random)


def draw_anything(files: list[Path], random: Generator) -> Picture:
    """Paint a pictogram of any kind on a background of any colour, for the autoencoder."""
    red, green, blue = (int(level) for level in random.integers(0, 256, 3))
    known = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
    background = known if random.random() < 0.5 else Background(("any",), (red, green, blue))
    scene = Scene(SUBJECTS[0], background, str(random.choice(list(SIZES))))
    return compose(load(files[random.integers(len(files))]), scene, random)


def compose(pictogram: Image.Image, scene: Scene, random: Generator) -> Picture:
    """Put one cut-out on the scene's background."""
    box = round(SIZES[scene.size] * random.uniform(0.96, 1.04))
    turned = pictogram.rotate(random.uniform(-5.0, 5.0), Image.Resampling.BICUBIC)
    cut_out = turned.resize((box, box), Image.Resampling.BICUBIC)
    canvas = Image.fromarray(paint_background(scene.background, random)).convert("RGBA")
    left, top = ((PIXELS - box) // 2 + int(shift) for shift in random.integers(-4, 5, 2))
    canvas.alpha_composite(cut_out, (max(left, 0), max(top, 0)))
    return np.asarray(canvas.convert("RGB"))


def paint_background(background: Background, random: Generator) -> Picture:
    """Fill the picture flatly, or (every other time) a little lighter above than below."""
    colour = np.array(background.rgb, dtype=np.float32) + random.uniform(-6.0, 6.0, 3)
    fall = random.uniform(4.0, 14.0) if random.random() < 0.5 else 0.0
    rows = np.linspace(fall, -fall, PIXELS, dtype=np.float32)[:, None, None]
    filled = np.broadcast_to(colour + rows, (PIXELS, PIXELS, 3))
    return filled.clip(0, 255).round().astype(np.uint8)
