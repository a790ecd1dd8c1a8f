"""A section that is switched on in its head, and open while it is on."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr

from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK, plain_html


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What stands in the head of the section.

    Attributes:
        on: The switch.
        said: A few words on the right, such as the size that will come out.
        place: The whole section.
    """

    on: gr.Checkbox
    said: gr.HTML
    place: gr.Column


@contextmanager
def switched(labels: Labels, key: str, elem_id: str, *, shown: bool = True) -> Generator[Head]:
    """Lay out a section; what is built inside stands in it."""
    with gr.Column(elem_id=elem_id, elem_classes=["switched"], visible=shown) as place:
        on = labels.make(
            gr.Checkbox,
            {"label": key},
            value=False,
            elem_id=f"{elem_id}_on",
            elem_classes=["switch"],
            container=False,
        )
        said = plain_html("", elem_id=f"{elem_id}_said")
        with labels.make(
            gr.Accordion, {"label": key}, open=False, elem_id=f"{elem_id}_body"
        ) as body:
            yield Head(on=on, said=said, place=place)

    def opened(is_on: bool) -> Any:  # noqa: FBT001 - Gradio hands values over by position
        return gr.update(open=is_on)

    on.change(opened, on, body, **QUICK)
