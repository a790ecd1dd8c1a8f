"""Steps of a LoRA training, ours and those of plain diffusers: turn by turn, each by itself.

Each runner is a process of its own, so that the memory of each is its own and neither's allocator,
threads or caches help or hinder the other; the one waits while the other takes its step.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any, Final, cast

from webui.modules.types import ModelKind, ModelRecord, StopDrawing

RANK: Final = 16
PICTURES: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """What is run.

    Attributes:
        checkpoint: The painter.
        folder: Where pictures and what is kept of them may lie.
        device: Fields of ``DeviceSettings``.
        side: Of the pictures, in pixels.
        repeats: Steps that count; one before them does not.
        savings: Whether memory is saved: once for each.
    """

    checkpoint: Path
    folder: Path
    device: Mapping[str, Any]
    side: int
    repeats: int
    savings: tuple[bool, ...] = (False, True)


def run_race(race: Race) -> dict[str, float]:
    """Take steps in turns, without saving memory and with it.

    Returns:
        Seconds of a step of ours and of diffusers in 32 bits, and the median of their ratios; the
        same under "saving" where both save memory; the share of our time that went into forward
        pass, backward pass and correction; the largest memory of each; and the threads.
    """
    figures: dict[str, float] = {}
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    for save in race.savings:
        name = "saving " if save else ""
        with _runner(race, "ours", save) as ours, _runner(race, "plain", save) as plain:
            pairs = [(_turn(ours), _turn(plain)) for _ in range(race.repeats + 1)][1:]
        figures |= {
            f"{name}ours s": round(median(mine["wall"] for mine, _ in pairs), 3),
            f"{name}diffusers float32 s": round(median(other["wall"] for _, other in pairs), 3),
            f"{name}ratio": round(median(mine["wall"] / other["wall"] for mine, other in pairs), 3),
            f"{name}peak GB": pairs[-1][0]["peak"],
            f"{name}diffusers peak GB": pairs[-1][1]["peak"],
        }
        at_work = sum(mine["work"] for mine, _ in pairs) / sum(mine["wall"] for mine, _ in pairs)
        figures[f"{name}at work"] = round(at_work, 4)
    return {**figures, "threads": pairs[-1][0]["threads"]}


@contextmanager
def _runner(race: Race, who: str, save: bool) -> "Generator[subprocess.Popen[str]]":  # noqa: FBT001 - passed by place
    told = {
        "who": who,
        "checkpoint": str(race.checkpoint),
        "folder": str(race.folder),
        "device": dict(race.device),
        "side": race.side,
        "save": save,
    }
    command = [sys.executable, "-m", "webui.jobs.training_race", json.dumps(told)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(  # noqa: S603 - this very file
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            cast("IO[str]", running.stdout).readline()  # it is ready
            yield running
        finally:
            running.kill()


def _turn(runner: "subprocess.Popen[str]") -> dict[str, float]:
    """Let a runner take one step and return what it says of it."""
    into, out = cast("IO[str]", runner.stdin), cast("IO[str]", runner.stdout)
    into.write("go\n")
    into.flush()
    line = out.readline()
    if not line:
        message = f"a runner ended with {runner.wait(30)}"
        raise OSError(message)
    return json.loads(line)


# The runners ------------------------------------------------------------------------------------


def _ours(told: Mapping[str, Any], wait: Callable[[], None]) -> None:
    """Train with the loop of every training; between two steps it waits for its turn."""
    from webui.modules.device import choose
    from webui.modules.training.plan import (
        CorrectionPlan,
        DataPlan,
        LoraPlan,
        TrainingPlan,
        WatchPlan,
    )
    from webui.modules.training.run import train
    from webui.modules.training.sitting import Desk

    folder = Path(told["folder"])
    plan = TrainingPlan(
        kind=ModelKind.LORA,
        name="race",
        base=checkpoint_record(Path(told["checkpoint"])),
        run=folder / "race",
        out=folder / "race.safetensors",
        data=DataPlan(folder=_pictures(folder, told["side"]), resolution=told["side"]),
        what=LoraPlan(rank=RANK, alpha=RANK, text=False),
        correction=CorrectionPlan(save_memory=told["save"]),
        watch=WatchPlan(save_every=0, sample_every=0, measure_every=0),
        steps=10**6,
    )
    device = choose(**told["device"])
    lines: list[Mapping[str, Any]] = []
    began: list[float] = []

    def tell(_step: int, _total: int, what: str) -> None:
        if what != "training":
            return
        if began:
            wall = time.perf_counter() - began[-1]
            _say(wall=wall, work=lines[-1]["seconds"] - lines[-1]["waited"])
        wait()
        began.append(time.perf_counter())

    train(plan, device, Desk(tell=tell, preview=lambda _watched: (), heard=lines.append))


def _plain(told: Mapping[str, Any], wait: Callable[[], None]) -> None:
    """Take steps with plain modules in 32 bits on latents that lie ready."""
    import torch

    from webui.modules.device import choose
    from webui.modules.networks.checkpoint import load_checkpoint
    from webui.modules.networks.reference import PlainLora

    wished: dict[str, Any] = {**told["device"], "precision": "exact", "attention": "sdpa"}
    device = choose(**wished)
    checkpoint = load_checkpoint(checkpoint_record(Path(told["checkpoint"])), device)
    cells, width = told["side"] // 8, checkpoint.architecture.unet.context
    lora = PlainLora(checkpoint.unet, RANK, save_memory=told["save"])
    moved = [
        each.to(device.torch)
        for each in (
            torch.randn(1, 4, cells, cells),
            torch.full((1,), 500.0),
            torch.randn(1, 77, width),
            torch.randn(1, 4, cells, cells),
        )
    ]
    latents, times, text, truth = moved
    while True:
        wait()
        began = time.perf_counter()
        lora.step(latents, times, text, truth)
        wall = time.perf_counter() - began
        _say(wall=wall, work=wall)


def checkpoint_record(path: Path) -> ModelRecord:
    """Return the record of a checkpoint of SD1's family that is only measured with."""
    config = path.with_suffix(".yaml")
    return ModelRecord(
        path=path,
        kind=ModelKind.CHECKPOINT,
        family="sd1",
        name=path.name,
        config=config if config.exists() else None,
    )


def _pictures(folder: Path, side: int) -> Path:
    """Return a folder with pictures of noise and what is said of them."""
    import numpy as np
    from PIL import Image

    place = folder / f"race pictures {side}"
    if not place.exists():
        place.mkdir()
        for number in range(PICTURES):
            random = np.random.default_rng(number)
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
            (place / f"{number}.txt").write_text(f"noise, number {number}", encoding="utf-8")
    return place


def _say(**figures: float) -> None:
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    said = {**figures, "peak": round(peak, 2), "threads": torch.get_num_threads()}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _wait(ready: list[bool]) -> None:
    """Say once that all is ready, and wait for one's turn."""
    if not ready:
        ready.append(True)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    if not sys.stdin.readline():
        raise StopDrawing


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    said_ready: list[bool] = []
    try:
        {"ours": _ours, "plain": _plain}[request["who"]](request, lambda: _wait(said_ready))
    except StopDrawing:
        sys.exit(0)
