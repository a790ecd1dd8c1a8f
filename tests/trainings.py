"""Small real trainings for tests: four little pictures, the starter checkpoint, a few steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from webui.modules.device import choose
from webui.modules.training.plan import (
    CheckpointPlan,
    CorrectionPlan,
    DataPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    TrainingPlan,
    VaePlan,
    WatchPlan,
    What,
)
from webui.modules.training.run import train
from webui.modules.training.sitting import Desk, Watched
from webui.modules.types import ModelKind, ModelRecord, PauseWork

STARTER: Final = Path(__file__).parents[1] / "models" / "Stable-diffusion" / "starter.safetensors"

BASE: Final = ModelRecord(
    path=STARTER,
    kind=ModelKind.CHECKPOINT,
    name=STARTER.name,
    config=STARTER.with_suffix(".yaml"),
)

KINDS: Final[Mapping[str, tuple[ModelKind, What]]] = {
    "lora": (ModelKind.LORA, LoraPlan(rank=4, alpha=2, conv_rank=2)),
    "loha": (ModelKind.LORA, LoraPlan(method="loha", rank=2, alpha=3)),
    "lokr": (ModelKind.LORA, LoraPlan(method="lokr", rank=2, alpha=1)),
    "dora": (ModelKind.LORA, LoraPlan(method="dora", rank=2, alpha=4)),
    "embedding": (ModelKind.EMBEDDING, EmbeddingPlan(vectors=2, words="a cat")),
    "hypernetwork": (ModelKind.HYPERNETWORK, HypernetworkPlan(dropout=(0, 0.1, 0))),
    "checkpoint": (ModelKind.CHECKPOINT, CheckpointPlan(text=True)),
    "vae": (ModelKind.VAE, VaePlan()),
    "aesthetic": (ModelKind.AESTHETIC, EmbeddingPlan(words="a cat")),
}
"""One training of every kind, and of every method of the LoRA family."""


def pictures(folder: Path, count: int = 4) -> Path:
    """Fill a folder with pictures of coloured squares, half of them wide, and what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = np.full((64, 96 if number % 2 else 64, 3), random.integers(0, 256, 3), np.uint8)
        pixels[16:48, 16:48] = random.integers(0, 256, 3)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"square, number {number}", encoding="utf-8")
    return folder


def plan_of(folder: Path, kind: str = "lora", **changes: Any) -> TrainingPlan:
    """Return a training of four steps on pictures in ``folder / "data"``, with fields changed."""
    data = folder / "data"
    if not data.exists():
        pictures(data)
    model, what = KINDS[kind]
    named = model in (ModelKind.EMBEDDING, ModelKind.AESTHETIC)
    template = ("[name], [filewords]",) if named else ("[filewords]",)
    plan = TrainingPlan(
        kind=model,
        name="mine",
        base=BASE,
        run=folder / "training" / kind,
        out=folder / (f"{kind}.pt" if kind == "hypernetwork" else f"{kind}.safetensors"),
        data=DataPlan(folder=data, resolution=64, bucket_step=32, template=template),
        what=what,
        correction=CorrectionPlan(rate="1e-3"),
        watch=WatchPlan(save_every=0, sample_every=0, measure_every=0),
        steps=4,
    )
    return replace(plan, **changes)


@dataclass
class Beside:
    """Stands beside a training: hears it, and stops it at a step in one way or another."""

    stop_at: int | None = None
    wish: type[Exception] = PauseWork
    look: Callable[[Watched], None] = lambda _watched: None
    lines: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])

    def tell(self, step: int, _total: int, what: str) -> None:
        """Raise the wish when the step has come."""
        if what == "training" and step == self.stop_at:
            raise self.wish

    def preview(self, watched: Watched) -> tuple[str, ...]:
        """Look at the painter as it is."""
        self.look(watched)
        return ("samples/picture.png",)

    @property
    def losses(self) -> list[float]:
        """What each step's loss was."""
        return [line["loss"] for line in self.lines if "loss" in line]

    @property
    def measured(self) -> list[float]:
        """What each measurement on fixed noise gave."""
        return [line["held_out"] for line in self.lines if "held_out" in line]


def carry_out(plan: TrainingPlan, beside: Beside | None = None) -> bytes:
    """Train on one thread in 32 bits; return the bytes of the finished file, if there is one."""
    beside = beside or Beside()
    desk = Desk(tell=beside.tell, preview=beside.preview, heard=beside.lines.append)
    try:
        train(plan, choose("cpu", "exact"), desk)
    except PauseWork:
        return b""
    return plan.out.read_bytes()


def in_pieces(plan: TrainingPlan, *stops: int, wish: type[Exception] = PauseWork) -> bytes:
    """Train with stops at these steps, going on from the saved state each time."""
    for stop in stops:
        carry_out(plan, Beside(stop_at=stop, wish=wish))
    return carry_out(plan)
