"""The program as a person without a page uses it: ``launch.py train`` and A1111's HTTP."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image

ROOT: Final = Path(__file__).resolve().parents[2]
STARTER: Final = ROOT / "models" / "Stable-diffusion" / "starter.safetensors"
PATIENCE: Final = 600
"""Seconds for one answer."""


@dataclass(frozen=True, slots=True)
class Program:
    """One data dir with the starter in it, and the address of a server on it."""

    home: Path
    http: httpx.Client

    def draw(self, prompts: list[str], *, seed: int, **wish: Any) -> list[Image.Image]:
        """Return one picture for each prompt, with the seeds from this one on."""
        return [
            self._picture(prompt=prompt, seed=number, **wish)
            for number, prompt in enumerate(prompts, start=seed)
        ]

    def look_again(self) -> None:
        """Let the server find files that are new."""
        self.http.post("/sdapi/v1/refresh-checkpoints").raise_for_status()

    def _picture(self, **wish: Any) -> Image.Image:
        usual: dict[str, Any] = {"steps": 20, "cfg_scale": 2.5, "width": 128, "height": 128}
        usual |= {"sampler_name": "DPM++ 2M", "scheduler": "SGM Uniform"}
        settings = {"sd_model_checkpoint": STARTER.name, **wish.pop("override_settings", {})}
        usual["override_settings"] = settings
        answer = self.http.post("/sdapi/v1/txt2img", json={**usual, **wish})
        if answer.is_error:
            raise RuntimeError(answer.text)
        with Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0]))) as picture:
            return picture.convert("RGB")


def train(home: Path, kind: str, name: str, data: Path, settings: Mapping[str, Any]) -> float:
    """Train without a page, on one thread; return the seconds of processor time it took.

    Raises:
        RuntimeError: If the program says no.
    """
    config = home / f"{name}.yaml"
    config.write_text(json.dumps(dict(settings)), "utf-8")  # every JSON is YAML
    command = [sys.executable, "-m", "webui.cli", "train", kind, "--name", name]
    command += ["--data", str(data), "--config", str(config), "--data-dir", str(home)]
    before = os.times()
    done = subprocess.run(
        [*command, "--threads", "1"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    after = os.times()
    return after.children_user + after.children_system - before[2] - before[3]


@contextmanager
def serving(home: Path) -> Generator[Program]:
    """Start the program on a data dir, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--threads", "1"]
    command += ["--precision", "exact", "--port", str(port), "--data-dir", str(home)]
    with (home / "said.txt").open("wb") as said:
        server = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
                _wait(http, server)
                yield Program(home, http)
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait(http: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            http.get("/healthz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.3)
        else:
            return
    message = "the server did not start; see said.txt in its data dir"
    raise RuntimeError(message)
