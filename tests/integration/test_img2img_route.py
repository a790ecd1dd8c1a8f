"""``POST /sdapi/v1/img2img`` as A1111's clients use it."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import webuiapi
from PIL import Image

from tests.integration.conftest import PATIENCE, running
from tests.tiny import furnish
from webui.library.infotext import parse


def picture(width: int = 96, height: int = 64) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def mask(width: int = 96, height: int = 64) -> Image.Image:
    image = Image.new("L", (width, height))
    image.paste(255, (width // 2, 0, width, height))
    return image


def text_of(image: Image.Image, form: str = "PNG") -> str:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return base64.b64encode(buffer.getvalue()).decode()


SMALL: dict[str, Any] = {
    "prompt": "a cat",
    "steps": 2,
    "width": 96,
    "height": 64,
    "seed": 5,
    "init_images": [text_of(picture())],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(furnish(tmp_path_factory.mktemp("img2img"))) as program:
        yield f"http://127.0.0.1:{program.port}"


@pytest.fixture(scope="module")
def server(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        yield client


def asked(server: httpx.Client, **changes: Any) -> httpx.Response:
    return server.post("/sdapi/v1/img2img", json={**SMALL, **changes})


def drawn(server: httpx.Client, **changes: Any) -> tuple[list[Image.Image], dict[str, Any]]:
    answer = asked(server, **changes)
    assert answer.status_code == 200, answer.text
    images: list[Image.Image] = [
        Image.open(io.BytesIO(base64.b64decode(one))) for one in answer.json()["images"]
    ]
    return images, answer.json()


def test_the_client_draws_under_a_mask(address: str) -> None:
    client = webuiapi.WebUIApi(baseurl=f"{address}/sdapi/v1", sampler="Euler a", steps=2)

    result = client.img2img(
        images=[picture()],
        mask_image=mask(),
        mask_blur=0,
        inpaint_full_res=False,
        prompt="a red cat",
        seed=1000,
        width=96,
        height=64,
        denoising_strength=0.6,
    )

    assert isinstance(result, webuiapi.WebUIApiResult)
    assert result.image.size == (96, 64)
    assert (np.asarray(result.image)[:, :48] == np.asarray(picture())[:, :48]).all()
    assert result.info["denoising_strength"] == 0.6
    assert parse(result.image.info["parameters"])["Denoising strength"] == "0.6"


def test_the_answer_repeats_the_pictures_only_if_asked(server: httpx.Client) -> None:
    _, answer = drawn(server)
    assert answer["parameters"]["init_images"] is None
    assert "enable_hr" not in answer["parameters"]

    _, answer = drawn(server, include_init_images=True)
    assert answer["parameters"]["init_images"] == SMALL["init_images"]


def test_nulls_stand_for_what_a1111_takes(server: httpx.Client) -> None:
    images, answer = drawn(
        server,
        denoising_strength=None,
        image_cfg_scale=None,
        mask_blur=None,
        mask=None,
        initial_noise_multiplier=None,
        latent_mask=None,
    )

    assert json.loads(answer["info"])["denoising_strength"] == 0.75
    assert (np.asarray(images[0]) == np.asarray(drawn(server)[0][0])).all()


def test_only_the_masked_part_comes_back_in_the_pictures_own_size(server: httpx.Client) -> None:
    images, answer = drawn(
        server,
        init_images=[text_of(picture(200, 120))],
        mask=text_of(mask(200, 120)),
        mask_blur=0,
        inpaint_full_res_padding=8,
    )

    assert images[0].size == (200, 120)
    assert json.loads(answer["info"])["width"] == 96


def test_soft_inpainting_has_its_settings_in_the_text(server: httpx.Client) -> None:
    soft = {"Soft inpainting": {"args": [True, 1, 0.5, 4, 0, 0.5]}}

    images, _ = drawn(server, mask=text_of(mask()), alwayson_scripts=soft)
    off = {"soft inpainting": {"args": [False, 1, 0.5, 4, 0, 0.5, 2]}}
    plain, _ = drawn(server, mask=text_of(mask()), alwayson_scripts=off)

    told = parse(images[0].info["parameters"])
    assert told["Soft inpainting enabled"] == "True"
    assert told["Soft inpainting difference contrast"] == "2.0"
    assert "Soft inpainting enabled" not in plain[0].info["parameters"]


def test_several_pictures_have_a_place_each(server: httpx.Client) -> None:
    other = text_of(picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT))

    images, answer = drawn(
        server, init_images=[SMALL["init_images"][0], other], batch_size=3, denoising_strength=0.1
    )

    assert len(images) == 2
    assert json.loads(answer["info"])["all_seeds"] == [5, 6]
    far = np.asarray(images[0], int) - np.asarray(images[1], int)
    assert np.abs(far).mean() > 5


def test_the_field_of_the_request_sets_the_noise_and_the_override_does_not(
    server: httpx.Client,
) -> None:
    plain, _ = drawn(server)
    field, _ = drawn(server, initial_noise_multiplier=0.8)
    override, _ = drawn(server, override_settings={"initial_noise_multiplier": 0.8})

    assert (np.asarray(plain[0]) != np.asarray(field[0])).any()
    assert (np.asarray(plain[0]) == np.asarray(override[0])).all()


def test_an_infotext_fills_what_is_left_open(server: httpx.Client) -> None:
    images, _ = drawn(server, mask=text_of(mask()), mask_blur=2, inpainting_fill=2)
    text = images[0].info["parameters"]
    bare = {"init_images": SMALL["init_images"], "mask": text_of(mask()), "infotext": text}

    again = server.post("/sdapi/v1/img2img", json=bare).json()

    image = Image.open(io.BytesIO(base64.b64decode(again["images"][0])))
    assert (np.asarray(image) == np.asarray(images[0])).all()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"init_images": None}, "request.picture", "init_images"),
    ({"init_images": []}, "request.picture", "init_images"),
    ({"init_images": [""]}, "request.picture", "init_images"),
    ({"init_images": ["%%%"]}, "request.picture", "picture"),
    ({"init_images": ["aGVsbG8="]}, "request.picture", "not a picture"),
    ({"init_images": ["http://10.0.0.1/a.png"]}, "request.picture", "network"),
    ({"init_images": [SMALL["init_images"][0]] * 2}, "request.range", "2 pictures"),
    ({"init_images": ["a"] * 65}, "request.range", "65 pictures"),
    ({"mask": "aGVsbG8="}, "request.picture", "not a picture"),
    ({"resize_mode": 4}, "request.range", "resize_mode is 4"),
    ({"inpainting_fill": -1, "mask": text_of(mask())}, "request.range", "inpainting_fill is -1"),
    ({"denoising_strength": 2}, "request.range", "denoising_strength is 2"),
    ({"mask_blur": -3, "mask": text_of(mask())}, "request.range", "mask_blur_x is -3"),
    ({"latent_mask": "x"}, "request.unsupported", "latent_mask"),
    ({"firstpass_image": "x"}, "request.unsupported", "firstpass_image"),
    ({"alwayson_scripts": {"ControlNet": {"args": [1]}}}, "request.unsupported", "ControlNet"),
    (
        {"alwayson_scripts": {"Soft inpainting": {"args": [True, "a"]}}},
        "request.range",
        "Soft inpainting",
    ),
    ({"width": 65}, "request.size", "width is 65"),
]


@pytest.mark.parametrize(("changes", "code", "words"), BAD)
def test_what_cannot_be_done_is_told(
    server: httpx.Client, changes: dict[str, Any], code: str, words: str
) -> None:
    answer = asked(server, **changes)

    assert 400 <= answer.status_code < 500
    told = answer.json()
    assert told["error"] == code
    assert words in told["detail"]
    assert told["hint"]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_pictures_of_any_kind_are_drawn_from(server: httpx.Client, mode: str) -> None:
    image = picture().convert("RGB" if mode == "P" else mode)
    form = "JPEG" if mode == "CMYK" else "PNG"

    images, _ = drawn(server, init_images=[text_of(image.convert(mode), form)])

    assert images[0].size == (96, 64)


def test_words_alone_are_sent_to_the_other_route(server: httpx.Client) -> None:
    answer = server.post("/sdapi/v1/txt2img", json=SMALL)

    assert answer.status_code == 422
    assert "img2img" in answer.json()["hint"]
