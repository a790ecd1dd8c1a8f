"""What a wish for hires fix, a refiner and merged tokens means, every name and number settled."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from webui.modules.errors import LimitError
from webui.modules.pipeline.enlarging import Enlargement, enlargement, first_size
from webui.modules.types import GenerationPlan, Hires, ModelRecord, Refiner, RefinerPass
from webui.services import limits as allowed
from webui.services.models import Models
from webui.services.options import Options
from webui.services.requests import GenerationRequest, HiresRequest
from webui.services.resolve_sampling import sampling_of, schedule_within
from webui.services.resolve_start import check_length
from webui.settings import Limits

LARGEST_SCALE: Final = 16.0
"""Far above any factor that keeps a picture below the size limits."""

SAME: Final = "use same "
"""How A1111's page begins a choice that changes nothing: "Use same sampler"."""

NOBODY: Final = frozenset({"", "none"})


def first_pass_size(
    request: GenerationRequest, options: Options, limits: Limits
) -> tuple[int, int]:
    """Return the size in which a wish is drawn first.

    Raises:
        RequestError: If the size that is asked for cannot be drawn.
    """
    asked = allowed.size(request.width, request.height, limits)
    if request.hires is None or request.start or not options.flag("use_old_hires_fix_width_height"):
        return asked
    return allowed.size(*first_size(*asked), limits)


def hires_of(
    request: GenerationRequest,
    plan: GenerationPlan,
    *,
    options: Options,
    models: Models,
    limits: Limits,
    prompts: tuple[str, str],
) -> Hires | None:
    """Return the second pass; None if none is asked for, or if drawing starts from a picture.

    Args:
        request: The wish.
        plan: What is settled of it, without the second pass.
        options: The user options that hold for it.
        models: The model files.
        limits: What this server allows.
        prompts: What to draw and to avoid in the second pass.

    Raises:
        RequestError: If something is unknown or outside its range; the message names it.
        ModelError: If a file is refused; the message says why.
    """
    asked = request.hires
    if asked is None or request.start is not None:
        return None
    scale, resize = _wanted(request, asked, options, limits)
    size = enlargement(plan.width, plan.height, scale=scale, resize=resize)
    _check(size, limits)
    upscaler, upscaler_model = models.find_upscaler(asked.upscaler or "Latent")
    other = None if _same(asked.checkpoint) else models.find_checkpoint(asked.checkpoint or "")
    denoising = allowed.number("denoising_strength", asked.denoising, low=0, high=1)
    second = _second(request, asked, limits)
    sampling = sampling_of(second, options, limits, models.suggested(plan.checkpoint))
    check_length(sampling, denoising)
    count = len(plan.seeds)
    return Hires(
        width=size.final[0],
        height=size.final[1],
        scale=0.0 if any(resize) else scale,
        resize=resize,
        upscaler=upscaler,
        upscaler_model=upscaler_model,
        denoising=denoising,
        sampling=sampling,
        checkpoint=other,
        vae=vae_of(request, options, models, other) if other else None,
        prompts=(prompts[0],) * count,
        negative_prompts=(prompts[1],) * count,
        extra_noise=options.number("img2img_extra_noise"),
        token_merging=options.number("token_merging_ratio_hr")
        or options.number("token_merging_ratio"),
        tile=options.whole("ESRGAN_tile"),
        tile_overlap=options.whole("ESRGAN_tile_overlap"),
    )


def second_texts(request: GenerationRequest) -> GenerationRequest:
    """Return the wish with the second pass's prompts, where it has its own."""
    asked = request.hires or HiresRequest()
    return replace(
        request,
        prompt=asked.prompt or request.prompt,
        negative_prompt=asked.negative_prompt or request.negative_prompt,
    )


