"""Noise levels: A1111's numbers, and what holds however the sliders stand."""

from __future__ import annotations

from typing import Final

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.reference import ANSWERS
from webui.modules.sampling.catalogue import (
    SCHEDULERS,
    find_sampler,
    find_scheduler,
    settle_scheduler,
)
from webui.modules.sampling.schedule import (
    LCM_STRIDE,
    NoiseLevels,
    sigmas_for,
    timesteps_for,
    trained_alphas,
)
from webui.modules.types import SamplingPlan

TOLERANCE: Final = 2e-5
"""Relative; A1111 computes some of these in another order of 32-bit operations."""

BETAS: Final = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
ALPHAS: Final = torch.cumprod(1 - BETAS, dim=0).float()
LEVELS: Final = NoiseLevels.of(ALPHAS)


def plan_for(sampler: str, scheduler: str, steps: int) -> SamplingPlan:
    found, _ = find_sampler(sampler)
    name = settle_scheduler(found, find_scheduler(scheduler)).name
    return SamplingPlan(sampler=found.label, scheduler=name, steps=steps, guidance=7.0)


@pytest.mark.parametrize(
    "case", ANSWERS["sigmas"], ids=lambda case: f"{case['sampler']} {case['scheduler']}"
)
def test_noise_levels_are_a1111s(case: dict) -> None:
    sampler, _ = find_sampler(case["sampler"])
    levels = NoiseLevels.of(ALPHAS, stride=LCM_STRIDE if sampler.function == "lcm" else 1)
    plan = plan_for(case["sampler"], case["scheduler"], case["steps"])

    found = sigmas_for(sampler, plan, levels)

    expected = torch.tensor(case["sigmas"])
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=1e-6)


@pytest.mark.parametrize("case", ANSWERS["timesteps"], ids=lambda case: str(case["steps"]))
def test_timesteps_are_a1111s(case: dict) -> None:
    assert timesteps_for(case["steps"]).tolist() == case["timesteps"]


ENDS_AT_NOTHING: Final = [item.name for item in SCHEDULERS if item.name != "kl_optimal"]
"""A1111's "KL Optimal" stops at the lowest trained level."""


@given(name=st.sampled_from(ENDS_AT_NOTHING), steps=st.integers(2, 150))
def test_every_step_removes_noise_and_the_last_removes_all(name: str, steps: int) -> None:
    plan = SamplingPlan(sampler="Euler", scheduler=name, steps=steps, guidance=1.0)

    sigmas = sigmas_for(find_sampler("Euler")[0], plan, LEVELS)

    assert torch.isfinite(sigmas).all()
    assert torch.all(sigmas[1:] < sigmas[:-1])
    assert sigmas[-1] == 0


@given(
    name=st.sampled_from(["karras", "exponential", "polyexponential", "beta"]),
    steps=st.integers(2, 100),
    low=st.floats(1e-3, 0.5),
    ratio=st.floats(2.0, 1e3),
)
def test_the_ends_can_be_chosen(name: str, steps: int, low: float, ratio: float) -> None:
    plan = SamplingPlan(
        sampler="Euler",
        scheduler=name,
        steps=steps,
        guidance=1.0,
        sigma_min=low,
        sigma_max=low * ratio,
    )

    sigmas = sigmas_for(find_sampler("Euler")[0], plan, LEVELS)

    assert float(sigmas[0]) == pytest.approx(low * ratio, rel=1e-4)
    assert float(sigmas[-2]) == pytest.approx(low, rel=1e-3)


@given(st.integers(1, 1000))
def test_timesteps_rise_within_the_trained_ones(steps: int) -> None:
    times = timesteps_for(steps)

    assert torch.all(times[1:] > times[:-1]) or steps > 500
    assert times[0] == 1
    assert times[-1] <= 999


@given(st.floats(0, 999))
def test_a_level_and_its_time_are_two_names_of_one_thing(time: float) -> None:
    sigma = LEVELS.sigma(torch.tensor([time]))

    assert float(LEVELS.time(sigma)) == pytest.approx(time, abs=0.02)


@given(st.floats(0.03, 14.6))
def test_quantized_times_are_whole(sigma: float) -> None:
    time = LEVELS.time(torch.tensor([sigma]), quantize=True)

    assert float(time) == int(time)


def test_zero_terminal_snr_leaves_no_picture_at_the_end() -> None:
    plan = SamplingPlan(
        sampler="Euler", scheduler="karras", steps=5, guidance=7.0, zero_terminal_snr=True
    )
    stretched = trained_alphas(ALPHAS, plan)

    assert float(stretched[0]) == pytest.approx(float(ALPHAS[0]))
    assert float(stretched[-1]) < 1e-7 < float(ALPHAS[-1])
    assert torch.all(stretched[1:] < stretched[:-1])
