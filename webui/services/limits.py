"""Numbers and sizes that people ask for, held against what this server allows."""

import math
from typing import Any

from webui.modules.errors import LimitError, RangeError, SizeError
from webui.modules.types import PIXELS_PER_LATENT
from webui.settings import Limits

LOWEST_SIDE = 64
"""Below this the networks have nothing left to look at, in pixels."""


def whole(name: str, value: Any, *, low: int, high: int) -> int:
    """Return a whole number inside its range.

    Raises:
        RangeError: If it is none, or outside.
    """
    wanted = f"a whole number from {low} to {high}"
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole or not low <= value <= high:
        raise _range_error(name, value, wanted)
    return int(value)


def number(name: str, value: Any, *, low: float, high: float) -> float:
    """Return a finite number inside its range.

    Raises:
        RangeError: If it is none, or outside.
    """
    wanted = f"a number from {low:g} to {high:g}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        raise _range_error(name, value, wanted)
    return float(value)


def size(width: Any, height: Any, limits: Limits) -> tuple[int, int]:
    """Return width and height in pixels.

    Raises:
        RangeError: If one is no whole number inside its range.
        SizeError: If one is not a multiple of 8; the hint names the nearest one that is.
        LimitError: If the picture has more pixels than this server allows.
    """
    sides = (_side("width", width, limits), _side("height", height, limits))
    pixels = math.prod(sides)
    if pixels > limits.max_pixels:
        message = f"{sides[0]}x{sides[1]} are {pixels} pixels, more than {limits.max_pixels}"
        raise LimitError(message, hint="Use a smaller width or height.", value=pixels)
    return sides


def text(name: str, value: str, limits: Limits) -> str:
    """Return a prompt that is not too long.

    Raises:
        LimitError: If it is.
    """
    if len(value) > limits.max_prompt_chars:
        message = f"{name} has {len(value)} characters, more than {limits.max_prompt_chars}"
        raise LimitError(message, hint="Shorten it.", value=len(value))
    return value


def _side(name: str, value: Any, limits: Limits) -> int:
    pixels = whole(name, value, low=LOWEST_SIDE, high=limits.max_side)
    if pixels % PIXELS_PER_LATENT:
        nearest = round(pixels / PIXELS_PER_LATENT) * PIXELS_PER_LATENT
        message = f"{name} is {pixels} pixels, not a multiple of {PIXELS_PER_LATENT}"
        raise SizeError(message, hint=f"The nearest is {nearest}.", value=pixels)
    return pixels


def _range_error(name: str, value: Any, wanted: str) -> RangeError:
    shown = repr(value)[:100]
    message = f"{name} is {shown}, not {wanted}"
    return RangeError(message, hint=f"Use {wanted}.", value=shown)