def refiner_of(
    request: GenerationRequest, plan: GenerationPlan, options: Options, models: Models
) -> Refiner | None:
    """Return who takes over on the way; None if nobody is asked for.

    Raises:
        RequestError: If there is no such checkpoint, or the moment lies outside 0 to 1.
        ModelError: If the file is refused; the message says why.
    """
    asked = request.refiner
    if asked is None or asked.checkpoint.strip().lower() in NOBODY:
        return None
    checkpoint = models.find_checkpoint(asked.checkpoint)
    return Refiner(
        checkpoint=checkpoint,
        vae=vae_of(request, options, models, checkpoint),
        switch_at=allowed.number("refiner_switch_at", asked.switch_at, low=0, high=1),
        by_steps=options.flag("refiner_switch_by_sample_steps"),
        during=cast("RefinerPass", options.text("hires_fix_refiner_pass")),
    )


def token_merging_of(request: GenerationRequest, options: Options) -> float:
    """Return the share of tokens merged in the first pass; img2img has a share of its own."""
    usual = options.number("token_merging_ratio")
    if request.start is None or (usual and "token_merging_ratio" in request.options):
        return usual
    return options.number("token_merging_ratio_img2img") or usual


def vae_of(
    request: GenerationRequest, options: Options, models: Models, checkpoint: ModelRecord
) -> ModelRecord | None:
    """Return the VAE file for a checkpoint; None for the one baked into it.

    Raises:
        UnknownNameError: If there is none of the name that is asked for.
        ModelError: If the file is refused; the message says why.
    """
    named = request.vae is not None
    return models.find_vae(
        options.text("sd_vae") if request.vae is None else request.vae,
        checkpoint=checkpoint,
        overrides=named or options.flag("sd_vae_overrides_per_model_preferences"),
    )


def _wanted(
    request: GenerationRequest, asked: HiresRequest, options: Options, limits: Limits
) -> tuple[float, tuple[int, int]]:
    """Return the factor and the size that are asked for; the size goes first unless (0, 0)."""
    if options.flag("use_old_hires_fix_width_height"):
        return 0.0, (request.width, request.height)
    wide, high = (
        allowed.whole(name, side, low=0, high=limits.max_side)
        for name, side in zip(("hr_resize_x", "hr_resize_y"), asked.resize, strict=True)
    )
    if wide or high:
        return 0.0, (wide, high)
    return allowed.number("hr_scale", asked.scale, low=0, high=LARGEST_SCALE), (0, 0)


def _check(size: Enlargement, limits: Limits) -> None:
    """Hold the enlarged picture against the limits, before and after it is cut."""
    whole = {"width": size.width, "height": size.height}
    for side, pixels in (*whole.items(), *zip(whole, size.final, strict=True)):
        allowed.whole(f"hires {side}", pixels, low=allowed.LOWEST_SIDE, high=limits.max_side)
    count = size.width * size.height
    if count > limits.max_pixels:
        message = f"hires fix would draw {count} pixels, more than {limits.max_pixels}"
        raise LimitError(message, hint="Use a smaller hr_scale or hr_resize.", value=count)


def _second(request: GenerationRequest, asked: HiresRequest, limits: Limits) -> GenerationRequest:
    """Return the wish with the second pass's sampler, schedule and steps.

    The schedule is that of the first pass, unless one is named or the sampler's name ends in one.
    """
    steps = allowed.whole("hr_second_pass_steps", asked.steps, low=0, high=limits.max_steps)
    changes: Mapping[str, Any] = {"steps": steps or request.steps}
    named = None if _same(asked.scheduler) else asked.scheduler
    if _same(asked.sampler):
        changes = {**changes, "scheduler": named or request.scheduler}
    else:
        own = named or schedule_within(asked.sampler or "")
        first = request.scheduler or schedule_within(request.sampler or "")
        changes = {**changes, "sampler": asked.sampler, "scheduler": own or first}
    return replace(request, **changes)


def _same(name: str | None) -> bool:
    return not name or name.lower().startswith(SAME)
