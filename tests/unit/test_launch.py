"""The first minutes of a stranger: setting up, being interrupted, starting again."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Final

import pytest

import launch

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = (ROOT / "launch.py").read_text(encoding="utf-8")

SAY_ARGUMENTS: Final = (
    "import json, os, sys; print(json.dumps([os.getcwd(), sys.argv[1:]])); sys.exit(2)"
)
PYTEST_FAILS: Final = "import sys; print('pytest was given', sys.argv[1:]); sys.exit(5)"


# --------------------------------------------------------------- a small house to set up


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Write a wheel that any installer takes."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{version}"
    about = f"{stem}.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel.writestr(f"{about}/METADATA", head)
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        listed = [*files, f"{about}/METADATA", f"{about}/WHEEL", f"{about}/RECORD"]
        wheel.writestr(f"{about}/RECORD", "".join(f"{path},,\n" for path in listed))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that the small house's locks name."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        make_wheel(folder, "torch", version, {"torch/__init__.py": f"__version__ = '{version}'"})
    make_wheel(
        folder, "pytest", "9.0", {"pytest/__init__.py": "", "pytest/__main__.py": PYTEST_FAILS}
    )
    return folder


def make_house(folder: Path) -> Path:
    """Lay out what launch.py expects beside it, in small."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "launch.py", folder)
    (folder / "requirements.lock").write_text("torch==1.0\n", encoding="utf-8")
    (folder / "requirements-test.lock").write_text("pytest==9.0\ntorch==1.0\n", encoding="utf-8")
    (folder / "webui").mkdir()
    (folder / "webui" / "__init__.py").touch()
    (folder / "webui" / "cli.py").write_text(SAY_ARGUMENTS, encoding="utf-8")
    return folder


