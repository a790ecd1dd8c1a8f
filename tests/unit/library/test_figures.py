"""How much two pictures differ: numbers that mean what they say, and maps that show where."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.library.figures import VISIBLE, figures, heat
from webui.library.strips import NARROWEST, WIDEST, Cell, StripRow, compose_strip
from webui.modules.errors import PictureError


def noisy(seed: int, size: tuple[int, int] = (48, 32)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3))
    return Image.fromarray(values.astype(np.uint8))


@given(seed=st.integers(0, 999))
def test_a_picture_is_equal_to_itself(seed: int) -> None:
    found = figures(noisy(seed), noisy(seed))

    assert found is not None
    assert (found.mean, found.visible, found.furthest) == (0, 0, 0)
    assert found.likeness == 1


@given(first=st.integers(0, 99), second=st.integers(100, 199))
def test_it_makes_no_difference_which_comes_first(first: int, second: int) -> None:
    one, other = noisy(first), noisy(second)

    assert figures(one, other) == figures(other, one)


def test_the_numbers_are_those_of_a_change_that_is_known() -> None:
    grey = Image.new("RGB", (40, 40), (100, 100, 100))
    changed = grey.copy()
    changed.paste((100, 100, 100 + VISIBLE), (0, 0, 10, 40))
    changed.paste((99 + VISIBLE, 100, 100), (10, 0, 20, 40))

    found = figures(grey, changed)

    assert found is not None
    assert found.visible == 0.25
    assert found.mean == pytest.approx((VISIBLE * 0.25 + (VISIBLE - 1) * 0.25) / 3, abs=1e-3)
    assert found.furthest == VISIBLE


def test_likeness_falls_as_noise_rises() -> None:
    picture = Image.linear_gradient("L").convert("RGB")
    values = np.asarray(picture).astype(int)
    noise = np.random.default_rng(1).normal(0, 1, values.shape)
    found = [
        figures(picture, Image.fromarray((values + noise * much).clip(0, 255).astype(np.uint8)))
        for much in (2, 10, 40)
    ]
    likeness = [each.likeness if each else math.nan for each in found]

    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.9
    assert likeness[-1] < 0.3


def test_pictures_of_different_sizes_are_not_compared() -> None:
    assert figures(noisy(1), noisy(1, (8, 8))) is None
    assert heat(noisy(1), noisy(1, (8, 8)), brightest=9) is None


def test_a_map_is_brighter_where_more_has_changed_and_comparable_with_others() -> None:
    black = Image.new("RGB", (4, 1))
    changed = black.copy()
    for place, value in enumerate((0, 10, 100, 200)):
        changed.putpixel((place, 0), (0, value, 0))

    shown = heat(black, changed, brightest=200)
    fainter = heat(black, changed, brightest=255)

    assert shown is not None
    assert fainter is not None
    light = np.asarray(shown).astype(int).sum(axis=2)[0]
    assert list(light) == sorted(light)
    assert np.asarray(fainter).astype(int).sum() < light.sum()


@pytest.mark.parametrize(
    ("side", "shown"), [(64, NARROWEST), (100, 300), (512, 512), (1024, WIDEST)]
)
def test_a_strip_shows_pictures_in_a_size_that_words_fit_below(side: int, shown: int) -> None:
    red = Image.new("RGB", (side, side), (255, 0, 0))
    cells = (Cell(title="a", picture=red), Cell(title="b", picture=None, lines=("c", "d")))

    strip = compose_strip([StripRow(title="r", cells=cells)], foot="f")

    red_ones = (np.asarray(strip) == (255, 0, 0)).all(axis=2).sum()
    assert red_ones == (256 if side == 64 else shown) ** 2


def test_a_strip_without_end_is_refused() -> None:
    cells = tuple(Cell(title="a", picture=Image.new("RGB", (640, 640))) for _ in range(700))

    with pytest.raises(PictureError, match="pixels"):
        compose_strip([StripRow(title="r", cells=cells)], foot="f")
