"""Wakes whoever follows a job when something about it changes, in threads and in coroutines."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Listener:
    job_id: str
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Bell:
    """Rings once for each change; hearing it says only that looking again is worthwhile."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0
        self._listeners: set[_Listener] = set()

    def ring(self, job_id: str = "") -> None:
        """Wake the followers of this job; without an id, everybody."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()
            concerned = [
                listener for listener in self._listeners if job_id in ("", listener.job_id)
            ]
            for listener in concerned:
                if not listener.loop.is_closed():
                    listener.loop.call_soon_threadsafe(listener.woken.set)

    @property
    def rings(self) -> int:
        """How often it has rung."""
        return self._rings

    def wait(self, rings: int, *, timeout: float | None) -> None:
        """Block until it has rung more often than ``rings``, or the seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings > rings, timeout)

    @contextmanager
    def heard(self, job_id: str) -> Generator[asyncio.Event]:
        """Give the running coroutine an event that is set at each ring for this job."""
        listener = _Listener(job_id=job_id, loop=asyncio.get_running_loop())
        with self._changed:
            self._listeners.add(listener)
        try:
            yield listener.woken
        finally:
            with self._changed:
                self._listeners.discard(listener)
