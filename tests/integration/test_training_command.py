"""``launch.py train``: lines of JSON, a kill that costs nothing, mistakes in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.integration.conftest import ROOT
from tests.tiny import furnish
from webui import cli

SETTINGS = """\
preset: an object
watch: {sample_every: 0, measure_every: 0}
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (64, 64), (number * 90, 40, 40)).save(folder / f"a cup {number}.png")
    (tmp_path / "settings.yaml").write_text(SETTINGS, "utf-8")
    return folder


def words(home: Path, pictures: Path, *more: str) -> list[str]:
    said = ["train", "lora", "--data", str(pictures), "--name", "杯子", "--steps", "8"]
    said += ["--rank", "2", "--resolution", "64", "--save-every", "2", "--data-dir", str(home)]
    said += ["--config", str(pictures.parent / "settings.yaml"), "--threads", "1", *more]
    return [*said, "--device", "cpu", "--precision", "exact"]


def test_after_a_kill_the_same_command_ends_with_the_same_bytes(
    tmp_path: Path, pictures: Path
) -> None:
    command = [sys.executable, "-m", "webui.cli"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    calm, rough = furnish(tmp_path / "calm"), furnish(tmp_path / "rough")
    said = subprocess.check_output(
        [*command, *words(calm, pictures)], cwd=ROOT, env=environment, text=True
    )
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["step"] for line in lines[:-1]] == list(range(1, 9))
    assert all({"loss", "seconds"} <= set(line) for line in lines)
    file = Path(lines[-1]["path"])
    assert file == calm / "models" / "Lora" / "杯子.safetensors"

    with subprocess.Popen(
        [*command, *words(rough, pictures)], cwd=ROOT, env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["step"] == 5:
                process.kill()
                break
    assert not (rough / "models" / "Lora" / file.name).exists()
    again = [*command, *words(rough, pictures, "--resume")]
    subprocess.check_call(again, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    assert (rough / "models" / "Lora" / file.name).read_bytes() == file.read_bytes()


def test_a_second_training_of_a_name_is_refused_with_a_way_out(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = furnish(tmp_path / "home")
    (home / "training" / "杯子").mkdir(parents=True)
    assert cli.main(words(home, pictures)) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--lr", "1e9"], "explode"),
        (["--checkpoint", "deleted"], "deleted"),
        (["--resolution", "100"], "multiple of 8"),
        (["--data", "/no/such/folder"], "no folder"),
    ],
)
def test_mistakes_are_told_in_one_message(
    tmp_path: Path,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    told: str,
) -> None:
    assert cli.main(words(furnish(tmp_path / "home"), pictures, *more)) == 1
    assert told in capsys.readouterr().err


def test_a_wrong_word_in_the_file_is_refused_with_the_right_one(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures.parent / "settings.yaml").write_text("corection: {shape: cosine}", "utf-8")
    assert cli.main(words(furnish(tmp_path / "home"), pictures)) == 1
    assert "correction.shape" in capsys.readouterr().err
