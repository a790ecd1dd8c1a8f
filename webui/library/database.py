"""The library's tables in ``atelier.sqlite3``, beside those of the queue, each with its version."""

import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from webui.modules.errors import StorageError

WAIT_SECONDS: Final = 10
"""How long one writer waits for another."""


def prepare(database: Path, *, table: str, versions: Iterable[str]) -> None:
    """Bring one table and what belongs to it to the newest version.

    Args:
        database: The file; it is made when it is missing.
        table: Name under which the version is noted.
        versions: One script for each version, oldest first; never changed once released.

    Raises:
        StorageError: If the file cannot be used or a newer program wrote it.
    """
    scripts = tuple(versions)
    with writing(database) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS library_versions"
            " (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"
        )
        row = connection.execute(
            "SELECT version FROM library_versions WHERE name = ?", (table,)
        ).fetchone()
        have = row["version"] if row else 0
        if have > len(scripts):
            message = f"{database} was written by a newer version of this program"
            raise StorageError(message, hint="Update the program, or use another --data-dir.")
        for script in scripts[have:]:
            for statement in script.split(";\n"):
                connection.execute(statement)
        connection.execute(
            "INSERT OR REPLACE INTO library_versions VALUES (?, ?)", (table, len(scripts))
        )


@contextmanager
def reading(database: Path) -> Generator[sqlite3.Connection]:
    """Open the database to look something up.

    Raises:
        StorageError: If the file cannot be used.
    """
    with _explained(database), closing(_connect(database)) as connection:
        yield connection


@contextmanager
def writing(database: Path) -> Generator[sqlite3.Connection]:
    """Open the database for one change: it happens as a whole or, if the body raises, not at all.

    Raises:
        StorageError: If the file cannot be used.
    """
    with _explained(database), closing(_connect(database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=WAIT_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def _explained(database: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        message = f"{database} cannot be used: {error}"
        hint = "Is the disk full, or the data folder read-only?"
        raise StorageError(message, hint=hint, value=database) from error
