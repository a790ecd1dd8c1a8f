"""SD upscale: one large picture from many small ones that are drawn on."""

from dataclasses import replace

from webui.modules.errors import LimitError, RangeError
from webui.modules.types import GenerationPlan, Start, Tiles
from webui.services import limits as allowed
from webui.services.models import Models
from webui.services.options import Options
from webui.services.requests import GenerationRequest
from webui.services.script_requests import UpscaleRequest, Wishes
from webui.settings import Limits

MOST_PIECES = 256
"""A picture of more pieces is a slip of the pen."""


def enlarged(request: GenerationRequest, script: UpscaleRequest) -> Wishes:
    """Return the one wish of this script.

    Raises:
        RangeError: If there is no picture to start from.
    """
    start = request.start
    if start is None or not start.pictures:
        message = "SD upscale starts from a picture, and there is none"
        raise RangeError(message, hint="Use it in img2img, with a picture.", value="start")
    pictures = start.pictures[:1]
    wish = replace(request, start=replace(start, pictures=pictures, tiles=script.tiles))
    return Wishes(wishes=(wish,))


def with_tiles(
    plan: GenerationPlan,
    request: GenerationRequest,
    *,
    options: Options,
    models: Models,
    limits: Limits,
) -> GenerationPlan:
    """Return the plan with its start cut into pieces, if that is wished.

    Each batch of the wish becomes one whole picture; the batch size says how many pieces are drawn
    together.

    Raises:
        RangeError: If a number lies outside its range.
        LimitError: If there would be too many pixels or pieces.
        UnknownNameError: If there is no such upscaler.
    """
    asked = request.start.tiles if request.start else None
    if asked is None or plan.start is None:
        return plan
    scale = allowed.number("scale", asked.scale, low=1, high=8)
    overlap = allowed.whole("overlap", asked.overlap, low=0, high=min(plan.width, plan.height) // 2)
    _check_size(plan.start, plan, scale=scale, overlap=overlap, limits=limits)
    upscaler, model = models.find_upscaler(asked.upscaler)
    tiles = Tiles(
        scale=scale,
        upscaler=upscaler,
        upscaler_model=model,
        overlap=overlap,
        together=plan.batch_size,
        tile=options.whole("ESRGAN_tile"),
        tile_overlap=options.whole("ESRGAN_tile_overlap"),
    )
    count = len(plan.seeds) // plan.batch_size
    return replace(
        plan,
        prompts=plan.prompts[:count],
        negative_prompts=plan.negative_prompts[:count],
        seeds=tuple(plan.seeds[0] + number for number in range(count)),
        variation_seeds=plan.variation_seeds[:count],
        batch_size=1,
        start=replace(plan.start, tiles=tiles),
    )


def _check_size(
    start: Start, plan: GenerationPlan, *, scale: float, overlap: int, limits: Limits
) -> None:
    picture = start.pictures[0]
    width, height = int(picture.width * scale), int(picture.height * scale)
    pieces = (width / (plan.width - overlap) + 1) * (height / (plan.height - overlap) + 1)
    if width * height > 16 * limits.max_pixels or pieces > MOST_PIECES:
        message = f"the picture would have {width} x {height} pixels in {int(pieces)} pieces"
        hint = f"Use a smaller scale, or larger pieces; at most {MOST_PIECES}."
        raise LimitError(message, hint=hint, value=f"{width}x{height}")
