"""What a visitor does over and over: arrive, type, ask for a picture."""

from collections.abc import Callable
from typing import Final, Literal

from playwright.sync_api import Locator, Page, expect

SUGGESTED: Final = {
    "width": 64,
    "height": 64,
    "steps": 5,
    "cfg_scale": 3.0,
    "sampler_name": "Euler a",
    "scheduler": "Karras",
}
"""What the tiny checkpoint asks for; unlike the page's own defaults in every field."""

PATIENCE: Final = 120_000
"""Milliseconds that a busy machine may take for one thing."""

LONG: Final = {"txt2img_steps": "150", "txt2img_batch_count": "100"}
"""A job that nobody wants to wait for."""

Colors = Literal["light", "dark"]

OpenPage = Callable[..., Page]


def arrive(page: Page, address: str) -> None:
    """Open the page and wait until it is there."""
    page.goto(address, wait_until="domcontentloaded")
    expect(page.locator("#stage .stage")).to_be_visible()


def field(page: Page, elem_id: str) -> Locator:
    """Return the part of a component that takes letters."""
    return page.locator(f"#{elem_id} :is(textarea, input:not([type=range]))").first


def write(page: Page, **fields: str) -> None:
    """Type into fields."""
    for elem_id, text in fields.items():
        field(page, elem_id).fill(text)
        field(page, elem_id).blur()


def ask(page: Page, prompt: str, **fields: str) -> str:
    """Ask for a picture; return the job's id as soon as it is in work."""
    bar = page.locator("#progress .progress")
    before = bar.get_attribute("data-job") if bar.count() else ""
    write(page, txt2img_prompt=prompt, **fields)
    page.locator("#txt2img_generate").click()
    new = page.locator(f"#progress .progress:not([data-job='{before}'])")
    expect(new).to_be_visible()
    return new.get_attribute("data-job") or ""


def wait_for(page: Page, job: str, state: str) -> None:
    """Wait until the page says that a job is in this state."""
    expect(page.locator(f"#progress [data-job='{job}'][data-state='{state}']")).to_be_visible()


def draw(page: Page, prompt: str, **fields: str) -> str:
    """Ask for a picture and wait for it; return its settings text."""
    wait_for(page, ask(page, prompt, **fields), "done")
    return shown_infotext(page)


def shown_infotext(page: Page) -> str:
    """Return the settings text under the picture on show."""
    return page.locator("#stage .picture.chosen .infotext").inner_text()


def open_tab(page: Page, name: str) -> None:
    """Go to another tab."""
    page.get_by_role("tab", name=name).click()
