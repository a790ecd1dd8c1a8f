"""Which keys tell the settings of a plan, in A1111's order."""

import hashlib
from pathlib import PurePosixPath
from typing import Final

from PIL import Image

from webui.library.infotext_extensions import extension_entries
from webui.library.infotext_passes import (
    Entries,
    hires_entries,
    mask_entries,
    refiner_entries,
    unsaid_entries,
)
from webui.library.infotext_values import when
from webui.modules.sampling.catalogue import find_sampler, find_scheduler
from webui.modules.text.prompt import Clock, split_and, timeline
from webui.modules.types import (
    GenerationPlan,
    Hires,
    InputPicture,
    ModelKind,
    SamplingPlan,
    Start,
)

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


def entries(plan: GenerationPlan, index: int, *, hash_start: bool = False) -> Entries:
    """Yield key and value of each setting of one picture; an empty value is left out.

    A key may come a second time, from the second pass; the first one counts.

    Args:
        plan: What was drawn.
        index: Which of its pictures, from 0.
        hash_start: Say from which picture it was drawn (``save_init_img``).
    """
    yield from _base(plan, index)
    yield from _denoising(plan)
    yield from _conditions(plan)
    yield from _init_hash(plan, index, wanted=hash_start)
    yield from _noise_source(plan)
    yield from _passes(plan, index)
    yield from extension_entries(plan)


def _passes(plan: GenerationPlan, index: int) -> Entries:
    start, hires = plan.start, plan.hires
    first, *later = _samplings(plan)
    if start and start.inpainting:
        yield from mask_entries(start.inpainting)
    if hires:
        yield from hires_entries(plan, hires, index)
    yield "Lora hashes", _hashes(plan, ModelKind.LORA)
    yield from _levels(first)
    yield "TI hashes", _hashes(plan, ModelKind.EMBEDDING)
    yield "Plain words", "\n".join(plan.plain_words)
    yield from _texts(plan)
    if start:
        yield "Noise multiplier", when(start.noise_multiplier, said=start.noise_multiplier != 1)
    yield from _schedule(first)
    yield from _extra_noise(start)
    yield from _noises(first)
    if plan.refiner:
        yield from refiner_entries(plan.refiner, hires=hires is not None)
    yield from _guidance(first)
    for second in later:
        yield from _schedule(second)
        yield from _extra_noise(hires)
        yield from _noises(second)
    if start:
        yield from unsaid_entries(start)


def _hashes(plan: GenerationPlan, kind: ModelKind) -> str:
    """Return name and hash of each add-on of a kind; those of both passes, each once."""
    hires = plan.hires.layers or () if plan.hires else ()
    found = dict.fromkeys(
        f"{use.name.replace(':', '').replace(',', '')}: {use.shorthash}"
        for use in (*plan.layers, *hires)
        if use.model.kind is kind and use.shorthash
    )
    return ", ".join(found)


def _extra_noise(begun: Start | Hires | None) -> Entries:
    if begun:
        yield "Extra noise", when(begun.extra_noise, said=begun.extra_noise > 0)


def _samplings(plan: GenerationPlan) -> tuple[SamplingPlan, ...]:
    return (plan.sampling, plan.hires.sampling) if plan.hires else (plan.sampling,)


def _base(plan: GenerationPlan, index: int) -> Entries:
    sampling, noise = plan.sampling, plan.noise
    varied, resized = noise.variation != 0, min(noise.resize_from) > 0
    edits = plan.start is not None and plan.checkpoint.family.endswith("-instruct")
    yield "Steps", sampling.steps
    yield "Sampler", find_sampler(sampling.sampler)[0].label
    yield "Schedule type", find_scheduler(sampling.scheduler).label
    yield "CFG scale", float(sampling.guidance)
    yield "Image CFG scale", when(plan.start.image_guidance if plan.start else 0, said=edits)
    yield "Seed", plan.seeds[index]
    yield "Size", f"{plan.width}x{plan.height}"
    yield "Model hash", plan.checkpoint.shorthash
    yield "Model", plan.checkpoint.stem
    yield "VAE hash", plan.vae.shorthash if plan.vae else ""
    yield "VAE", PurePosixPath(plan.vae.name).name if plan.vae else ""
    yield "Variation seed", when(plan.variation_seeds[index], said=varied)
    yield "Variation seed strength", when(noise.variation, said=varied)
    yield "Seed resize from", when("{}x{}".format(*noise.resize_from), said=resized)


def _denoising(plan: GenerationPlan) -> Entries:
    masked = plan.start.inpainting if plan.start else None
    weighed = plan.checkpoint.family.endswith("-inpainting")
    if begun := plan.start or plan.hires:
        yield "Denoising strength", begun.denoising
    yield "Conditional mask weight", when(masked.weight if masked else 1.0, said=weighed)


def _conditions(plan: GenerationPlan) -> Entries:
    noise, skip = plan.noise, plan.text.clip_skip
    later = any(_noisy_later(sampling) for sampling in _samplings(plan))
    yield "Clip skip", when(skip, said=skip > 1)
    yield "ENSD", when(noise.seed_delta, said=noise.seed_delta != 0 and later)
    yield "Token merging ratio", when(plan.token_merging, said=plan.token_merging != 0)
    if plan.hires:
        merging = plan.hires.token_merging
        yield "Token merging ratio hr", when(merging, said=merging != 0)


def _noisy_later(sampling: SamplingPlan) -> bool:
    return find_sampler(sampling.sampler)[0].seed_delta and sampling.eta != 0


def _init_hash(plan: GenerationPlan, index: int, *, wanted: bool) -> Entries:
    if plan.start and wanted:
        pictures = plan.start.pictures
        yield "Init image hash", _md5(pictures[index % plan.batch_size % len(pictures)])


