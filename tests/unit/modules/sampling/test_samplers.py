"""Samplers in a world with an exact answer, and beside diffusers where both know the rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import (
    EulerAncestralDiscreteScheduler,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.modules.sampling.gaussian import (
    ALPHAS,
    MEAN,
    SPREAD,
    GaussianDenoiser,
    arrive,
    exact,
    noise_of,
    walk_of,
)
from webui.modules.errors import RangeError
from webui.modules.sampling.catalogue import SAMPLERS, Sampler, find_sampler
from webui.modules.sampling.samplers import SAMPLER_FUNCTIONS
from webui.modules.sampling.schedule import NoiseLevels

pytestmark = pytest.mark.filterwarnings(  # diffusers turns tensors into arrays the old way
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

LABELS: Final = [sampler.label for sampler in SAMPLERS]

# --------------------------------------------------------------------------------- exact answers

ORDERLY: Final = {
    "Euler": 0.05,
    "LMS": 0.001,
    "Heun": 0.005,
    "DPM2": 0.006,
    "DPM++ 2M": 0.005,
    "DPM fast": 0.006,
    "DPM adaptive": 0.06,
    "Euler a": 0.05,
    "DPM2 a": 0.006,
    "DPM++ 2S a": 0.006,
    "DPM++ SDE": 0.006,
    "DPM++ 2M SDE": 0.005,
    "DPM++ 2M SDE Heun": 0.005,
    "DPM++ 3M SDE": 0.006,
    "DDIM": 0.05,
    "DDIM CFG++": 0.05,
    "PLMS": 0.003,
    "UniPC": 0.015,
}
"""How far from the exact answer 100 steps without fresh noise may end; the answer is about 1. The
last jump, from 0.03 to no noise, costs 0.002 by itself; DPM adaptive works to 0.05 by design.
Restart and LCM always add fresh noise, and are held against it below."""


@pytest.mark.parametrize("label", ORDERLY)
def test_a_walk_without_fresh_noise_ends_where_the_equation_leads(label: str) -> None:
    walk = walk_of(label, steps=100, eta=0.0)
    noisy, sigma = walk.noisy, float(walk.sigmas[0])
    if find_sampler(label)[0].timesteps:  # these walk in pictures that are scaled to one size
        alpha = walk.levels.alphas_cumprod[int(walk.timesteps[-1])]
        noisy, sigma = noisy / alpha.sqrt(), float(((1 - alpha) / alpha).sqrt())

    found = arrive(walk)

    assert float((found - exact(noisy, sigma)).abs().max()) < ORDERLY[label]


def test_restart_goes_up_again_with_fresh_noise_and_down_by_the_equation() -> None:
    """arXiv:2306.14878: from about 0.1 up to about 2, twice for 36 steps and more."""
    walk = walk_of("Restart", steps=100)
    first, last = float(walk.sigmas[0]), float(walk.sigmas[-2])
    ramp = torch.linspace(first ** (1 / 7), last ** (1 / 7), 100 - 2 * 25) ** 7
    low, high = (float(ramp[(ramp - level).abs().argmin()]) for level in (0.1, 2.0))

    x, noise = flow(walk.noisy, first, low), noise_of(2)
    for _ in range(2):
        x = flow(x + noise() * (high**2 - low**2) ** 0.5, high, low)

    assert float((arrive(walk) - flow(x, low, 0.0)).abs().max()) < 0.006


def flow(noisy: torch.Tensor, sigma: float, onward: float) -> torch.Tensor:
    """Return where the probability-flow equation leads from one level to another."""
    return MEAN + (noisy - MEAN) * ((SPREAD**2 + onward**2) / (SPREAD**2 + sigma**2)) ** 0.5


def test_every_sampler_is_held_against_something_else() -> None:
    assert set(LABELS) == {*ORDERLY, "Restart", "LCM"}


@pytest.mark.parametrize("label", ["Euler", "Heun", "DPM2", "DPM++ 2M", "LMS"])
def test_more_steps_end_nearer(label: str) -> None:
    few, many = (walk_of(label, steps=steps) for steps in (10, 80))

    far, near = (
        float((arrive(walk) - exact(walk.noisy, float(walk.sigmas[0]))).abs().max())
        for walk in (few, many)
    )

    assert near < far / 4


@pytest.mark.parametrize("label", [label for label in LABELS if label != "LCM"])
def test_every_sampler_draws_from_the_right_pictures(label: str) -> None:
    """Mean and spread of what is drawn are those of the world; 512 numbers tell them roughly.

    LCM is left out: its rule holds for consistency models and draws too little spread elsewhere.
    """
    found = arrive(walk_of(label, steps=60))

    assert torch.isfinite(found).all()
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.12)
    assert float(found.std()) == pytest.approx(SPREAD, abs=0.15)


@pytest.mark.parametrize("label", LABELS)
def test_a_walk_can_be_walked_again(label: str) -> None:
    assert torch.equal(arrive(walk_of(label, steps=7)), arrive(walk_of(label, steps=7)))


@settings(max_examples=10)
@given(sampler=st.sampled_from(SAMPLERS), steps=st.integers(3, 25))
def test_every_step_is_told_once_and_in_order(sampler: Sampler, steps: int) -> None:
    told: list[int] = []
    walk = walk_of(sampler.label, steps=steps)

    arrive(replace(walk, observe=lambda number, _guess: told.append(number)))

    assert told == list(range(len(told)))
    assert told


def test_unipc_says_how_many_steps_it_needs() -> None:
    with pytest.raises(RangeError, match="order 3 cannot walk in 2 steps"):
        arrive(walk_of("UniPC", steps=2))


# ------------------------------------------------------------------------------ beside diffusers

TOLERANCE: Final = 1e-5
"""Largest difference; both compute in 32 bits, in another order. 1e-6 has been seen."""

SCHEDULE: Final[dict[str, Any]] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
WORLD: Final = GaussianDenoiser(NoiseLevels.of(ALPHAS))
STEPS: Final = 12


def noise_in(noisy: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return what a network that predicts noise would say."""
    return (noisy - WORLD.denoised(noisy, sigma)) / sigma


