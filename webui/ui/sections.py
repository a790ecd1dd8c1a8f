"""What all sections of a form do alike: matched with a request by the names of their fields."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, cast

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from webui.modules.errors import RangeError
from webui.modules.sampling.catalogue import find_sampler, find_scheduler

SEVERAL: Final = frozenset({"seed_resize_from", "plain_words"})
"""Fields of a request that hold several values."""

Updates = dict[Block, Any]
"""What an event sends back to the page: a change for each component it touches."""


def components_of(section: Any) -> set[Block]:
    """Return the components of a section and of the sections within it."""
    found: set[Block] = set()
    for field in fields(section):
        part: Any = getattr(section, field.name)
        several = cast("tuple[Any, ...]", part if isinstance(part, tuple) else (part,))
        for each in several:
            if isinstance(each, Component):
                found.add(each)
            elif is_dataclass(each):
                found |= components_of(each)
    return found


def gather(section: Any, names: Iterable[str], values: Mapping[Block, Any]) -> dict[str, Any]:
    """Return what stands in these fields of a section."""
    return {name: values[getattr(section, name)] for name in names}


def check_numbers(found: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check that no number is missing.

    Raises:
        RangeError: If one is; the message names it.
    """
    for name in names:
        if found[name] is None:
            message = f"{name.replace('_', ' ')} is empty"
            raise RangeError(message, hint="Enter a number.", value=name)


def put(section: Any, wished: Mapping[str, Any]) -> Updates:
    """Return the updates that put values into the fields of these names."""
    return {getattr(section, name): gr.update(value=value) for name, value in wished.items()}


def named(request: Any) -> dict[str, Any]:
    """Return the fields of a part of a request by name."""
    if isinstance(request, Mapping):
        return {str(name): value for name, value in request.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - any mapping
    return {field.name: getattr(request, field.name) for field in fields(request)}


def labelled(wished: Mapping[str, Any]) -> dict[str, Any]:
    """Name sampler and schedule as the lists do; "DPM++ 2M Karras" names both.

    Raises:
        UnknownNameError: If there is no such sampler or schedule.
    """
    found = dict(wished)
    if found.get("scheduler"):
        found["scheduler"] = find_scheduler(found["scheduler"]).label
    if found.get("sampler"):
        sampler, scheduler = find_sampler(found["sampler"])
        found["sampler"] = sampler.label
        if scheduler and found.get("scheduler") in (None, "", "Automatic"):
            found["scheduler"] = scheduler.label
    return found


def written(value: object) -> str:
    """Return a value as it stands among the override settings."""
    return value if isinstance(value, str) else json.dumps(value)


def override(entry: str) -> tuple[str, Any]:
    """Read one override setting, such as ``eta: 0.5`` or ``randn_source: GPU``."""
    name, _, text = entry.partition(":")
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text.strip()
    if name.strip() in SEVERAL and isinstance(value, list):
        value = tuple(cast("list[Any]", value))
    return name.strip(), value
