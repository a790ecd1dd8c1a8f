"""The keys of an infotext: which setting of a plan each one tells, in A1111's order."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from webui.modules.errors import InfotextError
from webui.modules.sampling.catalogue import find_sampler, find_scheduler
from webui.modules.text.prompt import Clock, split_and, timeline
from webui.modules.types import GenerationPlan, SamplingPlan

ASSUMED: Final[Mapping[str, str | int | bool]] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}
"""What A1111 assumes for settings that a text does not mention."""

ETA_SAMPLERS: Final = frozenset(
    {
        "dpm_2_ancestral",
        "dpm_adaptive",
        "dpm_fast",
        "dpmpp_2m_sde",
        "dpmpp_2m_sde_heun",
        "dpmpp_2s_ancestral",
        "dpmpp_3m_sde",
        "dpmpp_sde",
        "euler_ancestral",
    }
)
"""Samplers whose share of fresh noise is ``eta``."""

ETA_DDIM_SAMPLERS: Final = frozenset({"ddim", "ddim_cfgpp"})
"""Samplers whose share of fresh noise is ``eta_ddim``."""

CHURN_SAMPLERS: Final = frozenset({"dpm_2", "euler", "heun"})
"""Samplers that churn (Karras et al. 2022, algorithm 2)."""

NOISE_SAMPLERS: Final = CHURN_SAMPLERS | (ETA_SAMPLERS - {"dpm_adaptive", "euler_ancestral"})
"""Samplers whose fresh noise has a factor of its own."""

_COMMA_BACKTRACK: Final = 20
"""A1111's ``comma_padding_backtrack`` unless a person changes it."""


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


OPTION_KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "RNG": ("randn_source", str),
    "ENSD": ("eta_noise_seed_delta", int),
    "Old prompt editing timelines": ("use_old_scheduling", _flag),
    "Emphasis": ("emphasis", str),
    "Noise Schedule": ("sd_noise_schedule", str),
    "Downcast alphas_cumprod": ("use_downcasted_alpha_bar", _flag),
    "Discard penultimate sigma": ("always_discard_next_to_last_sigma", _flag),
    "Schedule min sigma": ("sigma_min", float),
    "Schedule max sigma": ("sigma_max", float),
    "Schedule rho": ("rho", float),
    "Beta schedule alpha": ("beta_dist_alpha", float),
    "Beta schedule beta": ("beta_dist_beta", float),
    "Beta scheduler alpha": ("beta_dist_alpha", float),
    "Beta scheduler beta": ("beta_dist_beta", float),
    "SGM noise multiplier": ("sgm_noise_multiplier", _flag),
    "NGMS all steps": ("s_min_uncond_all", _flag),
    "Skip Early CFG": ("skip_early_cond", float),
    "Pad conds": ("pad_cond_uncond", _flag),
    "Pad conds v0": ("pad_cond_uncond_v0", _flag),
    "UniPC variant": ("uni_pc_variant", str),
    "UniPC skip type": ("uni_pc_skip_type", str),
    "UniPC order": ("uni_pc_order", int),
    "UniPC lower order final": ("uni_pc_lower_order_final", _flag),
    "Quantize sigmas": ("enable_quantization", _flag),
    "Comma padding backtrack": ("comma_padding_backtrack", int),
}
"""Settings that are A1111 options: the option and how its value is read."""

_FIELD_KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Prompt": ("prompt", str),
    "Negative prompt": ("negative_prompt", str),
    "Steps": ("steps", int),
    "Sampler": ("sampler", str),
    "Schedule type": ("scheduler", str),
    "CFG scale": ("guidance", float),
    "Seed": ("seed", int),
    "Size-1": ("width", int),
    "Size-2": ("height", int),
    "VAE": ("vae", str),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", float),
    "Clip skip": ("clip_skip", int),
    "Tiling": ("tiling", _flag),
    "Eta": ("eta", float),
    "Eta DDIM": ("eta", float),
    "Sigma churn": ("s_churn", float),
    "Sigma tmin": ("s_tmin", float),
    "Sigma tmax": ("s_tmax", float),
    "Sigma noise": ("s_noise", float),
    "NGMS": ("s_min_uncond", float),
}
"""Settings that a request has a field for."""


