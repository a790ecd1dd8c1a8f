"""When an add-on acts: from one step of a walk to another. No torch."""

import math
from collections.abc import Mapping
from typing import Final, Protocol

_FUZZ: Final = 1e-6
"""Shares such as 0.7 of 10 steps are not exact numbers."""


class Timed(Protocol):
    """What has a beginning and an end: up to 1 a share of the steps, above a number of steps."""

    @property
    def start(self) -> float:
        """So much has been done when it begins."""
        ...

    @property
    def stop(self) -> float:
        """So much has been done when it ends."""
        ...


def acts(use: Timed, taken: int, steps: int) -> bool:
    """Tell whether an add-on acts in the step after ``taken`` of ``steps`` steps."""
    start, stop = (bound if bound > 1 else bound * steps for bound in (use.start, use.stop))
    return taken > start - _FUZZ and (use.stop == 1 or taken < stop - _FUZZ)


def is_timed(use: Timed) -> bool:
    """Tell whether an add-on acts in a part of the steps only."""
    return use.start > 0 or use.stop != 1


def read_times(named: Mapping[str, str]) -> tuple[float, float]:
    """Return the beginning and the end that a tag's ``start=`` and ``stop=`` mean.

    Raises:
        ValueError: If they are no numbers, or the end is not behind the beginning.
    """
    start, stop = float(named.get("start", 0)), float(named.get("stop", 1))
    alike = (start > 1) == (stop > 1)
    if not (start >= 0 and stop > 0 and math.isfinite(start + stop)) or (alike and start >= stop):
        raise ValueError(start, stop)
    return start, stop
