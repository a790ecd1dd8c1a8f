"""Stands beside a work: tells how far it is, and stops it when somebody wants that."""

import time
from collections.abc import Callable
from typing import Final

from webui.jobs.messages import Wish
from webui.modules.types import PauseWork, StopDrawing

QUIET_SECONDS: Final = 0.1
"""Progress is told so often at most; a work may have thousands of parts."""


class Dropped(Exception):  # noqa: N818 - a signal of the observer, not an error
    """The job was cancelled: nothing of it is wanted."""


class Teller:
    """The ``Tell`` that a work is given.

    Args:
        say: Sends progress to the server.
        wish: Takes what somebody wants, if anything.
    """

    def __init__(
        self, say: Callable[[int, int, str], None], wish: Callable[[], Wish | None]
    ) -> None:
        self._say = say
        self._wish = wish
        self._next = 0.0
        self.interrupted = False

    def __call__(self, number: int, total: int, text: str) -> None:
        """Tell of progress, and raise what a person or the supervisor wants."""
        now, wish = time.monotonic(), self._wish()
        if wish is not None or now >= self._next or number == total:
            self._next = now + QUIET_SECONDS
            self._say(number, total, text)
        match wish:
            case Wish.CANCEL:
                raise Dropped
            case Wish.INTERRUPT:
                self.interrupted = True
                raise StopDrawing
            case Wish.PAUSE:
                raise PauseWork
            case Wish.SKIP | None:
                pass  # a work has no next batch
