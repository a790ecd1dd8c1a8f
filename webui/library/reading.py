"""From a file on the disk to its card: read once, then remembered until the file changes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from webui.library.cards import ModelCard, Problem
from webui.library.folders import rule
from webui.library.remembered import Row
from webui.library.seen import Seen
from webui.library.sidecars import (
    CONFIG,
    NOTHING,
    Sidecars,
    preview_of,
    read_sidecars,
    sayable,
    told_by,
)
from webui.modules.errors import ModelError, StorageError, UnsupportedModelError
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.describe import Facts, describe

OLD_HASH_OFFSET: Final = 0x100000
"""Where A1111's first kind of hash begins, in bytes."""

OLD_HASH_LENGTH: Final = 0x10000
"""How many bytes it covers."""

MAX_VALUE: Final = 2000
"""A longer text of a file's metadata stays in the file, in characters; ten thousand would not fit
into the memory."""

_decode: Final = json.JSONDecoder().raw_decode
"""What ``json.loads`` does, without asking ten thousand times how."""

_KINDS: Final = {kind.value: kind for kind in ModelKind}

TRIGGER: Final = "modelspec.trigger_phrase"
"""Where a file itself says which words call it."""


def remember(seen: Seen, known: Row | None) -> Row:
    """Return what there is to know of a file; what did not change is not read again.

    Raises:
        StorageError: If the file cannot be read now.
    """
    told = seen.beside_stamp
    same = known if known and known.stamp == seen.stamp else None
    if same and same.kind and same.beside_stamp == told:
        return same
    row = same if same and same.kind else _read(seen)
    if same:
        row = row._replace(sha256=same.sha256, content_hash=same.content_hash)
    texts = read_sidecars(seen.file, seen.beside)
    said = json.dumps(told_by(texts)) if texts != NOTHING else ""
    return row._replace(beside_stamp=told, beside=said)


def card_of(seen: Seen, row: Row, kinds: Sequence[ModelKind], *, hashing: bool = True) -> ModelCard:
    """Return the card of a file.

    Args:
        seen: The file.
        row: What is known of it.
        kinds: Which may lie in its folder; a file of none of them is a problem of the first.
        hashing: Whether hashes are shown.
    """
    path, stem, beside = seen.file, seen.stem, seen.beside
    told = _KINDS.get(row.kind)
    kind = told if told in kinds else None
    problem = _problem(path, row, kinds[0]) if row.problem or kind is None else None
    metadata, whole = _metadata(row)
    texts = Sidecars(**_decode(row.beside)[0]) if row.beside else NOTHING
    record = ModelRecord(
        path=path,
        kind=kind or kinds[0],
        family=row.family if problem is None else "",
        name=seen.name,
        sha256=row.sha256 if hashing and problem is None else "",
        config=path.with_name(stem + CONFIG) if CONFIG in beside else None,
    )
    return ModelCard(
        record=record,
        format=row.format if problem is None else "",
        old_hash=row.old_hash,
        metadata=metadata,
        whole=whole,
        layout=row.layout,
        size=seen.stamp[1],
        changed=seen.stamp[0],
        given_title=texts.title,
        description=texts.description,
        notes=texts.notes,
        vae=texts.vae,
        suggested=texts.suggested,
        trigger_words=texts.trigger_words or metadata.get(TRIGGER, ""),
        negative_words=texts.negative_words,
        weight=texts.weight,
        base=texts.base,
        preview=preview_of(path, stem, beside) if beside else None,
        problem=problem,
    )


def unreadable(seen: Seen, error: StorageError, kind: ModelKind) -> ModelCard:
    """Return the card of a file that cannot be read now."""
    record = ModelRecord(path=seen.file, kind=kind, name=seen.name)
    problem = Problem(code=error.code, message=str(error), hint=error.hint)
    return ModelCard(record=record, problem=problem)


def check_kind(facts: Facts, path: Path, kind: ModelKind) -> Facts:
    """Return what a file is if it is of this kind.

    Raises:
        UnsupportedModelError: If it is of another.
    """
    if facts.kind is not kind:
        raise misplaced(path, facts.kind, kind)
    return facts


def misplaced(path: Path, found: ModelKind, kind: ModelKind) -> UnsupportedModelError:
    """Return the error that says what a file is instead and where it belongs."""
    known = found is not ModelKind.UNKNOWN
    what = f"a file of kind {found}" if known else "of no kind that we know"
    try:
        place = rule(found).folder
    except StopIteration:
        place = "that its program names"
    message = f"{path.name} is no {kind} but {what}"
    return UnsupportedModelError(message, hint=f"Put it into the folder {place}.", value=path.name)


def content_hash(path: Path, *, headless: bool = False) -> str:
    """Return the SHA-256 of a file.

    Args:
        path: The file.
        headless: Leave the header of a safetensors file out.

    Raises:
        StorageError: If the file cannot be read to its end.
    """
    try:
        with path.open("rb") as file:
            if headless:
                file.seek(8 + int.from_bytes(file.read(8), "little"))
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path.name} cannot be read to its end ({error.strerror})"
        raise StorageError(message, hint="Copy the file again.", value=path.name) from error


def old_hash(path: Path) -> str:
    """Return A1111's first kind of hash, 8 hex digits.

    Raises:
        StorageError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(OLD_HASH_OFFSET)
            return hashlib.sha256(file.read(OLD_HASH_LENGTH)).hexdigest()[:8]
    except OSError as error:
        message = f"{path.name} cannot be read ({error.strerror})"
        raise StorageError(message, hint="Copy the file again.", value=path.name) from error


def _read(seen: Seen) -> Row:
    path, (modified, size) = seen.file, seen.stamp
    row = Row(path=seen.path, modified=modified, size=size, kind=ModelKind.UNKNOWN)
    try:
        facts = describe(path)
    except ModelError as error:
        said = {"code": error.code, "message": str(error), "hint": error.hint}
        return row._replace(problem=json.dumps(said))
    hashed = facts.kind is ModelKind.CHECKPOINT and not seen.is_folder
    return row._replace(
        kind=facts.kind,
        family=facts.family,
        format=facts.format,
        layout=facts.layout,
        metadata=_kept(facts.metadata),
        old_hash=old_hash(path) if hashed else "",
    )


def _kept(metadata: Mapping[str, str]) -> str:
    """Return the short texts as JSON, and whether those are all."""
    if not metadata:
        return ""
    kept = {
        sayable(key): sayable(value)
        for key, value in metadata.items()
        if len(key) + len(value) <= MAX_VALUE
    }
    return json.dumps([kept, len(kept) == len(metadata)])


def _metadata(row: Row) -> tuple[dict[str, str], bool]:
    """Return the opposite of ``_kept``."""
    return _decode(row.metadata)[0] if row.metadata else ({}, True)


def _problem(path: Path, row: Row, kind: ModelKind) -> Problem:
    if row.problem:
        said: dict[str, Any] = json.loads(row.problem)
        return Problem(**said)
    error = misplaced(path, ModelKind(row.kind), kind)
    return Problem(code=error.code, message=str(error), hint=error.hint)