def test_euler_walks_as_in_diffusers() -> None:
    theirs: Any = EulerDiscreteScheduler(**SCHEDULE, use_karras_sigmas=True)
    theirs.set_timesteps(STEPS)
    walk = replace(walk_of("Euler", steps=STEPS), sigmas=theirs.sigmas)

    x = walk.noisy
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        theirs.scale_model_input(x, time)
        x = theirs.step(noise_in(x, sigma), time, x).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_heun_walks_as_in_diffusers() -> None:
    theirs: Any = HeunDiscreteScheduler(**SCHEDULE, use_karras_sigmas=True)
    theirs.set_timesteps(STEPS)
    levels = torch.cat([theirs.sigmas[:1], theirs.sigmas[1:-1:2], theirs.sigmas[-1:]])
    walk = replace(walk_of("Heun", steps=STEPS), sigmas=levels)

    x = walk.noisy
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        theirs.scale_model_input(x, time)
        x = theirs.step(noise_in(x, sigma), time, x).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_dpmpp_2m_walks_as_in_diffusers() -> None:
    theirs: Any = DPMSolverMultistepScheduler(**SCHEDULE, use_karras_sigmas=True)
    theirs.set_timesteps(STEPS)
    walk = replace(walk_of("DPM++ 2M", steps=STEPS), sigmas=theirs.sigmas)

    x = walk.noisy / (1 + theirs.sigmas[0] ** 2) ** 0.5
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        x = theirs.step(noise_in(x * (1 + sigma**2) ** 0.5, sigma), time, x).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_euler_a_walks_as_in_diffusers() -> None:
    theirs: Any = EulerAncestralDiscreteScheduler(**SCHEDULE)
    theirs.set_timesteps(STEPS)
    walk = replace(walk_of("Euler a", steps=STEPS), sigmas=theirs.sigmas)

    x, generator = walk.noisy, torch.Generator().manual_seed(2)
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        theirs.scale_model_input(x, time)
        x = theirs.step(noise_in(x, sigma), time, x, generator=generator).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("label", "solver"), [("DPM++ 2M SDE", "midpoint"), ("DPM++ 2M SDE Heun", "heun")]
)
def test_dpmpp_2m_sde_walks_as_in_diffusers(label: str, solver: Any) -> None:
    theirs: Any = DPMSolverMultistepScheduler(
        **SCHEDULE, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++", solver_type=solver
    )
    theirs.set_timesteps(STEPS)
    walk = replace(walk_of(label, steps=STEPS), sigmas=theirs.sigmas)

    x, noise = walk.noisy / (1 + theirs.sigmas[0] ** 2) ** 0.5, noise_of(2)
    for time, sigma in zip(theirs.timesteps, theirs.sigmas, strict=False):
        epsilon = noise_in(x * (1 + sigma**2) ** 0.5, sigma)
        x = theirs.step(epsilon, time, x, variance_noise=noise()).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_ddim_walks_as_in_diffusers() -> None:
    """A1111 leaves out the last step of diffusers, from timestep 1 to the clean picture."""
    theirs: Any = DDIMScheduler(**SCHEDULE, clip_sample=False, steps_offset=1)
    theirs.set_timesteps(10)
    walk = walk_of("DDIM", steps=10)

    x = walk.noisy
    for time in theirs.timesteps[:-1]:
        x = theirs.step(WORLD.epsilon(x, time), int(time), x).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc_walks_as_in_diffusers(order: int, variant: Any) -> None:
    """Nine steps from 999 to 0 meet whole timesteps, where both mean the same levels."""
    theirs: Any = UniPCMultistepScheduler(
        **SCHEDULE, solver_order=order, solver_type=variant, final_sigmas_type="sigma_min"
    )
    theirs.set_timesteps(9)
    walk = walk_of(
        "UniPC", steps=9, scheduler="automatic", unipc_order=order, unipc_variant=variant
    )
    walk = replace(walk, timesteps=torch.arange(9))

    x = walk.noisy
    for time in theirs.timesteps:
        x = theirs.step(WORLD.epsilon(x, time), time, x).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_lcm_walks_as_in_diffusers() -> None:
    """With its blend at the boundary, which belongs to the network here, all but turned off."""
    theirs: Any = LCMScheduler(**SCHEDULE, timestep_scaling=1e9)
    theirs.set_timesteps(4)
    alphas = theirs.alphas_cumprod[theirs.timesteps]
    sigmas = ((1 - alphas) / alphas) ** 0.5
    walk = walk_of("LCM", steps=4)
    walk = replace(walk, sigmas=torch.cat([sigmas, torch.zeros(1)]), noise=noise_of(3))

    x = walk.noisy * alphas[0] ** 0.5
    generator = torch.Generator().manual_seed(3)
    for time, sigma, alpha in zip(theirs.timesteps, sigmas, alphas, strict=True):
        noise = noise_in(x / alpha**0.5, sigma)
        x = theirs.step(noise, int(time), x, generator=generator).prev_sample

    torch.testing.assert_close(arrive(walk), x, rtol=0, atol=TOLERANCE)


def test_every_sampler_of_the_catalogue_has_its_rule() -> None:
    assert {sampler.function for sampler in SAMPLERS} == set(SAMPLER_FUNCTIONS)
