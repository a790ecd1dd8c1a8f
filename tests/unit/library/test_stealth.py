"""Settings that lie in the lowest bits of the pixels."""

import gzip
import io
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.library.picture_text import read

TEXT = "a cat, 一只猫\nNegative prompt: dog\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x48"


def hiding(kind: str, body: bytes, *, size: tuple[int, int] = (64, 48), told: int = -1) -> bytes:
    """Return a PNG with a hidden text, its bits set one by one as the format is described."""
    length = len(body) * 8 if told < 0 else told
    stream = f"stealth_{kind}".encode() + length.to_bytes(4, "big") + body
    bits = [byte >> place & 1 for byte in stream for place in range(7, -1, -1)]
    mode = "RGBA" if kind.startswith("png") else "RGB"
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], len(mode)), np.uint8)
    waiting = iter(bits)
    for x in range(size[0]):
        for y in range(size[1]):
            for channel in (3,) if mode == "RGBA" else (0, 1, 2):
                bit = next(waiting, None)
                if bit is not None:
                    pixels[y, x, channel] = pixels[y, x, channel] & 0xFE | bit
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("pnginfo", TEXT.encode()),
        ("pngcomp", gzip.compress(TEXT.encode())),
        ("rgbinfo", TEXT.encode()),
        ("rgbcomp", gzip.compress(TEXT.encode())),
    ],
)
def test_a_hidden_text_is_found(kind: str, body: bytes) -> None:
    assert read(hiding(kind, body))[0] == TEXT


@pytest.mark.parametrize("told", [0, 2**32 - 1, 64 * 48])
def test_a_length_that_cannot_be_is_no_text(told: int) -> None:
    assert read(hiding("pnginfo", b"x", told=told))[0] == ""


def test_a_damaged_pack_is_no_text() -> None:
    assert read(hiding("pngcomp", b"no gzip at all"))[0] == ""


def test_a_pack_of_a_gigabyte_is_cut_off() -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)
    started = time.perf_counter()

    with pytest.raises(Exception, match="settings text has"):
        read(hiding("rgbcomp", bomb, size=(512, 512)))

    assert time.perf_counter() - started < 5


@given(st.binary(min_size=16 * 16 * 4, max_size=16 * 16 * 4))
def test_any_pixels_can_be_looked_at(pixels: bytes) -> None:
    buffer = io.BytesIO()
    Image.frombytes("RGBA", (16, 16), pixels).save(buffer, "PNG")

    assert isinstance(read(buffer.getvalue())[0], str)
