"""PNG info and history, in a real browser against the real program."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.visitor import OpenPage, draw, field, open_tab, write


def test_a_dropped_picture_fills_the_form(open_page: OpenPage, tmp_path: Path) -> None:
    """Download a picture, drop it into PNG info, send it back: the form asks for it again."""
    page = open_page()
    said = draw(page, "a lamp", txt2img_seed="99", txt2img_steps="3")
    with page.expect_download() as download:
        page.locator("#stage .picture.chosen a[download]").click()
    picture = tmp_path / download.value.suggested_filename
    download.value.save_as(picture)
    write(page, txt2img_prompt="other words", txt2img_seed="1", txt2img_steps="8")

    open_tab(page, "PNG info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(picture)
    expect(field(page, "pnginfo_text")).to_have_value(said)
    expect(page.locator("#pnginfo_items")).to_contain_text("99")
    page.locator("#pnginfo_send").click()

    expect(field(page, "txt2img_prompt")).to_have_value("a lamp")
    expect(field(page, "txt2img_seed")).to_have_value("99")
    expect(field(page, "txt2img_steps")).to_have_value("3")


def test_a_file_that_is_no_picture_is_explained(open_page: OpenPage, tmp_path: Path) -> None:
    """A text that calls itself a PNG gets one sentence."""
    page = open_page()
    wrong = tmp_path / "wrong.png"
    wrong.write_text("no picture at all", "utf-8")

    open_tab(page, "PNG info")
    page.locator("#pnginfo_image input[type=file]").set_input_files(wrong)

    expect(page.locator("#pnginfo_items .notice-error")).to_be_visible()


def test_the_history_finds_a_picture_by_its_words(open_page: OpenPage) -> None:
    """Search, open, and take the settings along."""
    page = open_page()
    draw(page, "a violet umbrella", txt2img_seed="5")
    draw(page, "a green bottle", txt2img_seed="6")

    open_tab(page, "History")
    expect(page.locator("#history_grid .tile").nth(1)).to_be_visible()
    field(page, "history_search").fill("umbrella")
    expect(page.locator("#history_grid .tile")).to_have_count(1)
    page.locator("#history_grid .tile").click()
    expect(page.locator("#history_picture .infotext")).to_contain_text("a violet umbrella")
    page.locator("#history_picture [data-to=txt2img]").click()

    expect(field(page, "txt2img_prompt")).to_have_value("a violet umbrella")
    expect(field(page, "txt2img_seed")).to_have_value("5")


def test_a_search_without_a_match_says_so(open_page: OpenPage) -> None:
    """Nothing found is a sentence that repeats the words, not an empty page."""
    page = open_page()

    open_tab(page, "History")
    field(page, "history_search").fill("<b>unheard-of</b>")

    expect(page.locator("#history_grid")).to_contain_text("<b>unheard-of</b>")
