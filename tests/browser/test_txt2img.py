"""What a person does in the txt2img tab, in a real browser against the real program."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import (
    LONG,
    SUGGESTED,
    OpenPage,
    arrive,
    ask,
    draw,
    field,
    shown_infotext,
    wait_for,
    write,
)


@pytest.fixture(autouse=True)
def quiet_studio(open_page: OpenPage, address: str) -> None:
    """Begin with nothing in work, whatever the test before left behind."""
    server = open_page().request
    for job in server.get(f"{address}/atelier/v1/jobs").json():
        if job["state"] in ("queued", "running"):
            server.delete(f"{address}/atelier/v1/jobs/{job['id']}")


def test_words_become_a_picture_that_keeps_its_settings(open_page: OpenPage) -> None:
    """Type words, press Ctrl+Enter, and save the very file with its settings inside."""
    page = open_page()
    write(page, txt2img_prompt="a red apple on a blue background", txt2img_seed="7")
    field(page, "txt2img_prompt").press("Control+Enter")
    expect(page.locator("#progress [data-state=done]")).to_be_visible()

    with page.expect_download() as download:
        page.locator("#stage .picture.chosen a[download]").click()
    saved = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))

    assert saved.size == (SUGGESTED["width"], SUGGESTED["height"])
    assert saved.info["parameters"] == shown_infotext(page)
    assert saved.info["parameters"].startswith("a red apple on a blue background")
    assert "Seed: 7," in saved.info["parameters"]


def test_the_first_values_are_those_that_the_checkpoint_asks_for(open_page: OpenPage) -> None:
    """Whoever comes first and only presses Generate gets a good picture."""
    page = open_page()

    shown = {
        "width": int(field(page, "txt2img_width").input_value()),
        "height": int(field(page, "txt2img_height").input_value()),
        "steps": int(field(page, "txt2img_steps").input_value()),
        "cfg_scale": float(field(page, "txt2img_cfg_scale").input_value()),
        "sampler_name": field(page, "txt2img_sampling").input_value(),
        "scheduler": field(page, "txt2img_scheduler").input_value(),
    }

    assert shown == SUGGESTED


def test_an_interrupted_job_keeps_what_is_drawn(open_page: OpenPage) -> None:
    """Stop a job of a hundred pictures: the finished ones are there, and it has ended."""
    page = open_page()
    job = ask(page, "a long wait", **LONG | {"txt2img_steps": "3"})
    expect(page.locator("#stage .stage:has(.preview) .thumb").nth(1)).to_be_visible()

    page.locator("#txt2img_interrupt").click()

    expect(page.locator(f"#progress [data-job='{job}'].ended")).to_be_visible()
    expect(page.locator("#txt2img_interrupt")).to_be_hidden()
    assert shown_infotext(page).startswith("a long wait")
    pictures = page.request.get(f"{page.url}atelier/v1/jobs/{job}/pictures").json()
    assert 2 <= len(pictures) < 100


def test_a_reloaded_tab_finds_its_job_again(open_page: OpenPage, address: str) -> None:
    """Reload in the middle: bar, preview and Interrupt are back, in a second tab as well."""
    page = open_page()
    job = ask(page, "still here", **LONG)
    wait_for(page, job, "running")

    arrive(page, address)

    wait_for(page, job, "running")
    expect(page.locator("#stage .preview img")).to_be_visible()
    second = open_page()
    wait_for(second, job, "running")
    second.locator("#txt2img_interrupt").click()
    expect(page.locator(f"#progress [data-job='{job}'].ended")).to_be_visible()
    expect(second.locator(f"#progress [data-job='{job}'].ended")).to_be_visible()


def test_waiting_jobs_are_counted_and_can_be_dropped(open_page: OpenPage) -> None:
    """Press Generate twice more while drawing: both wait, one click drops them."""
    page = open_page()
    job = ask(page, "first", **LONG)
    wait_for(page, job, "running")
    page.locator("#txt2img_generate").click()
    page.locator("#txt2img_generate").click()
    expect(page.locator("#progress .more")).to_contain_text("2 more waiting")

    page.locator("#progress [data-cancel]").click()

    expect(page.locator("#progress .more")).to_have_count(0)
    wait_for(page, job, "running")
    page.locator("#txt2img_interrupt").click()
    expect(page.locator(f"#progress [data-job='{job}'].ended")).to_be_visible()


def test_a_size_that_cannot_be_is_explained_and_nothing_is_lost(open_page: OpenPage) -> None:
    """Ask for 100 pixels: one sentence names them, the words stay, the next try works."""
    page = open_page()
    write(page, txt2img_prompt="kept words", txt2img_width="100")

    page.locator("#txt2img_generate").click()

    notice = page.locator("#notice .notice-error")
    expect(notice).to_contain_text("100")
    expect(notice).to_contain_text("multiple of 8")
    expect(field(page, "txt2img_prompt")).to_have_value("kept words")
    assert draw(page, "kept words", txt2img_width="64").startswith("kept words")
    expect(notice).to_have_count(0)


def test_an_empty_number_is_explained(open_page: OpenPage) -> None:
    """Clear a number: the sentence names the field."""
    page = open_page()
    write(page, txt2img_prompt="words", txt2img_height="")

    page.locator("#txt2img_generate").click()

    expect(page.locator("#notice .notice-error")).to_contain_text("Height is empty")


def test_pasted_settings_fill_the_form(open_page: OpenPage) -> None:
    """Paste a settings text into the prompt and press the arrow, as in A1111."""
    page = open_page()
    said = (
        "an owl\nNegative prompt: rain\n"
        "Steps: 9, Sampler: DPM++ 2M Karras, CFG scale: 4.5, Seed: 123, Size: 128x72, ENSD: 31337"
    )
    write(page, txt2img_prompt=said)

    page.locator("#txt2img_paste").click()

    expect(field(page, "txt2img_prompt")).to_have_value("an owl")
    expect(field(page, "txt2img_neg_prompt")).to_have_value("rain")
    expect(field(page, "txt2img_steps")).to_have_value("9")
    expect(field(page, "txt2img_sampling")).to_have_value("DPM++ 2M")
    expect(field(page, "txt2img_scheduler")).to_have_value("Karras")
    expect(field(page, "txt2img_cfg_scale")).to_have_value("4.5")
    expect(field(page, "txt2img_seed")).to_have_value("123")
    expect(field(page, "txt2img_width")).to_have_value("128")
    expect(field(page, "txt2img_height")).to_have_value("72")


def test_small_buttons_change_size_and_seed(open_page: OpenPage) -> None:
    """Portrait, swap, last seed and dice do what their signs say."""
    page = open_page()
    infotext = draw(page, "seeds", txt2img_seed="41")
    assert "Seed: 41," in infotext

    page.locator("#txt2img_random_seed").click()
    expect(field(page, "txt2img_seed")).to_have_value("-1")
    page.locator("#txt2img_reuse_seed").click()
    expect(field(page, "txt2img_seed")).to_have_value("41")
    page.locator("#txt2img_portrait").click()
    expect(field(page, "txt2img_height")).to_have_value("96")
    page.locator("#txt2img_res_switch_btn").click()
    expect(field(page, "txt2img_width")).to_have_value("96")
    expect(field(page, "txt2img_height")).to_have_value("64")


def test_tokens_are_counted_while_typing(open_page: OpenPage) -> None:
    """The counter says how much of the text encoder's window the prompt fills."""
    page = open_page()

    write(page, txt2img_prompt="a red apple on a blue background")
    expect(page.locator("#txt2img_token_counter")).to_have_text("7/75")
    write(page, txt2img_prompt="apple " * 80)
    expect(page.locator("#txt2img_token_counter")).to_have_text("80/150")
