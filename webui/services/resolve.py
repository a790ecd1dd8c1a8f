"""From a wish to a plan: every name found, every default filled in, every number checked."""

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final, cast

from webui.modules.types import (
    PIXELS_PER_LATENT,
    DecodeAgain,
    Emphasis,
    GenerationPlan,
    ModelRecord,
    NoiseRules,
    NoiseSource,
    TextRules,
)
from webui.services import limits as allowed
from webui.services.extensions import Roster
from webui.services.fit_notes import with_fits
from webui.services.models import Models
from webui.services.notes import with_notes
from webui.services.options import Options
from webui.services.requests import GenerationRequest
from webui.services.resolve_extensions import Stock, with_extensions
from webui.services.resolve_hires import (
    first_pass_size,
    hires_of,
    refiner_of,
    second_texts,
    token_merging_of,
    vae_of,
)
from webui.services.resolve_layers import with_layers, with_options
from webui.services.resolve_sampling import sampling_of
from webui.services.resolve_start import batch_of, start_of
from webui.services.script_upscale import with_tiles
from webui.services.styles import read_styles, styled
from webui.settings import Limits

SEEDS: Final = 4_294_967_294
"""Random seeds lie below this number, as in A1111."""

HIGHEST_SEED: Final = 2**62
"""Largest seed that can be asked for; torch and the database both hold it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """What wishes are held against: the models, styles, limits and extensions of this server."""

    models: Models
    styles_file: Path
    limits: Limits
    extensions: Roster


def resolve(
    request: GenerationRequest, *, options: Options, house: House, random: Random
) -> GenerationPlan:
    """Return the plan for a wish.

    Args:
        request: The wish.
        options: The user options that hold now.
        house: What it is held against.
        random: Draws the seeds that are left open.

    Raises:
        RequestError: If something is unknown or outside its range; the message names it.
        ModelError: If the checkpoint or VAE is refused; the message says why.
    """
    own = options.with_overrides(request.options)
    limits = house.limits
    width, height = first_pass_size(request, own, limits)
    per_batch = allowed.whole("batch_size", request.batch_size, low=1, high=limits.max_batch_size)
    if request.start:
        per_batch = batch_of(request.start, per_batch)
    batches = allowed.whole("batch_count", request.batch_count, low=1, high=limits.max_batch_count)
    count = per_batch * batches
    prompt, negative = _prompts(request, own, house)
    checkpoint = _checkpoint(request, own, house.models)
    seeds, variation_seeds = _seeds(request, count=count, random=random)
    sampling = sampling_of(request, own, limits, house.models.suggested(checkpoint))
    plan = GenerationPlan(
        checkpoint=checkpoint,
        vae=vae_of(request, own, house.models, checkpoint),
        prompts=(prompt,) * count,
        negative_prompts=(negative,) * count,
        seeds=seeds,
        variation_seeds=variation_seeds,
        width=width,
        height=height,
        batch_size=per_batch,
        sampling=sampling,
        text=_text_rules(request, own),
        noise=_noise_rules(request, own),
        tiling=own.flag("tiling") if request.tiling is None else request.tiling,
        token_merging=token_merging_of(request, own),
        start=start_of(request.start, own, sampling, limits) if request.start else None,
        decode_again=_decode_again(own),
    )
    plan = with_tiles(plan, request, options=own, models=house.models, limits=limits)
    plan = _with_further_models(plan, request, own, house)
    plan = replace(plan, plain_words=request.plain_words)
    stock = Stock(roster=house.extensions, models=house.models, limits=limits)
    plan = with_extensions(plan, request.extensions, stock)
    plan = with_layers(plan, house.models, ignore_tags=request.ignore_tags)
    return with_notes(with_fits(plan, house.models))


def _with_further_models(
    plan: GenerationPlan, request: GenerationRequest, options: Options, house: House
) -> GenerationPlan:
    """Return the plan with its second pass and the checkpoint that takes over."""
    hires = hires_of(
        request,
        plan,
        options=options,
        models=house.models,
        limits=house.limits,
        prompts=_prompts(second_texts(request), options, house),
    )
    return replace(plan, hires=hires, refiner=refiner_of(request, plan, options, house.models))


def _decode_again(options: Options) -> DecodeAgain:
    """Return the number format that A1111's two options name; the rarer one goes before."""
    if options.flag("auto_vae_precision_bfloat16"):
        return "bfloat16"
    return "float32" if options.flag("auto_vae_precision") else ""


def _prompts(request: GenerationRequest, options: Options, house: House) -> tuple[str, str]:
    allowed.text("prompt", request.prompt, house.limits)
    allowed.text("negative_prompt", request.negative_prompt, house.limits)
    prompts = (request.prompt, request.negative_prompt)
    if request.styles:
        styles = read_styles(house.styles_file)
        prompts = styled(*prompts, names=request.styles, styles=styles)
    if options.flag("enable_prompt_comments"):
        prompts = (_without_comments(prompts[0]), _without_comments(prompts[1]))
    return with_options(prompts[0], options), prompts[1]


def _without_comments(prompt: str) -> str:
    """Leave out what stands behind ``#``, and lines that are nothing else."""
    if "#" not in prompt:
        return prompt
    lines = (line for line in prompt.split("\n") if not line.startswith("#"))
    return "\n".join(line.partition("#")[0] for line in lines)


def _checkpoint(request: GenerationRequest, options: Options, models: Models) -> ModelRecord:
    if request.checkpoint:
        return models.find_checkpoint(request.checkpoint)
    named = options.text("sd_model_checkpoint")
    if named and "sd_model_checkpoint" in request.options:
        return models.find_checkpoint(named)
    return models.selected(named)


def _seeds(
    request: GenerationRequest, *, count: int, random: Random
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count up from the first seed; a variation keeps the seed and counts its own up."""
    seed = allowed.whole("seed", request.seed, low=-1, high=HIGHEST_SEED)
    subseed = allowed.whole("subseed", request.subseed, low=-1, high=HIGHEST_SEED)
    first = random.randrange(SEEDS) if seed == -1 else seed
    variation = random.randrange(SEEDS) if subseed == -1 else subseed
    step = 0 if request.subseed_strength else 1
    return (
        tuple(first + step * number for number in range(count)),
        tuple(variation + number for number in range(count)),
    )


def _noise_rules(request: GenerationRequest, options: Options) -> NoiseRules:
    width, height = (
        allowed.whole("seed_resize_from", side, low=-1, high=16_384)
        for side in request.seed_resize_from
    )
    kept = (width, height) if min(width, height) >= PIXELS_PER_LATENT else (0, 0)
    return NoiseRules(
        source=cast("NoiseSource", options.text("randn_source")),
        variation=allowed.number("subseed_strength", request.subseed_strength, low=0, high=1),
        resize_from=kept,
        seed_delta=options.whole("eta_noise_seed_delta"),
    )


def _text_rules(request: GenerationRequest, options: Options) -> TextRules:
    skip = request.clip_skip
    return TextRules(
        clip_skip=options.whole("CLIP_stop_at_last_layers")
        if skip is None
        else allowed.whole("clip_skip", skip, low=1, high=12),
        emphasis=cast("Emphasis", options.text("emphasis")),
        comma_backtrack=options.whole("comma_padding_backtrack"),
        old_editing=options.flag("use_old_scheduling"),
    )
