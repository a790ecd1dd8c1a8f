"""A job as its row in the queue's table says it."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

from webui.jobs.views import Failure, JobState, JobView, Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as whoever carries it out sees it.

    Attributes:
        id: 128 random bits as hex.
        kind: What is to be done.
        owner: Who asked for it.
        request: What was asked, as JSON.
        plan: What is to be done, settled, as JSON.
        attempts: How often it was begun, this time included.
        done: Numbers of the pictures that are finished.
        yields: Whether it is a long work that pauses while others have something to do.
    """

    id: str
    kind: str
    owner: str
    request: str
    plan: str
    attempts: int
    done: frozenset[int]
    yields: bool = False


def job_of(row: sqlite3.Row, pictures: Mapping[int, str]) -> Job:
    """Return a job for whoever carries it out.

    Args:
        row: Of the table ``jobs``.
        pictures: Ids of its finished pictures by their numbers.
    """
    return Job(
        id=row["id"],
        kind=row["kind"],
        owner=row["owner"],
        request=row["request"],
        plan=row["plan"],
        attempts=row["attempts"],
        done=frozenset(pictures),
        yields=bool(row["yields"]),
    )


def view_of(row: sqlite3.Row, pictures: Mapping[int, str], *, position: int) -> JobView:
    """Return a job for its owner.

    Args:
        row: Of the table ``jobs``.
        pictures: Ids of its finished pictures by their numbers.
        position: Jobs that run before it.
    """
    state = JobState(row["state"])
    return JobView(
        id=row["id"],
        kind=row["kind"],
        owner=row["owner"],
        state=state,
        position=position,
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        attempts=row["attempts"],
        progress=_progress(row, state),
        pictures=tuple(pictures.values()),
        notes=tuple(json.loads(row["notes"])),
        failure=None if row["failure"] is None else Failure(**json.loads(row["failure"])),
        yields=bool(row["yields"]),
        result={} if row["result"] is None else json.loads(row["result"]),
        on_hold=bool(row["on_hold"]),
    )


def _progress(row: sqlite3.Row, state: JobState) -> Progress:
    """Return how far a job is that does not run."""
    if state is JobState.QUEUED and row["held"] is not None:
        return replace(Progress(**json.loads(row["held"])), phase="paused", eta_seconds=None)
    return Progress(fraction=float(state is JobState.DONE))