def entries(plan: GenerationPlan, index: int) -> Iterator[tuple[str, object]]:
    """Yield key and value of each setting of one picture; an empty value is left out."""
    yield from _base(plan, index)
    yield from _texts(plan)
    yield from _schedule(plan.sampling)
    yield from _noises(plan.sampling)
    yield from _guidance(plan.sampling)


def fields_of_request(parsed: Mapping[str, str | int | bool]) -> dict[str, Any]:
    """Return request fields from parsed settings; see ``infotext.request_fields``."""
    fields = {
        field: _read(key, parsed[key], read)
        for key, (field, read) in _FIELD_KEYS.items()
        if key in parsed
    }
    fields["options"] = {
        option: _read(key, parsed[key], read)
        for key, (option, read) in OPTION_KEYS.items()
        if key in parsed
    }
    if "Seed resize from-1" in parsed:
        fields["seed_resize_from"] = (
            _read("Seed resize from", parsed["Seed resize from-1"], int),
            _read("Seed resize from", parsed.get("Seed resize from-2", 0), int),
        )
    name, hash_ = parsed.get("Model", ""), parsed.get("Model hash", "")
    if name or hash_:
        fields["checkpoint"] = f"{name} [{hash_}]" if name and hash_ else str(name or hash_)
    return fields


def _read(key: str, value: object, read: Callable[[str], Any]) -> Any:
    try:
        return read(str(value))
    except (ValueError, KeyError) as error:
        message = f"the settings text says {key}: {str(value)[:80]!r}"
        hint = "Correct this value in the text."
        raise InfotextError(message, hint=hint, value=str(value)[:80]) from error


def _only(value: object, *, when: bool) -> object:
    return value if when else ""


def _base(plan: GenerationPlan, index: int) -> Iterator[tuple[str, object]]:
    sampling, noise = plan.sampling, plan.noise
    sampler, _ = find_sampler(sampling.sampler)
    varied = noise.variation != 0
    resized = min(noise.resize_from) > 0
    later_noise = sampler.seed_delta and sampling.eta != 0
    vae_name = PurePosixPath(plan.vae.name).name if plan.vae else ""
    yield "Steps", sampling.steps
    yield "Sampler", sampler.label
    yield "Schedule type", find_scheduler(sampling.scheduler).label
    yield "CFG scale", float(sampling.guidance)
    yield "Seed", plan.seeds[index]
    yield "Size", f"{plan.width}x{plan.height}"
    yield "Model hash", plan.checkpoint.shorthash
    yield "Model", plan.checkpoint.stem
    yield "VAE hash", plan.vae.shorthash if plan.vae else ""
    yield "VAE", vae_name
    yield "Variation seed", _only(plan.variation_seeds[index], when=varied)
    yield "Variation seed strength", _only(noise.variation, when=varied)
    yield "Seed resize from", _only("{}x{}".format(*noise.resize_from), when=resized)
    yield "Clip skip", _only(plan.text.clip_skip, when=plan.text.clip_skip > 1)
    yield "ENSD", _only(noise.seed_delta, when=noise.seed_delta != 0 and later_noise)
    yield "RNG", _only(noise.source, when=noise.source != "GPU")
    yield "Tiling", _only(plan.tiling, when=plan.tiling)


def _texts(plan: GenerationPlan) -> Iterator[tuple[str, object]]:
    rules = plan.text
    texts = (*plan.prompts, *plan.negative_prompts)
    weighted = any("(" in text or "[" in text for text in texts)
    backtrack = rules.comma_backtrack
    edited = rules.old_editing and any(_reads_otherwise(text, plan.sampling) for text in set(texts))
    yield "Old prompt editing timelines", _only(value=True, when=edited)
    yield "Emphasis", _only(rules.emphasis, when=rules.emphasis != "Original" and weighted)
    yield "Comma padding backtrack", _only(backtrack, when=backtrack != _COMMA_BACKTRACK)


