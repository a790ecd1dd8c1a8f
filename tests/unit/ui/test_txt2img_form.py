"""The form and a request are two sides of one thing."""

import asyncio
from dataclasses import fields
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import Block

from webui.library import infotext
from webui.modules.errors import RangeError
from webui.services.models import Suggested
from webui.services.requests import GenerationRequest
from webui.settings import Limits
from webui.ui.labels import Labels
from webui.ui.messages import load_words
from webui.ui.txt2img_fields import advanced_fields, prompt_fields, sampling_fields, whole_number
from webui.ui.txt2img_form import Txt2ImgForm
from webui.ui.txt2img_tab import preset

STARTER = Suggested(width=128, height=128, steps=20, guidance=3.0)
LARGE = Suggested(width=1024, height=1024, steps=30, guidance=6.0, sampler="Euler a")


@pytest.fixture(scope="module")
def form() -> Txt2ImgForm:
    """Build the form outside of any page, in a running loop, as Gradio likes it."""
    return asyncio.run(built())


async def built() -> Txt2ImgForm:
    labels = Labels(load_words())
    with gr.Blocks(analytics_enabled=False):
        found: dict[str, Any] = {
            **prompt_fields(labels),
            **sampling_fields(labels, STARTER, Limits()),
            **advanced_fields(labels, []),
            "checkpoint": gr.Dropdown(["a.safetensors"], value="a.safetensors"),
            "filled_for": gr.Textbox("a.safetensors"),
        }
        for name, value in (("width", 128), ("height", 128), ("seed", -1)):
            found[name] = whole_number(labels, f"form.{name}", name, value)
        for name in ("batch_size", "batch_count"):
            found[name] = whole_number(labels, f"form.{name}", name, 1)
    return Txt2ImgForm(**found)


def as_sent(form: Txt2ImgForm, updates: dict[Block, Any] | None = None) -> dict[Block, Any]:
    """Return what Gradio would send after these updates."""
    values: dict[Block, Any] = {
        getattr(form, field.name): getattr(form, field.name).value for field in fields(form)
    }
    for component, update in (updates or {}).items():
        values[component] = update["value"]
    return values


def test_an_untouched_form_asks_for_what_the_checkpoint_suggests(form: Txt2ImgForm) -> None:
    """The first click needs no settings."""
    request = form.read(as_sent(form))

    assert request == GenerationRequest(
        width=128,
        height=128,
        guidance=3.0,
        sampler="DPM++ 2M",
        scheduler="Automatic",
        checkpoint="a.safetensors",
        vae="Automatic",
        clip_skip=1,
        tiling=False,
    )


def test_settings_of_a_picture_survive_the_form(form: Txt2ImgForm) -> None:
    """Also those without a field of their own, such as ENSD, eta and kept noise."""
    said = (
        "an owl\nNegative prompt: rain\n"
        "Steps: 9, Sampler: Euler a, Schedule type: Karras, CFG scale: 4.5, Seed: 123, "
        "Size: 128x72, Variation seed: 5, Variation seed strength: 0.25, "
        "Seed resize from: 512x512, Eta: 0.5, ENSD: 31337, RNG: NV, Tiling: True"
    )
    wished = infotext.request_fields(infotext.parse(said))

    request = form.read(as_sent(form, form.fill(wished)))

    expected = {**wished, "checkpoint": "a.safetensors", "vae": "Automatic"}
    assert {name: getattr(request, name) for name in expected} == expected


def test_an_empty_number_is_named(form: Txt2ImgForm) -> None:
    """Nothing is guessed for a field that somebody cleared."""
    values = as_sent(form) | {form.width: None}

    with pytest.raises(RangeError, match="width is empty"):
        form.read(values)


def test_another_checkpoint_moves_only_what_nobody_touched(form: Txt2ImgForm) -> None:
    """Typed values stay, and the page knows that they differ from what is suggested."""
    values = as_sent(form) | {form.steps: 77}

    updates, differs = form.follow(values, old=STARTER, new=LARGE)

    assert form.steps not in updates
    assert updates[form.width]["value"] == 1024
    assert updates[form.sampler]["value"] == "Euler a"
    assert differs


def test_an_untouched_form_has_nothing_to_offer(form: Txt2ImgForm) -> None:
    """The offer appears only when it would change something."""
    _, differs = form.follow(as_sent(form), old=STARTER, new=LARGE)

    assert not differs


@pytest.mark.parametrize(
    ("native", "shape", "size"),
    [
        (128, "square", (128, 128)),
        (128, "portrait", (128, 192)),
        (512, "landscape", (768, 512)),
        (1024, "portrait", (832, 1280)),
        (64, "portrait", (64, 96)),
    ],
)
def test_sizes_suit_the_checkpoint(native: int, shape: str, size: tuple[int, int]) -> None:
    """Small models grow one side; large ones keep about their number of pixels."""
    assert preset(Suggested(width=native, height=native), shape) == size
