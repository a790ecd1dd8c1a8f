"""A real server with its real worker and a tiny real checkpoint, and a real browser before it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

from tests.browser.visitor import PATIENCE, SUGGESTED, Colors, OpenPage, arrive
from tests.tiny import furnish

ROOT = Path(__file__).resolve().parents[2]


TELL_TOASTS = """new MutationObserver(changes => {
    for (const change of changes)
        for (const added of change.addedNodes)
            if (added.querySelector?.(".toast-body.error")
                && !added.textContent.includes("Connection to the server was lost"))
                toldError(added.textContent)
}).observe(document, {childList: true, subtree: true})"""
"""Our own errors are told where they belong; one in Gradio's corner is a fault of the page,
but for the one that says good-bye as the page is left."""


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where every run leaves pictures of the page."""
    return tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data dir that holds nothing but the tiny checkpoint, anew for each file of tests."""
    home = furnish(tmp_path_factory.mktemp("atelier"))
    models = home / "models" / "Stable-diffusion"
    sidecar = {"suggested": SUGGESTED}
    (models / "tiny-sd1.json").write_text(json.dumps(sidecar), "utf-8")
    return home


@pytest.fixture(scope="module")
def address(data_dir: Path) -> Iterator[str]:
    """Start the program as people do, and end it as people do."""
    port = _free_port()
    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--threads", "1"]
    command += ["--precision", "exact", "--port", str(port), "--data-dir", str(data_dir)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (data_dir / "said.txt").open("wb") as said:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            _wait_until_it_answers(f"http://127.0.0.1:{port}/healthz", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=60)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Start the browser once for each file: while it runs, so does an event loop in this thread."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(
    browser: Browser, address: str, screenshots: Path, request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Open the page for one visitor after another.

    At the end of each test every page leaves a screenshot; none has asked another host for
    anything, and neither a script nor a function behind a button has failed.
    """
    contexts: list[BrowserContext] = []
    asked: set[str] = set()
    failed: list[str] = []

    def open_one(
        *, size: tuple[int, int] = (1440, 900), locale: str = "en-US", colors: Colors = "light"
    ) -> Page:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale=locale, color_scheme=colors
        )
        context.set_default_timeout(PATIENCE)
        context.expose_function("toldError", lambda told: failed.append(told))  # noqa: PLW0108 - Playwright marks it
        context.add_init_script(TELL_TOASTS)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda sent: asked.add(urlsplit(sent.url).netloc))
        page.on("pageerror", lambda error: failed.append(str(error)))
        arrive(page, address)
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_one
    for number, page in enumerate(page for context in contexts for page in context.pages):
        page.screenshot(path=screenshots / f"{request.node.name}-{number}.png")
    for context in contexts:
        context.close()
    assert asked <= {urlsplit(address).netloc, ""}
    assert failed == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server did not start; see said.txt in its data dir")
