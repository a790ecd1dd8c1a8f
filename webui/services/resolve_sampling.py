"""Which sampler and schedule a wish means, and with which numbers they run."""

import math
from typing import Any, Final, Literal

from webui.modules.sampling.catalogue import (
    Sampler,
    Scheduler,
    find_sampler,
    find_scheduler,
    settle_scheduler,
)
from webui.modules.types import SamplingPlan
from webui.services import limits as allowed
from webui.services.models import Suggested
from webui.services.options import Options
from webui.services.requests import GenerationRequest
from webui.settings import Limits

LARGEST_GUIDANCE: Final = 100.0
"""Far above any guidance scale that draws anything."""


def sampling_of(
    request: GenerationRequest, options: Options, limits: Limits, suggested: Suggested
) -> SamplingPlan:
    """Return how noise becomes a latent picture.

    Args:
        request: The wish.
        options: The user options that hold for it.
        limits: What this server allows.
        suggested: What stands in for a sampler that is not named.

    Raises:
        UnknownNameError: If there is no such sampler or schedule.
        RangeError: If a number lies outside its range.
    """
    sampler, scheduler = _sampler(request, suggested)
    eta, eta_ddim = _eta(request, options, sampler)
    low, high, rho = _ends(options, scheduler)
    return SamplingPlan(
        sampler=sampler.label,
        scheduler=scheduler.name,
        steps=allowed.whole("steps", request.steps, low=1, high=limits.max_steps),
        guidance=allowed.number(
            "cfg_scale", request.guidance, low=-LARGEST_GUIDANCE, high=LARGEST_GUIDANCE
        ),
        eta=eta,
        eta_ddim=eta_ddim,
        s_churn=_either("s_churn", request.s_churn, options, high=1000),
        s_tmin=_either("s_tmin", request.s_tmin, options, high=1000),
        s_tmax=_highest_churn(request, options),
        s_noise=_either("s_noise", request.s_noise, options, high=10),
        sigma_min=low,
        sigma_max=high,
        rho=rho,
        beta_alpha=options.number("beta_dist_alpha"),
        beta_beta=options.number("beta_dist_beta"),
        discard_next_to_last_sigma=options.flag("always_discard_next_to_last_sigma"),
        sgm_noise_multiplier=options.flag("sgm_noise_multiplier"),
        quantize=options.flag("enable_quantization"),
        zero_terminal_snr=options.text("sd_noise_schedule") == "Zero Terminal SNR",
        downcast_levels=options.flag("use_downcasted_alpha_bar"),
        unipc_order=options.whole("uni_pc_order"),
        unipc_variant=options.text("uni_pc_variant"),
        unipc_skip_type=options.text("uni_pc_skip_type"),
        unipc_lower_order_final=options.flag("uni_pc_lower_order_final"),
        skip_uncond_below=_either("s_min_uncond", request.s_min_uncond, options, high=1000),
        skip_uncond_every_step=options.flag("s_min_uncond_all"),
        skip_uncond_until=options.number("skip_early_cond"),
        pad_with_empty=options.flag("pad_cond_uncond"),
        pad_or_cut=options.flag("pad_cond_uncond_v0"),
    )


def schedule_within(sampler: str) -> str | None:
    """Return the schedule that a sampler's name ends with, as in "DPM++ 2M Karras".

    Raises:
        UnknownNameError: If there is no such sampler.
    """
    found = find_sampler(sampler)[1] if sampler else None
    return found.name if found else None


def _sampler(request: GenerationRequest, suggested: Suggested) -> tuple[Sampler, Scheduler]:
    sampler, within = find_sampler(request.sampler or suggested.sampler)
    named = request.scheduler or ("" if request.sampler else suggested.scheduler)
    scheduler = find_scheduler(named) if named else within
    if scheduler is None or scheduler.name == "automatic":
        scheduler = within
    return sampler, settle_scheduler(sampler, scheduler)


def _eta(request: GenerationRequest, options: Options, sampler: Sampler) -> tuple[float, float]:
    """Return the eta of ancestral samplers and that of the DDIM family."""
    ancestral, ddim = options.number("eta_ancestral"), options.number("eta_ddim")
    if request.eta is None:
        return ancestral, ddim
    asked = allowed.number("eta", request.eta, low=0, high=1)
    return (ancestral, asked) if sampler.timesteps else (asked, ddim)


def _ends(options: Options, scheduler: Scheduler) -> tuple[float, float, float]:
    """Return the lowest and highest noise level and the curvature; 0 is the schedule's own."""
    rho = options.number("rho") if scheduler.default_rho > 0 else 0.0
    if options.flag("use_old_karras_scheduler_sigmas") and scheduler.name == "karras":
        return 0.1, 10.0, rho
    return options.number("sigma_min"), options.number("sigma_max"), rho


def _highest_churn(request: GenerationRequest, options: Options) -> float:
    """Return the highest noise level at which churn acts; A1111 writes infinity as 0."""
    if request.s_tmax is not None and math.isinf(request.s_tmax) and request.s_tmax > 0:
        return math.inf
    return _either("s_tmax", request.s_tmax, options, high=1000) or math.inf


SamplingOption = Literal["s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond"]


def _either(name: SamplingOption, asked: Any, options: Options, *, high: float) -> float:
    if asked is None:
        return options.number(name)
    return allowed.number(name, asked, low=0, high=high)
