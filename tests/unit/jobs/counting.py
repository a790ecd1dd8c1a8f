"""A small real work for a real worker: it counts in a file, and goes on from there."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from webui.jobs.worker import Worker
from webui.modules.errors import ModelFileError
from webui.modules.types import ConvertPlan, ModelKind, ModelRecord, PauseWork, StopDrawing

GOAL = 100


class NoEngine:
    """Stands where works find the engine; this one needs none."""

    def memory(self) -> dict[str, int]:
        return {}


def counting(pipe, device) -> None:
    """Run a worker that counts."""
    build: Any = lambda _: (NoEngine(), ("counts",))  # noqa: E731 - its engine stands for any
    Worker(pipe, carry_out=count, build=build).run(device)


def work_for(file: Path, how: str = "") -> ConvertPlan:
    """Return the work that counts in this file; ``how`` says what happens on the way."""
    source = ModelRecord(path=file, kind=ModelKind.UNKNOWN, name=how)
    return ConvertPlan(source=source, to="safetensors", target=file)


def count(work: Any, _engine, tell) -> dict[str, object]:
    """Count to a hundred, a hundredth of a second each, from what the file says."""
    begun = int(work.target.read_text()) if work.target.exists() else 0
    number = begun
    try:
        while number < GOAL:
            number += 1
            time.sleep(0.01)
            hurt(work, number)
            tell(number, GOAL, "counting")
    except PauseWork:
        work.target.write_text(str(number))
        raise
    except StopDrawing:
        if work.source.name != "saves":
            raise
        return {"reached": number, "begun": begun, "notes": ["saved"]}
    return {"reached": number, "begun": begun}


def hurt(work: ConvertPlan, number: int) -> None:
    """Do what can go wrong."""
    if work.source.name == "dies" and number == 20 and not work.target.exists():
        work.target.write_text("10")
        os.kill(os.getpid(), signal.SIGKILL)
    if work.source.name == "dies often" and number % 20 == 0:
        saved = int(work.target.read_text()) if work.target.exists() else 0
        if saved < number - 10:
            work.target.write_text(str(number - 10))
            os.kill(os.getpid(), signal.SIGKILL)
    if work.source.name == "fails":
        message = "it is cut off"
        raise ModelFileError(message, hint="Copy it again.", value="a.pt")
