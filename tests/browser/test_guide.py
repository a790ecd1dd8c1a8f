"""The guide and explanations, in a real browser: a file looked into, and one turn on a picture."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import OpenPage, open_tab
from tests.tiny import ADD_ONS

FILES = (
    "models/Lora/tiny-locon.safetensors",
    "embeddings/tiny-emb-st.safetensors",
    "models/hypernetworks/tiny-hyper.pt",
    "models/VAE/tiny-vae.safetensors",
)


@pytest.fixture
def filled(data_dir: Path) -> Iterator[Path]:
    """Give a data dir with a file of each kind, for one test."""
    for name in FILES:
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ADD_ONS / name, data_dir / name)
    yield data_dir
    for name in FILES:
        (data_dir / name).unlink()


def test_a_file_is_explained_beside_its_card(
    open_page: OpenPage, filled: Path, screenshots: Path
) -> None:
    """One button; blocks of a LoRA as bars, the pictures of a VAE, and another card clears it."""
    page = open_page()
    open_tab(page, "Models")
    page.locator("#models_grid .card[data-open='lora/tiny-locon.safetensors']").click()
    page.locator("#model_explain").click()
    expect(page.locator("#explained .bars").first).to_contain_text("M00")
    expect(page.locator("#explained")).to_contain_text("effective rank")
    page.screenshot(path=screenshots / "explained-lora.png")

    page.locator("#models_grid .card", has_text="tiny-vae").click()
    expect(page.locator("#explained .bars")).to_have_count(0)
    page.locator("#model_explain").click()
    pictures = page.locator("#explained img")
    expect(pictures).to_have_count(5)
    for number in range(5):
        expect(pictures.nth(number)).to_have_js_property("naturalWidth", 256)
    page.screenshot(path=screenshots / "explained-vae.png")


def test_the_guide_takes_one_turn_on_a_picture(
    open_page: OpenPage, filled: Path, screenshots: Path, tmp_path: Path
) -> None:
    """It tells of the person's own files, in Chinese as well, and shows the loop once."""
    page = open_page(locale="zh-CN", size=(390, 844))
    open_tab(page, "指南")
    expect(page.locator("#guide_chapters .chapter")).to_have_count(6)
    expect(page.locator(".chapter[data-kind=lora]")).to_contain_text("tiny-")
    expect(page.locator(".chapter[data-kind=aesthetic]")).to_contain_text("您还没有")
    heading = page.locator("#guide_head h2").bounding_box()
    assert heading is not None
    assert heading["x"] >= 0
    page.screenshot(path=screenshots / "guide-phone.png", full_page=True)

    page.locator("#guide_go").click()
    expect(page.locator("#guide_turned img")).to_have_count(4)
    expect(page.locator("#guide_turned")).to_contain_text("移动了的张量")

    wide = open_page(colors="dark")
    open_tab(wide, "Guide")
    expect(wide.locator("#guide_picture img")).to_be_visible()
    wide.screenshot(path=screenshots / "guide-dark.png", full_page=True)
    own = tmp_path / "own.png"
    Image.new("RGB", (120, 90), "seagreen").save(own)
    wide.get_by_label("Remove Image").or_(wide.get_by_label("Clear")).first.click()
    wide.locator("#guide_picture input[type=file]").set_input_files(own)
    wide.locator("#guide_kind").get_by_text("VAE").click()
    wide.locator("#guide_go").click()
    shown = wide.locator("#guide_turned img")
    expect(shown).to_have_count(4)
    expect(shown.last).to_have_js_property("naturalWidth", 64)
    expect(wide.locator("#guide_turned")).to_contain_text("VAE decoder")
    wide.screenshot(path=screenshots / "guide-turned.png", full_page=True)
