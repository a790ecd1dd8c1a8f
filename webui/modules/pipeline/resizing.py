"""A given picture brought to the size that is drawn, in A1111's three ways over pixels."""

from typing import Final

from PIL import Image

from webui.modules.types import ResizeMode

LATENT: Final[ResizeMode] = "Just resize (latent upscale)"
"""Not done here: the latents are stretched once the picture is encoded."""


def resized(image: Image.Image, size: tuple[int, int], mode: ResizeMode) -> Image.Image:
    """Return the picture in another size; a mask (L) stays a mask."""
    if mode == "Crop and resize":
        return _placed(image, size, _covering(image.size, size))
    if mode == "Resize and fill":
        return filled(image, size)
    return image.resize(size, Image.Resampling.LANCZOS)


def filled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the whole picture in the middle, its outermost rows or columns drawn out.

    A box without a height asks Pillow for what lies at the very edge, as A1111 does.
    """
    inner = _fitting(image.size, size)
    scaled = image.resize(inner, Image.Resampling.LANCZOS)
    result = _placed(image, size, inner)
    (width, height), (inner_width, inner_height) = size, inner
    above, left = height // 2 - inner_height // 2, width // 2 - inner_width // 2
    if inner_width == width and above > 0:
        result.paste(scaled.resize((width, above), box=(0, 0, width, 0)), (0, 0))
        bottom = (0, inner_height, width, inner_height)
        result.paste(scaled.resize((width, above), box=bottom), (0, above + inner_height))
    elif inner_height == height and left > 0:
        result.paste(scaled.resize((left, height), box=(0, 0, 0, height)), (0, 0))
        last = (inner_width, 0, inner_width, height)
        result.paste(scaled.resize((left, height), box=last), (left + inner_width, 0))
    return result


def _placed(image: Image.Image, size: tuple[int, int], inner: tuple[int, int]) -> Image.Image:
    """Scale a picture to ``inner`` and put it into the middle of a black one."""
    result = Image.new(image.mode, size)
    place = (size[0] // 2 - inner[0] // 2, size[1] // 2 - inner[1] // 2)
    result.paste(image.resize(inner, Image.Resampling.LANCZOS), place)
    return result


def _covering(source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the source's shape that just covers the target."""
    (width, height), (from_width, from_height) = target, source
    wider = width / height > from_width / from_height
    return (
        width if wider else from_width * height // from_height,
        from_height * width // from_width if wider else height,
    )


def _fitting(source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the source's shape that just fits into the target, at least a pixel."""
    (width, height), (from_width, from_height) = target, source
    narrower = width / height < from_width / from_height
    return (
        width if narrower else max(1, from_width * height // from_height),
        max(1, from_height * width // from_width) if narrower else height,
    )
