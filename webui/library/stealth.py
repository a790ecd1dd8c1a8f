"""Settings hidden in the lowest bits of a picture's pixels; read, never written.

Some programs put the infotext where no site strips it: into the last bit of each alpha value, or of
each red, green and blue one, column by column from the top left. The bits are

1. fifteen letters that say where and how: ``stealth_pnginfo`` and ``stealth_pngcomp`` for alpha,
   ``stealth_rgbinfo`` and ``stealth_rgbcomp`` for colours, ``comp`` being packed by gzip;
2. a whole number of 32 bits: how many bits follow;
3. the text in UTF-8.

Source: github.com/neggles/sd-webui-stealth-pnginfo, read as a description of the format.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS: Final = 2**24
"""Larger pictures are not unpacked only to look for a text."""

MAX_TEXT_BYTES: Final = 4 * 1024**2
"""More than this is no settings text, packed or not."""

_SIGNATURES: Final = {
    b"stealth_pnginfo": ("A", False),
    b"stealth_pngcomp": ("A", True),
    b"stealth_rgbinfo": ("RGB", False),
    b"stealth_rgbcomp": ("RGB", True),
}
_LETTERS: Final = 15
_HEAD: Final = _LETTERS + 4
_GZIP: Final = 31


def hidden_text(image: Image.Image) -> str:
    """Return the text that is hidden in an opened picture; empty if there is none.

    A picture whose pixels are damaged hides nothing.
    """
    if image.mode not in ("RGB", "RGBA") or image.width * image.height > MAX_PIXELS:
        return ""
    for channels in ("A", "RGB"):
        if set(channels) <= set(image.getbands()) and (text := _read_gently(image, channels)):
            return text
    return ""


def _read_gently(image: Image.Image, channels: str) -> str:
    try:
        return _read(image, channels)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error):
        return ""


def _read(image: Image.Image, channels: str) -> str:
    head = _bytes(image, channels, start=0, count=_HEAD)
    told, packed = _SIGNATURES.get(head[:_LETTERS], ("", False))
    size = int.from_bytes(head[_LETTERS:], "big") // 8
    room = image.width * image.height * len(channels) // 8 - _HEAD
    if told != channels or not 0 < size <= min(room, MAX_TEXT_BYTES):
        return ""
    body = _bytes(image, channels, start=_HEAD, count=size)
    if packed:
        body = _unpacked(body)
    return body.decode("utf-8", errors="replace")


def _bytes(image: Image.Image, channels: str, *, start: int, count: int) -> bytes:
    """Return bytes of the hidden stream, looking only at the columns that hold them."""
    needed = (start + count) * 8
    columns = min(image.width, -(-needed // (image.height * len(channels))))
    strip = image.crop((0, 0, columns, image.height)).convert("RGBA")
    pixels: NDArray[np.uint8] = np.asarray(strip)
    chosen = pixels[:, :, 3:] if channels == "A" else pixels[:, :, :3]
    bits = (chosen & 1).transpose(1, 0, 2).reshape(-1)
    return np.packbits(bits[:needed]).tobytes()[start:]


def _unpacked(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(_GZIP).decompress(body, MAX_TEXT_BYTES)
    except zlib.error:
        return b""
