"""The colours of one picture given to another, for changes that would otherwise fade or drift."""

import cv2
import numpy as np
from PIL import Image


def corrected(image: Image.Image, like: Image.Image) -> Image.Image:
    """Return the picture with the colours of another and its own brightness.

    Each channel of CIE L*a*b* gets the other picture's distribution; then the luminosity that the
    picture had is put back (W3C Compositing and Blending, section 10.4, "luminosity"),
    rounded down.
    """
    lab = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2LAB)
    target = cv2.cvtColor(np.asarray(like), cv2.COLOR_RGB2LAB)
    matched = np.stack(
        [_matched(lab[..., channel], target[..., channel]) for channel in range(3)], axis=-1
    )
    recoloured = np.asarray(cv2.cvtColor(matched, cv2.COLOR_LAB2RGB))
    return Image.fromarray(_with_luminosity(recoloured, np.asarray(image)))


def _matched(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Move each of 256 levels to where as large a share of the other picture lies below it.

    It is ``match_histograms`` of scikit-image, with its rounding down.
    """
    counts, wanted = np.bincount(values.ravel()), np.bincount(like.ravel())
    levels = np.nonzero(wanted)[0]
    shares = np.cumsum(wanted[levels]) / like.size
    moved = np.interp(np.cumsum(counts) / values.size, shares, levels)
    return moved[values].astype(np.uint8)


def _luminosity(colours: np.ndarray) -> np.ndarray:
    """Return how light colours are; the order of the sum is that of A1111's library."""
    light = colours[..., 0] * 0.299 + colours[..., 1] * 0.587 + colours[..., 2] * 0.114
    return light[..., None]


def _with_luminosity(colours: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return colours as bright as the source, drawn towards grey where they would run over."""
    shifted = colours / 255.0
    shifted = shifted + (_luminosity(source / 255.0) - _luminosity(shifted))
    light = _luminosity(shifted)
    low, high = shifted.min(axis=-1, keepdims=True), shifted.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        raised = light + ((shifted - light) * light) / (light - low)
        lowered = light + ((shifted - light) * (1 - light)) / (high - light)
    fitting = np.where(low < 0, raised, np.where(high > 1, lowered, shifted))
    return (np.clip(np.nan_to_num(fitting), 0, 1) * 255).astype(np.uint8)
