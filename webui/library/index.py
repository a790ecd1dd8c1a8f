"""What model files there are: read from their headers, remembered until a file changes.

Listing looks only at the times of the folders, so it is cheap; a new file is there at the next
look. A file that cannot be read stays in the list with the reason, and is left alone.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from webui.library.cards import ModelCard, Problem
from webui.library.database import prepare, reading, writing
from webui.library.folders import (
    DIFFUSERS_INDEX,
    ModelFolders,
    folders_below,
    is_vae_name,
    model_files,
    rule,
)
from webui.library.names import closest, exact, natural_key
from webui.library.sidecars import read_sidecars
from webui.modules.errors import ModelError, StorageError, UnknownNameError, UnsupportedModelError
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.describe import Facts, describe

OLD_HASH_OFFSET: Final = 0x100000
"""Where A1111's first kind of hash begins, in bytes."""

OLD_HASH_LENGTH: Final = 0x10000
"""How many bytes it covers."""

_LISTED: Final = 20
"""How many names an error message shows."""

_VERSIONS: Final = (
    """
    CREATE TABLE model_files (
        path TEXT PRIMARY KEY,
        modified INTEGER NOT NULL,
        size INTEGER NOT NULL,
        kind TEXT NOT NULL,
        family TEXT NOT NULL,
        format TEXT NOT NULL,
        tensors INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        old_hash TEXT NOT NULL,
        sha256 TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stamp:
    """By which a changed file is noticed."""

    modified: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Snapshot:
    """The list of one kind, and the times of the folders when it was made."""

    cards: tuple[ModelCard, ...]
    stamps: Mapping[Path, _Stamp | None]
    folder_times: Mapping[Path, int]


_Row = tuple[str | int, ...]
"""What is remembered of a file, in the order of the table's columns."""


class ModelIndex:
    """The model files of all folders.

    Args:
        database: The SQLite file.
        folders: The folders of each kind.
        hashing: Compute SHA-256 of files that are used; without it no infotext has a model hash.
    """

    def __init__(self, database: Path, folders: ModelFolders, *, hashing: bool = True) -> None:
        self._database = database
        self._folders = folders
        self._hashing = hashing
        self._snapshots: dict[ModelKind, _Snapshot] = {}
        self._content_hashes: dict[Path, tuple[_Stamp | None, str]] = {}
        self._lock = threading.RLock()
        prepare(database, table="model_files", versions=_VERSIONS)

    def cards(self, kind: ModelKind) -> list[ModelCard]:
        """Return the files of a kind in A1111's order, refused ones among them."""
        with self._lock:
            snapshot = self._snapshots.get(kind)
            if snapshot is None or snapshot.folder_times != self._folder_times(kind):
                snapshot = self._scan(kind)
            return list(snapshot.cards)

    def refresh(self) -> None:
        """Look at every file again at the next question."""
        with self._lock:
            self._snapshots.clear()

    def find(self, kind: ModelKind, name: str, *, exactly: bool = False) -> ModelCard:
        """Return the file that A1111 would mean by this name.

        Args:
            kind: Which folders.
            name: A title, file name, hash or part of a title.
            exactly: Only a full name or hash, no part of a title.

        Raises:
            UnknownNameError: If there is none.
        """
        search = exact if exactly else closest
        card = search(self.cards(kind), name)
        if card is None or not self._fresh(card):
            self.refresh()
            card = search(self.cards(kind), name)
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
        card = self.find(kind, name, exactly=exactly)
        if card.problem:
            _facts_of_kind(card.record.path, kind)  # raises the very problem
        return self.hashed(card.record)

    def hashed(self, record: ModelRecord) -> ModelRecord:
        """Return the record with its SHA-256, computed once for each version of the file.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        if record.sha256 or not self._hashing or record.path.is_dir():
            return record
        stamp = _stamp(record.path)
        sha256 = self._known_hash(record.path, stamp) or _sha256(record.path)
        with writing(self._database) as connection:
            connection.execute(
                "UPDATE model_files SET sha256 = ? WHERE path = ? AND modified = ? AND size = ?",
                (sha256, str(record.path), *_times(stamp)),
            )
        found = replace(record, sha256=sha256)
        with self._lock:
            for kind, snapshot in list(self._snapshots.items()):
                cards = (
                    replace(card, record=found) if card.record.path == record.path else card
                    for card in snapshot.cards
                )
                self._snapshots[kind] = replace(snapshot, cards=tuple(cards))
        return found

    def content_hash(self, record: ModelRecord) -> str:
        """Return the SHA-256 of a safetensors file without its header; of another file, of all.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        stamp = _stamp(record.path)
        with self._lock:
            known = self._content_hashes.get(record.path)
            if known is not None and known[0] == stamp:
                return known[1]
        found = _sha256(record.path, headless=record.path.suffix == ".safetensors")
        with self._lock:
            self._content_hashes[record.path] = (stamp, found)
        return found

    def _scan(self, kind: ModelKind) -> _Snapshot:
        times = self._folder_times(kind)
        fresh: list[_Row] = []
        cards = {card.record.path: card for card in self._cards_of(kind, fresh)}
        self._remember(fresh)
        ordered = sorted(cards.values(), key=lambda card: natural_key(card.record.name))
        stamps = {path: _stamp(path) for path in cards}
        snapshot = _Snapshot(cards=tuple(ordered), stamps=stamps, folder_times=times)
        self._snapshots[kind] = snapshot
        return snapshot

    def _roots(self, kind: ModelKind) -> Iterator[Path]:
        yield from self._folders.get(kind, ())
        if kind is ModelKind.VAE:
            yield from self._folders.get(ModelKind.CHECKPOINT, ())

    def _folder_times(self, kind: ModelKind) -> dict[Path, int]:
        times: dict[Path, int] = {}
        for root in self._roots(kind):
            for folder in folders_below(root):
                with suppress(OSError):
                    times[folder] = folder.stat().st_mtime_ns
        return times

    def _fresh(self, card: ModelCard) -> bool:
        with self._lock:
            snapshot = self._snapshots.get(card.record.kind)
        known = snapshot.stamps.get(card.record.path) if snapshot else None
        return known is not None and known == _stamp(card.record.path)

    def _remember(self, fresh: list[_Row]) -> None:
        if not fresh:
            return
        with writing(self._database) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO model_files (path, modified, size, kind, family, format,"
                " tensors, metadata, old_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                fresh,
            )

    def _cards_of(self, kind: ModelKind, fresh: list[_Row]) -> Iterator[ModelCard]:
        remembered = self._remembered(kind)
        own_vaes = set(self._folders.get(ModelKind.CHECKPOINT, ()))
        for root in self._roots(kind):
            beside = kind is ModelKind.VAE and root in own_vaes
            for path in model_files(root, rule(kind).extensions):
                is_vae = is_vae_name(path.name)
                if (kind is ModelKind.CHECKPOINT and is_vae) or (beside and not is_vae):
                    continue
                card = _outside(path, root=root, kind=kind)
                completed = self._completed(card, remembered, fresh)
                others = [] if beside else [other for other in self._sharing(root) if other != kind]
                told_there = bool(others) and (
                    self._sharing(root)[0] != kind or _is_of(path, others)
                )
                if completed.problem is None or not told_there:
                    yield completed

    def _sharing(self, root: Path) -> list[ModelKind]:
        """Return the kinds whose files lie in this folder."""
        return [kind for kind, roots in self._folders.items() if root in roots]

    def _completed(
        self, card: ModelCard, remembered: Mapping[str, sqlite3.Row], fresh: list[_Row]
    ) -> ModelCard:
        path = card.record.path
        row, stamp = remembered.get(str(path)), _stamp(path)
        try:
            if row and stamp == _Stamp(modified=row["modified"], size=row["size"]):
                return self._recalled(card, row)
            return _read(card, stamp, fresh)
        except (ModelError, StorageError) as error:
            problem = Problem(code=error.code, message=str(error), hint=error.hint)
            return replace(card, problem=problem)

    def _remembered(self, kind: ModelKind) -> dict[str, sqlite3.Row]:
        with reading(self._database) as connection:
            rows = connection.execute("SELECT * FROM model_files WHERE kind = ?", (kind,))
            return {row["path"]: row for row in rows}

    def _recalled(self, card: ModelCard, row: sqlite3.Row) -> ModelCard:
        sha256 = row["sha256"] if self._hashing else ""
        return replace(
            card,
            record=replace(card.record, family=row["family"], sha256=sha256),
            format=row["format"],
            old_hash=row["old_hash"],
            metadata=json.loads(row["metadata"]),
        )

    def _known_hash(self, path: Path, stamp: _Stamp | None) -> str:
        with reading(self._database) as connection:
            row = connection.execute(
                "SELECT sha256 FROM model_files WHERE path = ? AND modified = ? AND size = ?",
                (str(path), *_times(stamp)),
            ).fetchone()
        return row["sha256"] if row else ""


def _outside(path: Path, *, root: Path, kind: ModelKind) -> ModelCard:
    """Return what can be told of a file without opening it."""
    beside = read_sidecars(path)
    record = ModelRecord(
        path=path.absolute(),
        kind=kind,
        name=path.relative_to(root).as_posix(),
        config=beside.config,
    )
    return ModelCard(
        record=record,
        description=beside.description,
        notes=beside.notes,
        vae=beside.vae,
        suggested=beside.suggested,
        trigger_words=beside.trigger_words,
        preview=beside.preview,
    )


def _read(card: ModelCard, stamp: _Stamp | None, fresh: list[_Row]) -> ModelCard:
    """Complete a card from the file's header, and add what is to be remembered of it."""
    path = card.record.path
    if stamp is None:
        message = f"{path.name} cannot be read"
        hint = "Is the disk connected, and may this program read the file?"
        raise StorageError(message, hint=hint, value=path.name)
    facts = _facts_of_kind(path, card.record.kind)
    old_hash = "" if path.is_dir() else _old_hash(path)
    metadata = dict(facts.metadata)
    fresh.append(
        (
            str(path),
            stamp.modified,
            stamp.size,
            facts.kind,
            facts.family,
            facts.format,
            facts.tensors,
            json.dumps(metadata),
            old_hash,
        )
    )
    record = replace(card.record, family=facts.family)
    return replace(card, record=record, format=facts.format, old_hash=old_hash, metadata=metadata)


def _times(stamp: _Stamp | None) -> tuple[int, int]:
    return (stamp.modified, stamp.size) if stamp else (0, 0)


def _facts_of_kind(path: Path, kind: ModelKind) -> Facts:
    facts = describe(path)
    if facts.kind is not kind:
        message = f"{path.name} is no {kind} but {_kind_in_words(facts.kind)}"
        hint = f"Put it into the folder {_folder_of(facts.kind)}."
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    return facts


def _is_of(path: Path, kinds: Collection[ModelKind]) -> bool:
    """Tell whether a sound file is of one of these kinds."""
    try:
        return bool(kinds) and describe(path).kind in kinds
    except (ModelError, StorageError):
        return False


def _kind_in_words(kind: ModelKind) -> str:
    return "of no kind that we know" if kind is ModelKind.UNKNOWN else f"a file of kind {kind}"


def _folder_of(kind: ModelKind) -> str:
    try:
        return rule(kind).folder
    except StopIteration:
        return "that its program names"


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = (path / DIFFUSERS_INDEX if path.is_dir() else path).stat()
    except OSError:
        return None
    return _Stamp(modified=status.st_mtime_ns, size=status.st_size)


def _sha256(path: Path, *, headless: bool = False) -> str:
    try:
        with path.open("rb") as file:
            if headless:
                file.seek(8 + int.from_bytes(file.read(8), "little"))
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path.name} cannot be read to its end ({error.strerror})"
        raise StorageError(message, hint="Copy the file again.", value=path.name) from error


def _old_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(OLD_HASH_OFFSET)
            return hashlib.sha256(file.read(OLD_HASH_LENGTH)).hexdigest()[:8]
    except OSError as error:
        message = f"{path.name} cannot be read ({error.strerror})"
        raise StorageError(message, hint="Copy the file again.", value=path.name) from error
