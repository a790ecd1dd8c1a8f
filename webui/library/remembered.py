"""What was read of model files, kept in the database until a file changes.

A row belongs to a path, a time and a size. What a newer version of the program would read in
another way is read again, but hashes are kept: they take long.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from webui.library.database import prepare, reading, writing
from webui.library.looking import Stamp

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
    """
    ALTER TABLE model_files ADD COLUMN reader TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_files ADD COLUMN layout TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_files ADD COLUMN problem TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_files ADD COLUMN content_hash TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_files ADD COLUMN beside_stamp TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_files ADD COLUMN beside TEXT NOT NULL DEFAULT '';
    """,
)

_LAST: Final = "\U0010ffff"
"""Behind every letter of a path."""


class Row(NamedTuple):
    """What is remembered of one file; ten thousand are made at once, so it is a tuple.

    Attributes:
        path: The file.
        modified: When it was changed, in nanoseconds.
        size: In bytes.
        kind: What it is, read from its tensors.
        family: See ``ModelRecord``.
        format: How the tensors are packed.
        layout: A word for their names and shapes.
        metadata: Its free texts, long ones left out, as JSON.
        problem: Why it cannot be read, as JSON; empty for a sound file.
        old_hash: See ``ModelCard``.
        sha256: Of the whole file; empty until somebody asked.
        content_hash: Of the file without its header; likewise.
        beside_stamp: By which changed files beside it are noticed.
        beside: What they say, as JSON; empty for nothing.
    """

    path: str
    modified: int
    size: int
    kind: str
    family: str = ""
    format: str = ""
    layout: str = ""
    metadata: str = ""
    problem: str = ""
    old_hash: str = ""
    sha256: str = ""
    content_hash: str = ""
    beside_stamp: str = ""
    beside: str = ""

    @property
    def stamp(self) -> Stamp:
        """By which a changed file is noticed."""
        return self.modified, self.size


_COLUMNS: Final = Row._fields
_NAMES: Final = ", ".join(_COLUMNS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """The table.

    Attributes:
        database: The SQLite file.
    """

    database: Path

    def __post_init__(self) -> None:
        """Bring the table to the newest version."""
        prepare(self.database, table="model_files", versions=_VERSIONS)

    def below(self, root: Path) -> "Remembered":
        """Return what is remembered of all files below a folder."""
        start = f"{root}{os.sep}"
        query = f"SELECT {_NAMES}, reader FROM model_files WHERE path > ? AND path < ?"  # noqa: S608 - our own column names
        with reading(self.database) as connection:
            connection.row_factory = None
            rows = connection.execute(query, (start, start + _LAST)).fetchall()
        return Remembered({values[0]: values for values in rows})

    def keep(self, rows: Iterable[Row]) -> None:
        """Remember these files, all at once; the hashes of an unchanged file stay."""
        values = [(*row, reader_version()) for row in rows]
        if not values:
            return
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        hashes = ", ".join(
            f"{name} = CASE WHEN excluded.{name} = '' AND modified = excluded.modified"
            f" AND size = excluded.size THEN {name} ELSE excluded.{name} END"
            for name in ("sha256", "content_hash")
        )
        others = ", ".join(
            f"{name} = excluded.{name}"
            for name in (*_COLUMNS, "reader")
            if name not in ("path", "sha256", "content_hash")
        )
        with writing(self.database) as connection:
            connection.executemany(
                f"INSERT INTO model_files ({_NAMES}, reader, tensors) VALUES ({marks}, 0)"  # noqa: S608 - our own column names
                f" ON CONFLICT (path) DO UPDATE SET {hashes}, {others}",
                values,
            )

    def keep_hash(self, path: Path, stamp: Stamp, **hashes: str) -> None:
        """Remember a hash of a file that is as it was when it was read."""
        with writing(self.database) as connection:
            for name, value in hashes.items():
                connection.execute(
                    f"UPDATE model_files SET {_column(name)} = ?"  # noqa: S608 - checked there
                    " WHERE path = ? AND modified = ? AND size = ?",
                    (value, str(path), *stamp),
                )

    def known_hash(self, path: Path, stamp: Stamp, name: str) -> str:
        """Return a hash of a file that has not changed since; empty if it is not known."""
        where = "path = ? AND modified = ? AND size = ?"
        query = f"SELECT {_column(name)} FROM model_files WHERE {where}"  # noqa: S608 - checked there
        with reading(self.database) as connection:
            row = connection.execute(query, (str(path), *stamp)).fetchone()
        return row[0] if row else ""


class Remembered:
    """Rows by path, each made when it is asked for."""

    def __init__(self, rows: Mapping[str, tuple[Any, ...]]) -> None:
        self._rows = rows

    def get(self, path: str) -> Row | None:
        """Return what is remembered of a file.

        What another version of the program read has no kind any more: it is read again, and keeps
        its hashes.
        """
        values = self._rows.get(path)
        if values is None:
            return None
        row = Row._make(values[:-1])
        current = values[-1] == reader_version()
        return row if current else row._replace(kind="", beside_stamp="")


def _column(name: str) -> str:
    if name not in ("sha256", "content_hash"):
        message = f"{name} is no hash"
        raise ValueError(message)
    return name


@cache
def reader_version() -> str:
    """Return a word for the very code that reads model files, so that no row outlives it."""
    digest = hashlib.sha256()
    for source in sorted(files("webui.modules.weights").iterdir(), key=lambda each: each.name):
        if source.name.endswith(".py"):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
