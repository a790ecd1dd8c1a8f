"""Pictures that people give: any kind comes out plain, hostile ones are refused with a sentence."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from webui.library.inputs import Inputs, plain
from webui.library.picture_text import MAX_BYTES
from webui.modules.errors import PictureError

RED = (200, 30, 10)


def file_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seen(data: bytes, folder: Path) -> Image.Image:
    """Keep a picture and return what lies there."""
    image = Image.open(Inputs(folder).keep(data).path)
    image.load()
    return image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_comes_out_with_three_channels(mode: str, tmp_path: Path) -> None:
    assert seen(file_of(Image.new("RGB", (9, 7), RED).convert(mode)), tmp_path).mode == "RGB"


def test_what_shines_through_keeps_its_alpha(tmp_path: Path) -> None:
    for image in (
        Image.new("RGBA", (9, 7), (*RED, 100)),
        Image.new("LA", (9, 7), (50, 100)),
    ):
        kept = seen(file_of(image), tmp_path)
        assert kept.mode == "RGBA"
        assert kept.getchannel("A").getextrema() == (100, 100)


def test_a_palette_with_a_transparent_colour_keeps_it(tmp_path: Path) -> None:
    image = Image.new("P", (9, 7))
    image.putpalette([*RED, 0, 0, 255])

    assert seen(file_of(image, transparency=0), tmp_path).getpixel((3, 3)) == (*RED, 0)


def test_sixteen_bits_of_grey_become_eight_and_are_not_cut_off(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((7, 9), 40_000, np.uint16))

    assert seen(file_of(grey), tmp_path).getpixel((3, 3)) == (155, 155, 155)


def test_the_colours_of_print_become_those_of_a_screen(tmp_path: Path) -> None:
    data = file_of(Image.new("CMYK", (9, 7), (0, 255, 255, 0)), "JPEG", quality=95)

    red, green, blue = np.asarray(seen(data, tmp_path))[3, 3].tolist()
    assert red > 240
    assert max(green, blue) < 15


def test_a_photo_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter

    assert seen(file_of(Image.new("RGB", (9, 7)), "JPEG", exif=exif), tmp_path).size == (7, 9)


def test_a_film_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "blue")]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert seen(data, tmp_path).getpixel((3, 3)) == (255, 0, 0)


def test_nothing_but_pixels_is_kept(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "where I live")

    assert seen(file_of(Image.new("RGB", (9, 7)), pnginfo=texts), tmp_path).info == {}


@given(
    pixels=st.binary(min_size=12, max_size=12), form=st.sampled_from(["PNG", "WEBP", "GIF", "BMP"])
)
def test_the_same_picture_twice_is_one_file(
    pixels: bytes, form: str, tmp_path_factory: Any
) -> None:
    folder = tmp_path_factory.mktemp("inputs")
    image = Image.frombytes("RGB", (2, 2), pixels)
    if form == "BMP":
        with pytest.raises(PictureError):
            Inputs(folder).keep(file_of(image, form))
        return
    options = {"lossless": True} if form == "WEBP" else {}

    first = Inputs(folder).keep(file_of(image, form, **options))
    second = Inputs(folder).keep(first.path.read_bytes())

    assert first == second
    assert [path.name for path in folder.iterdir()] == [f"{first.sha256}.png"]
    assert (first.width, first.height) == image.size


def test_a_mask_is_its_alpha_if_something_shines_through(tmp_path: Path) -> None:
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 0, 200))
    inputs, data = Inputs(tmp_path), file_of(image)

    assert list(Image.open(inputs.keep_mask(data).path).tobytes()) == [0, 255]
    assert list(Image.open(inputs.keep_mask(data, rounded=False).path).tobytes()) == [0, 200]


def test_a_mask_is_its_brightness_otherwise(tmp_path: Path) -> None:
    for image in (Image.new("L", (2, 1), 100), Image.new("RGBA", (2, 1), (100, 100, 100, 255))):
        kept = Image.open(Inputs(tmp_path).keep_mask(file_of(image)).path)
        assert kept.mode == "L"
        assert list(kept.tobytes()) == [100, 100]


def huge(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header promises gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64))


@pytest.mark.parametrize("size", [(60_000, 60_000), (9_000, 9_000), (2**31 - 1, 1)])
def test_a_picture_that_would_fill_the_memory_is_refused_from_its_header(
    size: tuple[int, int],
) -> None:
    with pytest.raises(PictureError, match=r"pixels|larger"):
        plain(huge(*size))


def test_a_file_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(PictureError, match="bytes"):
        plain(bytes(MAX_BYTES + 1))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_a_sentence(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture"):
        plain(data)


SOUND = [
    file_of(Image.linear_gradient("L").resize((24, 24)).convert("RGB"), form)
    for form in ("PNG", "JPEG", "WEBP", "GIF")
]


@given(
    data=st.sampled_from(SOUND),
    places=st.dictionaries(st.integers(0, 400), st.integers(0, 255)),
    cut=st.integers(0, 400),
)
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(
    data: bytes, places: dict[int, int], cut: int
) -> None:
    damaged = bytearray(data[: max(1, len(data) - cut)])
    for place, value in places.items():
        if place < len(damaged):
            damaged[place] = value
    with suppress(PictureError):
        assert plain(bytes(damaged)).mode in ("RGB", "RGBA")
