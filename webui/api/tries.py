"""Wrong passwords cost time: for this name from this address, and for nobody else."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from webui.modules.errors import TooManyTriesError

FREE_TRIES: Final = 5
"""So many wrong passwords cost nothing."""

LONGEST_WAIT: Final = 300.0
"""Seconds; the wait doubles with each further try up to this."""

_REMEMBERED: Final = 10_000
"""Pairs of address and name that are kept; the oldest is forgotten first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


class Tries:
    """The wrong passwords of late.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def check(self, address: str, name: str) -> None:
        """Let a try pass.

        Raises:
            TooManyTriesError: If this name from this address has to wait; ``value`` has the
                seconds.
        """
        wait = self._failures.get((address, name), _Failures()).until - self._clock()
        if wait > 0:
            seconds = int(wait) + 1
            message = "too many wrong passwords in a row"
            raise TooManyTriesError(message, hint=f"Wait {seconds} seconds.", value=seconds)

    def failed(self, address: str, name: str) -> None:
        """Note a wrong password."""
        key = (address, name)
        count = self._failures.pop(key, _Failures()).count + 1
        excess = count - FREE_TRIES
        wait = min(2.0 ** min(excess, 16), LONGEST_WAIT) if excess >= 0 else 0.0
        self._failures[key] = _Failures(count=count, until=self._clock() + wait)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the wrong ones."""
        self._failures.pop((address, name), None)
