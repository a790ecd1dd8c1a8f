"""The values of an axis as people write them: ``1, 2, 5``, ``1-9 (+2)``, ``0-1 [5]``.

The forms are those of A1111's X/Y/Z plot.
"""

import csv
import math
import re
from collections.abc import Callable
from io import StringIO
from typing import Final

from webui.modules.errors import RangeError

MOST: Final = 1000
"""An axis with more values than this is a slip of the pen."""

_WHOLE: Final = r"[+-]?\s*\d+"
_DECIMAL: Final = r"[+-]?\s*\d+(?:\.\d*)?"


def _range(number: str, step: str) -> re.Pattern[str]:
    return re.compile(
        rf"\s*({number})\s*-\s*({number})\s*(?:\(\s*({step})\s*\)|\[\s*(\d+)\s*\])?\s*"
    )


_WHOLE_RANGE: Final = _range(_WHOLE, r"[+-]\s*\d+")
_DECIMAL_RANGE: Final = _range(_DECIMAL, r"[+-]\s*\d+(?:\.\d*)?")


def texts(written: str) -> list[str]:
    """Return the entries between commas; an entry in quotes may hold commas itself."""
    rows = csv.reader(StringIO(written), skipinitialspace=True)
    return [entry for row in rows for text in row if (entry := text.strip())]


def whole_numbers(written: str) -> list[int]:
    """Return whole numbers; ``a-b`` counts up or down, ``(+s)`` in steps, ``[n]`` so many values.

    Raises:
        RangeError: If an entry is no number and no range, or the range does not end.
    """
    return [int(value) for value in _numbers(written, _WHOLE_RANGE, int)]


def numbers(written: str) -> list[float]:
    """Return numbers, with the same ranges.

    Raises:
        RangeError: If an entry is no number and no range, or the range does not end.
    """
    return _numbers(written, _DECIMAL_RANGE, float)


def _numbers(written: str, form: re.Pattern[str], kind: Callable[[str], float]) -> list[float]:
    found: list[float] = []
    for entry in texts(written):
        match = form.fullmatch(entry)
        try:
            found += _spread(match) if match else [kind(entry)]
        except ValueError as error:
            message = f"{entry[:80]!r} is no number"
            hint = "Write numbers like 1, 2, 5 or a range like 1-9 (+2) or 0-1 [5]."
            raise RangeError(message, hint=hint, value=entry[:80]) from error
        if len(found) > MOST:
            message = f"an axis has more than {MOST} values"
            raise RangeError(message, hint="Use fewer values.", value=written[:80])
    return found


def _spread(match: re.Match[str]) -> list[float]:
    """Return the values of a range, both ends included where the steps meet them."""
    start, end = (float(match[place].replace(" ", "")) for place in (1, 2))
    if match[4] is not None:
        count = int(match[4])
        if not 1 <= count <= MOST:
            raise ValueError(match[4])
        gap = (end - start) / max(1, count - 1)
        return [start + gap * place for place in range(count)]
    step = float(match[3].replace(" ", "")) if match[3] else math.copysign(1.0, end - start)
    if step == 0 or (end - start) / step < 0 or (end - start) / step > MOST:
        raise ValueError(match[0])
    return [round(start + step * place, 9) for place in range(int((end - start) / step + 1e-9) + 1)]
