"""Two pictures held against each other, pixel by pixel."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.modules.errors import UnknownPictureError


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How far two pictures are apart.

    Attributes:
        same_size: Whether they can be compared at all; the rest is 0 if not.
        furthest: Largest difference of any value of any pixel, of 255.
        share: Share of the pixels that differ, 0 to 1.
        mean: Mean difference of all values, of 255.
    """

    same_size: bool
    furthest: int = 0
    share: float = 0.0
    mean: float = 0.0


def compare(original: Path | Image.Image, drawn: Path) -> Comparison:
    """Return how far two pictures are apart.

    Raises:
        UnknownPictureError: If one of the files is gone.
    """
    first, second = _pixels(original), _pixels(drawn)
    if first.shape != second.shape:
        return Comparison(same_size=False)
    apart = np.abs(first - second)
    return Comparison(
        same_size=True,
        furthest=int(apart.max()),
        share=round(float((apart.max(axis=2) > 0).mean()), 6),
        mean=round(float(apart.mean()), 4),
    )


def difference(original: Path, drawn: Path) -> bytes:
    """Return a PNG that shows where two pictures differ, the largest difference in white.

    Raises:
        UnknownPictureError: If one of the files is gone.
    """
    first, second = _pixels(original), _pixels(drawn)
    shape = first.shape if first.shape == second.shape else (1, 1, 3)
    apart = np.abs(first - second) if first.shape == second.shape else np.zeros(shape, np.int16)
    scaled = (apart * (255 / max(1, int(apart.max())))).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(scaled).save(buffer, format="PNG")
    return buffer.getvalue()


def _pixels(path: Path | Image.Image) -> NDArray[np.int16]:
    if isinstance(path, Image.Image):
        return np.asarray(path.convert("RGB")).astype(np.int16)
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "AVIF")) as image:
            return np.asarray(image.convert("RGB")).astype(np.int16)
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the picture {path.name} is no longer there"
        hint = "It was moved, changed or deleted outside of this program."
        raise UnknownPictureError(message, hint=hint, value=path.name) from error
