"""How much two pictures differ, in numbers that people can read, and where, as a map of heat."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

VISIBLE: Final = 8
"""Of 255: from this difference on in any channel a pixel counts as changed visibly."""

_HEAT: Final = ((10, 8, 18), (74, 22, 104), (181, 54, 68), (244, 146, 52), (255, 246, 214))
"""The colours of a map, from equal to most changed."""

_WINDOW: Final = 1.5
"""Standard deviation in pixels of the window of structural similarity."""

_STEADY: Final = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)
"""What keeps its quotients finite where a picture is black or flat."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """How much two pictures of one size differ.

    Attributes:
        mean: Mean difference of all values, of 255.
        visible: Share of the pixels that differ by at least ``VISIBLE`` in a channel, 0 to 1.
        likeness: Structural similarity (SSIM) of their brightness; 1 is equal, 0 is nothing alike.
        furthest: Largest difference of any value, of 255.
    """

    mean: float
    visible: float
    likeness: float
    furthest: int


def figures(first: Image.Image, second: Image.Image) -> Figures | None:
    """Return how much two pictures differ; None if their sizes do."""
    if first.size != second.size:
        return None
    apart = _apart(first, second)
    return Figures(
        mean=round(float(apart.mean()), 4),
        visible=round(float((apart.max(axis=2) >= VISIBLE).mean()), 6),
        likeness=round(_likeness(first, second), 4),
        furthest=int(apart.max()),
    )


def heat(first: Image.Image, second: Image.Image, *, brightest: int) -> Image.Image | None:
    """Return a map of where two pictures differ; None if their sizes do.

    Args:
        first: One picture.
        second: The other.
        brightest: The difference that is shown brightest, of 255, so that several maps can be
            compared; smaller ones are lifted by a square root.
    """
    if first.size != second.size:
        return None
    apart = _apart(first, second).max(axis=2)
    level = np.sqrt(np.minimum(apart / max(1, brightest), 1.0))
    places = np.linspace(0, 1, len(_HEAT))
    channels: list[NDArray[Any]] = [
        np.interp(level, places, colours) for colours in zip(*_HEAT, strict=True)
    ]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def _apart(first: Image.Image, second: Image.Image) -> NDArray[np.int16]:
    one, other = (np.asarray(image.convert("RGB")).astype(np.int16) for image in (first, second))
    return np.abs(one - other)


def _likeness(first: Image.Image, second: Image.Image) -> float:
    """Return the mean structural similarity (Wang et al. 2004, equation 13)."""
    one, other = (np.asarray(image.convert("L")).astype(np.float64) for image in (first, second))
    mean, mean_other = _blurred(one), _blurred(other)
    spread = _blurred(one * one) - mean * mean
    spread_other = _blurred(other * other) - mean_other * mean_other
    together = _blurred(one * other) - mean * mean_other
    light, contrast = _STEADY
    alike = (2 * mean * mean_other + light) * (2 * together + contrast)
    whole = (mean**2 + mean_other**2 + light) * (spread + spread_other + contrast)
    return float((alike / whole).mean())


def _blurred(values: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), _WINDOW))
