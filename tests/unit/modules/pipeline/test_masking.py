"""Masks and sizes: what is looked at, what is filled, and that what is not masked stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.modules.pipeline import masking
from webui.modules.pipeline.resizing import filled, resized
from webui.modules.types import ResizeMode

MODES: list[ResizeMode] = ["Just resize", "Crop and resize", "Resize and fill"]

sides = st.integers(1, 120)
targets = st.integers(1, 20).map(lambda cells: cells * 8)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


@st.composite
def masks(draw: st.DrawFn) -> Image.Image:
    width, height = draw(sides), draw(sides)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right = draw(st.integers(left + 1, width))
    return box_mask((width, height), (left, top, right, draw(st.integers(top + 1, height))))


# ----------------------------------------------------------------------------- crop regions


@given(mask=masks(), padding=st.integers(0, 40), width=targets, height=targets)
def test_what_is_looked_at_holds_the_whole_mask_and_stays_inside_the_picture(
    mask: Image.Image, padding: int, width: int, height: int
) -> None:
    region = masking.crop_region(mask, padding, (width, height))

    assert region is not None
    left, top, right, bottom = region
    found = mask.getbbox()
    assert found is not None
    assert 0 <= left <= found[0]
    assert 0 <= top <= found[1]
    assert found[2] <= right <= mask.width
    assert found[3] <= bottom <= mask.height


@given(side=st.integers(8, 40), width=targets, height=targets)
def test_it_has_the_shape_that_is_drawn_where_the_picture_is_large_enough(
    side: int, width: int, height: int
) -> None:
    mask = box_mask((4000, 4000), (2000, 2000, 2000 + side, 2000 + side))

    region = masking.crop_region(mask, 0, (width, height))

    assert region is not None
    wide, high = region[2] - region[0], region[3] - region[1]
    assert min(wide, high) == side
    assert max(wide, high) == int(side * max(width, height) / min(width, height))


def test_a_black_mask_has_no_region() -> None:
    assert masking.crop_region(Image.new("L", (20, 20)), 8, (64, 64)) is None


# ------------------------------------------------------------------------------ blurred masks


@given(mask=masks(), across=st.integers(0, 12), down=st.integers(0, 12))
def test_a_blur_makes_nothing_brighter_than_white_and_keeps_the_size(
    mask: Image.Image, across: int, down: int
) -> None:
    soft = masking.blurred(mask, (across, down))

    assert soft.mode == "L"
    assert soft.size == mask.size
    if not across and not down:
        assert soft.tobytes() == mask.tobytes()


@pytest.mark.parametrize("value", [0, 255])
def test_an_even_mask_stays_even(value: int) -> None:
    soft = masking.blurred(Image.new("L", (50, 30), value), (12, 3))

    assert soft.getextrema() == (value, value)


# ----------------------------------------------------------------------------------- overlays


@given(mask=masks())
def test_an_unmasked_pixel_is_the_original_and_a_masked_one_is_what_was_drawn(
    mask: Image.Image,
) -> None:
    original, drawn = noise(*mask.size), Image.new("RGB", mask.size, (1, 2, 3))

    result = np.asarray(
        masking.overlaid(drawn, masking.holed(original.convert("RGBA"), mask), None)
    )

    white = np.asarray(mask) == 255
    assert (result[~white] == np.asarray(original)[~white]).all()
    assert (result[white] == (1, 2, 3)).all()


@given(mask=masks(), width=targets, height=targets)
def test_only_the_masked_part_of_a_large_picture_is_pasted_back(
    mask: Image.Image, width: int, height: int
) -> None:
    original = noise(*mask.size)
    region = masking.crop_region(mask, 4, (width, height))

    result = masking.overlaid(
        noise(width, height), masking.holed(original.convert("RGBA"), mask), region
    )

    outside = np.asarray(mask) == 0
    assert result.size == original.size
    assert (np.asarray(result)[outside] == np.asarray(original)[outside]).all()


def test_under_a_mask_lie_the_colours_round_it() -> None:
    image = Image.new("RGB", (64, 64), (40, 90, 200))
    image.paste((255, 255, 255), (24, 24, 40, 40))

    result = np.asarray(masking.filled_under(image, box_mask(image.size, (22, 22, 42, 42))))

    assert np.abs(result.astype(int) - (40, 90, 200)).max() <= 8


def test_latents_see_a_mask_as_all_or_nothing_unless_it_is_soft() -> None:
    mask = Image.linear_gradient("L").resize((64, 64))

    assert set(np.unique(masking.in_latents(mask, (8, 8), rounded=True))) == {0.0, 1.0}
    assert len(np.unique(masking.in_latents(mask, (8, 8), rounded=False))) > 2


# ------------------------------------------------------------------------------------- sizes


@given(width=sides, height=sides, to=st.tuples(targets, targets), mode=st.sampled_from(MODES))
def test_a_picture_has_the_wanted_size_and_stays_what_it_is(
    width: int, height: int, to: tuple[int, int], mode: ResizeMode
) -> None:
    for kind in ("RGB", "L"):
        result = resized(noise(width, height, kind), to, mode)
        assert result.size == to
        assert result.mode == kind


@given(width=targets, height=targets, mode=st.sampled_from(MODES))
def test_a_picture_of_the_wanted_size_is_not_touched(
    width: int, height: int, mode: ResizeMode
) -> None:
    image = noise(width, height)

    assert resized(image, image.size, mode).tobytes() == image.tobytes()


@given(width=sides, height=sides, to=st.tuples(targets, targets), mode=st.sampled_from(MODES))
def test_an_even_picture_is_even_in_every_size(
    width: int, height: int, to: tuple[int, int], mode: ResizeMode
) -> None:
    result = np.asarray(resized(Image.new("L", (width, height), 200), to, mode))

    assert (result[1:-1, 1:-1] == 200).all()


def test_filling_draws_the_outermost_rows_out() -> None:
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (0, 20, 80, 40))

    result = filled(image, (80, 80))

    assert result.getpixel((40, 2)) == (255, 0, 0)
    assert result.getpixel((40, 77)) == (0, 0, 255)
