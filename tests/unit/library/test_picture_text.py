"""Settings out of picture files that strangers made."""

import io
import struct
import time
import zlib

import pytest
from PIL import Image, PngImagePlugin

from webui.library.picture_text import read
from webui.modules.errors import PictureError


def png_bytes(**texts: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png_of_size(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 16))
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + end


def test_a_png_tells_its_settings_and_other_texts() -> None:
    text, items = read(png_bytes(parameters="a cat\nSteps: 1", extras="more"))

    assert text == "a cat\nSteps: 1"
    assert items == {"extras": "more"}


def test_a_gif_tells_its_comment() -> None:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF", comment=b"Steps: 1")

    assert read(buffer.getvalue())[0] == "Steps: 1"


@pytest.mark.parametrize("byte_order", ["utf_16_be", "utf_16_le"])
def test_a_jpeg_tells_its_comment_in_either_byte_order(byte_order: str) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "a cat, Steps: 1".encode(byte_order)}
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif.tobytes())

    assert read(buffer.getvalue())[0] == "a cat, Steps: 1"


def test_a_picture_without_settings_says_nothing() -> None:
    assert read(png_bytes()) == ("", {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        png_bytes()[:20],
        png_of_size(0, 8),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html><script>alert(1)</script>",
    ],
    ids=["empty", "text", "cut off", "no width", "postscript", "svg", "html"],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture"):
        read(data)


@pytest.mark.parametrize("size", [(20_000, 20_000), (13_000, 13_000), (9_400, 9_400)])
def test_a_huge_picture_is_refused_from_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match=r"pixels|larger"):
        read(png_of_size(*size))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_unpacks_to_a_gigabyte_costs_nothing(kind: bytes) -> None:
    packed = zlib.compress(bytes(50_000_000), 9)
    data = {
        b"zTXt": b"parameters\0\0" + packed,
        b"iTXt": b"parameters\0\1\0\0\0" + packed,
        b"iCCP": b"profile\0\0" + packed,
    }[kind]
    started = time.perf_counter()

    try:
        text, _ = read(png_of_size(8, 8, chunk(kind, data)))
    except PictureError:
        text = ""

    assert len(text) < 2_000_000
    assert time.perf_counter() - started < 1
