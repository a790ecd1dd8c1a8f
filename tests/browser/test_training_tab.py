"""From pictures to a model in use, in the browser: brought, captioned, trained, followed, used."""

from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, expect

from tests.browser.visitor import OpenPage, field, open_tab, write

PICTURES = 5

SETTINGS = """watch:
  measure_every: 2
  sample_every: 4
  sample: {steps: 2}
"""


def coins(folder: Path) -> list[Path]:
    """Draw little pictures of a coin, most with a caption beside, the first with one inside."""
    folder.mkdir()
    drawn = PngInfo()
    drawn.add_text("parameters", "a (golden:1.2) coin\nSteps: 20, Sampler: Euler")
    for number in range(PICTURES):
        picture = Image.new("RGB", (64, 64), (40 * number, 90, 160))
        ImageDraw.Draw(picture).ellipse((10, 12, 48, 50), fill=(250, 200, 30))
        picture.save(folder / f"coin {number}.png", pnginfo=None if number else drawn)
        if number:
            (folder / f"coin {number}.txt").write_text(f"a yellow coin, {number}", "utf-8")
    return sorted(folder.iterdir())


def bring(page: Page, files: list[Path]) -> None:
    """Hand files to the drop zone."""
    page.locator("#train_drop input[type=file]").set_input_files(files)


def settings(page: Page) -> None:
    """Open what is behind, and write settings by their names."""
    page.locator("#train_expert > button").click()
    page.locator("#train_more .cm-content").fill(SETTINGS)


def test_pictures_become_a_lora_that_the_next_prompt_uses(
    open_page: OpenPage, tmp_path: Path, screenshots: Path
) -> None:
    page = open_page()
    open_tab(page, "Train")
    bring(page, coins(tmp_path / "coins"))
    cards = page.locator("#train_pictures .pic")
    expect(cards).to_have_count(PICTURES)
    expect(cards.nth(1).locator("textarea")).to_have_value("a yellow coin, 1")

    first = cards.first.locator("textarea")
    page.locator("#train_bulk > button").click()
    page.locator("#train_propose").click()
    expect(first).to_have_value("a golden coin")
    expect(page.locator("#train_told .notice")).to_contain_text("Captions proposed: 1")
    page.screenshot(path=screenshots / "training-captions.png", full_page=True)
    first.fill("a coin that was described here")
    first.blur()
    expect(cards.first).to_contain_class("kept")
    write(page, train_bulk_text="shiny")
    page.locator("#train_change").click()
    expect(first).to_have_value("shiny, a coin that was described here")

    page.locator("#train_preset label", has_text="A style").click()
    expect(field(page, "train_rank")).to_have_value("32")
    expect(page.locator("#train_about")).to_contain_text("Small changes beside")
    write(page, train_name="coin", train_trigger="zyx", train_steps="12", train_resolution="64")
    settings(page)
    page.locator("#train_look").click()
    expect(page.locator("#train_over")).to_contain_text(f"{PICTURES} pictures to train on")
    expect(page.locator("#train_answer")).to_contain_text("Measured on this machine")

    page.locator("#train_start").click()
    expect(page.locator(".run[data-run=coin]")).to_be_visible()
    page.reload(wait_until="domcontentloaded")
    open_tab(page, "Train")
    expect(page.locator(".run[data-run=coin][data-state=done]")).to_be_visible()
    expect(page.locator(".run .curve .smooth")).to_be_visible()
    expect(page.locator(".wall .row").first.locator(".cell")).to_have_count(4)
    page.screenshot(path=screenshots / "training.png", full_page=True)

    page.locator(".wall .row").first.locator(".cell").nth(1).click()
    page.locator(".wall .use:visible").click()
    expect(page.locator("#tab_txt2img")).to_be_visible()
    expect(field(page, "txt2img_prompt")).to_have_value("<lora:coin-4:1> zyx")

    open_tab(page, "Train")
    page.once("dialog", lambda asked: asked.accept())
    page.locator("#train_erase").click()
    expect(page.locator(".run[data-run=coin]")).to_have_count(0)
    page.once("dialog", lambda asked: asked.accept())
    page.locator("#train_forget").click()
    expect(cards).to_have_count(0)


def test_another_set_stands_beside_the_first_and_goes_when_that_is_meant(
    open_page: OpenPage, tmp_path: Path, screenshots: Path
) -> None:
    page = open_page(size=(1200, 900))
    open_tab(page, "Train")
    cards = page.locator("#train_pictures .pic")

    bring(page, coins(tmp_path / "coins"))
    expect(cards).to_have_count(PICTURES)
    page.locator("#train_new").click()
    expect(cards).to_have_count(0)
    bring(page, coins(tmp_path / "more coins")[-2:])
    expect(cards).to_have_count(1)
    page.screenshot(path=screenshots / "training-sets.png")

    page.once("dialog", lambda asked: asked.dismiss())
    page.locator("#train_forget").click()
    expect(cards).to_have_count(1)
    page.once("dialog", lambda asked: asked.accept())
    page.locator("#train_forget").click()
    expect(cards).to_have_count(PICTURES)


def test_what_cannot_be_trained_is_told_before_it_starts(
    open_page: OpenPage, tmp_path: Path, screenshots: Path
) -> None:
    page = open_page(size=(390, 844), locale="zh-CN", colors="dark")
    open_tab(page, "训练")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    bring(page, [bad])
    expect(page.locator("#train_told .notice")).to_contain_text("bad.png")
    write(page, train_name="a/b")
    page.locator("#train_start").click()
    expect(page.locator("#train_answer [role=alert]")).to_be_visible()
    page.screenshot(path=screenshots / "training-phone.png", full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
