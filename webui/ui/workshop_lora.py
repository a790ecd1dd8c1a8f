"""The workshop's section about LoRAs: out of checkpoints, thinner, into a checkpoint, joined."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.errors import RangeError
from webui.modules.text.prompt import take_tags
from webui.modules.types import ModelKind
from webui.services.studio import Studio
from webui.services.work_requests import (
    BakeRequest,
    ExtractRequest,
    Ingredient,
    ResizeRequest,
    WorkRequest,
)
from webui.ui.drawing_tab import checkpoint_choices
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK
from webui.ui.sections import Updates, check_numbers, gather
from webui.ui.workshop_merge import PRECISIONS, chosen_only

WAYS: Final = {
    "workshop.extract": "extract",
    "workshop.resize": "resize",
    "workshop.bake": "bake",
    "workshop.join": "join",
}
"""What can be done, by the words for it."""

RULES: Final = {
    "workshop.rule_rank": "",
    "workshop.rule_fro": "sv_fro",
    "workshop.rule_ratio": "sv_ratio",
    "workshop.rule_cumulative": "sv_cumulative",
}
"""How a rank is chosen, by the words for it."""

SHOWN: Final[Mapping[str, frozenset[str]]] = {
    "extract": frozenset({"base", "tuned", "rank", "by", "value", "convolutions", "text"}),
    "resize": frozenset({"lora", "rank", "by", "value"}),
    "bake": frozenset({"checkpoint", "loras", "add"}),
    "join": frozenset({"loras", "add", "rank"}),
}
"""The fields of each way; precision and name belong to all."""

FILES: Final = frozenset({"base", "tuned", "lora", "checkpoint", "loras"})
"""Those that name files."""

ALL: Final = SHOWN["extract"] | SHOWN["resize"] | SHOWN["bake"] | SHOWN["join"]
"""All these fields."""

ROWS: Final = (frozenset({"rank", "by", "value"}), frozenset({"convolutions", "text"}))
"""Rows that are hidden when all of their fields are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraFields:
    """One component for each field of the requests about LoRAs.

    Attributes:
        way: What is to be done.
        loras: Tags, as in a prompt.
        add: Puts another tag there.
        rows: See ``ROWS``.
    """

    way: gr.Radio
    base: gr.Dropdown
    tuned: gr.Dropdown
    lora: gr.Dropdown
    checkpoint: gr.Dropdown
    add: gr.Dropdown
    loras: gr.Textbox
    rows: tuple[gr.Row, ...]
    rank: gr.Number
    by: gr.Dropdown
    value: gr.Number
    convolutions: gr.Checkbox
    text: gr.Checkbox
    precision: gr.Dropdown
    name: gr.Textbox
    make: gr.Button

    def components(self) -> set[Block]:
        """Return what is read."""
        names = ALL - {"add"} | {"way", "precision", "name"}
        return {getattr(self, name) for name in names}

    def is_complete(self, values: Mapping[Block, Any]) -> bool:
        """Tell whether every file is chosen that the way needs."""
        needed = SHOWN[str(values[self.way])] & FILES
        return all(values[getattr(self, name)] for name in needed)

    def read(self, values: Mapping[Block, Any]) -> WorkRequest:
        """Turn what Gradio sends into a request.

        Raises:
            RangeError: If a number is missing, or is none.
        """
        way = str(values[self.way])
        names = SHOWN[way] - {"add", "loras"}
        found = gather(self, (*names, "precision", "name"), values)
        check_numbers(found, names & {"rank", "value"})
        given = chosen_only(found)
        if "rank" in given:
            given["rank"] = int(given["rank"])
        match way:
            case "extract":
                extracted: dict[str, Any] = {"base": "", "tuned": "", **given}
                return ExtractRequest(**extracted)
            case "resize":
                resized: dict[str, Any] = {"lora": "", **given}
                return ResizeRequest(**resized)
            case _:
                return BakeRequest(loras=ingredients(values[self.loras] or ""), **given)

    def offered(self) -> list[Block]:
        """Return the lists of files."""
        return [self.base, self.tuned, self.checkpoint, self.lora, self.add]

    def offer(self, studio: Studio) -> Updates:
        """Return these lists as the folders are now."""
        checkpoints = gr.update(choices=checkpoint_choices(studio))
        loras = gr.update(choices=lora_names(studio))
        return {
            **dict.fromkeys((self.base, self.tuned, self.checkpoint), checkpoints),
            **dict.fromkeys((self.lora, self.add), loras),
        }

    def connect(self) -> None:
        """Show what the chosen way needs, and add tags."""
        names = sorted(ALL)

        def show(way: str, by: str) -> list[Any]:
            shown = SHOWN[way] if by else SHOWN[way] - {"value"}
            fields = [gr.update(visible=name in shown) for name in names]
            return [*fields, *(gr.update(visible=bool(row & shown)) for row in ROWS)]

        def added(chosen: str | None, text: str) -> list[Any]:
            tag = f"<lora:{chosen}:1>" if chosen else ""
            return [None, f"{text.rstrip()}\n{tag}".strip()]

        fields: list[Any] = [getattr(self, name) for name in names]
        for moment in (self.way.change, self.by.change):
            moment(show, [self.way, self.by], [*fields, *self.rows], **QUICK)
        self.add.input(added, [self.add, self.loras], [self.add, self.loras], **QUICK)


