"""Two processes that train together are one that sees as many pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainings import carry_out, plan_of
from webui.modules.training.journal import read
from webui.modules.weights.read import open_tensors

SCRIPT = """
import sys
from pathlib import Path
from tests.trainings import carry_out, plan_of
carry_out(plan_of(Path(sys.argv[1]), batch_size=2))
"""


def test_two_processes_correct_as_one_does(tmp_path: Path) -> None:
    alone = plan_of(tmp_path / "alone", batch_size=2)
    carry_out(alone)
    both = plan_of(tmp_path / "both", batch_size=2)
    (tmp_path / "both.py").write_text(SCRIPT, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    done = subprocess.run(
        [*launcher, str(tmp_path / "both.py"), str(tmp_path / "both")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lengths, expected = ([line["length"] for line in read(plan.run)] for plan in (both, alone))
    assert lengths == pytest.approx(expected, rel=1e-5)
    assert len(lengths) == 4
    with open_tensors(alone.out) as first, open_tensors(both.out) as second:
        for name in first.names():
            difference = (first.read(name).float() - second.read(name).float()).abs().max()
            # AdamW makes a whole step of a gradient near nothing, so rounding shows where it is.
            assert float(difference) <= 5e-4, name
