"""The workshop's section that writes files in other containers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.types import ModelKind
from webui.services.studio import Studio
from webui.services.work_requests import ConvertRequest
from webui.ui.drawing_tab import checkpoint_choices
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK
from webui.ui.sections import Updates, check_numbers, gather
from webui.ui.workshop_merge import chosen_only

KINDS: Final = {
    f"models.{kind.value}": kind.value
    for kind in (
        ModelKind.EMBEDDING,
        ModelKind.HYPERNETWORK,
        ModelKind.VAE,
        ModelKind.CHECKPOINT,
        ModelKind.LORA,
        ModelKind.AESTHETIC,
        ModelKind.UPSCALER,
    )
}
"""Kinds of files, by their words."""

CONTAINERS: Final = {
    "workshop.to_safetensors": "safetensors",
    "workshop.to_pt": "pt",
    "workshop.to_png": "png",
    "workshop.to_lora": "lora",
}
"""What a file can become, by the words for it."""

FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "embedding": ("safetensors", "pt", "png"),
    "hypernetwork": ("safetensors", "pt", "lora"),
}
"""What files of a kind can become; the others become safetensors."""

SHARED: Final = ("kind", "source", "to", "checkpoint", "strength", "rank", "name")
"""Components that have the name and the meaning of a field of the request."""

FOR_LORA: Final = ("checkpoint", "strength", "rank")
"""Fields that only a hypernetwork as a LoRA needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertFields:
    """One component for each field of a ``ConvertRequest``."""

    studio: Studio
    labels: Labels
    kind: gr.Dropdown
    source: gr.Dropdown
    to: gr.Radio
    checkpoint: gr.Dropdown
    strength: gr.Number
    rank: gr.Number
    row: gr.Row
    name: gr.Textbox
    make: gr.Button

    def components(self) -> set[Block]:
        """Return what is read."""
        return {getattr(self, name) for name in SHARED}

    def is_complete(self, values: Mapping[Block, Any]) -> bool:
        """Tell whether every file is chosen that is needed."""
        needed = [self.source, *([self.checkpoint] if values[self.to] == "lora" else [])]
        return all(values[each] for each in needed)

    def read(self, values: Mapping[Block, Any]) -> ConvertRequest:
        """Turn what Gradio sends into a request.

        Raises:
            RangeError: If a number is missing.
        """
        found = gather(self, SHARED, values)
        check_numbers(found, ("strength", "rank"))
        given: dict[str, Any] = {"source": "", **chosen_only(found)}
        given |= {"kind": ModelKind(given["kind"]), "rank": int(given["rank"])}
        return ConvertRequest(**given)

    def offered(self) -> list[Block]:
        """Return the lists of files."""
        return [self.checkpoint]

    def offer(self, studio: Studio) -> Updates:
        """Return these lists as the folders are now."""
        return {self.checkpoint: gr.update(choices=checkpoint_choices(studio))}

    def connect(self) -> None:
        """Show the files of the chosen kind, what they can become, and what that needs."""
        for moment in (self.kind.change, self.source.focus):
            moment(self._files, self.kind, self.source, **QUICK)
        self.kind.change(self._fitting, [self.kind, self.to], self.to, **QUICK)
        fields: list[Any] = [*(getattr(self, name) for name in FOR_LORA), self.row]

        def show(to: str) -> list[Any]:
            return [gr.update(visible=to == "lora") for _ in fields]

        self.to.change(show, self.to, fields, **QUICK)

    def _files(self, kind: str) -> Any:
        return gr.update(choices=file_names(self.studio, ModelKind(kind)))

    def _fitting(self, kind: str, to: str) -> Any:
        fits = FITTING.get(kind, ("safetensors",))
        return gr.update(value=to if to in fits else fits[0])


def build_convert(labels: Labels, studio: Studio) -> ConvertFields:
    """Lay out the section."""
    with gr.Row():
        kind = labels.make_choice(
            gr.Dropdown, {"label": "models.kind"}, KINDS, value="embedding",
            elem_id="convert_kind", min_width=150,
        )  # fmt: skip
        source = labels.make(
            gr.Dropdown, {"label": "workshop.source"},
            choices=file_names(studio, ModelKind.EMBEDDING), value=None,
            elem_id="convert_source", scale=2, min_width=220,
        )  # fmt: skip
    to = labels.make_choice(
        gr.Radio, {"label": "workshop.to", "info": "workshop.to_hint"}, CONTAINERS,
        value="safetensors", elem_id="convert_to",
    )  # fmt: skip
    with gr.Row(visible=False) as row:
        checkpoint = labels.make(
            gr.Dropdown, {"label": "workshop.checkpoint"}, choices=checkpoint_choices(studio),
            value=None, visible=False, elem_id="convert_checkpoint", min_width=200,
        )  # fmt: skip
        strength = labels.make(
            gr.Number, {"label": "workshop.strength"}, value=1.0, visible=False,
            elem_id="convert_strength", min_width=110,
        )  # fmt: skip
        rank = labels.make(
            gr.Number, {"label": "workshop.rank", "info": "workshop.rank_hint"}, value=0,
            precision=0, minimum=0, visible=False, elem_id="convert_rank", min_width=120,
        )  # fmt: skip
    name = labels.make(
        gr.Textbox, {"label": "workshop.name", "placeholder": "workshop.name_hint"},
        elem_id="convert_name",
    )  # fmt: skip
    make = labels.make(
        gr.Button, {"value": "workshop.make"}, variant="primary", elem_id="convert_make"
    )
    return ConvertFields(
        studio=studio, labels=labels, kind=kind, source=source, to=to, checkpoint=checkpoint,
        strength=strength, rank=rank, row=row, name=name, make=make,
    )  # fmt: skip


def file_names(studio: Studio, kind: ModelKind) -> list[str]:
    """Return the names of the sound files of a kind."""
    return [card.record.name for card in studio.models.add_ons(kind) if card.problem is None]
