"""What model files there are: read from their headers, remembered until a file changes.

Listing looks only at the times of the folders, and every few seconds at those of all files, so it
is cheap; a new file is there at the next look. A file that cannot be read stays in the list with
the reason, and is left alone.
"""

import threading
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Final

from webui.library.cards import ModelCard
from webui.library.folders import ModelFolders
from webui.library.looking import Stamp, stamp
from webui.library.names import Calls, Names, natural_key
from webui.library.reading import check_kind, content_hash
from webui.library.remembered import Memory
from webui.library.room import Room
from webui.modules.errors import UnknownNameError
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.describe import describe

PATIENCE_SECONDS: Final = 2.0
"""So old may the times of single files be; those of folders are looked at on every question."""

_LISTED: Final = 20
"""How many names an error message shows."""


@dataclass(frozen=True)
class _Shown:
    """The list of one kind, made from what lay in some rooms then."""

    versions: tuple[int, ...]
    cards: tuple[ModelCard, ...]

    @cached_property
    def names(self) -> Names:
        """Every name of every file."""
        return Names(self.cards)

    @cached_property
    def calls(self) -> Calls:
        """Every name by which a prompt calls one."""
        return Calls(self.cards)

    @cached_property
    def by_path(self) -> dict[Path, ModelCard]:
        """The cards by their files."""
        return {card.record.path: card for card in self.cards}


class ModelIndex:
    """The model files of all folders.

    Args:
        database: The SQLite file.
        folders: The folders of each kind.
        hashing: Compute SHA-256 of files that are used; without it no infotext has a model hash.
        patience: See ``Room``.
    """

    def __init__(
        self,
        database: Path,
        folders: ModelFolders,
        *,
        hashing: bool = True,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._hashing = hashing
        self._memory = Memory(database=database)
        self._lock = threading.RLock()
        self._began = token_hex(4)
        roots = list(dict.fromkeys(root for listed in folders.values() for root in listed))
        self._rooms = [
            Room(
                root,
                [kind for kind, listed in folders.items() if root in listed],
                self._memory,
                hashing=hashing,
                patience=patience,
            )
            for root in roots
        ]
        self._shown: dict[ModelKind, _Shown] = {}

    def cards(self, kind: ModelKind) -> list[ModelCard]:
        """Return the files of a kind in A1111's order, refused ones among them."""
        return list(self._list(kind).cards)

    def calls(self, kind: ModelKind) -> Calls:
        """Return the names by which prompts call the files of a kind."""
        return self._list(kind).calls

    def card(self, record: ModelRecord) -> ModelCard:
        """Return what there is to know of a file; of one outside the folders, next to nothing."""
        return self._list(record.kind).by_path.get(record.path) or ModelCard(record=record)

    def version(self) -> str:
        """Look at all folders, and return a word that changes when some file does."""
        with self._lock:
            for room in self._rooms:
                room.look()
            return f"{self._began}-{sum(room.changes for room in self._rooms)}"

    def refresh(self) -> None:
        """Look at every file again at the next question."""
        with self._lock:
            for room in self._rooms:
                room.forget()

    def find(self, kind: ModelKind, name: str, *, exactly: bool = False) -> ModelCard:
        """Return the file that A1111 would mean by this name.

        Args:
            kind: Which folders.
            name: A title, file name, hash or part of a title.
            exactly: Only a full name or hash, no part of a title.

        Raises:
            UnknownNameError: If there is none.
        """
        card = self._search(kind, name, exactly=exactly)
        if card is None or not _fresh(card):
            self.refresh()
            card = self._search(kind, name, exactly=exactly)
        if card is None:
            titles = [card.title for card in self.cards(kind)]
            known = ", ".join(titles[:_LISTED]) or "none"
            message = f"there is no {kind} {name[:200]!r}"
            raise UnknownNameError(message, hint=f"There are: {known}.", value=name[:200])
        return card

    def usable(self, kind: ModelKind, name: str, *, exactly: bool = False) -> ModelRecord:
        """Return the record of a sound file, hashed if hashing is on.

        Raises:
            UnknownNameError: If there is none of this name.
            ModelError: If the file is refused; the reason is in the message.
        """
        return self.sound(self.find(kind, name, exactly=exactly))

    def sound(self, card: ModelCard) -> ModelRecord:
        """Return the record of a file that is not refused, hashed if hashing is on.

        Raises:
            ModelError: If the file is refused; the reason is in the message.
        """
        record = card.record
        if card.problem:
            check_kind(describe(record.path), record.path, record.kind)  # raises the very problem
        return self.hashed(record)

    def hashed(self, record: ModelRecord) -> ModelRecord:
        """Return the record with its SHA-256, computed once for each version of the file.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        if record.sha256 or not self._hashing or record.path.is_dir():
            return record
        found = replace(record, sha256=self._hash(record.path, "sha256"))
        with self._lock:
            card = self.card(record)
            for room in self._rooms:
                room.replace(replace(card, record=found))
        return found

    def content_hash(self, record: ModelRecord) -> str:
        """Return the SHA-256 of a safetensors file without its header; of another file, of all.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        return self._hash(record.path, "content_hash")

    def known_content_hash(self, record: ModelRecord) -> str:
        """Return the same if it was computed before, else nothing."""
        return self._memory.known_hash(record.path, stamp(str(record.path)), "content_hash")

    def _hash(self, path: Path, name: str) -> str:
        told: Stamp = stamp(str(path))
        known = self._memory.known_hash(path, told, name)
        if known:
            return known
        headless = name == "content_hash" and path.suffix == ".safetensors"
        found = content_hash(path, headless=headless)
        self._memory.keep_hash(path, told, **{name: found})
        return found

    def _search(self, kind: ModelKind, name: str, *, exactly: bool) -> ModelCard | None:
        names = self._list(kind).names
        return names.exact(name) if exactly else names.closest(name)

    def _list(self, kind: ModelKind) -> _Shown:
        with self._lock:
            rooms = [room for room in self._rooms if room.holds(kind)]
            for room in rooms:
                room.look()
            versions = tuple(room.version for room in rooms)
            shown = self._shown.get(kind)
            if shown is None or shown.versions != versions:
                shown = _Shown(versions, _ordered(rooms, kind))
                self._shown[kind] = shown
            return shown


def _ordered(rooms: list[Room], kind: ModelKind) -> tuple[ModelCard, ...]:
    found = {
        path: card
        for room in rooms
        for path, card in room.cards().items()
        if card.record.kind is kind and not card.mere_picture
    }
    return tuple(sorted(found.values(), key=lambda card: natural_key(card.record.name)))


def _fresh(card: ModelCard) -> bool:
    told = stamp(str(card.record.path))
    return told == (card.changed, card.size)