def _md5(picture: InputPicture) -> str:
    """Return A1111's mark of a picture, a hash of its pixels; empty if the file is gone."""
    try:
        with Image.open(picture.path, formats=("PNG",)) as image:
            return hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()
    except (OSError, ValueError):
        return ""


def _noise_source(plan: GenerationPlan) -> Entries:
    yield "RNG", when(plan.noise.source, said=plan.noise.source != "GPU")
    yield "Tiling", when(plan.tiling, said=plan.tiling)


def _texts(plan: GenerationPlan) -> Entries:
    rules = plan.text
    texts = {*plan.prompts, *plan.negative_prompts}
    if plan.hires:
        texts |= {*plan.hires.prompts, *plan.hires.negative_prompts}
    weighted = any("(" in text or "[" in text for text in texts)
    backtrack = rules.comma_backtrack
    edited = rules.old_editing and any(_reads_otherwise(text, plan) for text in texts)
    yield "Old prompt editing timelines", when(value=True, said=edited)
    yield "Emphasis", when(rules.emphasis, said=rules.emphasis != "Original" and weighted)
    yield "Comma padding backtrack", when(backtrack, said=backtrack != _COMMA_BACKTRACK)


def _reads_otherwise(text: str, plan: GenerationPlan) -> bool:
    """Tell whether the old way of counting in ``[a:b:when]`` makes a difference to this text."""
    if "[" not in text:
        return False
    counts = [_evaluations(sampling) for sampling in _samplings(plan)]
    clocks = [(count, 0 if place == 0 else counts[0]) for place, count in enumerate(counts)]
    return any(
        timeline(part, Clock(steps=steps, first_pass=before, old=True))
        != timeline(part, Clock(steps=steps, first_pass=before))
        for part, _ in split_and(text)
        for steps, before in clocks
    )


def _evaluations(sampling: SamplingPlan) -> int:
    return sampling.steps * find_sampler(sampling.sampler)[0].evaluations


def _levels(sampling: SamplingPlan) -> Entries:
    snr = sampling.zero_terminal_snr
    yield "Downcast alphas_cumprod", when(value=True, said=sampling.downcast_levels)
    yield "Noise Schedule", when("Zero Terminal SNR", said=snr)


def _schedule(sampling: SamplingPlan) -> Entries:
    scheduler = find_scheduler(sampling.scheduler)
    ruled = scheduler.name != "automatic"
    curved = ruled and sampling.rho not in (0, scheduler.default_rho) and scheduler.default_rho > 0
    beta = scheduler.name == "beta"
    discards = sampling.discard_next_to_last_sigma
    walks = not find_sampler(sampling.sampler)[0].timesteps
    yield "Discard penultimate sigma", when(value=True, said=walks and discards)
    yield "Schedule min sigma", when(sampling.sigma_min, said=ruled and sampling.sigma_min != 0)
    yield "Schedule max sigma", when(sampling.sigma_max, said=ruled and sampling.sigma_max != 0)
    yield "Schedule rho", when(sampling.rho, said=curved)
    yield "Beta schedule alpha", when(sampling.beta_alpha, said=beta)
    yield "Beta schedule beta", when(sampling.beta_beta, said=beta)
    yield "SGM noise multiplier", when(value=True, said=walks and sampling.sgm_noise_multiplier)
    yield "Quantize sigmas", when(value=True, said=walks and sampling.quantize)


def _noises(sampling: SamplingPlan) -> Entries:
    function = find_sampler(sampling.sampler)[0].function
    churns, unipc = function in CHURN_SAMPLERS, function == "unipc"
    eta, eta_ddim = sampling.eta, sampling.eta_ddim
    endless = sampling.s_tmax in (0, float("inf"))
    yield "Eta", when(eta, said=function in ETA_SAMPLERS and eta != 1)
    yield "Eta DDIM", when(eta_ddim, said=function in ETA_DDIM_SAMPLERS and eta_ddim != 0)
    yield "Sigma churn", when(sampling.s_churn, said=churns and sampling.s_churn != 0)
    yield "Sigma tmin", when(sampling.s_tmin, said=churns and sampling.s_tmin != 0)
    yield "Sigma tmax", when(sampling.s_tmax, said=churns and not endless)
    noised = function in NOISE_SAMPLERS and sampling.s_noise != 1
    yield "Sigma noise", when(sampling.s_noise, said=noised)
    variant, skip = sampling.unipc_variant, sampling.unipc_skip_type
    order, lower = sampling.unipc_order, sampling.unipc_lower_order_final
    usual = SamplingPlan(sampler="UniPC", scheduler="automatic", steps=1, guidance=1)
    yield "UniPC variant", when(variant, said=unipc and variant != usual.unipc_variant)
    yield "UniPC skip type", when(skip, said=unipc and skip != usual.unipc_skip_type)
    yield "UniPC order", when(order, said=unipc and order != usual.unipc_order)
    yield "UniPC lower order final", when(value=False, said=unipc and not lower)


def _guidance(sampling: SamplingPlan) -> Entries:
    below, until = sampling.skip_uncond_below, sampling.skip_uncond_until
    every = below > 0 and sampling.skip_uncond_every_step
    yield "NGMS", when(below, said=below > 0)
    yield "NGMS all steps", when(value=True, said=every)
    yield "Skip Early CFG", when(until, said=until > 0)
    yield "Pad conds", when(value=True, said=sampling.pad_with_empty and not sampling.pad_or_cut)
    yield "Pad conds v0", when(value=True, said=sampling.pad_or_cut)
