"""LoRA files that a settings text calls by another name than they have here, found by their hash.

A settings text says ``Lora hashes: "name: 12 hex digits"``. As in A1111, a tag of such a name is
written anew with the name that the file has here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from webui.library.cards import ModelCard
from webui.modules.types import ModelKind
from webui.services.layer_tags import KINDS
from webui.services.models import Models
from webui.services.requests import HiresRequest

HEX: Final = 12
"""Digits by which A1111 tells add-ons apart."""

MOST_BYTES: Final = 2 * 2**30
"""So much of files whose hash is not known yet is read in search of one."""

HASHES: Final = "Lora hashes"


def with_names_here(
    fields: Mapping[str, Any], parsed: Mapping[str, str | int | bool], models: Models
) -> dict[str, Any]:
    """Return the fields of a request with the tags of LoRA files named as they are here.

    Args:
        fields: Of a ``GenerationRequest``; "hires" may be the mapping or the request of it.
        parsed: The settings text that they came from.
        models: The files of this server.
    """
    found = dict(fields)
    named = _renamed(read_hashes(str(parsed.get(HASHES, ""))), models)
    if not named:
        return found
    found["prompt"] = renamed(str(found.get("prompt", "")), named.get)
    hires = found.get("hires")
    if isinstance(hires, HiresRequest):
        found["hires"] = replace(hires, prompt=renamed(hires.prompt, named.get))
    elif hires:
        found["hires"] = {**hires, "prompt": renamed(hires.get("prompt", ""), named.get)}
    return found


def read_hashes(text: str) -> dict[str, str]:
    """Return the hashes by name that the value of "Lora hashes" says."""
    pairs = (part.rpartition(":") for part in text.split(","))
    return {
        name.strip(): mark.strip().lower()
        for name, colon, mark in pairs
        if colon and name.strip() and mark.strip()
    }


def renamed(prompt: str, name_of: Callable[[str], str | None]) -> str:
    """Return a prompt with other names in its tags of LoRA files; all else stays as it is."""
    parts: list[str] = []
    for place, part in enumerate(prompt.split("<")):
        kind, colon, rest = part.partition(":")
        if place and colon and ">" in rest and KINDS.get(kind) is ModelKind.LORA:
            end = min(at for at in (rest.find(":"), rest.find(">")) if at >= 0)
            name = rest[:end]
            part = f"{kind}:{name_of(name) or name}{rest[end:]}"  # noqa: PLW2901 - the tag written anew
        parts.append(part)
    return "<".join(parts)


def _renamed(hashes: Mapping[str, str], models: Models) -> dict[str, str]:
    """Return the name here of each file that has another one in the text."""
    listed = [card for card in models.add_ons(ModelKind.LORA) if not card.problem]
    found: dict[str, str] = {}
    for name, mark in hashes.items():
        card = _of_hash(mark[:HEX], name, listed, models)
        if card is not None and models.call_name(card) != name:
            # A file that has this name here as well is the one that is meant.
            called = models.called(name)
            if called is None or called.record.path != card.record.path:
                found[name] = models.call_name(card)
    return found


def _of_hash(mark: str, name: str, cards: list[ModelCard], models: Models) -> ModelCard | None:
    """Return the file of a hash; unless one has the name, files are read in search of it."""
    unread: list[ModelCard] = []
    for card in cards:
        known = models.known_mark(card)
        if known == mark:
            return card
        if not known:
            unread.append(card)
    if models.called(name) is not None:
        return None
    left = MOST_BYTES
    for card in sorted(unread, key=lambda card: card.size):
        left -= card.size
        if left < 0:
            break
        if models.mark(card) == mark:
            return card
    return None
