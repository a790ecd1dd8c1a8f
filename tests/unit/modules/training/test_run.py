"""What a person may rely on in every training, whatever stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from tests.trainings import KINDS, Beside, carry_out, in_pieces, plan_of
from webui.modules.device import choose
from webui.modules.errors import NumericsError, PictureError, StorageError
from webui.modules.training import state
from webui.modules.training.plan import CorrectionPlan, WatchPlan
from webui.modules.training.run import train
from webui.modules.training.sitting import Desk
from webui.modules.types import StopDrawing
from webui.modules.weights.describe import describe
from webui.modules.weights.read import open_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from webui.modules.training.sitting import Watched


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_paused_twice_ends_with_the_same_bytes(
    kind: str, tmp_path: Path
) -> None:
    whole = carry_out(plan_of(tmp_path / "whole", kind))
    paused = in_pieces(plan_of(tmp_path / "paused", kind), 1, 3)

    assert whole == paused
    assert describe(plan_of(tmp_path / "whole", kind).out).kind is KINDS[kind][0]


@pytest.mark.parametrize("optimiser", ["Adafactor", "Lion", "Prodigy"])
def test_every_optimiser_goes_on_from_all_that_it_knew(optimiser: str, tmp_path: Path) -> None:
    correction = CorrectionPlan(optimiser=optimiser, rate="1e-2", average=0.5)

    whole = carry_out(plan_of(tmp_path / "whole", correction=correction))
    paused = in_pieces(plan_of(tmp_path / "paused", correction=correction), 2)

    assert whole == paused


def test_a_killed_training_goes_on_from_its_last_save_and_ends_with_the_same_bytes(
    tmp_path: Path,
) -> None:
    plan = plan_of(tmp_path / "killed", steps=6, watch=WatchPlan(save_every=2, measure_every=0))
    script = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tests.trainings import Beside, carry_out, plan_of\n"
        "from webui.modules.training.plan import WatchPlan\n"
        f"plan = plan_of(Path({str(tmp_path / 'killed')!r}), steps=6,\n"
        "               watch=WatchPlan(save_every=2, measure_every=0))\n"
        "class Deadly(Beside):\n"
        "    def tell(self, step, total, what):\n"
        "        if step == 3:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "carry_out(plan, Deadly())\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": "."},
        check=False,
    )
    reached = state.saved(plan.run)
    assert killed.returncode == -signal.SIGKILL
    assert reached is not None
    assert reached.step == 2

    whole = carry_out(replace(plan_of(tmp_path / "whole", steps=6), watch=plan.watch))

    assert carry_out(plan) == whole


def test_watching_a_training_does_not_change_it(tmp_path: Path) -> None:
    seen: list[int] = []

    def look(watched: Watched) -> None:
        seen.append(watched.step)
        torch.rand(3)

    watch = WatchPlan(save_every=1, keep=2, sample_every=1, sample=None, measure_every=1)
    watched = carry_out(
        plan_of(tmp_path / "watched", "hypernetwork", watch=watch), Beside(look=look)
    )

    assert watched == carry_out(plan_of(tmp_path / "alone", "hypernetwork"))
    kept = sorted(
        path.name for path in (tmp_path / "watched/training/hypernetwork/steps").iterdir()
    )
    assert kept == ["mine-000002.pt", "mine-000003.pt"]


def test_a_training_that_is_stopped_keeps_what_it_has_learned(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)

    stopped = carry_out(plan, Beside(stop_at=3, wish=StopDrawing))
    whole = carry_out(plan)

    assert stopped
    assert stopped != whole
    assert whole == carry_out(plan_of(tmp_path / "undisturbed"))


def test_a_new_rate_takes_effect_when_a_training_goes_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    carry_out(plan, Beside(stop_at=2))
    beside = Beside()

    carry_out(replace(plan, correction=CorrectionPlan(rate="5e-4")), beside)

    assert [line["rate"] for line in beside.lines if "rate" in line] == [5e-4, 5e-4]
    assert [line["step"] for line in beside.lines] == [3, 4]


@pytest.mark.parametrize("kind", ["lora", "checkpoint"])
def test_training_on_a_few_pictures_lowers_the_error_on_fixed_noise(
    kind: str, tmp_path: Path
) -> None:
    beside = Beside()
    plan = plan_of(
        tmp_path, kind, steps=120, watch=WatchPlan(save_every=0, measure_every=120),
        correction=CorrectionPlan(rate="5e-3" if kind == "lora" else "5e-4"),
    )  # fmt: skip

    carry_out(plan, beside)

    first, last = beside.measured
    assert last < first / (1.5 if kind == "lora" else 2)


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_last_state(
    tmp_path: Path,
) -> None:
    plan = plan_of(
        tmp_path, steps=30, correction=CorrectionPlan(rate="1e-3:4, 1e30", clip=0),
        watch=WatchPlan(save_every=4, measure_every=0),
    )  # fmt: skip

    with pytest.raises(NumericsError, match="step"):
        carry_out(plan)

    with open_tensors(plan.run / state.FILE) as file:
        assert all(bool(torch.isfinite(file.read(name)).all()) for name in file.names())
    with open_tensors(plan.run / "steps" / "mine-000004.safetensors") as file:
        assert all(bool(torch.isfinite(file.read(name)).all()) for name in file.names())


def test_a_folder_without_pictures_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    with pytest.raises(PictureError, match="no usable picture in data"):
        carry_out(plan_of(tmp_path))


def test_a_full_disk_leaves_the_last_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, watch=WatchPlan(save_every=1, measure_every=0))
    before = carry_out(replace(plan, steps=2))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("webui.modules.weights.write._write", full)
    with pytest.raises(StorageError, match="No space left"):
        carry_out(plan)
    monkeypatch.undo()

    assert plan.out.read_bytes() == before
    assert carry_out(plan) == carry_out(plan_of(tmp_path / "other", watch=plan.watch))


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.trainings import Beside, carry_out, plan_of
from webui.modules.errors import StorageError
from webui.modules.training.plan import WatchPlan

class Full(Beside):
    def tell(self, step, total, what):
        if step == 2:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

signal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[2]))
try:
    carry_out(plan_of(Path(sys.argv[1]), watch=WatchPlan(save_every=1, measure_every=0)), Full())
except StorageError as problem:
    print(problem, problem.hint)
"""
"""A training for whose third state the disk has no room: the operating system refuses the write,
or, as the signal says, ends the process in the middle of it."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of file sizes")
@pytest.mark.parametrize("how", ["SIG_DFL", "SIG_IGN"])
def test_killed_or_out_of_room_in_the_middle_of_a_save_the_files_before_are_whole(
    how: str, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path / "cut", watch=WatchPlan(save_every=1, measure_every=0))

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "cut"), how],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    if how == "SIG_DFL":
        assert done.returncode == -signal.SIGXFSZ, done.stderr
    else:
        assert "state.safetensors cannot be written" in done.stdout
        assert "Free some space" in done.stdout
    assert not plan.out.exists()
    reached = state.saved(plan.run)
    assert reached is not None
    assert reached.step == 2
    kept = sorted((plan.run / "steps").glob("[!.]*"))
    assert [path.name for path in kept] == ["mine-000001.safetensors", "mine-000002.safetensors"]
    for path in (plan.run / state.FILE, *kept):
        with open_tensors(path) as file:
            assert all(bool(torch.isfinite(file.read(name)).all()) for name in file.names())
    assert carry_out(plan) == carry_out(plan_of(tmp_path / "calm", watch=plan.watch))


@pytest.mark.parametrize("kind", ["lora", "hypernetwork", "checkpoint", "vae"])
def test_a_painter_of_16_bits_is_trained_too(kind: str, tmp_path: Path) -> None:
    plan, beside = plan_of(tmp_path, kind, steps=1), Beside()

    train(
        plan,
        choose("cpu", "bf16"),
        Desk(tell=beside.tell, preview=beside.preview, heard=beside.lines.append),
    )

    exact = Beside()
    carry_out(plan_of(tmp_path / "exact", kind, steps=1), exact)
    assert beside.losses == pytest.approx(exact.losses, rel=0.05)
