"""``bench`` runs a training's steps against plain diffusers, on a small scale here."""

from pathlib import Path

from tests.trainings import STARTER
from webui.jobs.training_race import Race, run_race


def test_a_race_tells_times_ratio_share_at_work_and_memory_of_both(tmp_path: Path) -> None:
    device = {"device": "cpu", "precision": "exact", "threads": 1}
    race = Race(checkpoint=STARTER, folder=tmp_path, device=device, side=64, repeats=1,
                savings=(True,))  # fmt: skip

    told = run_race(race)

    assert told["threads"] == 1
    ours, plain = told["saving ours s"], told["saving diffusers float32 s"]
    assert abs(told["saving ratio"] - ours / plain) < 0.02 * told["saving ratio"] + 0.01
    assert 0.5 < told["saving at work"] <= 1
    assert all(0.1 < told[f"saving {who}peak GB"] < 4 for who in ("", "diffusers "))
