"""The form and a request are two sides of one thing."""

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.blocks import Block
from PIL import Image

from webui.library import infotext
from webui.library.inputs import Inputs
from webui.modules.errors import PictureError, RangeError
from webui.modules.types import SoftInpainting
from webui.services.models import Suggested
from webui.services.requests import (
    GenerationRequest,
    HiresRequest,
    MaskRequest,
    RefinerRequest,
    StartRequest,
    TilesRequest,
)
from webui.services.script_requests import (
    AxisRequest,
    ListRequest,
    LoopbackRequest,
    MatrixRequest,
    PlotRequest,
    UpscaleRequest,
)
from webui.settings import Limits
from webui.ui.drawing_fields import advanced_fields, prompt_fields, sampling_fields, whole_number
from webui.ui.drawing_form import DrawingForm
from webui.ui.drawing_tab import preset
from webui.ui.easel import HEAD
from webui.ui.hires_fields import Offered, build_hires, final_size
from webui.ui.labels import Labels
from webui.ui.messages import load_words
from webui.ui.refiner_fields import build_refiner
from webui.ui.script_fields import build_scripts
from webui.ui.sections import components_of
from webui.ui.start_fields import Mode, StartFields
from webui.ui.start_layout import build_image_guidance, build_start

STARTER = Suggested(width=128, height=128, steps=20, guidance=3.0)
LARGE = Suggested(width=1024, height=1024, steps=30, guidance=6.0, sampler="Euler a")
NAMES = {"checkpoint": ["a", "b"], "vae": ["v"], "upscaler": ["Lanczos"], "style": ["ink, red"]}
CHECKPOINTS = [("a.safetensors", "a.safetensors"), ("b.safetensors", "b.safetensors")]


@pytest.fixture(scope="module")
def form() -> DrawingForm:
    """Build the form that starts from noise, in a running loop, as Gradio likes it."""
    return asyncio.run(built(pictured=False))


@pytest.fixture(scope="module")
def pictured() -> DrawingForm:
    """Build the form that starts from a picture."""
    return asyncio.run(built(pictured=True))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    folder = tmp_path / "inputs"
    folder.mkdir()
    return Inputs(folder)


async def built(*, pictured: bool) -> DrawingForm:
    labels = Labels(load_words())
    with gr.Blocks(analytics_enabled=False):
        found: dict[str, Any] = {
            **prompt_fields(labels, "tab"),
            **sampling_fields(labels, "tab", first=STARTER, limits=Limits()),
            **advanced_fields(labels, "tab", []),
            "checkpoint": gr.Dropdown(CHECKPOINTS, value="a.safetensors"),
            "filled_for": gr.Textbox("a.safetensors"),
            "styles": gr.Dropdown([], value=[], multiselect=True),
            "refiner": build_refiner(labels, "tab", CHECKPOINTS),
            "script": build_scripts(labels, "tab", pictured=pictured, names=lambda: NAMES),
        }
        for name, value in (("width", 128), ("height", 128), ("seed", -1)):
            found[name] = whole_number(labels, f"form.{name}", name, value)
        for name in ("batch_size", "batch_count"):
            found[name] = whole_number(labels, f"form.{name}", name, 1)
        if pictured:
            guidance = build_image_guidance(labels, "tab")
            found["start"] = StartFields(**build_start(labels, "tab"), image_guidance=guidance)
        else:
            offered = Offered(upscalers=["Latent"], checkpoints=CHECKPOINTS, limits=Limits())
            found["hires"] = build_hires(labels, "tab", offered)
    return DrawingForm(**found)


def as_sent(form: DrawingForm, updates: dict[Block, Any] | None = None) -> dict[Block, Any]:
    """Return what Gradio would send after these updates."""
    values: dict[Block, Any] = {part: vars(part)["value"] for part in components_of(form)}
    for component, update in (updates or {}).items():
        values[component] = update["value"]
    return values


def picture_file(folder: Path, *, color: str = "teal", size: tuple[int, int] = (96, 64)) -> str:
    path = folder / f"{color}.png"
    Image.new("RGB", size, color).save(path)
    return str(path)


