"""Settings out of picture files that strangers made."""

import io
import json
import struct
import time
import zlib

import pytest
from PIL import Image, PngImagePlugin

from webui.library.picture_text import encode, read
from webui.modules.errors import PictureError
from webui.modules.types import Picture


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


@pytest.mark.parametrize("order", ["utf-16", "utf_16_be", "utf_16_le"])
def test_chinese_words_come_out_of_a_comment(order: str) -> None:
    """A text of Chinese letters alone does not tell its order; the settings behind it do."""
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "一只猫\nSteps: 20, Seed: 1".encode(order)}
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "WEBP", exif=exif.tobytes())

    assert read(buffer.getvalue())[0] == "一只猫\nSteps: 20, Seed: 1"


@pytest.mark.parametrize("comment", [b"ASCII\0\0\0Steps: 1", b"Steps: 1", b"Steps: 1\0"])
def test_a_plain_comment_is_read_too(comment: bytes) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9286: comment}
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif.tobytes())

    assert read(buffer.getvalue())[0] == "Steps: 1"


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "avif"])
def test_what_is_written_into_a_file_is_read_from_it(extension: str) -> None:
    picture = Picture(index=0, width=16, height=8, rgb=bytes(16 * 8 * 3))
    text = "a cat, 一只猫 🐈\nSteps: 20, Seed: 1, Size: 16x8"

    data = encode(picture, text, extension=extension)

    assert read(data)[0] == text


def test_a_picture_by_novel_ai_speaks_a1111s_words() -> None:
    comment = json.dumps(
        {"steps": 28, "sampler": "k_euler_ancestral", "seed": 5, "scale": 11.0, "uc": "bad"}
    )
    data = png_bytes(Software="NovelAI", Description="a cat", Comment=comment)

    text, _ = read(data)

    assert text == (
        "a cat\nNegative prompt: bad\nSteps: 28, Sampler: Euler a, CFG scale: 11.0, Seed: 5, "
        "Size: 8x8, Clip skip: 2, ENSD: 31337"
    )


@pytest.mark.parametrize("comment", ["{", "[]", '{"steps": 1}', "[" * 100_000])
def test_a_broken_note_by_novel_ai_says_nothing(comment: str) -> None:
    assert read(png_bytes(Software="NovelAI", Comment=comment))[0] == ""


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
