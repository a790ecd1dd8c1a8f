"""Finding model files: by kind, by words, by what fits a checkpoint; a page at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from webui.library.cards import ModelCard
from webui.modules.types import ModelKind

MOST: Final = 500
"""Cards of one page."""

Order = Literal["name", "newest", "largest"]
"""How a list is sorted; "name" is A1111's order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What somebody looks for.

    Attributes:
        kind: Only this kind; None for all.
        text: Words that all occur in what is known of a file.
        fits: Only what acts wholly or partly on this checkpoint; empty for all.
        order: How the list is sorted.
        offset: How many to pass over.
        limit: How many to show; 0 for all.
    """

    kind: ModelKind | None = None
    text: str = ""
    fits: str = ""
    order: Order = "name"
    offset: int = 0
    limit: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What was found.

    Attributes:
        cards: One page of it.
        more: Whether there is a next page.
        total: How many there are; None where counting would mean to open every file.
    """

    cards: tuple[ModelCard, ...]
    more: bool
    total: int | None


def matching(cards: Iterable[ModelCard], text: str) -> Iterator[ModelCard]:
    """Yield the cards that hold all words of a text, in any case."""
    words = text.lower().split()
    for card in cards:
        said = _said(card) if words else ""
        if all(word in said for word in words):
            yield card


def ordered(cards: Iterable[ModelCard], order: Order) -> list[ModelCard]:
    """Return the cards in this order; those that are alike stay in A1111's."""
    listed = list(cards)
    if order == "newest":
        listed.sort(key=lambda card: -card.changed)
    if order == "largest":
        listed.sort(key=lambda card: -card.size)
    return listed


def page_of(cards: Iterable[ModelCard], search: Search, *, counted: bool) -> Page:
    """Return one page; of an endless search no more is looked at than it needs."""
    listed = list(cards) if counted else cards
    total = len(listed) if isinstance(listed, list) else None
    offset = max(0, search.offset)
    limit = min(search.limit, MOST) if search.limit > 0 else None
    found = list(islice(listed, offset, offset + limit + 1 if limit else None))
    shown = found[:limit] if limit else found
    return Page(cards=tuple(shown), more=len(found) > len(shown), total=total)


def _said(card: ModelCard) -> str:
    record = card.record
    parts = (
        record.name, card.given_title, card.trigger_words, record.family, card.base,
        card.description, card.notes, record.kind.value, card.metadata.get("ss_output_name", ""),
        record.sha256, card.old_hash,
    )  # fmt: skip
    return "\n".join(parts).lower()
