"""The loss of a training as a drawing: steps pale, the smoothed line dark, held-out as dots."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 640
HEIGHT: Final = 200
LEFT: Final = 44
BOTTOM: Final = 22
"""Size of the drawing and of its margins, in its own units."""

MOST_POINTS: Final = 320
"""A longer line is thinned out."""

MEMORY: Final = 0.95
"""How much of the smoothed loss stays from step to step, once there are enough of them."""

CUT: Final = 0.98
"""So much of the values fits; single outliers go out of the top."""

Point = tuple[int, float]
"""A step and its value."""


def losses(lines: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return the loss of each step."""
    return [(int(line["step"]), float(line["loss"])) for line in lines if "loss" in line]


def held_out(lines: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Return what was measured on pictures and noise that never change."""
    return [(int(line["step"]), float(line["held_out"])) for line in lines if "held_out" in line]


def smoothed(points: Sequence[Point]) -> list[Point]:
    """Return a running mean that counts all steps alike at first, and then the last ones more."""
    found: list[Point] = []
    mean = 0.0
    for number, (step, value) in enumerate(points):
        memory = min(MEMORY, number / (number + 1))
        mean = memory * mean + (1 - memory) * value
        found.append((step, mean))
    return found


def curve(lines: Sequence[Mapping[str, Any]], *, steps: int, best: int | None, title: str) -> str:
    """Return the drawing as SVG; empty while there is nothing to draw.

    Args:
        lines: Of the log.
        steps: Of the whole training.
        best: The step that measured best.
        title: What a screen reader says.
    """
    raw, dots = losses(lines), held_out(lines)
    if not raw and not dots:
        return ""
    values = sorted(value for _, value in (*raw, *dots))
    top = max(values[min(len(values) - 1, int(len(values) * CUT))] * 1.08, 1e-9)

    def at(point: Point) -> str:
        step, value = point
        x = LEFT + (WIDTH - LEFT - 8) * step / max(1, steps)
        y = 8 + (HEIGHT - BOTTOM - 8) * (1 - min(value, top) / top)
        return f"{x:.1f},{y:.1f}"

    marks = "".join(
        f'<circle class="dot{" best" if step == best else ""}" r="{5 if step == best else 3}"'
        f' cx="{at((step, value)).split(",")[0]}" cy="{at((step, value)).split(",")[1]}">'
        f"<title>{step}: {value:.4f}</title></circle>"
        for step, value in dots
    )
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{escape(title)}</title>{_axes(top, steps)}"
        f'<polyline class="raw" points="{" ".join(map(at, _thinned(raw)))}"/>'
        f'<polyline class="smooth" points="{" ".join(map(at, _thinned(smoothed(raw))))}"/>'
        f'<polyline class="held" points="{" ".join(map(at, dots))}"/>{marks}</svg>'
    )


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    every = -(-len(points) // MOST_POINTS) or 1
    return [*points[::every], *points[-1:]]


def _axes(top: float, steps: int) -> str:
    low = HEIGHT - BOTTOM
    lines = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{top * share:.3g}</text>'
        for share in (0.0, 0.5, 1.0)
        for y in (8 + (low - 8) * (1 - share),)
    )
    numbers = "".join(
        f'<text class="{side}" x="{LEFT + (WIDTH - LEFT - 8) * share:.0f}" y="{HEIGHT - 5}">'
        f"{round(steps * share)}</text>"
        for share, side in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return lines + numbers
