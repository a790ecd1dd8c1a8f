"""Grids: every picture in its place, what tells them apart beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.library.grids import Legend, compose, side_by_side
from webui.modules.errors import PictureError


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.new("RGB", size, colour)


@given(columns=st.integers(1, 4), rows=st.integers(1, 4), margin=st.integers(0, 9))
def test_without_a_legend_the_pictures_stand_edge_to_edge(columns, rows, margin) -> None:
    pictures = [plain((number, 0, 0)) for number in range(columns * rows)]

    grid = compose(pictures, Legend(columns=("",) * columns, rows=("",) * rows), margin=margin)

    assert grid.size == (32 * columns + margin * (columns - 1), 24 * rows + margin * (rows - 1))
    for number in range(columns * rows):
        row, column = divmod(number, columns)
        assert grid.getpixel((column * (32 + margin) + 5, row * (24 + margin) + 5)) == (
            number,
            0,
            0,
        )


def test_a_legend_stands_around_and_changes_no_pixel() -> None:
    picture = plain((0, 0, 255), (128, 96))

    legend = Legend(columns=("Steps: 10", "Steps: 20"), rows=("a",), title="Z")
    grid = compose([picture, picture], legend, margin=4)

    pixels = np.asarray(grid)
    assert grid.width > 2 * 128
    assert grid.height > 96
    assert (pixels == (0, 0, 255)).all(axis=2).sum() == 2 * 128 * 96
    assert (pixels[: grid.height - 96] < 100).all(axis=2).any()  # letters


def test_a_picture_that_is_not_there_leaves_a_blank() -> None:
    grid = compose([plain((9, 9, 9)), None], Legend(columns=("", ""), rows=("",)), margin=0)

    assert grid.getpixel((40, 5)) == (225, 225, 225)


def test_smaller_pictures_stand_in_the_middle() -> None:
    pictures = [plain((9, 9, 9), (64, 64)), plain((7, 7, 7), (32, 32))]

    grid = compose(pictures, Legend(columns=("", ""), rows=("",)), margin=0)

    assert grid.getpixel((64 + 32, 32)) == (7, 7, 7)
    assert grid.getpixel((64 + 2, 2)) == (255, 255, 255)


def test_blocks_stand_in_a_row() -> None:
    assert side_by_side([plain((1, 1, 1)), plain((2, 2, 2))], margin=10).size == (74, 24)


def test_a_grid_that_nobody_could_open_is_refused() -> None:
    giant = plain((0, 0, 0), (4000, 4000))

    with pytest.raises(PictureError, match="40000 x 8000"):
        compose([giant] * 20, Legend(columns=("",) * 10, rows=("",) * 2), margin=0)


@pytest.mark.parametrize("text", ["很长的中文提示词" * 20, "x" * 300, "a b " * 80, "", "\n\n"])
def test_any_label_fits_beside_its_pictures(text: str) -> None:
    picture = plain((0, 0, 255), (64, 64))

    grid = compose([picture], Legend(columns=(text,), rows=(text,)), margin=0)

    assert (np.asarray(grid) == (0, 0, 255)).all(axis=2).sum() == 64 * 64
