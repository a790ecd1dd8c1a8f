"""How far back a walk starts from a picture, and how its colours and masks act."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from webui.modules.pipeline.colors import corrected
from webui.modules.pipeline.passes import Part
from webui.modules.pipeline.softness import changed, weighted_middle
from webui.modules.sampling.blending import Kept, mixed
from webui.modules.types import SoftInpainting

cells = (
    st.integers(0, 2**31)
    .map(lambda seed: torch.Generator().manual_seed(seed))
    .map(lambda numbers: torch.randn(1, 4, 6, 5, generator=numbers))
)


@pytest.mark.parametrize(
    ("steps", "denoising", "every_step", "expected"),
    [
        (20, 0.75, False, (20, 15)),
        (20, 0.5, False, (20, 10)),
        (20, 1.0, False, (20, 19)),
        (20, 0.0, False, (20, 0)),
        (20, 0.04, False, (20, 0)),
        (1, 0.75, False, (1, 0)),
        (20, 0.75, True, (26, 19)),
        (20, 0.5, True, (40, 19)),
        (10, 0.7, True, (14, 9)),
        (20, 0.0, True, (0, 19)),
    ],
)
def test_a_part_of_the_steps_is_a1111s(
    steps: int, denoising: float, *, every_step: bool, expected: tuple[int, int]
) -> None:
    part = Part.of(steps, denoising, every_step=every_step)

    assert (part.steps, part.taken) == expected


@given(steps=st.integers(1, 150), denoising=st.floats(0, 1))
def test_no_part_is_longer_than_its_schedule(steps: int, denoising: float) -> None:
    part = Part.of(steps, denoising, every_step=False)

    assert 0 <= part.taken < part.steps == steps


# --------------------------------------------------------------------------------- what is kept


@given(original=cells, latents=cells)
def test_a_mask_keeps_the_original_where_it_is_black(
    original: torch.Tensor, latents: torch.Tensor
) -> None:
    change = torch.zeros(1, 1, 6, 5)
    change[..., 2:4, 1:3] = 1
    kept = Kept(original=original, change=change)

    for blended in (kept.blended(latents, torch.tensor(3.0)), kept.finished(latents)):
        white = change.expand_as(blended) == 1
        assert (blended[white] == latents[white]).all()
        assert (blended[~white] == original[~white]).all()


@given(low=cells, high=cells, share=st.floats(0, 1), boost=st.floats(1, 32))
def test_a_mix_is_as_long_as_something_between_both(
    low: torch.Tensor, high: torch.Tensor, share: float, boost: float
) -> None:
    result = mixed(low, high, torch.full((1, 1, 6, 5), share), boost)

    lengths = [each.norm(dim=1) for each in (low, result, high)]
    assert (lengths[1] <= torch.maximum(lengths[0], lengths[2]) * 1.001 + 1e-3).all()


@given(low=cells, high=cells)
def test_the_ends_of_a_mix_are_what_is_mixed(low: torch.Tensor, high: torch.Tensor) -> None:
    for share, expected in ((0.0, low), (1.0, high)):
        result = mixed(low, high, torch.full((1, 1, 6, 5), share), 4.0)
        assert torch.allclose(result, expected, atol=1e-3, rtol=1e-3)


def test_a_soft_mask_gives_the_original_more_room_at_high_noise() -> None:
    kept = Kept(
        original=torch.ones(1, 4, 2, 2),
        change=torch.full((1, 1, 2, 2), 0.5),
        soft=SoftInpainting(),
    )
    latents = torch.full((1, 4, 2, 2), 2.0)

    noisy, clean = (kept.blended(latents, torch.tensor(level)).mean() for level in (10.0, 0.1))

    assert noisy < clean
    assert (kept.finished(latents) == latents).all()


@given(latents=cells)
def test_what_has_not_changed_is_not_replaced(latents: torch.Tensor) -> None:
    kept = Kept(original=latents, change=torch.ones(1, 1, 6, 5), soft=SoftInpainting())

    (share,) = changed(kept, latents, SoftInpainting())
    assert share.max() < 0.01
    (share,) = changed(kept, latents + 50, SoftInpainting())
    assert share.min() > 0.99


@given(value=st.floats(-10, 10), low=st.floats(0, 0.9))
def test_the_middle_of_equal_cells_is_their_value(value: float, low: float) -> None:
    image = np.full((5, 7), value)

    assert np.allclose(weighted_middle(image, low, 1.0), value)


# ------------------------------------------------------------------------------------- colours


@given(seed=st.integers(0, 1000))
def test_colours_come_from_the_other_picture_and_the_light_stays(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    image = Image.fromarray(numbers.integers(90, 160, (16, 16, 3), dtype=np.uint8))
    like = np.zeros((16, 16, 3), np.uint8)
    like[..., 0] = numbers.integers(100, 140, (16, 16))

    result = corrected(image, Image.fromarray(like))

    red, green, blue = np.asarray(result).reshape(-1, 3).mean(0)
    assert red > max(green, blue)
    light = np.abs(np.asarray(result.convert("L"), int) - np.asarray(image.convert("L"), int))
    assert light.max() <= 3


def test_a_picture_keeps_its_own_colours() -> None:
    image = Image.effect_mandelbrot((32, 32), (-2, -1, 1, 1), 20).convert("RGB")

    difference = np.asarray(corrected(image, image), int) - np.asarray(image, int)
    assert np.abs(difference).max() <= 4