def painted(*, size: tuple[int, int] = (96, 64)) -> str:
    """Return what the easel sends when the left half is painted blue."""
    layer = Image.new("RGBA", size)
    layer.paste((0, 0, 255, 255), (0, 0, size[0] // 2, size[1]))
    buffer = io.BytesIO()
    layer.save(buffer, format="PNG")
    return HEAD + base64.b64encode(buffer.getvalue()).decode()


def test_an_untouched_form_asks_for_what_the_checkpoint_suggests(form: DrawingForm) -> None:
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


def test_settings_of_a_picture_survive_the_form(form: DrawingForm) -> None:
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


def test_a_second_pass_and_a_refiner_survive_the_form(form: DrawingForm) -> None:
    """Every value of both sections comes back, also those in the closed part."""
    hires = HiresRequest(
        scale=1.5,
        resize=(256, 0),
        upscaler="Lanczos",
        steps=7,
        denoising=0.4,
        sampler="Euler a",
        scheduler="Karras",
        checkpoint="b.safetensors",
        prompt="larger",
        negative_prompt="small",
    )
    refiner = RefinerRequest(checkpoint="b.safetensors", switch_at=0.6)

    request = form.read(as_sent(form, form.fill({"hires": hires, "refiner": refiner})))

    assert (request.hires, request.refiner) == (hires, refiner)


def test_settings_without_a_second_pass_switch_it_off(form: DrawingForm) -> None:
    """What another picture left in the form does not touch this one."""
    values = as_sent(form, form.fill({"hires": HiresRequest(), "styles": ["ink"]}))

    for component, update in form.fill({"prompt": "an owl"}).items():
        values[component] = update["value"]
    request = form.read(values)

    assert (request.hires, request.refiner, request.styles) == (None, None, ())


@pytest.mark.parametrize(
    ("scale", "resize", "size"),
    [
        (2.0, (0, 0), (1024, 1536)),
        (1.3, (0, 0), (664, 992)),
        (2.0, (800, 0), (800, 1200)),
        (2.0, (0, 900), (600, 896)),
        (2.0, (640, 640), (640, 640)),
    ],
)
def test_the_head_of_hires_fix_tells_the_size(
    scale: float, resize: tuple[int, int], size: tuple[int, int]
) -> None:
    """Multiples of 8, rounded down, as the picture will be."""
    assert final_size((512, 768), scale=scale, resize=resize) == size


def test_what_a_text_says_of_a_start_survives_the_form(
    pictured: DrawingForm, inputs: Inputs, tmp_path: Path
) -> None:
    """All but the picture itself, which no text can hold."""
    soft = SoftInpainting(preservation=1.5, mask_influence=0.25)
    mask = {"blur": (9, 9), "padding": 64, "invert": True, "content": "fill"}
    mask |= {"only_masked": True, "rounded": False, "soft": soft}
    start = {"denoising": 0.35, "resize": "Crop and resize", "image_guidance": 2.0}
    told = {**start, "noise_multiplier": 1.05, "masked": mask}
    values = as_sent(pictured, pictured.fill({"start": told}))
    fields = pictured.start
    assert fields
    values |= {fields.mode: Mode.INPAINT, fields.strokes: painted()}
    values |= {fields.picture: picture_file(tmp_path)}

    (wish,) = fields.wishes(pictured.read(values), values, inputs)

    assert wish.start
    assert wish.options == {"initial_noise_multiplier": 1.05}
    assert {name: getattr(wish.start, name) for name in start} == start
    assert {name: getattr(wish.start.masked, name) for name in mask} == mask


@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode_gives_its_picture_and_mask(
    pictured: DrawingForm, inputs: Inputs, tmp_path: Path, mode: Mode
) -> None:
    """Strokes become a mask, a part of the picture, or both; or nothing at all."""
    fields = pictured.start
    assert fields
    own = picture_file(tmp_path)
    values = as_sent(pictured) | {
        fields.mode: str(mode),
        fields.picture: own,
        fields.strokes: painted(),
        fields.mask_file: picture_file(tmp_path, color="white"),
        fields.many: [own, picture_file(tmp_path, color="olive", size=(130, 70))],
        fields.own_size: True,
    }

    wishes = fields.wishes(pictured.read(values), values, inputs)

    starts = [wish.start for wish in wishes if wish.start]
    painted_on = mode in (Mode.SKETCH, Mode.INPAINT_SKETCH)
    assert len(starts) == len(wishes) == (2 if mode is Mode.BATCH else 1)
    assert corner(starts[0]) == ((0, 0, 255) if painted_on else (0, 128, 128))
    assert (starts[0].masked is None) == (mode in (Mode.WHOLE, Mode.SKETCH))
    assert (wishes[-1].width, wishes[-1].height) == (
        (128, 72) if mode is Mode.BATCH else (128, 128)
    )
    if mode in (Mode.INPAINT, Mode.INPAINT_SKETCH):
        assert white_share(starts[0].masked) == 0.5


def test_strokes_on_a_smaller_copy_fit_the_picture(
    pictured: DrawingForm, inputs: Inputs, tmp_path: Path
) -> None:
    """A large picture is painted on in a smaller size; the mask has the picture's."""
    fields = pictured.start
    assert fields
    values = as_sent(pictured) | {
        fields.mode: Mode.INPAINT,
        fields.picture: picture_file(tmp_path, size=(960, 640)),
        fields.strokes: painted(size=(96, 64)),
    }

    (wish,) = fields.wishes(pictured.read(values), values, inputs)

    assert wish.start
    assert wish.start.masked
    assert (wish.start.masked.mask.width, wish.start.masked.mask.height) == (960, 640)


def test_what_is_not_painted_by_the_easel_is_refused(
    pictured: DrawingForm, inputs: Inputs, tmp_path: Path
) -> None:
    """Whoever sends something else gets a sentence."""
    fields = pictured.start
    assert fields
    values = as_sent(pictured) | {
        fields.mode: Mode.INPAINT,
        fields.picture: picture_file(tmp_path),
        fields.strokes: "file:///etc/passwd",
    }

    with pytest.raises(PictureError):
        fields.wishes(pictured.read(values), values, inputs)


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        (Mode.WHOLE, "start.no_picture"),
        (Mode.INPAINT, "start.no_picture"),
        (Mode.BATCH, "start.no_pictures"),
    ],
)
def test_what_is_missing_is_said(pictured: DrawingForm, mode: Mode, key: str) -> None:
    """An empty easel is no error of the program."""
    fields = pictured.start
    assert fields

    assert fields.missing(as_sent(pictured) | {fields.mode: str(mode)}) == key


