"""``launch.py train``: lines of JSON, a kill that costs nothing, mistakes in words."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.conftest import ROOT
from tests.tiny import furnish
from webui import cli
from webui.modules.training.journal import read
from webui.modules.weights.read import open_tensors

SETTINGS = """\
preset: an object
watch: {measure_every: 0}
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


def test_after_a_polite_and_a_rude_kill_the_same_command_ends_with_the_same_bytes(
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
    assert not (calm / "training" / "杯子" / "samples").exists(), "nobody has asked for pictures"
    file = Path(lines[-1]["path"])
    assert file == calm / "models" / "Lora" / "杯子.safetensors"

    out = rough / "models" / "Lora" / file.name
    heard: list[dict[str, Any]] = []
    for more, at, number in (((), 3, signal.SIGKILL), (("--resume",), 5, signal.SIGTERM)):
        assert not out.exists()
        with subprocess.Popen(
            [*command, *words(rough, pictures, *more)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            for line in process.stdout or ():
                heard.append(json.loads(line))
                if heard[-1]["step"] == at:
                    process.send_signal(number)
    assert heard[-1]["stopped"], "a polite kill stops and saves"
    assert out.is_file()
    again = [*command, *words(rough, pictures, "--resume")]
    subprocess.check_call(again, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    assert out.read_bytes() == file.read_bytes()


def test_two_processes_of_the_command_correct_as_one_does(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, alone = furnish(tmp_path / "both"), furnish(tmp_path / "alone")
    more = ("--steps", "3", "--batch-size", "2")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, "-m", "webui.cli", *words(both, pictures, *more)]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["step"] for line in said] == [1, 2, 3, 3], "only the first process speaks"
    assert cli.main(words(alone, pictures, *more)) == 0
    capsys.readouterr()
    runs = [read(home / "training" / "杯子") for home in (both, alone)]
    lengths, expected = ([line["length"] for line in lines if "length" in line] for lines in runs)
    assert lengths == pytest.approx(expected, rel=1e-5)
    files = (home / "models" / "Lora" / "杯子.safetensors" for home in (both, alone))
    with open_tensors(next(files)) as first, open_tensors(next(files)) as second:
        for name in first.names():
            difference = (first.read(name).float() - second.read(name).float()).abs().max()
            # AdamW makes a whole step of a gradient near nothing: rounding shows there.
            assert float(difference) <= 5e-4, name


# The checks of shapes stand between torch's inference mode and the generators that draw.
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")
def test_a_picture_is_drawn_on_the_way_if_the_plan_asks_for_one(
    tmp_path: Path, pictures: Path
) -> None:
    home = furnish(tmp_path / "home")
    sample = "{steps: 1, width: 64, height: 64, prompts: a cup}"
    settings = f"watch: {{measure_every: 0, sample_every: 2, sample: {sample}}}"
    (pictures.parent / "settings.yaml").write_text(settings, "utf-8")

    assert cli.main(words(home, pictures, "--steps", "3")) == 0

    drawn = sorted(path.name for path in (home / "training" / "杯子" / "samples").iterdir())
    assert drawn == ["000000-0.png", "000002-0.png", "000003-0.png"]
    beside = home / "models" / "Lora" / "杯子.preview.png"
    assert beside.read_bytes() == (home / "training" / "杯子" / "samples" / drawn[-1]).read_bytes()


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


@pytest.mark.parametrize(
    "said",
    [
        ["train", "lora", "--data", ".", "--name", "x"],
        ["generate", "--prompt", "a cat", "--out", "."],
        ["inspect", "x.safetensors"],
    ],
)
def test_a_data_dir_that_is_not_there_is_named(
    said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere"

    assert cli.main([*said, "--data-dir", str(missing)]) == 2

    assert f"there is no folder '{missing}'" in capsys.readouterr().err
    assert not missing.exists()


def test_a_wrong_word_in_the_file_is_refused_with_the_right_one(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures.parent / "settings.yaml").write_text("corection: {shape: cosine}", "utf-8")
    assert cli.main(words(furnish(tmp_path / "home"), pictures)) == 1
    assert "correction.shape" in capsys.readouterr().err
