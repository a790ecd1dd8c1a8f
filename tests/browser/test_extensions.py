"""An extension on the page: its section appears with its files, draws, and comes back."""

import re
import struct
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.visitor import OpenPage, arrive, draw, field, write

SECTION = "#txt2img_aesthetic_gradients"


def mood(path: Path, width: int = 64) -> Path:
    """Write an aesthetic embedding in our own form."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (
        '{"__metadata__":{"atelier.kind":"aesthetic","atelier.space":"text-pooled"},'
        f'"aesthetic":{{"dtype":"F32","shape":[1,{width}],"data_offsets":[0,{4 * width}]}}}}'
    ).encode()
    values = struct.pack(f"<{width}f", *((-1.0) ** place * (place + 1) for place in range(width)))
    path.write_bytes(struct.pack("<Q", len(header)) + header + values)
    return path


def test_an_aesthetic_embedding_gets_a_section_and_draws(
    open_page: OpenPage, address: str, data_dir: Path
) -> None:
    page = open_page()
    expect(page.locator(SECTION)).to_be_hidden()
    expect(page.locator("#footer")).to_contain_text("Aesthetic gradients")

    file = mood(data_dir / "models" / "VAE" / "mood.safetensors")
    try:
        arrive(page, address)
        expect(page.locator(SECTION)).to_be_visible()
        plain = draw(page, "a red cat", txt2img_seed="5")
        assert "Aesthetic" not in plain

        page.locator(f"{SECTION}_on input").check()
        expect(field(page, "txt2img_aesthetic_gradients_embedding")).to_have_value("mood")
        write(page, txt2img_aesthetic_gradients_learning_rate="0.01")
        told = draw(page, "a red cat", txt2img_seed="5")
        page.locator(SECTION).scroll_into_view_if_needed()
        assert "Aesthetic LR: 0.01, Aesthetic weight: 0.9, Aesthetic steps: 5" in told
        assert "Aesthetic embedding: mood" in told

        arrive(page, address)
        write(page, txt2img_prompt=told)
        page.locator("#txt2img_paste").click()
        expect(page.locator(f"{SECTION}_on input")).to_be_checked()
        expect(field(page, "txt2img_aesthetic_gradients_learning_rate")).to_have_value("0.01")
        assert draw(page, "a red cat") == told

        page.get_by_text("中文", exact=True).click()
        expect(page.locator(SECTION)).to_contain_text("美学梯度")
        expect(page.locator("#footer")).to_contain_text(re.compile("扩展.*美学梯度"))

        file.unlink()
        page.locator("#txt2img_generate").click()
        expect(page.locator("#notice .notice-error")).to_contain_text("mood")
    finally:
        file.unlink(missing_ok=True)
