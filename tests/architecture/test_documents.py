"""The documents say what the program does: commands, flags, files and links exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import launch
from tools import tidy

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [path for path in tidy.known_files() if path.suffix == ".md"]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING: Final = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)

    assert [target for target in targets if not (ROOT / path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_commands_that_are_named_exist(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    named = set(re.findall(r"launch\.py ([a-z]+)", text))

    assert named <= set(launch.COMMANDS)


def test_the_first_thing_the_readme_says_is_how_to_start() -> None:
    first_block = README.split("```")[1].strip().splitlines()

    assert len(first_block) == 2
    assert first_block[1] == "python3 launch.py"


def test_every_command_is_in_the_readme() -> None:
    assert [
        name for name in ("setup", "generate", "inspect", "bench", "test") if name not in README
    ] == []


@pytest.mark.parametrize("command", ["serve", "generate"])
def test_flags_that_the_readme_names_exist(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "webui.cli", command, "--help"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shared = {"--data-dir", "--device", "--precision", "--threads", "--a1111-home"}
    own = {
        "serve": {"--no-browser", "--listen", "--auth", "--invite"},
        "generate": {"--prompt", "--out"},
    }[command]

    assert [flag for flag in shared | own if flag not in README] == []
    assert [flag for flag in shared | own if flag not in done.stdout] == []


def test_files_that_the_worked_example_names_exist() -> None:
    named = re.findall(r"`((?:webui|tests|tools)/[\w/.]+)`", CONTRIBUTING)

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_make_verb_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    assert verbs == set(re.findall(r"^make ([a-z]+) ", CONTRIBUTING, re.MULTILINE))


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name for path in decisions if path.name not in listed] == []
