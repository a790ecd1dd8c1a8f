"""What each add-on did, asked for with one click and told on the page."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import OpenPage, draw, field, wait_for, write
from tests.tiny import add_to

WORDS = "a tiny-emb-st cat <lora:tiny-lora:0.8><hypernet:tiny-hyper:1>"


@pytest.fixture(autouse=True)
def add_ons(data_dir: Path) -> None:
    add_to(data_dir)


def new_job(page: Page, before: str | None) -> str:
    bar = page.locator(f"#progress .progress:not([data-job='{before or ''}'])")
    expect(bar).to_be_visible()
    return bar.get_attribute("data-job") or ""


def test_one_click_tells_what_each_add_on_did(open_page: OpenPage, screenshots: Path) -> None:
    """The button comes with the first add-on; the strip stands first, with maps and numbers."""
    page = open_page(size=(1440, 1500))
    button = page.locator("#txt2img_ablation")
    expect(button).to_be_hidden()
    write(page, txt2img_prompt=WORDS, txt2img_steps="2", txt2img_seed="3")
    expect(button).to_be_visible()

    button.click()
    wait_for(page, new_job(page, ""), "done")

    panel = page.locator("#stage .picture.chosen .ablation")
    expect(panel.locator("figure")).to_have_count(8)
    assert panel.locator("figcaption").nth(1).inner_text() == "+ embedding tiny-emb-st"
    expect(panel.locator("tbody tr")).to_have_count(6)
    expect(panel.locator("td.mean").first).not_to_have_text("0.00")
    for map_ in panel.locator("img.map").all():
        map_.scroll_into_view_if_needed()
        expect(map_).to_have_js_property("complete", value=True)
        assert map_.evaluate("image => image.naturalWidth") == 64
    page.locator("#txt2img_generate").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "ablation.png")
    page.locator("#language label").nth(1).click()
    expect(panel.locator("h3 [lang=zh]").nth(1)).to_be_visible()
    assert panel.locator("figcaption").nth(5).inner_text() == "去掉 嵌入 tiny-emb-st"
    page.screenshot(path=screenshots / "ablation-zh.png")

    page.reload()
    expect(page.locator("#stage .picture.chosen .ablation figure")).to_have_count(8)


def test_a_finished_picture_can_be_taken_apart(open_page: OpenPage) -> None:
    """The button under a picture draws its strip, whatever stands in the form by then."""
    page = open_page()
    draw(page, WORDS, txt2img_steps="2", txt2img_seed="4")
    field(page, "txt2img_prompt").fill("a dog")
    before = page.locator("#progress .progress").get_attribute("data-job")

    page.locator("#stage .picture.chosen [data-to=ablation]").click()
    wait_for(page, new_job(page, before), "done")

    expect(page.locator("#stage .picture.chosen .ablation figure")).to_have_count(8)
    text = page.locator("#stage .picture.chosen .infotext").inner_text()
    assert WORDS in text
    assert "Seed: 4" in text
    assert "Script: Ablation strip" in text
    expect(page.locator("#stage .picture.chosen [data-to=ablation]")).to_have_count(0)


def test_on_a_phone_nothing_is_wider_than_the_page(open_page: OpenPage) -> None:
    """The strip wraps into rows that fit."""
    page = open_page(size=(390, 844), locale="zh-CN")
    panel = page.locator("#stage .picture.chosen .ablation")
    expect(panel).to_be_visible()

    wide = panel.evaluate("part => [part.scrollWidth, part.clientWidth]")

    assert wide[0] <= wide[1] + 1
    panel.scroll_into_view_if_needed()
