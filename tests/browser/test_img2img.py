"""From one picture to the next: paint a mask, draw larger, bring settings back."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Locator, Page, expect

from tests.browser.visitor import (
    OpenPage,
    draw,
    field,
    open_tab,
    shown_infotext,
    write,
)


def test_only_what_is_painted_is_drawn_anew(open_page: OpenPage) -> None:
    """Send a picture to inpaint, paint over its left part, draw: the right part is as it was."""
    page = open_page()
    draw(page, "a harbour", txt2img_seed="11")
    before = shown_picture(page)

    page.locator("#stage .picture.chosen [data-to=inpaint]").click()
    expect(page.locator("#img2img_easel .easel.filled")).to_be_visible()
    expect(page.locator("#img2img_start[data-mode=inpaint]")).to_be_visible()
    expect(field(page, "img2img_prompt")).to_have_value("a harbour")
    generate(page)
    expect(page.locator("#notice .notice-error")).to_contain_text("Nothing is painted yet")

    stroke(page, (0.15, 0.1), (0.15, 0.9))
    write(page, img2img_mask_blur="0", img2img_seed="12", img2img_denoising_strength="1")
    generate(page)
    expect(page.locator("#stage .picture.chosen .infotext")).to_contain_text("Seed: 12,")

    assert "Mask blur: 0" in shown_infotext(page)
    after = shown_picture(page)
    assert after.size == before.size
    changed = ImageChops.difference(before, after).getbbox()
    assert changed
    left, _, right, _ = changed
    assert left < 8
    assert right <= 32


def test_strokes_arrive_in_the_size_of_the_picture(
    open_page: OpenPage, tmp_path: Path, data_dir: Path
) -> None:
    """On a phone a picture of 1024 x 768 is small; its mask is not, and lies where one painted."""
    page = open_page(size=(390, 844), colors="dark")
    photo = tmp_path / "photo.png"
    Image.new("RGB", (1024, 768), "teal").save(photo)

    open_tab(page, "img2img")
    with page.expect_file_chooser() as chooser:
        page.locator("#img2img_easel .give").click()
    chooser.value.set_files(photo)
    page.locator("#mode_img2img").get_by_text("Inpaint", exact=True).click()
    stroke(page, (0.25, 0.5), (0.75, 0.5))
    stroke(page, (0.25, 0.2), (0.75, 0.2))
    page.locator("[data-tool=undo]").click()
    write(page, img2img_prompt="a boat", img2img_width="64", img2img_height="64")
    generate(page)
    expect(page.locator("#progress [data-state=done]")).to_be_visible()

    (mask,) = kept_masks(data_dir, size=(1024, 768))
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    assert abs((left + right) / 2 - 512) < 16
    assert abs((top + bottom) / 2 - 384) < 16
    assert 512 < right - left < 640
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hires_draws_the_same_picture_larger(open_page: OpenPage) -> None:
    """One click under a picture: the same words and seed, in twice the size."""
    page = open_page()
    draw(page, "a mill", txt2img_seed="21", txt2img_steps="3")

    page.locator("#stage .picture.chosen [data-to=hires]").click()

    expect(page.locator("#stage .picture.chosen .infotext")).to_contain_text("Hires upscale: 2")
    said = shown_infotext(page)
    assert said.startswith("a mill\n")
    assert "Seed: 21," in said
    assert shown_picture(page).size == (128, 128)


def test_a_pasted_text_draws_the_same_pixels(open_page: OpenPage) -> None:
    """Draw with hires fix and a style, spoil the form, paste the text: the very same picture."""
    page = open_page()
    page.locator("#txt2img_hr_on input").check()
    expect(page.locator("#txt2img_hr_said")).to_contain_text("128 × 128")
    write(page, txt2img_hr_scale="1.5", txt2img_hires_steps="2")
    said = draw(page, "a heron (still:1.2)", txt2img_seed="31", txt2img_steps="4")
    first = shown_picture(page)
    assert first.size == (96, 96)
    page.locator("#txt2img_hr_on input").uncheck()
    draw(page, "other words", txt2img_seed="1", txt2img_steps="2")

    write(page, txt2img_prompt=said)
    page.locator("#txt2img_paste").click()
    expect(field(page, "txt2img_prompt")).to_have_value("a heron (still:1.2)")
    expect(page.locator("#txt2img_hr_on input")).to_be_checked()
    expect(page.locator("#txt2img_hr_said")).to_contain_text("96 × 96")
    generate(page)
    expect(page.locator("#stage .picture.chosen .infotext")).to_have_text(said)

    assert ImageChops.difference(first, shown_picture(page)).getbbox() is None


@pytest.mark.parametrize("place", ["body", "#txt2img_prompt textarea"])
def test_a_picture_dropped_on_the_page_fills_the_form(open_page: OpenPage, place: str) -> None:
    """Anywhere, also on the prompt: its settings are in the form."""
    page = open_page()
    draw(page, "a lantern", txt2img_seed="77")
    write(page, txt2img_prompt="", txt2img_seed="1")

    drop_shown_picture(page, page.locator(place))

    expect(field(page, "txt2img_prompt")).to_have_value("a lantern")
    expect(field(page, "txt2img_seed")).to_have_value("77")


def generate(page: Page) -> None:
    page.locator(".generate:visible").click()


def stroke(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Paint a line; both ends are shares of the easel's picture."""
    view = page.locator("#img2img_easel .view")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    assert box
    ends = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*ends[0])
    page.mouse.down()
    page.mouse.move(*ends[1], steps=8)
    page.mouse.up()


def kept_masks(data_dir: Path, *, size: tuple[int, int]) -> list[Image.Image]:
    """Return the masks of this size that the server has kept."""
    found: list[Image.Image] = []
    for path in (data_dir / "inputs").rglob("*.png"):
        with Image.open(path) as image:
            if image.mode == "L" and image.size == size:
                found.append(image.copy())
    return found


def shown_picture(page: Page) -> Image.Image:
    """Return the saved file of the picture on show."""
    address = page.locator("#stage .picture.chosen a[download]").get_attribute("href")
    answer = page.request.get(f"{page.url}{address}")
    return Image.open(io.BytesIO(answer.body())).convert("RGB")


def drop_shown_picture(page: Page, target: Locator) -> None:
    """Drop the saved file of the picture on show somewhere, as a file manager does."""
    data = page.evaluate_handle(
        """async () => {
          const link = document.querySelector('#stage .picture.chosen a[download]');
          const blob = await (await fetch(link.href)).blob();
          const data = new DataTransfer();
          data.items.add(new File([blob], 'dropped.png', { type: 'image/png' }));
          return data;
        }"""
    )
    target.dispatch_event("drop", {"dataTransfer": data})