def corner(start: StartRequest) -> Any:
    with Image.open(start.pictures[0].path) as image:
        return image.convert("RGB").getpixel((0, 0))


def white_share(masked: MaskRequest | None) -> float:
    assert masked
    with Image.open(masked.mask.path) as image:
        return sum(pixel == 255 for pixel in image.tobytes()) / (image.width * image.height)


def test_an_empty_number_is_named(form: DrawingForm) -> None:
    """Nothing is guessed for a field that somebody cleared."""
    values = as_sent(form) | {form.width: None}

    with pytest.raises(RangeError, match="width is empty"):
        form.read(values)


def test_another_checkpoint_moves_only_what_nobody_touched(form: DrawingForm) -> None:
    """Typed values stay, and the page knows that they differ from what is suggested."""
    values = as_sent(form) | {form.steps: 77}

    updates, differs = form.follow(values, old=STARTER, new=LARGE)

    assert form.steps not in updates
    assert updates[form.width]["value"] == 1024
    assert updates[form.sampler]["value"] == "Euler a"
    assert differs


def test_an_untouched_form_has_nothing_to_offer(form: DrawingForm) -> None:
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


# ----------------------------------------------------------------------------- scripts


def script_of(form: DrawingForm, kind: str, **said: Any) -> object:
    values = as_sent(form)
    values |= {form.script.on: True, form.script.kind: kind}
    values |= {getattr(form.script, name): value for name, value in said.items()}
    return form.script.read(values)


def test_no_script_runs_unless_it_is_switched_on(form: DrawingForm) -> None:
    assert form.script.read(as_sent(form)) is None


def test_each_script_is_asked_for_as_the_form_says(form: DrawingForm) -> None:
    assert script_of(form, "plot", x_type="Steps", x_values="1-3", legend=False) == PlotRequest(
        x=AxisRequest(type="Steps", values="1-3"), legend=False
    )
    assert script_of(form, "matrix", negative=True) == MatrixRequest(negative=True)
    assert script_of(form, "list", lines="a\nb", count_seeds=True) == ListRequest(
        lines="a\nb", count_seeds=True
    )


def test_scripts_that_draw_on_are_asked_for_with_a_picture(pictured: DrawingForm) -> None:
    loops = script_of(pictured, "loopback", loops=3, final_denoising=0.25, curve="Lazy")
    assert loops == LoopbackRequest(loops=3, final_denoising=0.25, curve="Lazy")
    larger = script_of(pictured, "upscale", scale=3, upscaler="Lanczos", overlap=32)
    assert larger == UpscaleRequest(tiles=TilesRequest(scale=3.0, overlap=32))
