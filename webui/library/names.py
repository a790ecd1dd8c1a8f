"""By which names a model file is found: A1111's titles, aliases and closest match."""

import re
from collections.abc import Iterable, Iterator

from webui.library.cards import ModelCard


def aliases(card: ModelCard) -> Iterator[str]:
    """Yield every name under which a model is found exactly."""
    record = card.record
    yield record.name
    yield record.stem
    yield card.model_name
    if card.old_hash:
        yield card.old_hash
        yield f"{record.name} [{card.old_hash}]"
    if record.sha256:
        yield record.sha256
        yield record.shorthash
        yield record.title
        yield f"{record.stem} [{record.shorthash}]"


def exact(cards: Iterable[ModelCard], name: str) -> ModelCard | None:
    """Return the model of which this is an alias; of several the last in the list, as in A1111."""
    found = [card for card in cards if name in set(aliases(card))]
    return found[-1] if found else None


def closest(cards: Iterable[ModelCard], name: str) -> ModelCard | None:
    """Return the model that A1111 means by this: an alias, else the shortest title holding it.

    A trailing `` [hash]`` that leads nowhere is dropped and the rest is tried again.
    """
    listed = list(cards)
    bare = re.sub(r" \[[^\]]*\]$", "", name)
    for wanted in dict.fromkeys((name, bare)):
        holding = [card for card in listed if wanted and wanted in card.title]
        found = exact(listed, wanted) or min(
            holding, key=lambda card: len(card.title), default=None
        )
        if found:
            return found
    return None


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sort key by folder, then file, in which ``model2`` stands before ``model10``."""
    *folders, file = name.split("/")
    return ([_natural(folder) for folder in folders], _natural(file))


def _natural(text: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", text.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
