"""One server per data dir."""

import subprocess
import sys

import pytest

from webui.jobs.lock import held
from webui.modules.errors import StorageError

HOLD = """
import sys
from pathlib import Path
from webui.jobs.lock import held
with held(Path(sys.argv[1])) as hold:
    hold.tell_port(7899)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_server_learns_who_the_first_one_is_and_may_follow_it(tmp_path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"

    with pytest.raises(StorageError, match=f"process {first.pid} on port 7899"), held(tmp_path):
        pass
    first.kill()
    first.communicate()

    with held(tmp_path) as hold:
        hold.tell_port(1)
    assert f'"port": {1}'.encode() in (tmp_path / "atelier.lock").read_bytes()


def test_a_data_dir_that_cannot_be_made_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(StorageError, match="file"), held(tmp_path / "file" / "data"):
        pass
