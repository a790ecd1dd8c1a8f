"""Infotext inside picture files: put in when a picture is encoded, read out of what people bring.

The headers of a foreign file come first, so a picture made to fill the memory costs nothing; only
where they say nothing are the pixels of a picture of bounded size looked at for a hidden text.
"""

import codecs
import io
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Final

from PIL import ExifTags, GifImagePlugin, Image, PngImagePlugin

from webui.library.stealth import hidden_text
from webui.modules.errors import PictureError, UnknownNameError
from webui.modules.sampling.catalogue import find_sampler
from webui.modules.types import Picture

MAX_BYTES: Final = 25 * 1024**2
"""A larger file is not a picture of settings."""

MAX_PIXELS: Final = 64_000_000
"""A larger picture is refused from its header."""

MAX_TEXT: Final = 1024**2
"""A longer settings text is refused, in characters."""

READABLE: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
"""Formats that can carry a text and whose readers start no other program."""

_SIDE_LIMITS: Final = {"webp": 16383, "jpg": 65535, "jpeg": 65535, "avif": 65535}
_PACKED: Final = {"webp": "WEBP", "jpg": "JPEG", "jpeg": "JPEG", "avif": "AVIF"}
_LOSSLESS: Final = frozenset({"PNG", "WEBP"})
_COMMENT_PREFIX: Final = b"UNICODE\0"
_ASCII_PREFIX: Final = b"ASCII\0\0\0"


def encode(picture: Picture, text: str, *, extension: str = "png", quality: int = 80) -> bytes:
    """Return the file of a picture with its infotext inside.

    Args:
        picture: Finished pixels.
        text: Its infotext; empty for a file without one.
        extension: "png", "jpg", "jpeg", "webp" or "avif"; the caller asks ``file_extension`` first.
        quality: Of all but png, 1 to 100.

    Raises:
        PictureError: If there is no such format.
    """
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
    buffer = io.BytesIO()
    if extension == "png":
        chunks = PngImagePlugin.PngInfo()
        if text:
            chunks.add_text("parameters", text)
        image.save(buffer, format="PNG", pnginfo=chunks)
    elif extension in _PACKED:
        image.save(buffer, format=_PACKED[extension], quality=quality, exif=_exif(text))
    else:
        message = f"pictures cannot be written as {extension!r}"
        raise PictureError(message, hint="Use png, jpg, webp or avif.", value=extension)
    return buffer.getvalue()


def file_extension(wanted: str, *, width: int, height: int) -> str:
    """Return the wanted file ending, or png when a side is too long for that format."""
    extension = wanted.lower().lstrip(".")
    return "png" if max(width, height) > _SIDE_LIMITS.get(extension, 2**31) else extension


def read(data: bytes) -> tuple[str, dict[str, str]]:
    """Return the infotext of a picture file and its other texts by name; both may be empty.

    Raises:
        PictureError: If this is no picture that we read, or its size or texts go beyond the limits.
    """
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data)} bytes, more than {MAX_BYTES}"
        raise PictureError(message, hint="Give the picture itself, not an archive.")
    try:
        with Image.open(io.BytesIO(data), formats=READABLE) as image:
            _check_size(image)
            return _texts(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = "the picture says that it is larger than any that we draw"
        raise PictureError(message, hint=f"At most {MAX_PIXELS} pixels.") from error
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        message = f"this is not a picture that can be read ({len(data)} bytes)"
        hint = "Give a sound PNG, JPEG, WebP, GIF or AVIF file."
        raise PictureError(message, hint=hint) from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        message = f"the picture has {image.width} x {image.height} pixels"
        value = f"{image.width}x{image.height}"
        raise PictureError(message, hint=f"At most {MAX_PIXELS} pixels.", value=value)


def _texts(image: Image.Image) -> tuple[str, dict[str, str]]:
    items = {str(key): _as_text(value) for key, value in image.info.items() if _is_text(key, value)}
    text = items.pop("parameters", "")
    if isinstance(image, GifImagePlugin.GifImageFile):
        text = items.get("comment", "")
    text = _user_comment(image) or text or _novel_ai(image, items)
    if not text and image.format in _LOSSLESS:
        text = hidden_text(image)
    if len(text) > MAX_TEXT:
        message = f"the settings text has {len(text)} characters, more than {MAX_TEXT}"
        raise PictureError(message, hint="No picture program writes so much.")
    return text, items


def _novel_ai(image: Image.Image, items: Mapping[str, str]) -> str:
    """Return the settings of a picture by NovelAI, which keeps them as JSON, in A1111's words."""
    if items.get("Software") != "NovelAI" or "Comment" not in items:
        return ""
    try:
        told = json.loads(items["Comment"])
        return (
            f"{items.get('Description', '')}\n"
            f"Negative prompt: {told['uc']}\n"
            f"Steps: {told['steps']}, Sampler: {_sampler(told.get('sampler'))}, "
            f"CFG scale: {told['scale']}, Seed: {told['seed']}, "
            f"Size: {image.width}x{image.height}, Clip skip: 2, ENSD: 31337"
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _sampler(name: object) -> str:
    try:
        return find_sampler(str(name))[0].label
    except UnknownNameError:
        return "Euler a"


def _is_text(key: object, value: object) -> bool:
    known_binary = {"exif", "icc_profile", "transparency", "background", "photoshop", "mp"}
    return isinstance(key, str) and isinstance(value, str | bytes) and key not in known_binary


def _as_text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _exif(text: str) -> bytes:
    if not text:
        return b""
    exif = Image.Exif()
    comment = _COMMENT_PREFIX + text.encode("utf_16_be")
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: comment}
    return exif.tobytes()


def _user_comment(image: Image.Image) -> str:
    tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    comment = tags.get(ExifTags.Base.UserComment, b"")
    if isinstance(comment, str):
        return comment
    if not isinstance(comment, bytes):
        return ""
    if comment.startswith(_COMMENT_PREFIX):
        return _wide(comment.removeprefix(_COMMENT_PREFIX))
    return comment.removeprefix(_ASCII_PREFIX).decode("utf-8", errors="replace").strip("\0")


def _wide(body: bytes) -> str:
    """Return a text of two bytes a letter, whose order some programs turn round."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf_16", errors="replace")
    little = body[1::2].count(0) > body[0::2].count(0)
    return body.decode("utf_16_le" if little else "utf_16_be", errors="replace")