def environment(**changes: str) -> dict[str, str]:
    """Return this environment without what people tell pip, and with these changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, **changes}


def run(
    house: Path, *arguments: str, cwd: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Start launch.py of a house and wait for it."""
    return subprocess.run(
        [sys.executable, str(house / "launch.py"), *arguments],
        cwd=cwd or house,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a house in which nothing is set up."""
    return make_house(tmp_path / "house")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    """Return a house that is set up; tests work on copies of it."""
    folder = make_house(tmp_path_factory.mktemp("furnished") / "house")
    done = run(folder, "setup", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch" in done.stdout
    assert "[  1/1]" in done.stdout
    return folder


@pytest.fixture
def ready(tmp_path: Path, furnished: Path) -> Path:
    """Return a fresh copy of a house that is set up."""
    return shutil.copytree(furnished, tmp_path / "ready", symlinks=True)


def version_of_torch(house: Path) -> str:
    """Return which torch a house has."""
    question = "import torch; print(torch.__version__)"
    python = next((house / ".venv").glob("bin/python"), house / ".venv/Scripts/python.exe")
    return subprocess.check_output([python, "-c", question], text=True).strip()


# -------------------------------------------------------------------------- what is needed


@pytest.mark.parametrize("version", [(3, 6), (3, 10)])
def test_an_old_python_is_told_what_to_do(version: tuple[int, int]) -> None:
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer; this is Python 3\.\d+"):
        launch.check_python(version)


def test_an_old_python_can_read_the_file_as_far_as_that_message() -> None:
    assert ast.parse(SOURCE, feature_version=(3, 6)).body


def test_nothing_but_python_is_needed() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or node.names[0].name]
    }

    assert imported <= sys.stdlib_module_names


def test_a_disk_that_is_too_small_is_named_before_it_is_filled() -> None:
    with pytest.raises(launch.SetupError, match=r"0\.5 GiB are free .* 3\.0 GiB are needed"):
        launch.check_space(launch.GIB // 2, fresh=True, torch_index=None)


def test_little_space_on_linux_earns_a_word_about_the_cpu_build(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")

    launch.check_space(5 * launch.GIB, fresh=True, torch_index=None)
    assert "--torch-index-url" in capsys.readouterr().out

    launch.check_space(5 * launch.GIB, fresh=True, torch_index="file:///cpu")
    launch.check_space(5 * launch.GIB, fresh=False, torch_index=None)
    launch.check_space(50 * launch.GIB, fresh=True, torch_index=None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError('Failed to establish a new connection')", "cannot be reached"),
        ("error: dns error: failed to lookup address", "cannot be reached"),
        ("ERROR: No matching distribution found for torch==2.13.0", "has no build"),
        ("ERROR: something new", "something new"),
    ],
)
def test_what_the_installer_says_becomes_advice(said: str, meaning: str) -> None:
    error = launch.explained(said)

    assert meaning in str(error)
    assert error.hint


# ----------------------------------------------------------------------------- the set-up


def test_a_second_start_goes_straight_on(ready: Path) -> None:
    """No index can be reached, and none is asked for."""
    took: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        again = run(ready, "setup", PIP_NO_INDEX="1")
        took.append(time.monotonic() - began)

        assert again.returncode == 0
        assert again.stdout == "Atelier is set up. Start it with: python3 launch.py\n"

    assert min(took) < 1, "seconds; the best of three, because other work may run beside"


def test_a_changed_lock_is_installed(ready: Path, wheels: Path) -> None:
    (ready / "requirements.lock").write_text("torch==2.0\n", encoding="utf-8")

    assert run(ready, "setup", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)).returncode == 0
    assert version_of_torch(ready) == "2.0"


@pytest.mark.parametrize("damage", ["half installed", "no python", "broken stamp"])
def test_a_damaged_environment_is_repaired(ready: Path, wheels: Path, damage: str) -> None:
    venv = ready / ".venv"
    if damage == "half installed":
        (venv / "unfinished").touch()
    elif damage == "no python":
        shutil.rmtree(venv / ("Scripts" if os.name == "nt" else "bin"))
    else:
        (venv / "atelier.json").write_text("[not", encoding="utf-8")

    again = run(ready, "setup", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))

    assert again.returncode == 0
    assert ("Making" in again.stdout) == (damage != "broken stamp")
    assert version_of_torch(ready) == "1.0"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent to a POSIX process group here")
def test_ctrl_c_in_the_middle_is_repaired_by_the_next_start(ready: Path, wheels: Path) -> None:
    (ready / "requirements.lock").write_text("torch==2.0\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        # A shell lets what it runs in the background ignore Ctrl-C, and children inherit that.
        heeded = signal.signal(signal.SIGINT, signal.default_int_handler)
        with subprocess.Popen(
            [sys.executable, "launch.py", "setup"],
            cwd=ready,
            env=environment(PIP_INDEX_URL=address),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as process:
            signal.signal(signal.SIGINT, heeded)
            silent.settimeout(60)
            silent.accept()[0].close()
            os.killpg(process.pid, signal.SIGINT)
            said = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "the next start repairs" in said
    assert "Traceback" not in said

    again = run(ready, "setup", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert again.returncode == 0, again.stderr
    assert "Making" not in again.stdout, "nothing had been unpacked yet, so nothing is thrown away"
    assert version_of_torch(ready) == "2.0"


def test_no_network_is_named_and_the_way_round_it_told(ready: Path) -> None:
    (ready / "requirements.lock").write_text("torch==2.0\n", encoding="utf-8")

    failed = run(ready, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")

    assert failed.returncode == 1
    assert "the package index cannot be reached" in failed.stderr
    assert "PIP_FIND_LINKS" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_another_torch_is_taken_from_the_index_that_is_named(
    ready: Path, wheels: Path, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    make_wheel(index / "torch", "torch", "1.0+rocm", {"torch/__init__.py": "__version__ = 'rocm'"})
    wheel = next((index / "torch").glob("*.whl"))
    (index / "torch" / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')

    option = f"--torch-index-url={index.as_uri()}"
    done = run(ready, "setup", option, PIP_FIND_LINKS=str(wheels), PIP_INDEX_URL=index.as_uri())

    assert done.returncode == 0, done.stdout + done.stderr
    assert version_of_torch(ready) == "rocm"
    assert run(ready, "setup", PIP_NO_INDEX="1").returncode == 0, "it is remembered"
    assert version_of_torch(ready) == "rocm"


def test_two_starts_at_once_set_up_once(house: Path, wheels: Path) -> None:
    starts = [
        subprocess.Popen(
            [sys.executable, "launch.py", "setup"],
            cwd=house,
            env=environment(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [start.communicate(timeout=120)[0] for start in starts]

    assert [start.returncode for start in starts] == [0, 0], said
    assert "".join(said).count("Making") == 1
    assert version_of_torch(house) == "1.0"


def test_a_folder_that_cannot_be_written_to_is_named(house: Path) -> None:
    (house / ".venv.lock").mkdir()  # cannot be opened for writing, not even by root

    failed = run(house, "setup")

    assert failed.returncode == 1
    assert f"{house} cannot be written to" in failed.stderr
    assert "Traceback" not in failed.stderr


# ------------------------------------------------------------------------- the hand-over


def test_a_command_is_handed_over_as_it_was_typed(ready: Path, tmp_path: Path) -> None:
    """Relative paths stay what the person meant, and the exit code comes back."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "webui.py").write_text("raise SystemExit('the wrong webui')")

    done = run(ready, "generate", "--prompt", "a cat", "--out", "here", cwd=elsewhere)

    expected = [str(elsewhere), ["generate", "--prompt", "a cat", "--out", "here"]]
    assert json.loads(done.stdout) == expected
    assert done.returncode == 2


def test_no_command_means_serve(ready: Path) -> None:
    assert json.loads(run(ready, "--port", "7861").stdout)[1] == ["serve", "--port", "7861"]


def test_test_ends_with_the_exit_code_of_pytest(ready: Path, wheels: Path) -> None:
    done = run(ready, "test", "-k", "x", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))

    assert done.returncode == 5
    assert "'--dist=loadfile', '-k', 'x']" in done.stdout
    assert "Browser tests: " in done.stdout


def test_help_needs_no_set_up(house: Path) -> None:
    done = run(house, "--help")

    assert done.returncode == 0
    assert all(command in done.stdout for command in launch.COMMANDS if command != "serve")
    assert not (house / ".venv").exists()


@pytest.mark.parametrize("flags", [("setup", "--nonsense"), ("--torch-index-url",)])
def test_wrong_usage_is_exit_code_2(house: Path, flags: tuple[str, ...]) -> None:
    done = run(house, *flags)

    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_a_named_browser_that_is_not_there_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")

    assert launch.find_chromium() is None