def _reads_otherwise(text: str, sampling: SamplingPlan) -> bool:
    """Tell whether the old way of counting in ``[a:b:when]`` makes a difference to this text."""
    if "[" not in text:
        return False
    steps = sampling.steps * find_sampler(sampling.sampler)[0].evaluations
    old, new = Clock(steps=steps, old=True), Clock(steps=steps)
    return any(timeline(part, old) != timeline(part, new) for part, _ in split_and(text))


def _schedule(sampling: SamplingPlan) -> Iterator[tuple[str, object]]:
    scheduler = find_scheduler(sampling.scheduler)
    ruled = scheduler.name != "automatic"
    curved = ruled and sampling.rho not in (0, scheduler.default_rho) and scheduler.default_rho > 0
    beta = scheduler.name == "beta"
    discards = sampling.discard_next_to_last_sigma
    walks = not find_sampler(sampling.sampler)[0].timesteps
    snr = sampling.zero_terminal_snr
    yield "Downcast alphas_cumprod", _only(value=True, when=sampling.downcast_levels)
    yield "Noise Schedule", _only("Zero Terminal SNR", when=snr)
    yield "Discard penultimate sigma", _only(value=True, when=walks and discards)
    yield "Schedule min sigma", _only(sampling.sigma_min, when=ruled and sampling.sigma_min != 0)
    yield "Schedule max sigma", _only(sampling.sigma_max, when=ruled and sampling.sigma_max != 0)
    yield "Schedule rho", _only(sampling.rho, when=curved)
    yield "Beta schedule alpha", _only(sampling.beta_alpha, when=beta)
    yield "Beta schedule beta", _only(sampling.beta_beta, when=beta)
    yield "SGM noise multiplier", _only(value=True, when=walks and sampling.sgm_noise_multiplier)
    yield "Quantize sigmas", _only(value=True, when=walks and sampling.quantize)


def _noises(sampling: SamplingPlan) -> Iterator[tuple[str, object]]:
    function = find_sampler(sampling.sampler)[0].function
    churns, unipc = function in CHURN_SAMPLERS, function == "unipc"
    eta, eta_ddim = sampling.eta, sampling.eta_ddim
    endless = sampling.s_tmax in (0, float("inf"))
    yield "Eta", _only(eta, when=function in ETA_SAMPLERS and eta != 1)
    yield "Eta DDIM", _only(eta_ddim, when=function in ETA_DDIM_SAMPLERS and eta_ddim != 0)
    yield "Sigma churn", _only(sampling.s_churn, when=churns and sampling.s_churn != 0)
    yield "Sigma tmin", _only(sampling.s_tmin, when=churns and sampling.s_tmin != 0)
    yield "Sigma tmax", _only(sampling.s_tmax, when=churns and not endless)
    noised = function in NOISE_SAMPLERS and sampling.s_noise != 1
    yield "Sigma noise", _only(sampling.s_noise, when=noised)
    variant, skip = sampling.unipc_variant, sampling.unipc_skip_type
    order, lower = sampling.unipc_order, sampling.unipc_lower_order_final
    usual = SamplingPlan(sampler="UniPC", scheduler="automatic", steps=1, guidance=1)
    yield "UniPC variant", _only(variant, when=unipc and variant != usual.unipc_variant)
    yield "UniPC skip type", _only(skip, when=unipc and skip != usual.unipc_skip_type)
    yield "UniPC order", _only(order, when=unipc and order != usual.unipc_order)
    yield "UniPC lower order final", _only(value=False, when=unipc and not lower)


def _guidance(sampling: SamplingPlan) -> Iterator[tuple[str, object]]:
    below, until = sampling.skip_uncond_below, sampling.skip_uncond_until
    every = below > 0 and sampling.skip_uncond_every_step
    yield "NGMS", _only(below, when=below > 0)
    yield "NGMS all steps", _only(value=True, when=every)
    yield "Skip Early CFG", _only(until, when=until > 0)
    yield "Pad conds", _only(value=True, when=sampling.pad_with_empty and not sampling.pad_or_cut)
    yield "Pad conds v0", _only(value=True, when=sampling.pad_or_cut)
