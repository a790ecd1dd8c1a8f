"""The page around the tabs: languages, small screens, nothing public, nothing from outside."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.visitor import OpenPage, arrive, draw, open_tab, write
from webui.ui.stage import EXAMPLES


def test_a_chinese_browser_is_greeted_in_chinese(open_page: OpenPage) -> None:
    """No flash of another language stays behind."""
    page = open_page(locale="zh-CN")

    expect(page.locator("#txt2img_generate")).to_have_text("生成")
    expect(page.get_by_role("tab", name="历史")).to_be_visible()


def test_the_switch_changes_every_label_and_is_remembered(
    open_page: OpenPage, address: str
) -> None:
    """After one click no English label is left on any tab; a reload keeps the choice."""
    page = open_page()
    expect(page.locator("#txt2img_generate")).to_have_text("Generate")

    page.locator("#language").get_by_text("中文").click()

    expect(page.locator("#txt2img_generate")).to_have_text("生成")
    page.locator("#txt2img_advanced > button").click()
    for tab in ("文生图", "图片信息", "历史"):
        open_tab(page, tab)
        labels = page.locator("[data-testid=block-info]:visible, button:visible, h2:visible")
        said = " ".join(labels.all_inner_texts())
        english = re.findall(r"[A-Za-z]{4,}", re.sub(f"English|{'|'.join(EXAMPLES)}", "", said))
        assert set(english) <= {"CLIP", "Language"}  # the name of a layer, and the switch itself
    arrive(page, address)
    expect(page.locator("#txt2img_generate")).to_have_text("生成")


def test_an_error_is_told_in_the_readers_language(open_page: OpenPage) -> None:
    """The switch also changes what is already on the screen."""
    page = open_page(locale="zh-CN")
    write(page, txt2img_prompt="字", txt2img_width="100")
    page.locator("#txt2img_generate").click()
    notice = page.locator("#notice .notice-error")
    expect(notice).to_contain_text("100 像素")

    page.locator("#language").get_by_text("English").click()

    expect(notice.locator("[lang=en]:visible").first).to_contain_text("100")
    expect(notice.locator("[lang=zh]:visible")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_everything_fits_a_phone(open_page: OpenPage, locale: str) -> None:
    """At 390 pixels nothing sticks out, and Generate is always within reach."""
    page = open_page(size=(390, 844), locale=locale, colors="dark")
    draw(page, "a kite")

    page.mouse.wheel(0, 4000)

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#txt2img_generate")).to_be_in_viewport()
    for name in page.get_by_role("tab").all_inner_texts():
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_offers_no_interface_of_its_own(open_page: OpenPage, address: str) -> None:
    """Programs have our routes; what the page says to its server is nobody else's."""
    info = open_page().request.get(f"{address}/gradio_api/info").json()

    assert info == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_light_and_dark_are_a_choice_that_is_remembered(open_page: OpenPage, address: str) -> None:
    """The switch turns the page dark, and it stays dark."""
    page = open_page()
    page.locator("[data-theme-switch]").click()
    expect(page.locator("body.dark")).to_be_visible()

    arrive(page, address)

    expect(page.locator("body.dark")).to_be_visible()
