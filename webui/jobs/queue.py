"""The queue of jobs: one SQLite table that is the only truth, safe against kills and power cuts."""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from webui.jobs.database import opened
from webui.jobs.rows import Job, job_of, view_of
from webui.jobs.turns import Waiting, fair_order
from webui.jobs.views import Failure, JobState, JobView, Progress
from webui.modules.errors import QueueFullError, StorageError, UnknownJobError, WorkerDiedError

MAX_ATTEMPTS: Final = 3
"""A job that was begun so often and never ended is given up, so that it cannot stop the others."""

LEASE_SECONDS: Final = 60.0
"""A running job that nobody has vouched for in this time is free to be begun again."""

RENEWED_SECONDS: Final = 3600.0
"""A long work that ran so long has got on: its attempts are counted anew."""

KEPT_SECONDS: Final = 30 * 24 * 3600.0
"""Ended jobs are forgotten after this time; their pictures stay."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job that wants to be queued.

    Attributes:
        kind: What is to be done.
        owner: Who asks for it.
        request: What was asked, as JSON.
        plan: What is to be done, settled, as JSON.
        key: The same key from the same person twice is one job; empty for always a new one.
        notes: What the person should know.
        yields: Whether it is a long work that pauses while others have something to do. It goes
            behind everything else of its owner.
    """

    kind: str
    owner: str
    request: str
    plan: str
    key: str = ""
    notes: tuple[str, ...] = ()
    yields: bool = False


