"""Masks over pixels: softened, cropped to, filled under, and the original laid back on top.

White (255) is drawn anew, black (0) stays. The arithmetic is A1111's in 8 bits, down to Pillow's
premultiplied alpha, so that unmasked pixels and borders come out equal.
"""

from typing import Final, cast

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

from webui.modules.pipeline.resizing import resized

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom lie just outside."""

FILLS: Final = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""Radius of each blur that is laid under a mask, and how often."""


def blurred(mask: Image.Image, blur: tuple[int, int]) -> Image.Image:
    """Return a mask with soft edges, first across and then down; ``blur`` is in pixels."""
    pixels = np.asarray(mask)
    for spread, across in ((blur[0], True), (blur[1], False)):
        if spread > 0:
            reach = 2 * int(2.5 * spread + 0.5) + 1
            pixels = np.asarray(
                cv2.GaussianBlur(pixels, (reach, 1) if across else (1, reach), spread)
            )
    return Image.fromarray(pixels)


def crop_region(mask: Image.Image, padding: int, size: tuple[int, int]) -> Box | None:
    """Return what is looked at when only the masked part is drawn; None for a black mask.

    It is the box around the mask, widened by the padding and then to the shape of ``size`` as far
    as the picture goes.
    """
    box = mask.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    width, height = mask.size
    left, top = max(left - padding, 0), max(top - padding, 0)
    right, bottom = min(right + padding, width), min(bottom + padding, height)
    shape = size[0] / size[1]
    if (right - left) / (bottom - top) > shape:
        top, bottom = _widened(top, bottom, (right - left) / shape, height)
    else:
        left, right = _widened(left, right, (bottom - top) * shape, width)
    return left, top, right, bottom


def _widened(low: int, high: int, wanted: float, limit: int) -> tuple[int, int]:
    """Widen a stretch on both sides, pushed back inside where it runs over the edge."""
    more = int(wanted - (high - low))
    low, high = low - more // 2, high + more - more // 2
    over = max(0, high - limit)
    low, high = low - over, high - over
    if low < 0:
        low, high = 0, high - low
    return low, min(high, limit)


def filled_under(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture with the colours round the mask drawn into it."""
    rest = _premultiplied(image, mask)
    result = Image.new("RGBA", image.size)
    for radius, times in FILLS:
        layer = rest.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            result.alpha_composite(layer)
    return result.convert("RGB")


def holed(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture (RGBA) with holes where the mask is white."""
    return _premultiplied(image, mask).convert("RGBA")


def _premultiplied(image: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the picture with holes, its colours multiplied by what is left of them."""
    rest = Image.new("RGBa", image.size)
    rest.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    return rest


def doubled(mask: Image.Image) -> Image.Image:
    """Return a mask twice as strong, so that its soft edge lies within what was drawn."""
    strong = np.clip(np.asarray(mask).astype(np.float32) * 2, 0, 255)
    return Image.fromarray(strong.astype(np.uint8))


def uncropped(image: Image.Image, size: tuple[int, int], region: Box) -> Image.Image:
    """Return a transparent picture of that size with the drawn part in its place."""
    left, top, right, bottom = region
    whole = Image.new("RGBA", size)
    whole.paste(resized(image, (right - left, bottom - top), "Crop and resize"), (left, top))
    return whole


def overlaid(image: Image.Image, overlay: Image.Image, region: Box | None) -> Image.Image:
    """Lay the original, with its holes, over what was drawn."""
    if region is not None:
        image = uncropped(image, overlay.size, region)
    whole = image.convert("RGBA")
    whole.alpha_composite(overlay)
    return whole.convert("RGB")


def in_latents(mask: Image.Image, size: tuple[int, int], *, rounded: bool) -> np.ndarray:
    """Return how much each latent cell may change, ``[height, width]`` of 0 to 1, float32."""
    small = mask.convert("RGB").resize(size)
    share = np.asarray(small, dtype=np.float32)[:, :, 0] / 255
    return cast("np.ndarray", np.around(share) if rounded else share)
