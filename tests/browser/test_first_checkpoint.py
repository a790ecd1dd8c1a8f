"""A page that is open before there is any checkpoint, and the first one comes."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import SUGGESTED, OpenPage, draw, field, open_tab, write
from tests.tiny import furnish


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data dir without a single file."""
    return tmp_path_factory.mktemp("empty")


def test_the_first_checkpoint_is_chosen_and_fills_the_form(
    open_page: OpenPage, data_dir: Path, screenshots: Path
) -> None:
    """Without one the page says what to do; with one it draws, also for whoever comes later."""
    page = open_page()
    write(page, txt2img_prompt="a mill", txt2img_steps="7")
    page.locator("#txt2img_generate").click()
    expect(page.locator("#notice .notice-error")).to_contain_text("no checkpoint")
    page.screenshot(path=screenshots / "no-checkpoint.png")
    expect(page.locator("#notice .notice-error")).to_contain_text("还没有可以用来绘图的主模型")

    folder = data_dir / "models" / "Stable-diffusion"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny-sd1.json").write_text(json.dumps({"suggested": SUGGESTED}), "utf-8")
    furnish(data_dir)

    stands_chosen(page, "txt2img", steps="7")
    expect(page.locator("#txt2img_suggested")).to_be_visible()
    said = draw(page, "a mill")
    assert "Steps: 7, Sampler: Euler a, Schedule type: Karras, CFG scale: 3.0," in said
    assert "Size: 64x64" in said

    open_tab(page, "img2img")
    stands_chosen(page, "img2img", steps="5")

    stands_chosen(open_page(), "txt2img", steps="5")


def test_a_chosen_checkpoint_that_is_gone_is_told_by_name(
    open_page: OpenPage, data_dir: Path
) -> None:
    """Somebody deletes the file: the next click says so, in our words."""
    furnish(data_dir)
    page = open_page()
    expect(field(page, "setting_sd_model_checkpoint")).to_have_value("tiny-sd1.safetensors")

    (data_dir / "models" / "Stable-diffusion" / "tiny-sd1.safetensors").unlink()
    expect(field(page, "setting_sd_model_checkpoint")).to_have_value("⚠ tiny-sd1.safetensors")
    page.locator("#txt2img_generate").click()

    expect(page.locator("#notice .notice-error")).to_contain_text("tiny-sd1.safetensors")


def stands_chosen(page: Page, tab: str, *, steps: str) -> None:
    """Wait until the checkpoint is chosen and a tab has its values, but for the steps."""
    expect(field(page, "setting_sd_model_checkpoint")).to_have_value("tiny-sd1.safetensors")
    expect(field(page, f"{tab}_width")).to_have_value("64")
    expect(field(page, f"{tab}_cfg_scale")).to_have_value("3")
    expect(field(page, f"{tab}_steps")).to_have_value(steps)
