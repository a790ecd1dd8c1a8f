"""Scripts: many pictures as one job, with a grid of them; one of several forms is open."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.sampling.catalogue import SAMPLERS, SCHEDULERS
from webui.services.axes import CHOICES, axes
from webui.services.requests import TilesRequest
from webui.services.script_requests import (
    AxisRequest,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
    ScriptRequest,
    UpscaleRequest,
)
from webui.ui.drawing_fields import glyph, slider
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK, plain_html
from webui.ui.switched import switched

CURVES: Final = ("Linear", "Aggressive", "Lazy")
LETTERS: Final = ("x", "y", "z")

FORMS: Final = ("plot", "matrix", "list", "loopback", "upscale")
"""All scripts; the last two draw on from a picture."""

PICTURED: Final = frozenset({"loopback", "upscale"})

Names = Callable[[], Mapping[str, Sequence[str]]]
"""Returns what the lists of the page offer now: checkpoints, VAE files, upscalers, styles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptFields:
    """The components of all scripts, by the script and the field that they stand for.

    Attributes:
        on: Whether there is a script at all.
        kind: Which one.
        x_type: What an axis varies; likewise ``y_type`` and ``z_type``.
        x_values: Its values as written; likewise ``y_values`` and ``z_values``.
    """

    on: gr.Checkbox
    kind: gr.Dropdown
    x_type: gr.Dropdown
    x_values: gr.Textbox
    y_type: gr.Dropdown
    y_values: gr.Textbox
    z_type: gr.Dropdown
    z_values: gr.Textbox
    legend: gr.Checkbox
    at_start: gr.Checkbox
    different_seeds: gr.Checkbox
    negative: gr.Checkbox
    lines: gr.Textbox
    count_seeds: gr.Checkbox
    loops: gr.Slider
    final_denoising: gr.Slider
    curve: gr.Dropdown
    scale: gr.Slider
    upscaler: gr.Dropdown
    overlap: gr.Slider

    def read(self, values: Mapping[Block, Any]) -> ScriptRequest | None:
        """Turn what Gradio sends into what a script is asked for; None without one."""
        if not values[self.on]:
            return None
        match values[self.kind]:
            case "plot":
                x, y, z = (self._axis(letter, values) for letter in LETTERS)
                return PlotRequest(x=x, y=y, z=z, legend=bool(values[self.legend]))
            case "matrix":
                return MatrixRequest(
                    at_start=bool(values[self.at_start]),
                    different_seeds=bool(values[self.different_seeds]),
                    negative=bool(values[self.negative]),
                )
            case "list":
                count = bool(values[self.count_seeds])
                return ListRequest(lines=values[self.lines] or "", count_seeds=count)
            case "loopback":
                return LoopbackRequest(
                    loops=int(values[self.loops]),
                    final_denoising=float(values[self.final_denoising]),
                    curve=values[self.curve],
                )
            case _:
                tiles = TilesRequest(
                    scale=float(values[self.scale]),
                    upscaler=values[self.upscaler] or "None",
                    overlap=int(values[self.overlap]),
                )
                return UpscaleRequest(tiles=tiles)

    def _axis(self, letter: str, values: Mapping[Block, Any]) -> AxisRequest:
        kind = values[getattr(self, f"{letter}_type")]
        written = values[getattr(self, f"{letter}_values")]
        return AxisRequest(type=kind or "Nothing", values=written or "")


def build_scripts(labels: Labels, name: str, *, pictured: bool, names: Names) -> ScriptFields:
    """Lay out the section, with its switch in its head.

    Args:
        labels: Makes components in both languages.
        name: ``txt2img`` or ``img2img``.
        pictured: Whether the tab starts from a picture.
        names: What the lists offer.
    """
    offered = [form for form in FORMS if pictured or form not in PICTURED]
    with switched(labels, "script.title", f"{name}_script") as head:
        kind = labels.make_choice(
            gr.Dropdown,
            {"label": "script.kind"},
            {f"script.{form}": form for form in offered},
            value=offered[0],
            elem_id=f"{name}_script_list",
        )
        found: dict[str, Any] = {}
        forms: list[gr.Column] = []
        for form in FORMS:
            with gr.Column(visible=form == offered[0], elem_id=f"{name}_script_{form}") as column:
                found |= _BUILDERS[form](labels, name, names)
            forms.append(column)

    def opened(chosen: str) -> list[Any]:
        return [gr.update(visible=form == chosen) for form in FORMS]

    kind.change(opened, kind, forms, **QUICK)
    return ScriptFields(on=head.on, kind=kind, **found)


