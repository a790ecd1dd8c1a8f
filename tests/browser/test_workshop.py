"""The workshop in a browser: a file is made, followed to its end, and drawn with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import OpenPage, draw, field, open_tab
from tests.tiny import ADD_ONS


@pytest.fixture
def lora(data_dir: Path) -> Iterator[None]:
    """Lend a LoRA to the server, and take away what is made of it."""
    folder = data_dir / "models"
    source = ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors"
    before = set(folder.rglob("*"))
    (folder / "Lora").mkdir(exist_ok=True)
    (folder / "Lora" / source.name).write_bytes(source.read_bytes())
    yield
    for path in set(folder.rglob("*")) - before:
        if path.is_file():
            path.unlink()


def choose(page: Page, elem_id: str, name: str) -> None:
    """Take a name from a list."""
    field(page, elem_id).click()
    page.get_by_role("option", name=name, exact=False).first.click()


def test_a_file_is_made_followed_and_drawn_with(lora, open_page: OpenPage) -> None:
    page = open_page(size=(1280, 900))
    open_tab(page, "Workshop")
    said = page.locator("#workshop_said .notice")

    page.locator("#merge_make").click()
    expect(said).to_contain_text("Choose the files first")

    page.get_by_label("A alone, written anew").check()
    expect(page.locator("#merge_share")).to_be_hidden()
    choose(page, "merge_first", "tiny-sd1")
    field(page, "merge_name").fill("zz-anew")
    page.locator("#merge_make").click()
    expect(said).to_contain_text("zz-anew.safetensors is ready")

    page.locator("#workshop_use").click()
    expect(field(page, "setting_sd_model_checkpoint")).to_have_value("zz-anew.safetensors")
    assert "Model: zz-anew" in draw(page, "a cat", txt2img_steps="2")

    open_tab(page, "Workshop")
    page.get_by_role("tab", name="LoRA").last.click()
    page.get_by_label("Join into one").check()
    choose(page, "lora_add", "tiny-lora")
    expect(field(page, "lora_loras")).to_have_value("<lora:tiny-lora:1>")
    field(page, "lora_rank").fill("2")
    page.locator("#lora_make").click()
    expect(said.first).to_contain_text("tiny-lora-2.safetensors is ready")
    expect(said.first).to_contain_text("rank 2")


def test_the_workshop_speaks_chinese_and_refuses_in_it(lora, open_page: OpenPage) -> None:
    page = open_page(size=(430, 900), locale="zh-CN")
    open_tab(page, "工坊")
    page.get_by_role("tab", name="转换").click()

    page.locator("#convert_make").click()

    expect(page.locator("#workshop_said .notice")).to_contain_text("请先选择文件")
