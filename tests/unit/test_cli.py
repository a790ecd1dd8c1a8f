"""The command line: exit codes, one clear message for a mistake, and A1111's flags."""

import json

import pytest

from tests.tiny import NAME, furnish
from webui.cli import main

MISTAKES = [
    (["serve", "--listen"], 2, "nobody is named", "--auth"),
    (["--listen"], 2, "nobody is named", "--invite"),
    (["serve", "--listen", "--auth", "anna"], 2, "'anna'", "anna:secret"),
    (["serve", "--gradio-auth", "anna:x,bob"], 2, "'bob'", "anna:secret"),
    (["serve", "--allow-code"], 2, "--allow-code", "without"),
    (["serve", "--port", "many"], 2, "server.port is 'many'", "Correct"),
    (["serve", "--precision", "fp8"], 2, "device.precision is 'fp8'", "Correct"),
    (["generate", "--prompt", "x", "--out", "o", "--steps", "0"], 1, "steps is 0", "1 to 150"),
    (["generate", "--out", "o", "--checkpoint", "gone"], 1, "'gone'", NAME),
    (["generate", "--out", "o", "--sampler", "Eulr"], 1, "'Eulr'", "Euler"),
    (["generate", "--out", "o", "--infotext", "gone.txt"], 1, "gone.txt", "Give"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return furnish(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize(("words", "code", "said", "hint"), MISTAKES, ids=str)
def test_a_mistake_ends_with_its_name_and_a_way_out(home, capsys, words, code, said, hint) -> None:
    assert main([*words, "--data-dir", str(home)]) == code

    problem, way_out = capsys.readouterr().err.splitlines()
    assert said in problem
    assert hint in way_out


@pytest.mark.parametrize("words", [["draw"], ["generate"], ["inspect"], ["serve", "--prot", "1"]])
def test_a_wrong_word_shows_the_usage(capsys, words) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_inspect_answers_for_every_file_in_order_and_fails_if_one_is_refused(home, capsys) -> None:
    checkpoint = str(home / "models" / "Stable-diffusion" / NAME)
    cut = home / "cut.safetensors"
    cut.write_bytes(b"\x99" * 9)
    files = [str(home / "gone.pt"), checkpoint, str(cut)]

    code = main(["inspect", *files, "--json", "--data-dir", str(home)])

    answers = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [answer["path"] for answer in answers] == files
    assert answers[1]["kind"] == "checkpoint"
    assert answers[1]["sha256"].startswith("8244b8ddea")
    assert answers[1]["error"] is None
    for refused in (answers[0], answers[2]):
        assert set(refused["error"]) == {"code", "message", "hint"}
    assert set(answers[0]) == {
        *("path", "kind", "family", "format", "sha256", "trigger_words"),
        *("applies", "verdict", "hint", "error"),
    }


def test_inspect_of_sound_files_succeeds(home, capsys) -> None:
    checkpoint = str(home / "models" / "Stable-diffusion" / NAME)

    assert main(["inspect", checkpoint, "--data-dir", str(home), "--use-cpu", "all"]) == 0
    assert "Kind: checkpoint of the family sd1" in capsys.readouterr().out
