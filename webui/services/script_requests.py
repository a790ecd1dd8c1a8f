"""What people ask of scripts: several pictures as one job. Names and defaults are A1111's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from webui.jobs.plans import Grid
from webui.modules.errors import RangeError
from webui.services.requests import GenerationRequest, TilesRequest

MOST_WISHES: Final = 1000
"""A script with more is a slip of the pen."""

Curve = Literal["Aggressive", "Linear", "Lazy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisRequest:
    """One axis of a plot: its label or place, and its values as written."""

    type: str | int = "Nothing"
    values: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlotRequest:
    """X/Y/Z plot: one picture for each combination of values.

    Attributes:
        x: What varies from column to column.
        y: What varies from row to row.
        z: What varies from block to block.
        legend: Write the values beside the pictures.
        keep_random_seeds: Draw a new seed for each picture when the seed is open.
        vary_seeds: Along which of x, y and z the seed counts up.
        blocks_alone: Also keep each block as a picture of its own.
        margin: Pixels between pictures.
    """

    kind: Literal["plot"] = "plot"
    x: AxisRequest = field(default_factory=AxisRequest)
    y: AxisRequest = field(default_factory=AxisRequest)
    z: AxisRequest = field(default_factory=AxisRequest)
    legend: bool = True
    keep_random_seeds: bool = False
    vary_seeds: tuple[Literal["x", "y", "z"], ...] = ()
    blocks_alone: bool = False
    margin: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRequest:
    """Prompt matrix: every combination of the parts between ``|``.

    Attributes:
        at_start: Put the varied parts before the fixed one.
        different_seeds: Count the seed up from picture to picture.
        negative: Vary the negative prompt instead.
        comma: Join parts with a comma, otherwise with a space.
        margin: Pixels between pictures.
    """

    kind: Literal["matrix"] = "matrix"
    at_start: bool = False
    different_seeds: bool = False
    negative: bool = False
    comma: bool = True
    margin: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ListRequest:
    """Prompts from a list: one wish for each line, with options such as ``--steps 30``.

    Attributes:
        lines: A line is a prompt, or options alone.
        count_seeds: Count the seed up from line to line.
        same_seed: Draw one seed for all lines when it is open.
        position: Put each line's prompt before or after the prompt of the form.
    """

    kind: Literal["list"] = "list"
    lines: str = ""
    count_seeds: bool = False
    same_seed: bool = False
    position: Literal["start", "end"] = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopbackRequest:
    """Loopback: draw on from one's own picture, loop after loop.

    Attributes:
        loops: How often.
        final_denoising: How much may change in the last loop, 0 to 1.
        curve: How the denoising strength gets there.
    """

    kind: Literal["loopback"] = "loopback"
    loops: int = 4
    final_denoising: float = 0.5
    curve: Curve = "Linear"


@dataclass(frozen=True, kw_only=True, slots=True)
class UpscaleRequest:
    """SD upscale: enlarge a picture and draw on it piece by piece, each of the form's size."""

    kind: Literal["upscale"] = "upscale"
    tiles: TilesRequest = field(default_factory=TilesRequest)


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationRequest:
    """Ablation strip: the same picture with one add-on after the other, and with all but one.

    Attributes:
        each_alone: Also draw all but one, for each add-on.
    """

    kind: Literal["ablation"] = "ablation"
    each_alone: bool = True


ScriptRequest = (
    PlotRequest | MatrixRequest | ListRequest | LoopbackRequest | UpscaleRequest | AblationRequest
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What a script asks for: the wishes of all pictures, and where they stand.

    Attributes:
        wishes: In drawing order.
        cells: Place of each wish in the grid; empty for no grid.
        grid: The grid without its places.
    """

    wishes: Sequence[GenerationRequest]
    cells: Sequence[int] = ()
    grid: Grid | None = None


def checked_margin(pixels: int) -> int:
    """Return the pixels between pictures.

    Raises:
        RangeError: If nobody means so many.
    """
    if not 0 <= pixels <= 500:  # noqa: PLR2004 - A1111's bound
        message = f"the margin is {pixels} pixels"
        raise RangeError(message, hint="Use 0 to 500.", value=pixels)
    return pixels
