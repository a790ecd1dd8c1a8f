"""The txt2img form: components on one side, a request on the other, matched by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.modules.errors import RangeError
from webui.modules.sampling.catalogue import find_sampler, find_scheduler
from webui.services.models import Suggested
from webui.services.requests import GenerationRequest

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

SUGGESTED: Final = ("width", "height", "steps", "guidance", "sampler", "scheduler")
"""Fields for which a checkpoint suggests values."""

REQUEST_FIELDS: Final = frozenset(field.name for field in fields(GenerationRequest))

Updates = dict[Block, Any]
"""What an event sends back to the page: a change for each component it touches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Txt2ImgForm:
    """One field per component, so a new slider cannot shift the others.

    Attributes:
        overrides: Settings of one request that have no component of their own.
        filled_for: Not shown: the checkpoint whose suggestions fill the form.
    """

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
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

    def components(self) -> set[Block]:
        """Everything to hand to ``click(inputs=...)``; a set makes Gradio send a dict."""
        return {getattr(self, field.name) for field in fields(self)}

    def read(self, values: Mapping[Block, Any]) -> GenerationRequest:
        """Turn what Gradio sends into a request.

        Raises:
            RangeError: If a number is missing.
        """
        found = {name: values[getattr(self, name)] for name in SHARED}
        for name in NUMBERS:
            if found[name] is None:
                message = f"{name.replace('_', ' ')} is empty"
                raise RangeError(message, hint="Enter a number.", value=name)
        found |= {name: int(found[name]) for name in WHOLE}
        found |= {name: found[name] or "" for name in TEXTS}
        found |= {name: found[name] or None for name in CHOICES}
        entries: list[str] = values[self.overrides] or []
        more = dict(map(_override, entries))
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
        own = {name: rest.pop(name) for name in SHARED if rest.get(name) is not None}
        updates: Updates = {
            getattr(self, name): gr.update(value=value) for name, value in _labelled(own).items()
        }
        extra = {name: value for name, value in rest.items() if name not in SHARED} | options
        entries = [f"{name}: {_written(value)}" for name, value in extra.items()]
        updates[self.overrides] = gr.update(value=entries, choices=entries)
        return updates

    def suggest(self, suggested: Suggested) -> Updates:
        """Return the updates that put all values into the form that a checkpoint suggests."""
        wished = _labelled({name: getattr(suggested, name) for name in SUGGESTED})
        return {getattr(self, name): gr.update(value=value) for name, value in wished.items()}

    def follow(
        self, values: Mapping[Block, Any], *, old: Suggested, new: Suggested
    ) -> tuple[Updates, bool]:
        """Move the fields that nobody has touched to another checkpoint's values.

        Returns:
            The updates, and whether a touched field differs from what is suggested now.
        """
        before = _labelled({name: getattr(old, name) for name in SUGGESTED})
        after = _labelled({name: getattr(new, name) for name in SUGGESTED})
        now = {name: values[getattr(self, name)] for name in SUGGESTED}
        untouched = [name for name in SUGGESTED if now[name] == before[name]]
        updates: Updates = {getattr(self, name): gr.update(value=after[name]) for name in untouched}
        return updates, any(now[name] != after[name] for name in SUGGESTED if name not in untouched)


def _labelled(wished: Mapping[str, Any]) -> dict[str, Any]:
    """Name sampler and schedule as the lists do; "DPM++ 2M Karras" names both."""
    labelled = dict(wished)
    if "scheduler" in labelled:
        labelled["scheduler"] = find_scheduler(labelled["scheduler"]).label
    if "sampler" in labelled:
        sampler, scheduler = find_sampler(labelled["sampler"])
        labelled["sampler"] = sampler.label
        if scheduler and labelled.get("scheduler") in (None, "Automatic"):
            labelled["scheduler"] = scheduler.label
    return labelled


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _override(entry: str) -> tuple[str, Any]:
    """Read one override setting, such as ``eta: 0.5`` or ``randn_source: GPU``."""
    name, _, text = entry.partition(":")
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text.strip()
    sides = name.strip() == "seed_resize_from"
    return name.strip(), tuple(value) if sides else value
