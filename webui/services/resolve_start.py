"""From a wish to start from a picture to a start with every number settled."""

import re
from typing import Final

from webui.library.picture_text import MAX_PIXELS
from webui.modules.errors import LimitError, PictureError, RangeError
from webui.modules.sampling.catalogue import find_sampler
from webui.modules.types import (
    Inpainting,
    InputPicture,
    SamplingPlan,
    SoftInpainting,
    Start,
)
from webui.services import limits as allowed
from webui.services.options import Options
from webui.services.requests import MaskRequest, StartRequest
from webui.settings import Limits

LARGEST_BLUR: Final = 256
"""Standard deviation in pixels."""

LARGEST_PADDING: Final = 4096
"""Pixels around a mask."""

LONGEST_SCHEDULE: Final = 10_000
"""Steps of a whole schedule of which only the end is walked."""

LONGEST_BY_TIMESTEPS: Final = 1000
"""The same for samplers over timesteps: there are no more."""

SMALLEST_SIDE: Final = 64
"""Pixels that the encoder needs where the picture keeps its size."""

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def batch_of(asked: StartRequest, batch_size: int) -> int:
    """Return how many pictures are drawn together; several pictures each have their own place.

    Raises:
        RangeError: If there are none, or more than places.
    """
    count = len(asked.pictures)
    if count == 0:
        message = "there is no picture to start from"
        raise RangeError(message, hint="Give one, or draw from words alone.", value=count)
    if count > batch_size:
        message = f"{count} pictures to start from, and a batch of {batch_size}"
        hint = "Give at most as many pictures as the batch has places."
        raise RangeError(message, hint=hint, value=count)
    return batch_size if count == 1 else count


def start_of(
    asked: StartRequest, options: Options, sampling: SamplingPlan, limits: Limits
) -> Start:
    """Return the start for a wish.

    Args:
        asked: The wish.
        options: The user options that hold for it.
        sampling: How the pictures are drawn.
        limits: What this server allows.

    Raises:
        RangeError: If a number lies outside its range.
        LimitError: If the pictures have too many pixels.
        PictureError: If a picture is too small for what is to be done with it.
    """
    denoising = allowed.number("denoising_strength", asked.denoising, low=0, high=1)
    every_step = options.flag("img2img_fix_steps")
    if every_step:
        check_length(sampling, denoising)
    _check_pictures(asked, limits)
    multiplier = asked.noise_multiplier
    if multiplier is None:
        multiplier = options.number("initial_noise_multiplier")
    guidance = 1.5 if asked.image_guidance is None else asked.image_guidance
    return Start(
        pictures=asked.pictures,
        resize=asked.resize,
        denoising=denoising,
        every_step=every_step,
        noise_multiplier=allowed.number("initial_noise_multiplier", multiplier, low=0, high=10),
        extra_noise=allowed.number(
            "img2img_extra_noise", options.number("img2img_extra_noise"), low=0, high=10
        ),
        image_guidance=allowed.number("image_cfg_scale", guidance, low=0, high=100),
        background=_color(options.text("img2img_background_color")),
        color_correction=options.flag("img2img_color_correction"),
        inpainting=_inpainting(asked.masked, options) if asked.masked else None,
    )


def _inpainting(asked: MaskRequest, options: Options) -> Inpainting:
    across, down = asked.blur
    return Inpainting(
        mask=asked.mask,
        invert=asked.invert,
        blur=(
            allowed.whole("mask_blur_x", across, low=0, high=LARGEST_BLUR),
            allowed.whole("mask_blur_y", down, low=0, high=LARGEST_BLUR),
        ),
        content=asked.content,
        only_masked=asked.only_masked,
        padding=allowed.whole(
            "inpaint_full_res_padding", asked.padding, low=0, high=LARGEST_PADDING
        ),
        rounded=asked.rounded,
        overlay=options.flag("overlay_inpaint"),
        weight=allowed.number(
            "inpainting_mask_weight", options.number("inpainting_mask_weight"), low=0, high=1
        ),
        soft=_soft(asked.soft) if asked.soft else None,
    )


def _soft(asked: SoftInpainting) -> SoftInpainting:
    """Return soft inpainting's settings inside the ranges of A1111's sliders."""

    def number(name: str, value: float, high: float, low: float = 0) -> float:
        return allowed.number(f"soft inpainting's {name}", value, low=low, high=high)

    return SoftInpainting(
        schedule_bias=number("schedule bias", asked.schedule_bias, 8),
        preservation=number("preservation strength", asked.preservation, 8),
        contrast_boost=number("transition contrast boost", asked.contrast_boost, 32, low=1),
        mask_influence=number("mask influence", asked.mask_influence, 1),
        difference_threshold=number("difference threshold", asked.difference_threshold, 8),
        difference_contrast=number("difference contrast", asked.difference_contrast, 8),
    )


def check_length(sampling: SamplingPlan, denoising: float) -> None:
    """Refuse a schedule without end: all steps of a tiny share of it.

    Raises:
        RangeError: If the whole schedule would have more steps than there are levels to walk.
    """
    by_timesteps = find_sampler(sampling.sampler)[0].timesteps
    longest = LONGEST_BY_TIMESTEPS if by_timesteps else LONGEST_SCHEDULE
    if denoising > 0 and sampling.steps / denoising > longest:
        message = f"{sampling.steps} steps with a denoising strength of {denoising:g}"
        hint = "Raise the denoising strength, lower the steps, or switch img2img_fix_steps off."
        raise RangeError(message, hint=hint, value=f"{denoising:g}")


def _check_pictures(asked: StartRequest, limits: Limits) -> None:
    pixels = sum(picture.width * picture.height for picture in asked.pictures)
    if pixels > MAX_PIXELS:
        message = f"the pictures to start from have {pixels} pixels, more than {MAX_PIXELS}"
        raise LimitError(message, hint="Give fewer or smaller pictures.", value=pixels)
    if asked.resize == "Just resize (latent upscale)":
        for picture in asked.pictures:
            _check_encodable(picture, limits)


def _check_encodable(picture: InputPicture, limits: Limits) -> None:
    """Refuse a picture that cannot be encoded in its own size."""
    size = f"{picture.width}x{picture.height}"
    if min(picture.width, picture.height) < SMALLEST_SIDE:
        message = f"the picture has {size} pixels, too few to enlarge its latents"
        hint = f"Use another resize mode, or at least {SMALLEST_SIDE} pixels a side."
        raise PictureError(message, hint=hint, value=size)
    if picture.width * picture.height > limits.max_pixels:
        message = f"the picture has {size} pixels, too many to encode as it is"
        raise LimitError(message, hint="Use another resize mode.", value=size)


def _color(text: str) -> str:
    if not _COLOR.fullmatch(text):
        message = f"img2img_background_color is {text[:40]!r}"
        raise RangeError(message, hint="Use a colour such as #ffffff.", value=text[:40])
    return text
