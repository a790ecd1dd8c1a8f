"""One model folder with everything below it: looked at often, read only where something changed."""

import gc
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from webui.library.cards import ModelCard
from webui.library.folders import is_vae_name, rule
from webui.library.looking import Shelf, look, settled, still
from webui.library.reading import card_of, remember, unreadable
from webui.library.remembered import Memory, Remembered, Row
from webui.library.seen import Seen, models_in
from webui.library.sidecars import SUFFIXES
from webui.modules.errors import StorageError
from webui.modules.types import ModelKind

ANYTIME: Final = float("-inf")
"""A look that is too old for everything."""


class _Known(NamedTuple):
    """A card, how its file was seen then, and whether the file could be opened."""

    seen: Seen
    card: ModelCard
    opened: bool = True


class Room:
    """One model folder.

    Args:
        root: The folder; it may be missing.
        kinds: Which may lie there; a file of none of them is a problem of the first.
        memory: What was read before.
        hashing: Whether cards show hashes.
        patience: Seconds after which every file's time is looked at again; a folder's own time,
            which tells what came and went, is looked at on every question.

    Attributes:
        version: Counts the lists of cards.
        changes: Counts the looks that found the files changed.
    """

    def __init__(
        self,
        root: Path,
        kinds: Sequence[ModelKind],
        memory: Memory,
        *,
        hashing: bool,
        patience: float,
    ) -> None:
        self.root = root.absolute()
        self.kinds = tuple(kinds)
        self.version = 0
        self.changes = 0
        self._memory = memory
        self._hashing = hashing
        self._patience = patience
        self._extensions = frozenset(end for kind in kinds for end in rule(kind).extensions)
        self._shelves: list[Shelf] | None = None
        self._looked = ANYTIME
        self._settled = False
        self._known: dict[str, _Known] = {}

    def holds(self, kind: ModelKind) -> bool:
        """Tell whether files of a kind may lie here; VAEs also stand beside checkpoints."""
        own_vaes = kind is ModelKind.VAE and ModelKind.CHECKPOINT in self.kinds
        return kind in self.kinds or own_vaes

    def cards(self) -> dict[str, ModelCard]:
        """Return the cards as they were at the last look, by the paths of their files."""
        return {path: known.card for path, known in self._known.items()}

    def look(self) -> None:
        """Look whether something changed, as thoroughly as is due."""
        now = time.monotonic()
        due = now - self._looked >= self._patience or not self._settled
        if self._shelves is not None and not due and still(self._shelves):
            return
        began = time.time_ns()
        shelves = look(self.root, self._extensions | SUFFIXES)
        self._looked, self._settled = now, settled(shelves, now=began)
        if shelves != self._shelves:
            self._shelves = shelves
            self._take(shelves)

    def forget(self) -> None:
        """Look thoroughly at the next question, and try again what could not be read."""
        self._looked = ANYTIME
        if not all(known.opened for known in self._known.values()):
            self._shelves = None

    def replace(self, card: ModelCard) -> None:
        """Put a card in place of that of the same file."""
        path = str(card.record.path)
        if path in self._known:
            self._known[path] = self._known[path]._replace(card=card)
            self.version += 1

    def _take(self, shelves: Sequence[Shelf]) -> None:
        with _without_collecting():
            fresh = self._look_through(shelves)
        self._memory.keep(fresh)
        self.version += 1
        self.changes += 1

    def _look_through(self, shelves: Sequence[Shelf]) -> list[Row]:
        """Make the cards anew where something changed; return what is to be remembered."""
        before, self._known = self._known, {}
        remembered: Remembered | None = None
        fresh: list[Row] = []
        for shelf in shelves:
            for seen in models_in(shelf, self._extensions):
                known = before.get(seen.path)
                if known and known.opened and known.seen == seen:
                    self._known[seen.path] = known
                    continue
                if remembered is None:
                    remembered = self._memory.below(self.root)
                self._known[seen.path] = self._complete(seen, remembered.get(seen.path), fresh)
        return fresh

    def _complete(self, seen: Seen, row: Row | None, fresh: list[Row]) -> _Known:
        kinds = self._expected(seen)
        try:
            told = remember(seen, row)
        except StorageError as error:
            return _Known(seen, unreadable(seen, error, kinds[0]), opened=False)
        if told is not row:
            fresh.append(told)
        return _Known(seen, card_of(seen, told, kinds, hashing=self._hashing))

    def _expected(self, seen: Seen) -> Sequence[ModelKind]:
        if ModelKind.CHECKPOINT in self.kinds and is_vae_name(seen.name):
            return (ModelKind.VAE,)
        return self.kinds


@contextmanager
def _without_collecting() -> Generator[None]:
    """Look for no garbage meanwhile.

    Many thousand objects are made that all stay; looking through them takes as long as making them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