def build_lora(labels: Labels, studio: Studio) -> LoraFields:
    """Lay out the section."""
    checkpoints, loras = checkpoint_choices(studio), lora_names(studio)
    way = labels.make_choice(
        gr.Radio, {"label": "workshop.way"}, WAYS, value="extract", elem_id="lora_way"
    )

    def files(name: str, choices: list[Any], **more: Any) -> gr.Dropdown:
        return labels.make(
            gr.Dropdown, {"label": f"workshop.{name}"}, choices=choices, value=None,
            elem_id=f"lora_{name}", visible=name in SHOWN["extract"], min_width=180, **more,
        )  # fmt: skip

    with gr.Row():
        base, tuned = files("base", checkpoints), files("tuned", checkpoints)
        checkpoint, lora = files("checkpoint", checkpoints), files("lora", loras)
        add = files("add", loras)
    tags = labels.make(
        gr.Textbox, {"label": "workshop.loras", "info": "workshop.loras_hint"}, lines=3,
        elem_id="lora_loras", visible=False,
    )  # fmt: skip
    with gr.Row() as ranks:
        rank = labels.make(
            gr.Number, {"label": "workshop.rank", "info": "workshop.rank_hint"}, value=32,
            precision=0, minimum=0, elem_id="lora_rank", min_width=120,
        )  # fmt: skip
        by = labels.make_choice(
            gr.Dropdown, {"label": "workshop.by", "info": "workshop.by_hint"}, RULES, value="",
            elem_id="lora_by", min_width=180,
        )  # fmt: skip
        value = labels.make(
            gr.Number, {"label": "workshop.value", "info": "workshop.value_hint"}, value=0.95,
            elem_id="lora_value", min_width=120, visible=False,
        )  # fmt: skip
    with gr.Row() as carried:
        convolutions = labels.make(
            gr.Checkbox, {"label": "workshop.convolutions"}, elem_id="lora_convolutions"
        )
        text = labels.make(gr.Checkbox, {"label": "workshop.text"}, value=True, elem_id="lora_text")
    with gr.Row():
        name = labels.make(
            gr.Textbox, {"label": "workshop.name", "placeholder": "workshop.name_hint"},
            elem_id="lora_name", scale=2, min_width=200,
        )  # fmt: skip
        precision = labels.make_choice(
            gr.Dropdown, {"label": "workshop.precision"}, PRECISIONS, value="fp16",
            elem_id="lora_precision", min_width=150,
        )  # fmt: skip
    make = labels.make(
        gr.Button, {"value": "workshop.make"}, variant="primary", elem_id="lora_make"
    )
    return LoraFields(
        way=way, base=base, tuned=tuned, lora=lora, checkpoint=checkpoint, add=add, loras=tags,
        rows=(ranks, carried),
        rank=rank, by=by, value=value, convolutions=convolutions, text=text, precision=precision,
        name=name, make=make,
    )  # fmt: skip


def lora_names(studio: Studio) -> list[str]:
    """Return what prompts call the sound files of the LoRA family."""
    cards = studio.models.add_ons(ModelKind.LORA)
    return [studio.models.call_name(card) for card in cards if card.problem is None]


def ingredients(text: str) -> tuple[Ingredient, ...]:
    """Return the LoRAs that tags name, as in a prompt: ``<lora:name:0.8>``.

    Raises:
        RangeError: If there is something else, or a weight that is no number.
    """
    rest, tags = take_tags(text)
    hint = "Write one tag for each, such as <lora:name:0.8>."
    if rest.strip(" \n,") or any(tag.kind != "lora" or not tag.arguments for tag in tags):
        message = f"{(rest.strip() or text)[:80]!r} is no tag of a LoRA"
        raise RangeError(message, hint=hint, value=text[:80])
    found: list[Ingredient] = []
    for tag in tags:
        name, *weights = tag.arguments
        try:
            both = [float(weight) for weight in weights[:2]] or [1.0]
        except ValueError as error:
            message = f"the weight of {name[:80]!r} is {':'.join(weights)[:40]!r}"
            raise RangeError(message, hint=hint, value=name[:80]) from error
        found.append(Ingredient(name=name, weight=both[-1], text_weight=both[0]))
    return tuple(found)
