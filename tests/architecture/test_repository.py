"""The repository keeps its promises: contracts, locks, licence, clean files, no blind eyes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import tidy

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final[dict[str, Any]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)
THIS_FILE: Final = Path(__file__).relative_to(ROOT).as_posix()
FILES: Final = tidy.known_files()
PYTHON: Final = [path for path in FILES if path.suffix == ".py"]


def text_of(path: Path) -> str:
    """Return what a file says, or nothing if it is not text."""
    content = (ROOT / path).read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


# ------------------------------------------------------------------- the direction of imports


def test_every_import_points_downwards() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_server_can_be_built_without_torch() -> None:
    """The page is up in seconds because only the worker loads what is heavy."""
    question = "import sys, webui.app; print(sorted({'torch', 'diffusers'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "[]", done.stderr


# ----------------------------------------------------------------------------- documents


@pytest.mark.parametrize("path", sorted((ROOT / "webui").rglob("__init__.py")), ids=str)
def test_every_package_says_what_it_holds(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith('"""')


def test_the_licence_is_whole() -> None:
    licence = text_of(Path("LICENSE"))

    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize(
    "folder", ["Stable-diffusion", "Lora", "hypernetworks", "VAE", "ESRGAN", "CLIP"]
)
def test_every_model_folder_says_what_goes_there(folder: str) -> None:
    assert len(text_of(Path("models", folder, "README.md"))) > 200


# ----------------------------------------------------------------------------- blind eyes


BLIND: Final = {
    "type: ignore without a code": r"#\s*type:\s*ignore(?!\[)",
    "pyright: ignore without a rule": r"#\s*pyright:\s*ignore(?!\[)",
    "a file taken out of strict checking": r"#\s*pyright:\s*(basic|standard|off)",
    "noqa without a code": r"#\s*(ruff:\s*|flake8:\s*)?noqa(?!:\s*[A-Z]+\d)",
}


BARE: Final = re.compile(
    r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|(?:type|pyright): ignore\[[\w, -]+\])\s*$",
    re.MULTILINE,
)
"""An exception to a rule with nothing after it."""


def test_no_file_looks_away_from_everything() -> None:
    found = {
        str(path): name
        for path in PYTHON
        for name, pattern in BLIND.items()
        if path.as_posix() != THIS_FILE and re.search(pattern, text_of(path))
    }

    assert found == {}


def test_every_exception_to_a_rule_has_its_reason_beside_it() -> None:
    found = {str(path): bare for path in PYTHON if (bare := BARE.findall(text_of(path)))}

    assert found == {}


def test_no_file_is_exempt_from_types_but_where_foreign_types_end() -> None:
    """Only the folders that meet untyped libraries may look away, and only from what is unknown."""
    settings = PROJECT["tool"]["pyright"]
    silenced = {
        place["root"]: {rule for rule, level in place.items() if level == "none"}
        for place in settings["executionEnvironments"]
        if place["root"].startswith("webui")
    }

    assert settings["typeCheckingMode"] == "strict"
    assert silenced.pop("webui") == set()
    assert set(silenced) <= {"webui/modules/networks", "webui/ui"}
    assert all(
        rule.startswith("reportUnknown") or rule == "reportMissingTypeStubs"
        for rules in silenced.values()
        for rule in rules
    )


# ------------------------------------------------------------------------------- cleanliness


def test_no_weights_no_large_files_no_open_ends() -> None:
    assert [fault for path in FILES for fault in tidy.faults(path)] == []


PRIVATE: Final = re.compile(
    "|".join(
        (
            r"(?<![\w./$~-])/(?:root|work|home/\w+|opt/wheels|opt/pypi\S*)(?:/|\b)",
            r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|download\.pytorch\.org",
        )
    )
)
"""Folders of one machine, and hosts that only a package client needs to know."""


def test_no_file_speaks_of_one_machine() -> None:
    found = {str(path): names for path in FILES if (names := PRIVATE.findall(text_of(path)))}

    assert {path: names for path, names in found.items() if path != THIS_FILE} == {}


# ------------------------------------------------------------------------------------- locks


def pinned(lock: str) -> dict[str, str]:
    """Return the version of each package that a lock names."""
    lines = (line.partition(" ;")[0] for line in text_of(Path(lock)).splitlines())
    return {
        canonicalize_name(name): version
        for name, found, version in (line.partition("==") for line in lines)
        if found
    }


def asked(*extras: str) -> list[Requirement]:
    """Return what pyproject.toml asks for, with these extras."""
    project = PROJECT["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ()), ("requirements-test.lock", ("test", "dev"))]
)
def test_a_lock_holds_what_the_project_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    versions = pinned(lock)
    unmet = [
        str(requirement)
        for requirement in asked(*extras)
        if versions.get(canonicalize_name(requirement.name), "0") not in requirement.specifier
    ]

    assert unmet == []


def test_the_test_lock_adds_to_the_run_time_lock_and_changes_nothing() -> None:
    assert pinned("requirements.lock").items() <= pinned("requirements-test.lock").items()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_serves_every_system(lock: str) -> None:
    """No address, no hash, no build of one system: just a version, and when it is needed."""
    lines = [line for line in text_of(Path(lock)).splitlines() if not line.startswith("#")]

    odd = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*( ; [^@]+)?", line)]
    assert odd == []
