"""Pictures made larger: exactly the size asked for, whatever the upscaler gives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.modules.pipeline.pieces import enlarged_in_pieces, starts
from webui.modules.pipeline.upscale import Enlarger, lanczos, nearest, upscale

sides = st.integers(8, 80)


def noise(width: int, height: int) -> Image.Image:
    numbers = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(numbers)


def times(factor: int, seen: list[tuple[int, int]] | None = None) -> Enlarger:
    """Return what a network of this factor does, without one."""

    def enlarge(picture: Image.Image, _wanted: float) -> Image.Image:
        if seen is not None:
            seen.append(picture.size)
        size = (picture.width * factor, picture.height * factor)
        return picture.resize(size, Image.Resampling.NEAREST)

    return enlarge


@pytest.mark.parametrize("enlarge", [None, lanczos, nearest, times(1), times(2), times(4)])
@given(width=sides, height=sides, wide=st.integers(8, 200), high=st.integers(8, 200))
def test_the_size_is_the_one_asked_for(
    enlarge: Enlarger | None, width: int, height: int, wide: int, high: int
) -> None:
    assert upscale(noise(width, height), wide, high, enlarge).size == (wide, high)


def test_a_network_is_applied_until_the_picture_is_large_enough() -> None:
    seen: list[tuple[int, int]] = []

    upscale(noise(16, 16), 60, 60, times(2, seen))

    assert seen == [(16, 16), (32, 32)]


def test_a_network_is_applied_three_times_at_most() -> None:
    seen: list[tuple[int, int]] = []

    assert upscale(noise(8, 8), 640, 640, times(2, seen)).size == (640, 640)

    assert seen == [(8, 8), (16, 16), (32, 32)]


def test_a_picture_that_is_large_enough_is_not_given_to_the_network() -> None:
    seen: list[tuple[int, int]] = []

    upscale(noise(64, 64), 32, 32, times(2, seen))

    assert seen == []


@given(width=st.integers(1, 120), height=st.integers(1, 120), side=st.integers(0, 48))
def test_pieces_join_without_a_seam(width: int, height: int, side: int) -> None:
    """What looks at one pixel at a time gives the same in pieces as at once."""
    picture = noise(width, height)

    def doubled(piece: Image.Image) -> Image.Image:
        return piece.resize((piece.width * 2, piece.height * 2), Image.Resampling.NEAREST)

    joined = enlarged_in_pieces(picture, doubled, side=side, overlap=8)

    assert np.array_equal(np.asarray(joined), np.asarray(doubled(picture)))


@given(length=st.integers(1, 2048), overlap=st.integers(0, 90))
def test_pieces_cover_a_picture_and_end_with_it(length: int, overlap: int) -> None:
    found = starts(length, 192, overlap)

    assert found[-1] == length - 192
    assert length <= 192 or found[0] == 0
    assert all(later - one <= 192 - overlap for one, later in pairwise(found))
