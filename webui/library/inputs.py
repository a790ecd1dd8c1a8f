"""Pictures that people give: read with suspicion, made plain, kept once under their own hash.

What comes out is upright, has 8 bits a channel and carries nothing but pixels, so that nothing
behind this file has to ask what kind of picture it was given.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from webui.library.picture_text import MAX_BYTES, MAX_PIXELS, READABLE
from webui.library.saving import replace_file
from webui.modules.errors import BROKEN_PICTURE, PictureError
from webui.modules.types import InputPicture

OPAQUE: Final = (255, 255)
"""Lowest and highest alpha of a picture through which nothing shines."""

HALF: Final = 128
"""A transparent mask covers where its alpha is above this, as in A1111."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")

_DEEP: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes with more than 8 bits of grey."""


class Inputs:
    """The folder of given pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, data: bytes) -> InputPicture:
        """Keep a picture to draw from; the same picture twice is one file.

        Args:
            data: The whole file as it was given.

        Returns:
            Where it lies now: RGB, or RGBA if something shines through it.

        Raises:
            PictureError: If this is no picture that we read, or it is too large.
            StorageError: If it cannot be written.
        """
        return self._write(plain(data))

    def keep_mask(self, data: bytes, *, rounded: bool = True) -> InputPicture:
        """Keep a mask: white is drawn anew.

        Args:
            data: The whole file. If something shines through it, its alpha is the mask; otherwise
                its brightness is, as in A1111.
            rounded: Let an alpha be either 0 or 255.

        Raises:
            PictureError: If this is no picture that we read, or it is too large.
            StorageError: If it cannot be written.
        """
        image = plain(data)
        if image.mode == "RGBA":
            mask = image.getchannel("A")
            return self._write(mask.point(_above_half) if rounded else mask)
        return self._write(image.convert("L"))

    def find(self, sha256: str) -> InputPicture:
        """Return a picture that was kept before.

        Raises:
            PictureError: If there is none with this hash.
        """
        path = self._folder / f"{sha256}.png"
        if not _HASH.fullmatch(sha256) or not path.is_file():
            message = f"no picture {sha256[:80]!r} was given before"
            raise PictureError(message, hint="Give the picture first.", value=sha256[:80])
        with Image.open(path) as image:
            return InputPicture(path=path, sha256=sha256, width=image.width, height=image.height)

    def _write(self, image: Image.Image) -> InputPicture:
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", compress_level=1)
        content = buffer.getvalue()
        name = hashlib.sha256(content).hexdigest()
        path = self._folder / f"{name}.png"
        if not path.exists():
            replace_file(path, content)
        return InputPicture(path=path, sha256=name, width=image.width, height=image.height)


def plain(data: bytes) -> Image.Image:
    """Return the first frame of a picture file, upright, as RGB or RGBA without anything else.

    Raises:
        PictureError: If this is no picture that we read, or it is too large.
    """
    if len(data) > MAX_BYTES:
        message = f"the picture has {len(data)} bytes, more than {MAX_BYTES}"
        raise PictureError(message, hint="Give a smaller file.", value=len(data))
    try:
        with Image.open(io.BytesIO(data), formats=READABLE) as image:
            _check_size(image)
            image.load()
            return _plain(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = "the picture says that it is larger than any that we read"
        raise PictureError(message, hint=f"At most {MAX_PIXELS} pixels.") from error
    except BROKEN_PICTURE as error:
        message = f"this is not a picture that can be read ({len(data)} bytes)"
        hint = "Give a sound PNG, JPEG, WebP, GIF or AVIF file."
        raise PictureError(message, hint=hint) from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        message = f"the picture has {image.width} x {image.height} pixels"
        value = f"{image.width}x{image.height}"
        raise PictureError(message, hint=f"At most {MAX_PIXELS} pixels.", value=value)


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its camera says; one whose note cannot be read stays as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except BROKEN_PICTURE:
        return image


def _plain(image: Image.Image) -> Image.Image:
    """Bring any mode to 8 bits of RGB, or RGBA where something shines through."""
    if image.mode in _DEEP:
        image = _shallow(image)
    seen_through = image.has_transparency_data
    image = image.convert("RGBA" if seen_through else "RGB")
    if seen_through and image.getchannel("A").getextrema() == OPAQUE:
        image = image.convert("RGB")
    return Image.frombytes(image.mode, image.size, image.tobytes())


def _shallow(image: Image.Image) -> Image.Image:
    """Bring 16 bits of grey to 8; Pillow itself would cut off what is brighter than 255."""
    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.clip(values / 257, 0, 255).astype(np.uint8))


def _above_half(alpha: int) -> int:
    return 255 if alpha > HALF else 0
