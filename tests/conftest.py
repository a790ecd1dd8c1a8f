"""What holds for every test: no outside world, one thread, checked tensor shapes."""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest
from jaxtyping import install_import_hook

import launch
from tests.shapes import check_shapes
from tests.tiny import NAME, furnish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webui.modules.pipeline.engine import Engine
    from webui.modules.types import ModelRecord

# One thread on purpose: sums are then added in one order, so that equal pixels can be asked for,
# and a test costs its neighbours nothing. Set before torch is imported; child processes inherit it.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

# From here on the functions of the engine check the axes and dtypes that they state for tensors.
install_import_hook("webui.modules", f"{check_shapes.__module__}.{check_shapes.__name__}")

hypothesis.settings.register_profile("atelier", deadline=None, max_examples=50)
hypothesis.settings.load_profile("atelier")

IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
OUTWARD: Final[list[str]] = []
"""Every attempt to reach another machine, filled by the audit hook below."""


# ---------------------------------------------------------------- nothing leaves this machine


def refuse_outward(event: str, arguments: tuple[Any, ...]) -> None:
    """Let sockets reach loopback only. An audit hook sees all of them and patches nothing."""
    if event == "socket.connect":
        host = arguments[1][0] if isinstance(arguments[1], tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not is_loopback(host):
        OUTWARD.append(f"{event} {host}")
        message = f"a test tried to reach {host}"
        raise ConnectionRefusedError(message)


def is_loopback(host: str | bytes | None) -> bool:
    """Tell whether an address is this machine; no name is looked up for it."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(refuse_outward)


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    """Fail the test that tried to reach another machine, even if it swallowed the refusal."""
    before = len(OUTWARD)
    yield
    assert OUTWARD[before:] == []


# ---------------------------------------------------------------------- the tiny checkpoint


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a data dir with the tiny checkpoint, unpacked once, to read and never to write."""
    return furnish(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_home: Path) -> ModelRecord:
    """Give the tiny checkpoint as the library knows it."""
    from webui.modules.types import ModelKind, ModelRecord

    path = tiny_home / "models" / "Stable-diffusion" / NAME
    config = path.with_suffix(".yaml")
    return ModelRecord(path=path, kind=ModelKind.CHECKPOINT, name=path.name, config=config)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Give an engine that computes as the reference did: on the CPU, in 32 bits."""
    from webui.modules.device import choose
    from webui.modules.pipeline.engine import Engine

    return Engine(choose("cpu", "exact"))


# ---------------------------------------------------------------------- browsers and devices


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of the browser, or skip the test that asked for it."""
    return needed_chromium()


def needed_chromium() -> str:
    """Return the browser; without one skip, saying so, or fail where CI=true promises one."""
    found = launch.find_chromium()
    if found:
        return found
    reason = "no Chromium: install one (Debian: apt install chromium) or set CHROMIUM=path"
    return pytest.fail(reason) if IN_CI else pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/browser as such."""
    for item in items:
        if "browser" in item.path.relative_to(item.config.rootpath).parts:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Let whatever a test builds be built on one thread."""
    one_thread()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Let every test run on one thread."""
    one_thread()


def one_thread() -> None:
    """Take back what an engine has chosen: two threads on a busy machine add in any order."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a device that is not here, saying so."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")
    if item.get_closest_marker("browser"):
        needed_chromium()
