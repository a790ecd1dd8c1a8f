"""The workshop's section that makes a checkpoint out of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.errors import RangeError
from webui.services.studio import Studio
from webui.services.work_requests import MergeRequest
from webui.ui.drawing_tab import checkpoint_choices, vae_names
from webui.ui.labels import Labels
from webui.ui.sections import Updates, check_numbers, gather

METHODS: Final = {
    "workshop.weighted_sum": "weighted sum",
    "workshop.add_difference": "add difference",
    "workshop.no_interpolation": "no interpolation",
}
"""Ways to mix, by their words."""

PRECISIONS: Final = {
    "workshop.as_it_is": "as it is",
    "workshop.fp16": "fp16",
    "workshop.bf16": "bf16",
    "workshop.fp32": "fp32",
}
"""Number formats, by their words."""

CONFIGS: Final = {
    "workshop.config_first": "first found",
    "workshop.config_b": "B",
    "workshop.config_c": "C",
    "workshop.config_none": "none",
}
"""Whose yaml is copied, by the words for it."""

SHARED: Final = (
    "first", "second", "third", "method", "share", "vae", "precision", "discard", "config",
    "texts", "name",
)  # fmt: skip
"""Components that have the name and the meaning of a field of the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeFields:
    """One component for each field of a ``MergeRequest``."""

    method: gr.Radio
    first: gr.Dropdown
    second: gr.Dropdown
    third: gr.Dropdown
    share: gr.Slider
    blocks: gr.Textbox
    vae: gr.Dropdown
    precision: gr.Dropdown
    discard: gr.Textbox
    config: gr.Dropdown
    texts: gr.Checkbox
    name: gr.Textbox
    make: gr.Button

    def components(self) -> set[Block]:
        """Return what is read."""
        return {getattr(self, name) for name in (*SHARED, "blocks")}

    def is_complete(self, values: Mapping[Block, Any]) -> bool:
        """Tell whether every file is chosen that the way needs."""
        needed = {"no interpolation": [self.first], "weighted sum": [self.first, self.second]}
        all_three = [self.first, self.second, self.third]
        return all(values[each] for each in needed.get(str(values[self.method]), all_three))

    def read(self, values: Mapping[Block, Any]) -> MergeRequest:
        """Turn what Gradio sends into a request.

        Raises:
            RangeError: If a number is missing, or is none.
        """
        found = gather(self, SHARED, values)
        check_numbers(found, ("share",))
        given: dict[str, Any] = {"first": "", **chosen_only(found)}
        return MergeRequest(**given, blocks=numbers(values[self.blocks] or ""))

    def offered(self) -> list[Block]:
        """Return the lists of files."""
        return [self.first, self.second, self.third, self.vae]

    def offer(self, studio: Studio) -> Updates:
        """Return these lists as the folders are now."""
        checkpoints = gr.update(choices=checkpoint_choices(studio))
        lists = dict.fromkeys((self.first, self.second, self.third), checkpoints)
        return {**lists, self.vae: gr.update(choices=["", *vae_names(studio)])}

    def connect(self) -> None:
        """Show what the chosen way needs."""

        def show(method: str) -> list[Any]:
            mixed = method != "no interpolation"
            return [
                gr.update(visible=mixed),
                gr.update(visible=method == "add difference"),
                gr.update(visible=mixed),
                gr.update(visible=mixed),
            ]

        self.method.change(
            show,
            self.method,
            [self.second, self.third, self.share, self.blocks],
            api_visibility="private",
            show_progress="hidden",
        )


def build_merge(labels: Labels, studio: Studio) -> MergeFields:
    """Lay out the section."""
    checkpoints = checkpoint_choices(studio)
    method = labels.make_choice(
        gr.Radio, {"label": "workshop.method"}, METHODS, value="weighted sum",
        elem_id="merge_method",
    )  # fmt: skip
    with gr.Row():
        first, second, third = (
            labels.make(
                gr.Dropdown, {"label": f"workshop.{name}"}, choices=checkpoints, value=None,
                elem_id=f"merge_{name}", visible=name != "third", min_width=180,
            )
            for name in ("first", "second", "third")
        )  # fmt: skip
    share = labels.make(
        gr.Slider, {"label": "workshop.share", "info": "workshop.share_hint"}, minimum=0, maximum=1,
        step=0.01, value=0.3, elem_id="merge_share",
    )  # fmt: skip
    with gr.Row():
        name = labels.make(
            gr.Textbox, {"label": "workshop.name", "placeholder": "workshop.name_hint"},
            elem_id="merge_name", scale=2, min_width=200,
        )  # fmt: skip
        precision = labels.make_choice(
            gr.Dropdown, {"label": "workshop.precision"}, PRECISIONS, value="as it is",
            elem_id="merge_precision", min_width=150,
        )  # fmt: skip
    with labels.make(gr.Accordion, {"label": "workshop.more"}, open=False):
        rest = _more(labels, studio)
    make = labels.make(
        gr.Button, {"value": "workshop.make"}, variant="primary", elem_id="merge_make"
    )
    return MergeFields(
        method=method,
        first=first,
        second=second,
        third=third,
        share=share,
        precision=precision,
        name=name,
        make=make,
        **rest,
    )


def _more(labels: Labels, studio: Studio) -> dict[str, Any]:
    blocks = labels.make(
        gr.Textbox, {"label": "workshop.blocks", "info": "workshop.blocks_hint"}, lines=2,
        elem_id="merge_blocks",
    )  # fmt: skip
    with gr.Row():
        vae = labels.make(
            gr.Dropdown, {"label": "workshop.vae"}, choices=["", *vae_names(studio)], value="",
            elem_id="merge_vae", min_width=180,
        )  # fmt: skip
        config = labels.make_choice(
            gr.Dropdown, {"label": "workshop.config"}, CONFIGS, value="first found",
            elem_id="merge_config", min_width=180,
        )  # fmt: skip
    discard = labels.make(
        gr.Textbox, {"label": "workshop.discard", "info": "workshop.discard_hint"},
        elem_id="merge_discard",
    )  # fmt: skip
    texts = labels.make(gr.Checkbox, {"label": "workshop.texts"}, value=True, elem_id="merge_texts")
    return {"blocks": blocks, "vae": vae, "config": config, "discard": discard, "texts": texts}


def chosen_only(found: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out lists in which nothing is chosen."""
    return {name: value for name, value in found.items() if value is not None}


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers that somebody has written, with commas or spaces between.

    Raises:
        RangeError: If one is none.
    """
    found: list[float] = []
    for part in text.replace(",", " ").split():
        try:
            found.append(float(part))
        except ValueError as error:
            message = f"{part[:40]!r} is no number"
            hint = "Write numbers with commas between, such as 0.3, 0.3, 1."
            raise RangeError(message, hint=hint, value=part[:40]) from error
    return tuple(found)
