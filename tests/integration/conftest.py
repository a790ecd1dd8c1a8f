"""A studio with its real worker, and the whole program as people start it."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.tiny import furnish
from webui import app
from webui.services.studio import Studio
from webui.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds that anything may take on a busy machine before the test gives up."""

SMALL = {"prompt": "a cat", "width": 64, "height": 64, "seed": 1, "sampler": "Euler a"}
"""A wish that is drawn in a second."""


def exact(home: Path, **flags: object) -> Settings:
    """Return settings under which equal wishes give equal pixels."""
    said = {"device.device": "cpu", "device.precision": "exact", "device.threads": 1}
    return load({**said, **flags}, environment={}, home=home)


def until(happened: Callable[[], Any]) -> Any:
    """Wait for something and return what it gave."""
    end = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)
    return found


def worker_of(process: psutil.Process) -> psutil.Process:
    """Return the process that draws for a server."""
    return next(
        child
        for child in process.children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    )


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Give a studio whose worker is ready."""
    home = furnish(tmp_path_factory.mktemp("studio"))
    with app.opened(exact(home)) as opened:
        until(lambda: opened.worker().phase == "idle")
        yield opened


class Program:
    """A running server."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "webui.cli", "serve", "--data-dir", str(home)]
        command += ["--no-browser", "--precision", "exact", "--device", "cpu", "--threads", "1"]
        self.said = home / "said.txt"
        with self.said.open("ab") as said:
            self.process = psutil.Popen(
                [*command, "--port", str(self.port), *flags],
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=said,
                stderr=said,
            )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)

    def answers(self) -> bool:
        """Tell whether the server is ready."""
        assert self.process.poll() is None, self.said.read_text(encoding="utf-8")
        try:
            return self.http.get("/healthz").json() == {"status": "ok"}
        except httpx.TransportError:
            return False

    def submit(self, **wish: object) -> str:
        """Queue a job and return its id."""
        answer = self.http.post("/atelier/v1/jobs", json={**SMALL, **wish})
        assert answer.is_success, answer.text
        return answer.json()["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as its owner sees it."""
        return self.http.get(f"/atelier/v1/jobs/{job_id}").json()

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job is over."""
        return until(
            lambda: job if (job := self.job(job_id))["state"] not in ("queued", "running") else None
        )

    def pixels(self, job_id: str) -> list[bytes]:
        """Return the files of a job's pictures."""
        pictures = self.job(job_id)["pictures"]
        return [self.http.get(f"/atelier/v1/pictures/{picture}").content for picture in pictures]

    def kill(self) -> None:
        """End the server as a power cut does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """End the server as a service manager does; return how long it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=PATIENCE)
        return time.monotonic() - began


@contextmanager
def running(home: Path, *flags: str) -> Generator[Program]:
    """Start the program; leaving stops it."""
    program = Program(home, *flags)
    try:
        until(program.answers)
        yield program
    finally:
        program.http.close()
        if program.process.poll() is None:
            program.stop()
