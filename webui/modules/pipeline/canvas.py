"""A given picture made ready to be drawn on: its size, its mask, what is laid back over the end."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageColor, ImageFilter, ImageOps
from torch import Tensor

from webui.modules.errors import PictureError
from webui.modules.pipeline import masking
from webui.modules.pipeline.colors import corrected
from webui.modules.pipeline.masking import Box
from webui.modules.pipeline.resizing import LATENT, filled, resized
from webui.modules.types import Inpainting, InputPicture, Start

Size = tuple[int, int]
"""Width and height in pixels."""

BLANK: Final = "The mask is blank, so the whole picture was drawn."
"""Told when only the masked part was to be drawn and there is none; A1111 does the same."""

_SOFT_EDGE: Final = 4
"""Radius in pixels by which soft inpainting's final mask is blurred."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """One picture, ready.

    Attributes:
        image: What is encoded: RGB, of the drawn size, or of its own if latents are stretched.
        mask: White may change, L, of the drawn size; None for everything.
        original: The whole picture as it is to come out, RGBA.
        cover: White is taken out of the original before it is laid over the result, L; None to
            lay nothing over.
        region: Where in the original the drawn part belongs; None for all of it.
        notes: What the person should know.
    """

    image: Image.Image
    mask: Image.Image | None = None
    original: Image.Image
    cover: Image.Image | None = None
    region: Box | None = None
    notes: tuple[str, ...] = ()

    def pixels(self) -> Tensor:
        """Return what is encoded, ``[3, height, width]`` of -1 to 1."""
        return _values(self.image) * 2 - 1

    def shown(self, size: Size) -> Tensor:
        """Return the same in the drawn size, for networks that see it beside the noise."""
        whole = self.image
        if whole.size != size:
            whole = whole.resize(size, Image.Resampling.LANCZOS)
        return _values(whole) * 2 - 1

    def hidden(self, size: Size, *, rounded: bool) -> Tensor:
        """Return what such a network does not see, ``[1, height, width]`` of 0 to 1."""
        if self.mask is None:
            return torch.ones(1, size[1], size[0])
        share = _values(self.mask.convert("RGB"))[:1]
        return share.round() if rounded else share

    def finished(self, drawn: Image.Image, start: Start, soft: Image.Image | None) -> Image.Image:
        """Return what was drawn with the original's colours, if wanted, and under the original.

        Args:
            drawn: The decoded picture, RGB.
            start: What was asked for.
            soft: Soft inpainting's own mask of what changed, of the drawn size.
        """
        if start.color_correction:
            drawn = corrected(drawn, self.image)
        cover = self.cover if soft is None else self._placed(soft)
        if cover is None:
            return drawn
        return masking.overlaid(drawn, masking.holed(self.original, cover), self.region)

    def _placed(self, mask: Image.Image) -> Image.Image:
        if self.region is None:
            return mask
        return masking.uncropped(mask, self.original.size, self.region).convert("L")


def canvas(picture: InputPicture, start: Start, size: Size) -> Canvas:
    """Make a picture ready.

    Args:
        picture: The given picture.
        start: What to do with it.
        size: Width and height to draw.

    Raises:
        PictureError: If its file is gone.
    """
    image = _flat(_read(picture), start.background)
    inpainting = start.inpainting
    if inpainting is None:
        return _whole(image, start, size)
    mask = _mask(inpainting)
    if not inpainting.only_masked:
        return _with_mask(image, mask, start, size)
    # A mask of another size than the picture's belongs to the picture as a whole.
    mask = mask if mask.size == image.size else mask.resize(image.size, Image.Resampling.LANCZOS)
    mask = masking.blurred(mask, inpainting.blur)
    region = masking.crop_region(mask, inpainting.padding, size)
    if region is None:
        return _whole(image, start, size, notes=(BLANK,))
    part, hidden = (filled(whole.crop(region), size) for whole in (image, mask))
    return Canvas(
        image=_prepared(part, hidden, inpainting),
        mask=hidden,
        original=image.convert("RGBA"),
        cover=mask if inpainting.overlay else None,
        region=region,
    )


def _values(image: Image.Image) -> Tensor:
    """Return an RGB picture as ``[3, height, width]`` of 0 to 1."""
    values = np.asarray(image).astype(np.float32) / 255.0
    return torch.as_tensor(np.moveaxis(values, 2, 0))


def _whole(image: Image.Image, start: Start, size: Size, notes: tuple[str, ...] = ()) -> Canvas:
    drawn = image if start.resize == LATENT else resized(image, size, start.resize)
    return Canvas(image=drawn, original=drawn.convert("RGBA"), notes=notes)


def _with_mask(image: Image.Image, mask: Image.Image, start: Start, size: Size) -> Canvas:
    """Draw on the whole picture, but change it only under the mask."""
    inpainting = start.inpainting
    assert inpainting is not None  # noqa: S101 - the caller has looked
    mask = resized(masking.blurred(mask, inpainting.blur), size, start.resize)
    original = resized(image, size, start.resize)
    drawn = image if start.resize == LATENT else original
    beneath = mask if drawn.size == size else mask.resize(drawn.size, Image.Resampling.LANCZOS)
    return Canvas(
        image=_prepared(drawn, beneath, inpainting),
        mask=mask,
        original=original.convert("RGBA"),
        cover=masking.doubled(mask) if inpainting.overlay else None,
    )


def _prepared(image: Image.Image, mask: Image.Image, inpainting: Inpainting) -> Image.Image:
    return image if inpainting.content == "original" else masking.filled_under(image, mask)


def _mask(inpainting: Inpainting) -> Image.Image:
    mask = _read(inpainting.mask).convert("L")
    return ImageOps.invert(mask) if inpainting.invert else mask


def flattened(picture: InputPicture, background: str) -> Image.Image:
    """Return a given picture as RGB, on the background colour where something shines through.

    Raises:
        PictureError: If its file is gone.
    """
    return _flat(_read(picture), background)


def _flat(image: Image.Image, background: str) -> Image.Image:
    """Put what shines through onto the background colour."""
    if image.mode == "RGBA":
        behind = Image.new("RGBA", image.size, ImageColor.getrgb(background))
        behind.paste(image, mask=image)
        image = behind
    return image.convert("RGB")


def _read(picture: InputPicture) -> Image.Image:
    try:
        with Image.open(picture.path, formats=("PNG",)) as image:
            image.load()
            return image.copy()
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the picture to start from is no longer there: {picture.path.name}"
        hint = "Give it again."
        raise PictureError(message, hint=hint, value=picture.path.name) from error


def softened(mask: np.ndarray, size: Size) -> Image.Image:
    """Return a mask of latent cells, 0 to 1, as one of pixels without steps."""
    small = Image.fromarray((255.0 * mask).astype(np.uint8))
    return filled(small, size).filter(ImageFilter.GaussianBlur(_SOFT_EDGE))
