"""Who is logged in where: sessions and invited people, kept in SQLite, secrets only as hashes."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.api.passwords import hashed, is_hashed, matches
from webui.library.database import prepare, reading, writing
from webui.modules.errors import ForbiddenError, UnknownNameError

SESSION_SECONDS: Final = 30 * 24 * 3600
"""A session ends after so long without a new login."""

INVITATION_SECONDS: Final = 15 * 60
"""An invitation that nobody took by then is void."""

LONGEST_NAME: Final = 64
"""Characters of a login name."""

SHORTEST_PASSWORD: Final = 8
"""Characters of a password that an invited person chooses."""

LOCAL: Final = "local"
"""Whoever sits at this machine, where no logins are asked for."""

_VERSIONS: Final = (
    """
    CREATE TABLE sessions (
        token TEXT PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        person TEXT NOT NULL,
        credential TEXT NOT NULL,
        browser TEXT NOT NULL,
        created REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE invited_people (
        name TEXT PRIMARY KEY,
        password TEXT NOT NULL,
        created REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE invitations (token TEXT PRIMARY KEY, created REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE gate_key (key TEXT NOT NULL);
    """,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One logged-in browser, for its owner to see and to end.

    Attributes:
        id: Names it; the secret in the cookie is another.
        person: Whose it is.
        browser: What the browser said that it is.
        created: Unix time in seconds.
    """

    id: str
    person: str
    browser: str
    created: float


class Sessions:
    """People, their passwords and their open sessions.

    Args:
        database: The SQLite file.
        people: Names and passwords from the settings, plain or as scrypt hashes.
    """

    def __init__(self, database: Path, people: Mapping[str, str]) -> None:
        self._database = database
        prepare(database, table="sessions", versions=_VERSIONS)
        self._key = self._server_key()
        self._people = {
            name: password if is_hashed(password) else hashed(password)
            for name, password in people.items()
        }
        self._credentials = {name: self._credential(name, told) for name, told in people.items()}
        self._nobody = hashed(secrets.token_hex(16))

    def password_fits(self, name: str, password: str) -> bool:
        """Tell whether this person has this password; takes as long when there is no such person.

        Raises:
            StorageError: If the database cannot be read.
        """
        stored = self._people.get(name) or self._invited(name)
        fits = matches(password, stored or self._nobody)
        return fits and bool(stored)

    def open(self, person: str, *, browser: str) -> str:
        """Begin a session and return the secret for its cookie."""
        token = secrets.token_urlsafe(32)
        values = (
            self._digest(token),
            secrets.token_hex(8),
            person,
            self._credential_of(person),
            browser[:200],
            time.time(),
        )
        with writing(self._database) as connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", values)
        return token

    def person(self, token: str) -> str | None:
        """Return whose session this is; None if it is unknown, too old or its password changed."""
        if not token:
            return None
        with reading(self._database) as connection:
            row = connection.execute(
                "SELECT * FROM sessions WHERE token = ?", (self._digest(token),)
            ).fetchone()
        if row is None or time.time() - row["created"] > SESSION_SECONDS:
            return None
        current = self._credential_of(row["person"])
        fits = bool(current) and hmac.compare_digest(row["credential"], current)
        return row["person"] if fits else None

    def close(self, token: str) -> None:
        """End the session of this cookie."""
        with writing(self._database) as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (self._digest(token),))

    def of(self, person: str) -> list[Session]:
        """Return a person's sessions, newest first."""
        with reading(self._database) as connection:
            rows = connection.execute(
                "SELECT * FROM sessions WHERE person = ? ORDER BY created DESC", (person,)
            ).fetchall()
        return [
            Session(
                id=row["id"],
                person=row["person"],
                browser=row["browser"],
                created=row["created"],
            )
            for row in rows
        ]

    def revoke(self, session_id: str, *, person: str) -> None:
        """End one session of a person.

        Raises:
            UnknownNameError: If it is not theirs.
        """
        with writing(self._database) as connection:
            ended = connection.execute(
                "DELETE FROM sessions WHERE id = ? AND person = ?", (session_id, person)
            ).rowcount
        if not ended:
            message = f"there is no session {session_id[:32]!r}"
            raise UnknownNameError(message, hint="It may have ended.", value=session_id[:32])

    def invite(self) -> str:
        """Return the secret of a new invitation: good once, for 15 minutes."""
        token = secrets.token_urlsafe(16)
        with writing(self._database) as connection:
            connection.execute(
                "INSERT INTO invitations VALUES (?, ?)", (self._digest(token), time.time())
            )
        return token

    def accept(self, token: str, *, name: str, password: str) -> None:
        """Use an invitation up: from now on there is a person of this name and password.

        Raises:
            ForbiddenError: If the invitation is void, the name taken or the password too short.
        """
        self._check_new(name, password)
        with writing(self._database) as connection:
            used = connection.execute(
                "DELETE FROM invitations WHERE token = ? AND created > ?",
                (self._digest(token), time.time() - INVITATION_SECONDS),
            ).rowcount
            if not used:
                message = "this invitation is not valid any more"
                raise ForbiddenError(message, hint="Ask for a new link.")
            connection.execute(
                "INSERT INTO invited_people VALUES (?, ?, ?)", (name, hashed(password), time.time())
            )

    def _check_new(self, name: str, password: str) -> None:
        taken = name in self._people or name == LOCAL or bool(self._invited(name))
        if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME or taken:
            message = f"the name {name[:LONGEST_NAME]!r} cannot be had"
            raise ForbiddenError(message, hint="Choose another one.", value=name[:LONGEST_NAME])
        if len(password) < SHORTEST_PASSWORD:
            message = f"the password has {len(password)} characters"
            raise ForbiddenError(message, hint=f"Use at least {SHORTEST_PASSWORD}.")

    def _invited(self, name: str) -> str:
        with reading(self._database) as connection:
            row = connection.execute(
                "SELECT password FROM invited_people WHERE name = ?", (name,)
            ).fetchone()
        return row["password"] if row else ""

    def _credential_of(self, person: str) -> str:
        known = self._credentials.get(person)
        return known or self._credential(person, self._invited(person))

    def _credential(self, name: str, password: str) -> str:
        """Return what changes with the password, so that old sessions end, but does not tell it."""
        return self._digest(f"{name}\0{password}") if password else ""

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _server_key(self) -> bytes:
        with writing(self._database) as connection:
            row = connection.execute("SELECT key FROM gate_key").fetchone()
            if row:
                return bytes.fromhex(row["key"])
            key = secrets.token_bytes(32)
            connection.execute("INSERT INTO gate_key VALUES (?)", (key.hex(),))
        return key
