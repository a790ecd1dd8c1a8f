"""The file of the queue: opened, brought up to date, or put aside when it is damaged."""

import sqlite3
from pathlib import Path
from typing import Final

from webui.modules.errors import StorageError

MIGRATIONS: Final = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        key TEXT,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        request TEXT NOT NULL,
        plan TEXT NOT NULL,
        notes TEXT NOT NULL,
        failure TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        ended REAL,
        lease REAL,
        UNIQUE (owner, key)
    );
    CREATE INDEX jobs_by_state ON jobs (state, number);
    CREATE INDEX jobs_by_owner ON jobs (owner, number);
    CREATE TABLE job_pictures (
        job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        picture TEXT NOT NULL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID;
    CREATE TABLE turns (owner TEXT PRIMARY KEY, turn INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN yields INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN held TEXT;
    ALTER TABLE jobs ADD COLUMN result TEXT;
    """,
    """
    ALTER TABLE jobs ADD COLUMN on_hold INTEGER NOT NULL DEFAULT 0;
    """,
)
"""One script for each version of the tables; a file says in ``user_version`` how many it has."""


def opened(path: Path) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    """Open the database, new or old.

    A damaged file is renamed to ``.bad-N`` and a new one begun.

    Returns:
        The connection, and sentences for people about what happened on the way.

    Raises:
        StorageError: If the folder cannot be written to, or a newer program wrote the file.
    """
    try:
        return _connected(path), ()
    except sqlite3.OperationalError as problem:
        message = f"{path} cannot be opened: {problem}"
        hint = "Is the disk full, or the data dir read-only?"
        raise StorageError(message, hint=hint, value=path) from problem
    except sqlite3.DatabaseError as damage:
        kept = _put_aside(path)
        told = f"{path.name} was damaged ({damage}) and is kept as {kept.name}; a new one was begun"
        return _connected(path), (told,)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        message = f"{path} was written by a newer version of this program"
        raise StorageError(message, hint="Update the program, or use another --data-dir.")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _put_aside(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.bad-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(kept.with_name(kept.name + suffix))
    return kept
