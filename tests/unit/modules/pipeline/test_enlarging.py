"""The size that hires fix gives a picture: A1111's rules as laws, and its own figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.pipeline.enlarging import Enlargement, enlargement, first_size

sides = st.integers(8, 256).map(lambda cells: cells * 8)
wanted = st.integers(64, 2048)


@pytest.mark.parametrize(
    ("before", "scale", "resize", "whole", "final"),
    [
        ((64, 64), 2.0, (0, 0), (128, 128), (128, 128)),
        ((64, 64), 1.55, (0, 0), (99, 99), (96, 96)),
        ((512, 768), 1.5, (0, 0), (768, 1152), (768, 1152)),
        ((512, 768), 0.0, (1000, 0), (1000, 1500), (1000, 1496)),
        ((512, 768), 0.0, (0, 1000), (666, 1000), (664, 1000)),
        ((96, 96), 0.0, (192, 128), (192, 192), (192, 128)),
        ((96, 96), 0.0, (192, 160), (192, 192), (192, 160)),
        ((96, 64), 0.0, (128, 192), (288, 192), (128, 192)),
        ((64, 96), 0.0, (100, 100), (100, 150), (96, 96)),
    ],
)
def test_the_size_is_a1111s(
    before: tuple[int, int],
    scale: float,
    resize: tuple[int, int],
    whole: tuple[int, int],
    final: tuple[int, int],
) -> None:
    size = enlargement(*before, scale=scale, resize=resize)

    assert (size.width, size.height) == whole
    assert size.final == final


@given(width=sides, height=sides, scale=st.floats(1.0, 8.0))
def test_a_factor_keeps_the_shape(width: int, height: int, scale: float) -> None:
    size = enlargement(width, height, scale=scale, resize=(0, 0))

    assert size.cut == (0, 0)
    assert size.width <= width * scale < size.width + 1
    assert size.height <= height * scale < size.height + 1


@given(width=sides, height=sides, wide=wanted, high=wanted)
def test_a_size_is_covered_and_cut_to_the_cell(
    width: int, height: int, wide: int, high: int
) -> None:
    """The picture covers what is asked for; less than a cell is too much or too little."""
    size = enlargement(width, height, scale=0.0, resize=(wide, high))

    assert size.width >= wide
    assert size.height >= high
    assert wide == size.width or high == size.height
    for final, asked in zip(size.final, (wide, high), strict=True):
        assert final % 8 == 0
        assert abs(final - asked) < 8


@given(cells=st.tuples(st.integers(8, 99), st.integers(8, 99)), cut=st.integers(0, 7))
def test_what_is_cut_off_is_cut_off_on_both_sides(cells: tuple[int, int], cut: int) -> None:
    size = Enlargement(width=cells[0] * 8, height=cells[1] * 8, cut=(cut, cut))

    rows, columns = size.kept

    assert (columns.stop - columns.start, rows.stop - rows.start) == tuple(
        side // 8 for side in size.final
    )
    assert 0 <= (cells[0] - columns.stop) - columns.start <= 1


@pytest.mark.parametrize(
    ("final", "first"),
    [((1024, 1024), (512, 512)), ((1024, 768), (640, 448)), ((512, 512), (512, 512))],
)
def test_the_old_way_draws_about_512_pixels_square_first(
    final: tuple[int, int], first: tuple[int, int]
) -> None:
    assert first_size(*final) == first
