"""By which names a model file is found: A1111's titles, aliases and closest match."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from webui.library.cards import ModelCard

RESERVED: Final = frozenset({"none", "addams"})
"""Aliases that A1111 never takes from a file."""

_DIGITS: Final = re.compile(r"[0-9]+")


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


class Names:
    """The names of a list of model files, put in order once.

    Args:
        cards: All of one kind; of several with one alias the last is meant, as in A1111.
    """

    def __init__(self, cards: Iterable[ModelCard]) -> None:
        self._cards = tuple(cards)
        self._exact = {alias: card for card in self._cards for alias in aliases(card)}

    def exact(self, name: str) -> ModelCard | None:
        """Return the model of which this is an alias."""
        return self._exact.get(name)

    def closest(self, name: str) -> ModelCard | None:
        """Return the model that A1111 means: an alias, else the shortest title holding the name.

        A trailing `` [hash]`` that leads nowhere is dropped and the rest is tried again.
        """
        bare = re.sub(r" \[[^\]]*\]$", "", name)
        for wanted in dict.fromkeys((name, bare)):
            holding = (card for card in self._cards if wanted and wanted in card.title)
            found = self._exact.get(wanted) or min(
                holding, key=lambda card: len(card.title), default=None
            )
            if found:
                return found
        return None


class Calls:
    """The names by which prompts call add-ons: the alias in a file, or the file's own name.

    An alias that two files claim, or that means something else, calls neither (A1111's forbidden
    aliases); their file names still do.

    Args:
        cards: All of one kind.
    """

    def __init__(self, cards: Iterable[ModelCard]) -> None:
        self._stems: dict[str, ModelCard] = {}
        self._names: dict[str, ModelCard] = {}
        self._forbidden = set(RESERVED)
        for card in cards:
            alias = own_alias(card)
            if alias in self._names:
                self._forbidden.add(alias.lower())
            self._stems[card.record.stem] = card
            self._names[card.record.stem] = card
            self._names[alias] = card

    def find(self, name: str) -> ModelCard | None:
        """Return the add-on that a prompt calls by this name."""
        known = self._stems if name.lower() in self._forbidden else self._names
        return known.get(name)

    def name_of(self, card: ModelCard) -> str:
        """Return the name by which a prompt shall call this add-on."""
        alias = own_alias(card)
        return card.record.stem if alias.lower() in self._forbidden else alias


def own_alias(card: ModelCard) -> str:
    """Return the name that a LoRA file gives to itself, else that of the file."""
    return card.metadata.get("ss_output_name") or card.record.stem


def natural_key(name: str) -> tuple[str, str]:
    """Return a sort key by folder, then file, in which ``model2`` stands before ``model10``."""
    folder, _, file = name.lower().rpartition("/")
    return _folder_key(folder), _DIGITS.sub(_by_length, file)


@lru_cache(maxsize=4096)
def _folder_key(folder: str) -> str:
    return _DIGITS.sub(_by_length, folder).replace("/", "\0")


def _by_length(digits: re.Match[str]) -> str:
    """Write a number so that letters sort as numbers do: first how long it is, then what."""
    number = digits[0].lstrip("0")
    return f"\1{chr(len(number))}{number}"
