"""The same training as a person without a command line starts it: on the page, in a browser."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, expect, sync_playwright

from webui.ui.messages import load_words

FORM: Final = {
    "train_steps": ("steps", None),
    "train_batch_size": ("batch_size", None),
    "train_resolution": ("data", "resolution"),
    "train_lr": ("correction", "rate"),
    "train_rank": ("what", "rank"),
}
"""Which setting stands in which field; all others are written below them."""

HOUR: Final = 3_600_000
"""Milliseconds."""


def train_on_page(
    address: str, kind: str, name: str, data: Path, settings: Mapping[str, Any]
) -> float:
    """Bring pictures, fill the form, press Start, and wait until the page says done.

    Args:
        address: Of the server.
        kind: What is trained.
        name: Of the file.
        data: The pictures with their captions.
        settings: As a settings file has them.

    Returns:
        The seconds that the person waited.

    Raises:
        AssertionError: If the page does not come to its end.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = window.new_page(locale="en-US")
        page.goto(address)
        page.get_by_role("tab", name="Train").click()
        regular = settings["data"].get("regular")
        if regular:
            _bring(page, Path(regular))
            page.locator("#train_new").click()
            expect(page.locator("#train_pictures .pic")).to_have_count(0)
        _bring(page, data)
        _fill(page, kind, name, settings)
        began = time.monotonic()
        page.locator("#train_start").click()
        expect(page.locator(f".run[data-run={name}]")).to_be_visible(timeout=60_000)
        ended = page.locator(
            f".run[data-run={name}]:not([data-state=queued], [data-state=running])"
        )
        expect(ended).to_be_visible(timeout=HOUR)
        expect(ended).to_have_attribute("data-state", "done")
        waited = time.monotonic() - began
        page.screenshot(path=data.parent / "page.png", full_page=True)
        window.close()
    return waited


def _bring(page: Page, folder: Path) -> None:
    files = sorted(folder.iterdir())
    page.locator("#train_drop input[type=file]").set_input_files(files)
    pictures = sum(path.suffix == ".png" for path in files)
    expect(page.locator("#train_pictures .pic")).to_have_count(pictures, timeout=60_000)


def _fill(page: Page, kind: str, name: str, settings: Mapping[str, Any]) -> None:
    page.locator(f"#train_kind input[value={kind}]").check()
    about = load_words().say(f"train.about_{kind}", "en")
    expect(page.locator("#train_about .corrected")).to_contain_text(about)  # the preset has come
    more = json.loads(json.dumps(settings))
    typed = {"train_name": name}
    for field, (first, second) in FORM.items():
        value = more.pop(first, None) if second is None else more.get(first, {}).pop(second, None)
        if value is not None:
            typed[field] = str(value)
    page.locator("#train_expert > button").click()
    if more["data"].pop("regular", None):
        page.locator("#train_regular input").click()
        page.get_by_role("option").last.click()  # the older one
    page.locator("#train_more .cm-content").fill(json.dumps(more))
    for field, value in typed.items():
        into = page.locator(f"#{field} :is(textarea, input)").first
        into.fill(value)
        into.blur()
