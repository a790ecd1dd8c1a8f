"""The models tab: files of every kind are dropped, recognised, filed, held against, put to use."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from safetensors.torch import save_file

from tests.browser.visitor import OpenPage, field, open_tab
from tests.tiny import ADD_ONS

KINDS = {
    "models/Lora/tiny-lora.safetensors": "LoRA",
    "embeddings/tiny-emb-st.safetensors": "Embedding",
    "models/hypernetworks/tiny-hyper.pt": "Hypernetwork",
    "models/VAE/tiny-vae.safetensors": "VAE",
}
"""Where a file of each kind belongs, and what the page calls it."""


@pytest.fixture
def tidy(data_dir: Path) -> Iterator[Path]:
    """Give the data dir, and take away again what a test brings into it."""
    before = {path for path in data_dir.rglob("*") if path.is_file()}
    yield data_dir
    for folder in ("models", "embeddings"):
        for path in (data_dir / folder).rglob("*"):
            if path.is_file() and path not in before:
                path.unlink()


def drop(page: Page, *files: Path) -> Locator:
    """Hand files to the drop zone; return where the page says what became of them."""
    page.locator("#models_drop input[type=file]").set_input_files(files)
    return page.locator("#models_arrived .notice")


def card(page: Page, name: str) -> Locator:
    """Return the card of a file."""
    return page.locator("#models_grid .card", has_text=name)


def test_each_kind_of_file_finds_its_folder(tidy: Path, open_page: OpenPage) -> None:
    """Dropped files are recognised by what they are, filed, and there at once."""
    page = open_page()
    open_tab(page, "Models")

    for place, kind in KINDS.items():
        said = drop(page, ADD_ONS / place)
        expect(said).to_contain_text(place)
        expect(said).to_contain_text(kind)
        assert (tidy / place).read_bytes() == (ADD_ONS / place).read_bytes()
        found = card(page, Path(place).stem).first
        expect(found.locator(".badge")).to_have_text("fits", use_inner_text=True)
    expect(drop(page, ADD_ONS / "models/Lora/tiny-lora.safetensors")).to_contain_text(
        "was already there"
    )
    expect(card(page, "tiny-lora")).to_have_count(1)

    card(page, "tiny-vae").click()
    expect(page.locator("#model_card h2")).to_have_text("tiny-vae")
    page.locator("#model_use_txt2img").click()
    page.locator("#txt2img_advanced button.label-wrap").click()
    expect(field(page, "txt2img_vae")).to_have_value("tiny-vae.safetensors")


def test_a_file_that_is_no_model_is_refused_with_the_reason(
    tidy: Path, open_page: OpenPage, tmp_path: Path
) -> None:
    """Nothing of it is kept."""
    page = open_page()
    open_tab(page, "Models")
    wrong = tmp_path / "<img src=x onerror=alert(1)>.safetensors"
    wrong.write_bytes(b"\xff" * 64)

    said = drop(page, wrong)

    expect(said).to_have_class("notice notice-error")
    expect(said).to_contain_text("cut off or no model file")
    assert list((tidy / "cache" / "quarantine").glob("*")) == []


def test_a_card_is_put_to_use(tidy: Path, open_page: OpenPage) -> None:
    """Its call lands in the prompt, with the words and the weight that its owner has noted."""
    page = open_page()
    open_tab(page, "Models")
    drop(page, ADD_ONS / "models/Lora/tiny-lora.safetensors")
    card(page, "tiny-lora").click()
    expect(page.locator("#model_card")).to_contain_text("tiny-lora")

    page.locator("#model_texts button.label-wrap").click()
    field(page, "model_trigger").fill("ink <b>wash</b>")
    field(page, "model_weight").fill("0.7")
    page.locator("#model_save").click()
    expect(page.locator("#model_saved")).to_contain_text("Saved")
    expect(card(page, "ink <b>wash</b>")).to_have_count(1)
    page.locator("#model_use_txt2img").click()

    expect(field(page, "txt2img_prompt")).to_have_value("<lora:tiny-lora:0.7> ink <b>wash</b>")


def test_what_is_being_written_stays_when_its_card_is_clicked_again(
    tidy: Path, open_page: OpenPage
) -> None:
    """An answer that comes late, or for the same card, takes no words away."""
    page = open_page()
    open_tab(page, "Models")
    drop(page, ADD_ONS / "models/Lora/tiny-lora.safetensors")
    expect(page.locator("#model_card")).to_contain_text("tiny-lora")
    page.locator("#model_hashes").click()
    expect(page.locator("#model_hash_table")).to_contain_text("AutoV3")
    page.locator("#model_texts button.label-wrap").click()
    field(page, "model_trigger").fill("ink")

    card(page, "tiny-lora").click()

    expect(page.locator("#model_hash_table")).to_be_empty()  # the answer is there
    expect(field(page, "model_trigger")).to_have_value("ink")
    card(page, "tiny-sd1").click()
    expect(field(page, "model_trigger")).to_have_value("")


def test_what_does_not_fit_says_so_and_can_be_left_out(tidy: Path, open_page: OpenPage) -> None:
    """A file for another kind of checkpoint has its badge, the reason, and a filter."""
    import torch

    page = open_page()
    other = {f"lora_unet_nowhere.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")}
    place = tidy / "models" / "Lora" / "foreign.safetensors"
    place.parent.mkdir(exist_ok=True)
    save_file(other, place)
    Image.new("RGB", (64, 48), "teal").save(place.with_suffix(".preview.png"))
    open_tab(page, "Models")

    foreign = card(page, "foreign")
    expect(foreign.locator(".badge")).to_have_text("does not fit", use_inner_text=True)
    expect(foreign.locator("img")).to_have_js_property("naturalWidth", 64)
    foreign.click()
    expect(page.locator("#model_card .verdict")).to_contain_text("made for another kind")
    page.get_by_label("Fits the checkpoint").check()
    expect(foreign).to_have_count(0)
    place.unlink()
    page.get_by_label("Fits the checkpoint").uncheck()
    expect(foreign).to_have_count(0)


def test_a_file_that_appears_is_shown_without_a_click(
    tidy: Path, open_page: OpenPage, address: str
) -> None:
    """The page asks by itself; the list of every drawing tab has it too."""
    page = open_page(locale="zh-CN", size=(390, 844))
    open_tab(page, "模型")
    expect(page.locator("#models_grid")).to_contain_text("tiny-sd1")

    answer = httpx.post(
        f"{address}/atelier/v1/models",
        params={"name": "新的.safetensors"},
        content=(ADD_ONS / "models/Lora/tiny-lora.safetensors").read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    )

    assert answer.status_code == 201, answer.text
    assert (tidy / "models" / "Lora" / "新的.safetensors").exists()
    expect(card(page, "新的")).to_be_visible()


DROP = """([name, letters]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(letters), (c) => c.charCodeAt(0))], name));
  const event = { dataTransfer: data, bubbles: true, cancelable: true };
  document.querySelector('#txt2img_prompt').dispatchEvent(new DragEvent('drop', event));
}"""


def test_a_model_dropped_anywhere_goes_to_the_library(tidy: Path, open_page: OpenPage) -> None:
    """The tab opens, the file is filed, and its card shows what it is."""
    page = open_page(colors="dark")
    place = "models/Lora/tiny-loha.safetensors"

    page.evaluate(
        DROP, ["tiny-loha.safetensors", b64encode((ADD_ONS / place).read_bytes()).decode()]
    )

    expect(page.locator("#models_arrived .notice")).to_contain_text(place)
    expect(page.locator("#model_card")).to_contain_text("loha")
    assert (tidy / place).exists()
    page.locator("#model_hashes").click()
    expect(page.locator("#model_hash_table")).to_contain_text("AutoV3")


def test_a_change_is_shown_even_if_the_first_answer_about_it_is_lost(
    tidy: Path, open_page: OpenPage
) -> None:
    page = open_page()
    open_tab(page, "Models")
    drop(page, ADD_ONS / "models/Lora/tiny-lora.safetensors")
    expect(card(page, "tiny-lora")).to_have_count(1)
    page.evaluate(
        """document.querySelector('#files_changed').addEventListener(
            'click', (event) => event.stopImmediatePropagation(), { capture: true, once: true })"""
    )

    (tidy / "models/Lora/tiny-lora.json").write_text('{"activation text": "ink"}', "utf-8")

    expect(card(page, "ink")).to_have_count(1)
