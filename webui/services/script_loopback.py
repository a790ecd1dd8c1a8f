"""Loopback: draw on from one's own picture, loop after loop."""

import math
from dataclasses import replace

from webui.jobs.plans import Grid
from webui.modules.errors import RangeError
from webui.services.requests import GenerationRequest
from webui.services.script_requests import LoopbackRequest, Wishes


def loopback(request: GenerationRequest, script: LoopbackRequest) -> Wishes:
    """Return the wishes of a chain; each but the first starts from the picture before.

    Raises:
        RangeError: If there is no picture to start from, or a number is outside its range.
    """
    start = request.start
    if start is None:
        message = "loopback starts from a picture, and there is none"
        raise RangeError(message, hint="Use it in img2img, with a picture.", value="start")
    if not 1 <= script.loops <= 32 or not 0 <= script.final_denoising <= 1:  # noqa: PLR2004 - A1111's bounds
        message = f"{script.loops} loops to a denoising strength of {script.final_denoising}"
        raise RangeError(message, hint="Use 1 to 32 loops and a strength from 0 to 1.")
    wishes: list[GenerationRequest] = []
    for loop in range(script.loops):
        masked = start.masked and (
            replace(start.masked, content="original") if loop else start.masked
        )
        strength = _strength(start.denoising, script, loop)
        wishes.append(
            replace(
                request,
                seed=request.seed + loop,
                batch_size=1,
                batch_count=1,
                start=replace(start, denoising=strength, masked=masked),
            )
        )
    grid = Grid(
        columns=tuple(f"{loop + 1}" for loop in range(script.loops)),
        rows=("",),
        places=(),
        told=(
            ("Script", "Loopback"),
            ("Final denoising strength", f"{script.final_denoising:g}"),
            ("Denoising curve", script.curve),
        ),
    )
    return Wishes(wishes=wishes, cells=range(len(wishes)), grid=grid)


def _strength(first: float, script: LoopbackRequest, loop: int) -> float:
    """Return the denoising strength of a loop, between the first and the final one."""
    if script.loops == 1:
        return first
    progress = loop / (script.loops - 1)
    match script.curve:
        case "Aggressive":
            progress = math.sin(progress * math.pi / 2)
        case "Lazy":
            progress = 1 - math.cos(progress * math.pi / 2)
        case "Linear":
            pass
    return first + (script.final_denoising - first) * progress
