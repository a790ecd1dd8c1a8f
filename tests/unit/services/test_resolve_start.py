"""A wish to start from a picture: options fill what is open, and each bad number has its word."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from webui.app import Inventory, inventory
from webui.modules.errors import LimitError, PictureError, RangeError, RequestError
from webui.modules.types import GenerationPlan, InputPicture, SoftInpainting, Start
from webui.services.requests import GenerationRequest, MaskRequest, StartRequest
from webui.services.resolve import resolve
from webui.settings import load


def picture(width: int = 100, height: int = 80) -> InputPicture:
    return InputPicture(path=Path("a.png"), sha256="0" * 64, width=width, height=height)


MASK: Final = MaskRequest(mask=picture())
LATENT: Final = "Just resize (latent upscale)"


@pytest.fixture(scope="module")
def stock(tiny_home: Path) -> Inventory:
    return inventory(load({}, environment={}, home=tiny_home))


def plan_for(stock: Inventory, start: StartRequest, **wish: Any) -> GenerationPlan:
    request = replace(GenerationRequest(seed=5, start=start), **wish)
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    return resolve(request, options=stock.options.current(), house=stock.house, random=chance)


def start_for(stock: Inventory, start: StartRequest, **wish: Any) -> Start:
    settled = plan_for(stock, start, **wish).start
    assert settled is not None
    return settled


def test_what_is_left_open_is_a1111s(stock: Inventory) -> None:
    asked = StartRequest(pictures=(picture(),))

    assert start_for(stock, asked) == Start(pictures=(picture(),))


def test_options_act_for_one_request(stock: Inventory) -> None:
    start = start_for(
        stock,
        StartRequest(pictures=(picture(),), masked=MASK),
        options={
            "img2img_fix_steps": True,
            "initial_noise_multiplier": 0.5,
            "img2img_extra_noise": 0.25,
            "img2img_background_color": "#102030",
            "img2img_color_correction": True,
            "overlay_inpaint": False,
            "inpainting_mask_weight": 0.75,
        },
    )

    assert start.every_step
    assert start.color_correction
    assert (start.noise_multiplier, start.extra_noise) == (0.5, 0.25)
    assert start.background == "#102030"
    assert start.inpainting is not None
    assert not start.inpainting.overlay
    assert start.inpainting.weight == 0.75


def test_the_request_wins_over_the_option(stock: Inventory) -> None:
    asked = StartRequest(pictures=(picture(),), noise_multiplier=0.75)

    start = start_for(stock, asked, options={"initial_noise_multiplier": 0.5})
    assert start.noise_multiplier == 0.75


@pytest.mark.parametrize(("pictures", "asked", "drawn"), [(1, 4, 4), (2, 4, 2), (4, 4, 4)])
def test_several_pictures_have_a_place_each(
    stock: Inventory, pictures: int, asked: int, drawn: int
) -> None:
    start = StartRequest(pictures=(picture(),) * pictures)

    plan = plan_for(stock, start, batch_size=asked, batch_count=2)

    assert plan.batch_size == drawn
    assert plan.seeds == tuple(range(5, 5 + 2 * drawn))


BAD: Final[list[tuple[dict[str, Any], dict[str, Any], type[RequestError], str]]] = [
    ({"pictures": ()}, {}, RangeError, "no picture"),
    ({"pictures": (picture(),) * 3}, {"batch_size": 2}, RangeError, "3 pictures"),
    ({"denoising": 1.5}, {}, RangeError, "denoising_strength is 1.5"),
    ({"denoising": float("nan")}, {}, RangeError, "denoising_strength is nan"),
    ({"noise_multiplier": -1}, {}, RangeError, "initial_noise_multiplier is -1"),
    ({"image_guidance": 1e9}, {}, RangeError, "image_cfg_scale"),
    ({"masked": replace(MASK, blur=(-1, 0))}, {}, RangeError, "mask_blur_x is -1"),
    ({"masked": replace(MASK, blur=(0, 10**6))}, {}, RangeError, "mask_blur_y"),
    ({"masked": replace(MASK, padding=-1)}, {}, RangeError, "inpaint_full_res_padding is -1"),
    (
        {"masked": replace(MASK, soft=SoftInpainting(contrast_boost=0))},
        {},
        RangeError,
        "transition contrast boost is 0",
    ),
    ({"pictures": (picture(8000, 8001),)}, {}, LimitError, "64008000 pixels"),
    ({"pictures": (picture(8, 600),), "resize": LATENT}, {}, PictureError, "8x600"),
    ({"pictures": (picture(5000, 5000),), "resize": LATENT}, {}, LimitError, "5000x5000"),
    (
        {"denoising": 1e-9},
        {"options": {"img2img_fix_steps": True}},
        RangeError,
        "denoising strength of 1e-09",
    ),
    (
        {"denoising": 0.01},
        {"options": {"img2img_fix_steps": True}, "sampler": "DDIM", "steps": 20},
        RangeError,
        "denoising strength of 0.01",
    ),
    (
        {},
        {"options": {"img2img_background_color": "url(x)"}},
        RangeError,
        "img2img_background_color",
    ),
]


@pytest.mark.parametrize(("asked", "wish", "kind", "words"), BAD)
def test_what_cannot_be_done_is_refused_with_its_value(
    stock: Inventory,
    asked: dict[str, Any],
    wish: dict[str, Any],
    kind: type[RequestError],
    words: str,
) -> None:
    fields: dict[str, Any] = {"pictures": (picture(),), **asked}

    with pytest.raises(kind) as refused:
        plan_for(stock, StartRequest(**fields), **wish)
    assert words in str(refused.value)
    assert refused.value.hint
