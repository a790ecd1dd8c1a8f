"""An add-on is called from the list, in some blocks and some steps only."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import OpenPage, draw, field, shown_infotext, write
from tests.tiny import add_to


@pytest.fixture(autouse=True)
def add_ons(data_dir: Path) -> None:
    add_to(data_dir)


def choose(page: Page, elem_id: str, name: str) -> None:
    field(page, elem_id).click()
    page.get_by_role("option", name=name, exact=False).first.click()


def test_where_and_when_it_acts_is_chosen_beside_the_list(
    open_page: OpenPage, screenshots: Path
) -> None:
    page = open_page(size=(1440, 1200))
    write(page, txt2img_prompt="a cat", txt2img_steps="2")
    page.locator("#txt2img_how > button").click()
    choose(page, "txt2img_how_blocks", "OUTALL")
    write(page, txt2img_how_start="0.5")
    choose(page, "txt2img_add_ons", "tiny-lora")

    prompt = field(page, "txt2img_prompt")
    expect(prompt).to_have_value("a cat <lora:tiny-lora:1:lbw=OUTALL:start=0.5>")
    page.screenshot(path=screenshots / "where-and-when.png")

    draw(page, prompt.input_value(), txt2img_steps="2")
    assert "lbw=OUTALL:start=0.5" in shown_infotext(page)