class Queue:
    """Jobs of everybody, begun in fair turns between their owners.

    Every method may be called from any thread.
    """

    def __init__(
        self, path: Path, *, limit_per_owner: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._connection, self.notices = opened(path)
        self._limit = limit_per_owner
        self._clock = clock
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    # -------------------------------------------------------------- what people do

    def add(self, job: NewJob) -> str:
        """Put a job at the end of its owner's line and return its id.

        Raises:
            QueueFullError: If this person has too many jobs that wait or run.
            StorageError: If it cannot be written down.
        """
        with self._transaction() as database:
            if job.key and (known := self._by_key(job.owner, job.key)):
                return known
            self._check_room(job.owner)
            job_id = secrets.token_hex(16)
            database.execute(
                "INSERT INTO jobs"
                " (id, kind, owner, key, state, request, plan, notes, created, yields)"
                " VALUES (?, ?, ?, NULLIF(?, ''), 'queued', ?, ?, ?, ?, ?)",
                (
                    job_id,
                    job.kind,
                    job.owner,
                    job.key,
                    job.request,
                    job.plan,
                    json.dumps(job.notes),
                    self._clock(),
                    job.yields,
                ),
            )
        return job_id

    def find_key(self, owner: str, key: str) -> str | None:
        """Return the job that this person submitted under this key."""
        with self._reading():
            return self._by_key(owner, key)

    def cancel(self, job_id: str) -> bool:
        """Drop a job that has not ended; tell whether it was running."""
        with self._transaction():
            was_running = self._state(job_id) is JobState.RUNNING
            self._end(job_id, JobState.CANCELLED)
        return was_running

    def hold(self, job_id: str, *, held: bool) -> None:
        """Let a job wait until somebody wants it to go on, or let it go on.

        Args:
            job_id: The job; one that runs is held as soon as it is back in its owner's line.
            held: Whether it shall wait.
        """
        with self._transaction() as database:
            database.execute("UPDATE jobs SET on_hold = ? WHERE id = ?", (held, job_id))

    # ------------------------------------------------------- what the executor does

    def recover(self) -> None:
        """Put the jobs back that the last server left running; called once, at start."""
        with self._transaction() as database:
            left = database.execute("SELECT id FROM jobs WHERE state = 'running'").fetchall()
            for (job_id,) in left:
                self._give_back(job_id, reason="the server was stopped")
            database.execute("DELETE FROM jobs WHERE ended < ?", (self._clock() - KEPT_SECONDS,))

    def claim(self) -> Job | None:
        """Begin the next job in fair turn; None if nobody waits."""
        with self._transaction() as database:
            expired = database.execute(
                "SELECT id FROM jobs WHERE state = 'running' AND lease < ?", (self._clock(),)
            ).fetchall()
            for (job_id,) in expired:
                self._give_back(job_id, reason="nothing was heard of its worker")
            row = database.execute(
                "SELECT jobs.id, jobs.owner FROM jobs LEFT JOIN turns USING (owner)"
                " WHERE state = 'queued' AND NOT on_hold"
                " ORDER BY COALESCE(turn, 0), yields, number LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            job_id, owner = row
            database.execute(
                "INSERT OR REPLACE INTO turns SELECT ?, COALESCE(MAX(turn), 0) + 1 FROM turns",
                (owner,),
            )
            now = self._clock()
            database.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?,"
                " lease = ? WHERE id = ?",
                (now, now + LEASE_SECONDS, job_id),
            )
            return self._job(job_id)

    def vouch(self, job_id: str) -> None:
        """Say that the worker of this job is alive."""
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET lease = ? WHERE id = ? AND state = 'running'",
                (self._clock() + LEASE_SECONDS, job_id),
            )

    def add_picture(self, job_id: str, number: int, picture_id: str) -> None:
        """Write down that a picture of this job is finished."""
        with self._transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO job_pictures VALUES (?, ?, ?)", (job_id, number, picture_id)
            )

    def finish(
        self,
        job_id: str,
        *,
        notes: tuple[str, ...] = (),
        result: Mapping[str, object] | None = None,
    ) -> None:
        """Mark a job as done; a job that was dropped meanwhile stays dropped.

        Args:
            job_id: The job.
            notes: What the person should know.
            result: What a work has brought, fit for JSON.
        """
        with self._transaction() as database:
            if result is not None and not self._state(job_id).ended:
                told = json.dumps(dict(result))
                database.execute("UPDATE jobs SET result = ? WHERE id = ?", (told, job_id))
            self._end(job_id, JobState.DONE, notes=notes)

    def pause(self, job_id: str, progress: Progress) -> None:
        """Put a running work back into its owner's line; its attempts are counted anew.

        Args:
            job_id: The job.
            progress: How far it is, to be shown while it waits.
        """
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET state = 'queued', attempts = 0, held = ?"
                " WHERE id = ? AND state = 'running'",
                (json.dumps(asdict(progress)), job_id),
            )

    def waiting(self, *, behind: str) -> Waiting:
        """Return who waits behind a long work of this owner."""
        with self._reading() as database:
            short, long = database.execute(
                "SELECT COUNT(*) FILTER (WHERE NOT yields),"
                " COUNT(*) FILTER (WHERE yields AND owner != ?)"
                " FROM jobs WHERE state = 'queued' AND NOT on_hold",
                (behind,),
            ).fetchone()
        return Waiting(short=short, long=long)

    def fail(self, job_id: str, failure: Failure) -> None:
        """Mark a job as failed; a job that was dropped meanwhile stays dropped."""
        with self._transaction():
            self._end(job_id, JobState.FAILED, failure=failure)

    def give_back(
        self, job_id: str, *, reason: str, counted: bool = True, got_on: bool = False
    ) -> None:
        """Let a running job be begun again.

        Args:
            job_id: The job.
            reason: What happened, as half a sentence.
            counted: Whether the attempt counts; it does not when we end it ourselves.
            got_on: A long work was taken up further on than the time before, so its attempts are
                counted anew.
        """
        with self._transaction() as database:
            if not counted:
                database.execute(
                    "UPDATE jobs SET attempts = attempts - 1 WHERE id = ? AND state = 'running'",
                    (job_id,),
                )
            self._give_back(job_id, reason=reason, got_on=got_on)

    # ------------------------------------------------------------- what is looked at

    def get(self, job_id: str) -> Job:
        """Return a job with its texts.

        Raises:
            UnknownJobError: If there is none of this id.
        """
        with self._reading():
            return self._job(job_id)

    def view(self, job_id: str, *, owner: str) -> JobView:
        """Return a job as its owner sees it.

        Raises:
            UnknownJobError: If there is none of this id, or it is somebody else's.
        """
        with self._reading():
            row = self._row(job_id)
            if row["owner"] != owner:
                raise _unknown(job_id)
            return self._as_view(row, self._positions(row))

    def active(self, *, owner: str) -> list[JobView]:
        """Return this person's running and waiting jobs, oldest first."""
        return self._views(
            "SELECT * FROM jobs WHERE owner = ? AND state IN ('queued', 'running')"
            " ORDER BY state = 'queued', number",
            (owner,),
        )

    def recent(self, *, owner: str, limit: int) -> list[JobView]:
        """Return this person's last jobs, newest first."""
        return self._views(
            "SELECT * FROM jobs WHERE owner = ? ORDER BY number DESC LIMIT ?", (owner, limit)
        )

    def order(self) -> list[str]:
        """Return the ids of all waiting jobs in the order in which they will be begun."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT id, owner, yields, number, COALESCE(turn, 0) AS turn FROM jobs"
                " LEFT JOIN turns USING (owner) WHERE state = 'queued' AND NOT on_hold"
                " ORDER BY yields, number"
            ).fetchall()
            (last_turn,) = database.execute("SELECT COALESCE(MAX(turn), 0) FROM turns").fetchone()
        return fair_order(rows, last_turn)

    # ----------------------------------------------------------------------- inside

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as problem:
                raise _unwritable(problem) from problem

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")

    def _by_key(self, owner: str, key: str) -> str | None:
        row = self._connection.execute(
            "SELECT id FROM jobs WHERE owner = ? AND key = ?", (owner, key)
        ).fetchone()
        return None if row is None else row["id"]

    def _check_room(self, owner: str) -> None:
        (count,) = self._connection.execute(
            "SELECT COUNT(*) FROM jobs WHERE owner = ? AND state IN ('queued', 'running')",
            (owner,),
        ).fetchone()
        if count >= self._limit:
            message = f"{count} of your jobs are waiting or running, which is the most allowed"
            hint = "Wait until one has ended, or cancel one."
            raise QueueFullError(message, hint=hint, value=count)

    def _row(self, job_id: str) -> sqlite3.Row:
        row = self._connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise _unknown(job_id)
        return row

    def _state(self, job_id: str) -> JobState:
        return JobState(self._row(job_id)["state"])

    def _pictures(self, job_id: str) -> dict[int, str]:
        rows = self._connection.execute(
            "SELECT number, picture FROM job_pictures WHERE job = ? ORDER BY number", (job_id,)
        )
        return {row["number"]: row["picture"] for row in rows}

    def _job(self, job_id: str) -> Job:
        return job_of(self._row(job_id), self._pictures(job_id))

    def _end(
        self,
        job_id: str,
        state: JobState,
        *,
        notes: tuple[str, ...] = (),
        failure: Failure | None = None,
    ) -> None:
        row = self._row(job_id)
        if JobState(row["state"]).ended:
            return
        self._connection.execute(
            "UPDATE jobs SET state = ?, ended = ?, notes = ?, failure = ? WHERE id = ?",
            (
                state,
                self._clock(),
                json.dumps([*json.loads(row["notes"]), *notes]),
                None if failure is None else json.dumps(asdict(failure)),
                job_id,
            ),
        )

    def _give_back(self, job_id: str, *, reason: str, got_on: bool = False) -> None:
        row = self._row(job_id)
        if row["state"] != JobState.RUNNING:
            return
        if row["yields"] and (got_on or _ran(row) > RENEWED_SECONDS):
            self._connection.execute("UPDATE jobs SET attempts = 1 WHERE id = ?", (job_id,))
        elif row["attempts"] >= MAX_ATTEMPTS:
            failure = Failure(
                code=WorkerDiedError.code,
                message=f"begun {row['attempts']} times without coming to an end: {reason}",
                hint="Try a smaller picture or another model; the log tells more.",
                value=str(row["attempts"]),
            )
            self._end(job_id, JobState.FAILED, failure=failure)
            return
        self._connection.execute("UPDATE jobs SET state = 'queued' WHERE id = ?", (job_id,))

    def _views(self, query: str, values: tuple[Any, ...]) -> list[JobView]:
        with self._reading() as database:
            rows = database.execute(query, values).fetchall()
            positions = self._positions(*rows)
            return [self._as_view(row, positions) for row in rows]

    def _positions(self, *rows: sqlite3.Row) -> dict[str, int]:
        if not any(row["state"] == JobState.QUEUED for row in rows):
            return {}
        return {job_id: position for position, job_id in enumerate(self.order())}

    def _as_view(self, row: sqlite3.Row, positions: dict[str, int]) -> JobView:
        job_id = row["id"]
        return view_of(row, self._pictures(job_id), position=positions.get(job_id, 0))


def _ran(row: sqlite3.Row) -> float:
    """Return for how many seconds the last attempt is known to have lived."""
    return row["lease"] - LEASE_SECONDS - row["started"]


def _unknown(job_id: str) -> UnknownJobError:
    message = f"there is no job {job_id[:64]!r}"
    return UnknownJobError(message, hint="It may have been somebody else's.", value=job_id[:64])


def _unwritable(problem: sqlite3.Error) -> StorageError:
    message = f"the queue cannot be read or written: {problem}"
    return StorageError(message, hint="Is the disk full, or the data dir read-only?")
