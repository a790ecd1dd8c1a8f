"""What a training tells of itself while it goes on: one line of JSON after another, and pictures.

Page, routes and command read these files; so what they show survives every stop.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from webui.modules.whole import write_whole

FILE: Final = "log.jsonl"
SAMPLES: Final = "samples"
STEPS: Final = "steps"


Heard = Callable[[Mapping[str, Any]], None]
"""Hears every line as it is written."""


class Journal:
    """Adds lines to the log of a run.

    Args:
        run: Folder of the training.
        heard: Hears what is told.
    """

    def __init__(self, run: Path, *, heard: Heard) -> None:
        self._path = run / FILE
        self._heard = heard

    def go_on(self, reached: int) -> None:
        """Take back what was told of steps after the last saved state."""
        kept = [line for line in read(self._path.parent) if line.get("step", 0) <= reached]
        text = "".join(f"{json.dumps(line)}\n" for line in kept)
        write_whole(self._path, text.encode())

    def tell(self, line: Mapping[str, Any]) -> None:
        """Add one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(dict(line))}\n")
        self._heard(line)


def read(run: Path, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run's log; one that is just being written is left out.

    Args:
        run: Folder of the training.
        after: Pass over so many lines.
    """
    try:
        opened = (run / FILE).open(encoding="utf-8")
    except FileNotFoundError:
        return
    with opened as file:
        for number, text in enumerate(file):
            if number >= after and text.endswith("\n"):
                with suppress(ValueError):
                    yield json.loads(text)
