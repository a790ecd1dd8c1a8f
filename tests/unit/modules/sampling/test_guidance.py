"""Guidance: the formula of its paper, over batches, parts and skipped negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import torch

from tests.unit.modules.sampling.gaussian import ALPHAS
from webui.modules.conditioning import Conditioning, PictureText, TimedEncoding
from webui.modules.sampling.guidance import GuidedDenoiser, Painter
from webui.modules.sampling.schedule import NoiseLevels
from webui.modules.types import SamplingPlan

if TYPE_CHECKING:
    from torch import Tensor

LEVELS: Final = NoiseLevels.of(ALPHAS)
SIGMA: Final = torch.tensor(2.0)


def saying(value: float, chunks: int = 1) -> TimedEncoding:
    """Return a text whose encoding is one number."""
    return TimedEncoding((99,), torch.full((1, 77 * chunks, 1), value))


class Echo:
    """Predicts as noise the mean of the text, and counts what it was asked."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, latents: Tensor, _times: Tensor, text: Tensor) -> Tensor:
        self.sizes.append((len(latents), text.shape[1]))
        return text.mean(dim=(1, 2)).view(-1, 1, 1, 1).expand_as(latents)


def guide(
    *pictures: PictureText, negative: TimedEncoding | None = None, **options: Any
) -> tuple[GuidedDenoiser, Echo]:
    echo = Echo()
    told = Conditioning(
        wanted=pictures,
        unwanted=(negative or saying(0.0),) * len(pictures),
        empty=torch.full((77, 1), -5.0),
    )
    values: dict[str, Any] = {"sampler": "Euler", "scheduler": "karras", "steps": 10, "guidance": 7}
    plan = SamplingPlan(**{**values, **options})
    painter = Painter(network=echo, conditioning=told, levels=LEVELS)
    return GuidedDenoiser(painter, plan, calls=plan.steps), echo


def noise_said(denoiser: GuidedDenoiser, pictures: int = 1) -> list[float]:
    """Return the noise that guidance ends up with, per picture."""
    noisy = torch.zeros(pictures, 4, 2, 2)
    return (-denoiser.denoised(noisy, SIGMA) / SIGMA)[:, 0, 0, 0].tolist()


def alone(value: float, chunks: int = 1) -> PictureText:
    return PictureText((saying(value, chunks),), (1.0,))


def test_guidance_pushes_away_from_the_negative_prompt() -> None:
    denoiser, _ = guide(alone(2.0), negative=saying(0.5))

    assert noise_said(denoiser) == pytest.approx([0.5 + 7 * (2.0 - 0.5)])
    assert float(-denoiser.unguided[0, 0, 0, 0] / SIGMA) == pytest.approx(0.5)


def test_each_picture_of_a_batch_follows_its_own_text() -> None:
    denoiser, echo = guide(alone(1.0), alone(3.0))

    assert noise_said(denoiser, 2) == pytest.approx([7.0, 21.0])
    assert echo.sizes == [(4, 77)]


def test_parts_of_a_prompt_add_up_by_weight() -> None:
    both = PictureText((saying(1.0), saying(2.0)), (1.0, -0.5))
    denoiser, _ = guide(both, negative=saying(0.25))

    assert noise_said(denoiser) == pytest.approx([0.25 + 7 * (0.75 - 0.5 * 1.75)])


def test_texts_of_unequal_length_are_asked_apart() -> None:
    denoiser, echo = guide(alone(1.0, chunks=2), negative=saying(0.5))

    noise_said(denoiser)

    assert echo.sizes == [(1, 154), (1, 77)]


def test_texts_can_be_brought_to_one_length() -> None:
    padded, first = guide(alone(1.0, chunks=2), negative=saying(0.5), pad_with_empty=True)
    cut, second = guide(alone(1.0), negative=saying(0.5, chunks=2), pad_or_cut=True)

    assert noise_said(padded) == pytest.approx([7 - 6 * (0.5 - 5.0) / 2])
    assert noise_said(cut) == pytest.approx([7 - 6 * 0.5])
    assert (first.sizes, second.sizes) == ([(2, 154)], [(2, 77)])


def test_the_negative_prompt_can_be_left_out_below_a_level() -> None:
    denoiser, echo = guide(alone(1.0), skip_uncond_below=3.0)

    said = [noise_said(denoiser)[0] for _ in range(4)]

    assert said == pytest.approx([7.0, 1.0, 7.0, 1.0])
    assert [size for size, _ in echo.sizes] == [2, 1, 2, 1]


def test_the_negative_prompt_can_be_left_out_at_the_beginning() -> None:
    denoiser, _ = guide(alone(1.0), skip_uncond_until=0.2)

    assert [noise_said(denoiser)[0] for _ in range(4)] == pytest.approx([1.0, 1.0, 1.0, 7.0])


def test_a_text_that_changes_holds_as_long_as_in_a1111() -> None:
    changing = TimedEncoding((2, 4), torch.stack([torch.ones(77, 1), torch.full((77, 1), 2.0)]))
    denoiser, _ = guide(PictureText((changing,), (1.0,)), guidance=1.0)

    assert [noise_said(denoiser)[0] for _ in range(6)] == pytest.approx([1, 1, 1, 2, 2, 1])
