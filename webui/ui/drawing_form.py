"""A drawing form: components on one side, a request on the other, matched by name.

Both tabs that draw have a form of this kind. One begins with noise and may go on with hires fix,
the other begins with a picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.services.models import Suggested
from webui.services.requests import GenerationRequest
from webui.ui.extension_fields import ExtensionFields
from webui.ui.hires_fields import HiresFields
from webui.ui.refiner_fields import RefinerFields
from webui.ui.script_fields import ScriptFields
from webui.ui.sections import (
    Updates,
    check_numbers,
    components_of,
    gather,
    labelled,
    override,
    put,
    written,
)
from webui.ui.start_fields import StartFields, unseen_options

WHOLE: Final = (
    "seed",
    "steps",
    "width",
    "height",
    "batch_size",
    "batch_count",
    "clip_skip",
    "subseed",
)
"""Fields that hold a whole number."""

NUMBERS: Final = (*WHOLE, "guidance", "subseed_strength")
"""Fields that must not be empty."""

TEXTS: Final = ("prompt", "negative_prompt")

CHOICES: Final = ("checkpoint", "sampler", "scheduler", "vae")
"""Fields with a list; without a choice the server chooses."""

SHARED: Final = (*TEXTS, *CHOICES, *NUMBERS, "tiling")
"""Components that have the name and the meaning of a field of the request."""

SECTIONS: Final = ("hires", "refiner", "start", "extensions")
"""Fields of the request with a section of their own."""

SUGGESTED: Final = ("width", "height", "steps", "guidance", "sampler", "scheduler")
"""Fields for which a checkpoint suggests values."""

REQUEST_FIELDS: Final = frozenset(field.name for field in fields(GenerationRequest)) - {
    *SECTIONS,
    "styles",
    "options",
}
"""Fields of the request that can stand among the override settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingForm:
    """One field per component, so a new slider cannot shift the others.

    Attributes:
        overrides: Settings of one request that have no component of their own.
        filled_for: Not shown: the checkpoint whose suggestions fill the form.
        script: Many pictures as one job; no part of a single request.
        hires: A second, larger pass; None where there is none.
        start: The picture to start from; None where drawing starts from noise.
        extensions: A section for each extension that has one.
    """

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    styles: gr.Dropdown
    checkpoint: gr.Dropdown
    sampler: gr.Dropdown
    scheduler: gr.Dropdown
    steps: gr.Slider
    guidance: gr.Slider
    width: gr.Number
    height: gr.Number
    batch_size: gr.Number
    batch_count: gr.Number
    seed: gr.Number
    clip_skip: gr.Slider
    vae: gr.Dropdown
    subseed: gr.Number
    subseed_strength: gr.Slider
    tiling: gr.Checkbox
    overrides: gr.Dropdown
    filled_for: gr.Textbox
    refiner: RefinerFields
    script: ScriptFields
    hires: HiresFields | None = None
    start: StartFields | None = None
    extensions: tuple[ExtensionFields, ...] = ()

    def components(self) -> set[Block]:
        """Everything to hand to ``click(inputs=...)``; a set makes Gradio send a dict."""
        return components_of(self)

    def read(self, values: Mapping[Block, Any]) -> GenerationRequest:
        """Turn what Gradio sends into a request, without the picture to start from.

        Raises:
            RangeError: If a number is missing.
        """
        found = gather(self, SHARED, values)
        check_numbers(found, NUMBERS)
        found |= {name: int(found[name]) for name in WHOLE}
        found |= {name: found[name] or "" for name in TEXTS}
        found |= {name: found[name] or None for name in CHOICES}
        found["styles"] = tuple(values[self.styles] or ())
        found["refiner"] = self.refiner.read(values)
        found["hires"] = self.hires.read(values) if self.hires else None
        asked = {extension.name: extension.read(values) for extension in self.extensions}
        found["extensions"] = {name: given for name, given in asked.items() if given}
        entries: list[str] = values[self.overrides] or []
        more = dict(map(override, entries))
        options = {name: more.pop(name) for name in list(more) if name not in REQUEST_FIELDS}
        return GenerationRequest(**found | more, options=options)

    def fill(self, wished: Mapping[str, Any]) -> Updates:
        """Return the updates that put these fields of a request into the form.

        Fields that have no component of their own go into the override settings, so that nothing
        that shaped a picture is lost on the way back.

        Raises:
            UnknownNameError: If there is no such sampler or schedule.
        """
        rest = dict(wished)
        options: dict[str, Any] = dict(rest.pop("options", {}))
        sections = {name: rest.pop(name, None) for name in SECTIONS}
        styles = list(rest.pop("styles", ()))
        own = {name: rest.pop(name) for name in SHARED if rest.get(name) is not None}
        updates = put(self, labelled(own)) | put(self, {"styles": styles})
        updates |= self.refiner.fill(sections["refiner"])
        if self.hires:
            updates |= self.hires.fill(sections["hires"])
        added: Mapping[str, Any] = sections["extensions"] or {}
        for extension in self.extensions:
            updates |= extension.fill(added.get(extension.name))
        if self.start:
            options |= unseen_options(sections["start"])
            updates |= self.start.fill(sections["start"])
        extra = {name: value for name, value in rest.items() if name not in SHARED} | options
        entries = [f"{name}: {written(value)}" for name, value in extra.items()]
        updates[self.overrides] = gr.update(value=entries, choices=entries)
        return updates

    def suggest(self, suggested: Suggested) -> Updates:
        """Return the updates that put all values into the form that a checkpoint suggests."""
        return put(self, labelled({name: getattr(suggested, name) for name in SUGGESTED}))

    def follow(
        self, values: Mapping[Block, Any], *, old: Suggested, new: Suggested
    ) -> tuple[Updates, bool]:
        """Move the fields that nobody has touched to another checkpoint's values.

        Returns:
            The updates, and whether a touched field differs from what is suggested now.
        """
        before = labelled({name: getattr(old, name) for name in SUGGESTED})
        after = labelled({name: getattr(new, name) for name in SUGGESTED})
        now = {name: values[getattr(self, name)] for name in SUGGESTED}
        untouched = [name for name in SUGGESTED if now[name] == before[name]]
        updates: Updates = put(self, {name: after[name] for name in untouched})
        return updates, any(now[name] != after[name] for name in SUGGESTED if name not in untouched)