def _plot(labels: Labels, name: str, names: Names) -> dict[str, Any]:
    way = "img2img" if name == "img2img" else "txt2img"
    choices = [axis.label for axis in axes(way)]
    found: dict[str, Any] = {}
    for letter, first in zip(LETTERS, ("Seed", "Nothing", "Nothing"), strict=True):
        with gr.Row(elem_classes=["tight"]):
            kind = labels.make(
                gr.Dropdown,
                {"label": f"script.{letter}_type"},
                choices=choices,
                value=first,
                elem_id=f"{name}_script_{letter}_type",
                min_width=110,
                scale=2,
            )
            written = labels.make(
                gr.Textbox,
                {"label": "script.values", "placeholder": "script.values_hint"},
                lines=1,
                max_lines=4,
                elem_id=f"{name}_script_{letter}_values",
                min_width=110,
                scale=3,
            )
            fill = glyph(labels, "script.fill", "list", f"{name}_script_{letter}_fill")
        fill.click(_filler(names), [kind, written], written, **QUICK)
        found |= {f"{letter}_type": kind, f"{letter}_values": written}
    found["legend"] = _check(labels, "script.legend", f"{name}_script_legend", value=True)
    return found


def _filler(names: Names) -> Callable[[str, str], str]:
    """Return what writes all values of an axis with a list; other axes stay as they are."""

    def fill(kind: str, written: str) -> str:
        known: dict[str, Sequence[str]] = {
            "sampler": [sampler.label for sampler in SAMPLERS],
            "scheduler": [scheduler.label for scheduler in SCHEDULERS],
            "noise": ["CPU", "GPU", "NV"],
            **names(),
        }
        listed = known.get(CHOICES.get(kind, ""), ())
        return ", ".join(f'"{one}"' if "," in one else one for one in listed) or written

    return fill


def _matrix(labels: Labels, name: str, _names: Names) -> dict[str, Any]:
    note = labels.words.html("script.matrix_note")
    plain_html(f'<p class="note">{note}</p>', elem_id=f"{name}_script_matrix_note")
    with gr.Row():
        return {
            "at_start": _check(labels, "script.at_start", f"{name}_script_at_start"),
            "different_seeds": _check(labels, "script.different_seeds", f"{name}_script_seeds"),
            "negative": _check(labels, "script.negative", f"{name}_script_negative"),
        }


def _list(labels: Labels, name: str, _names: Names) -> dict[str, Any]:
    lines = labels.make(
        gr.Textbox,
        {"label": "script.lines", "placeholder": "script.lines_hint"},
        lines=4,
        max_lines=20,
        elem_id=f"{name}_script_lines",
    )
    count = _check(labels, "script.count_seeds", f"{name}_script_count")
    return {"lines": lines, "count_seeds": count}


def _loopback(labels: Labels, name: str, _names: Names) -> dict[str, Any]:
    with gr.Row():
        loops = slider(labels, "script.loops", f"{name}_script_loops", (1, 32, 1), value=4)
        final = slider(
            labels, "script.final_denoising", f"{name}_script_final", (0, 1, 0.01), value=0.5
        )
    curve = labels.make(
        gr.Dropdown,
        {"label": "script.curve"},
        choices=list(CURVES),
        value=CURVES[0],
        elem_id=f"{name}_script_curve",
    )
    return {"loops": loops, "final_denoising": final, "curve": curve}


def _upscale(labels: Labels, name: str, names: Names) -> dict[str, Any]:
    with gr.Row():
        scale = slider(labels, "hires.scale", f"{name}_script_scale", (1, 4, 0.05), value=2)
        overlap = slider(labels, "script.overlap", f"{name}_script_overlap", (0, 256, 16), value=64)
    upscalers = names()["upscaler"]
    upscaler = labels.make(
        gr.Dropdown,
        {"label": "hires.upscaler"},
        choices=list(upscalers),
        value="Lanczos" if "Lanczos" in upscalers else None,
        elem_id=f"{name}_script_upscaler",
    )
    return {"scale": scale, "overlap": overlap, "upscaler": upscaler}


def _check(labels: Labels, key: str, elem_id: str, *, value: bool = False) -> gr.Checkbox:
    return labels.make(gr.Checkbox, {"label": key}, value=value, elem_id=elem_id, min_width=110)


_BUILDERS: Final[Mapping[str, Callable[[Labels, str, Names], dict[str, Any]]]] = {
    "plot": _plot,
    "matrix": _matrix,
    "list": _list,
    "loopback": _loopback,
    "upscale": _upscale,
}
