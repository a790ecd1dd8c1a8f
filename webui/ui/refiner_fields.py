"""The refiner: another checkpoint that takes over on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.services.requests import RefinerRequest
from webui.ui.drawing_fields import slider
from webui.ui.labels import Labels
from webui.ui.sections import Updates, check_numbers, gather, named, put
from webui.ui.switched import switched

SHARED = ("checkpoint", "switch_at")
"""Components that have the name and the meaning of a field of the request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerFields:
    """One component for each field of a ``RefinerRequest``.

    Attributes:
        on: Whether there is a refiner at all.
    """

    on: gr.Checkbox
    checkpoint: gr.Dropdown
    switch_at: gr.Slider

    def read(self, values: Mapping[Block, Any]) -> RefinerRequest | None:
        """Turn what Gradio sends into a part of a request.

        Raises:
            RangeError: If a number is missing.
        """
        if not values[self.on] or not values[self.checkpoint]:
            return None
        found = gather(self, SHARED, values)
        check_numbers(found, ("switch_at",))
        return RefinerRequest(**found)

    def fill(self, wished: RefinerRequest | Mapping[str, Any] | None) -> Updates:
        """Return the updates that show this part of a request; None switches it off."""
        if not wished:
            return put(self, {"on": False})
        found = {name: value for name, value in named(wished).items() if name in SHARED}
        return put(self, {"on": True, **found})


def build_refiner(
    labels: Labels, name: str, checkpoints: Sequence[tuple[str, str]]
) -> RefinerFields:
    """Lay out the section, with its switch in its head."""
    with switched(labels, "refiner.title", f"{name}_refiner") as head, gr.Row():
        checkpoint = labels.make(
            gr.Dropdown,
            {"label": "refiner.checkpoint"},
            choices=list(checkpoints),
            value=checkpoints[0][1] if checkpoints else None,
            elem_id=f"{name}_refiner_checkpoint",
            min_width=120,
        )
        switch_at = slider(
            labels, "refiner.switch_at", f"{name}_refiner_switch_at", (0.01, 1, 0.01), value=0.8
        )
    return RefinerFields(on=head.on, checkpoint=checkpoint, switch_at=switch_at)
