"""What each add-on did: a strip drawn by the real worker, told over HTTP, whatever happens."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.integration.conftest import Program, running, until, worker_of
from tests.tiny import add_to, furnish
from webui.library import infotext

WISH: dict[str, Any] = {
    "prompt": "a tiny-emb-st cat <lora:tiny-lora:0.8><hypernet:tiny-hyper:1>",
    "negative_prompt": "tiny_neg", "vae": "tiny-vae.safetensors",
    "width": 64, "height": 64, "seed": 1, "steps": 2, "sampler": "Euler a",
}  # fmt: skip
WIDTH = 64
"""Of the tiny checkpoint's text encoder."""

CHANGES = ["base", *["with"] * 5, "all", *["without"] * 5]
KINDS = ["embedding", "embedding", "lora", "hypernetwork", "vae"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = add_to(furnish(tmp_path_factory.mktemp("ablation")))
    metadata = {"atelier.kind": "aesthetic", "atelier.space": "text-pooled"}
    mood = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(1))
    save_file({"aesthetic": mood}, home / "models" / "VAE" / "mood.safetensors", metadata)
    with running(home) as program:
        yield program


def asked(program: Program, **changes: Any) -> str:
    answer = program.http.post("/atelier/v1/ablation", json={**WISH, **changes})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def told(program: Program, job: str) -> dict[str, Any]:
    assert program.ended(job)["state"] == "done"
    return program.http.get(f"/atelier/v1/ablation/{job}").json()


def opened(program: Program, url: str) -> Image.Image:
    answer = program.http.get(url)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


@pytest.fixture(scope="module")
def strip(program: Program) -> tuple[str, dict[str, Any]]:
    """Return the job of a strip with every kind of add-on, and what is told of it."""
    job = asked(program, batch_count=3)
    return job, told(program, job)


def test_a_strip_adds_one_file_after_the_other_and_then_leaves_each_out(
    program: Program, strip: tuple[str, dict[str, Any]]
) -> None:
    job, report = strip

    places = report["places"]
    assert [place["change"] for place in places] == CHANGES
    assert [place["kind"] for place in places if place["change"] == "with"] == KINDS
    assert places[3]["label"] == "+ LoRA tiny-lora (0.8)"
    pictures = program.http.get(f"/atelier/v1/jobs/{job}/pictures").json()
    assert len(pictures) == 2 * len(KINDS) + 1
    assert {picture["seed"] for picture in pictures} == {1}
    assert pictures[-1]["id"] == report["strip"]["id"]
    shown = infotext.parse(report["strip"]["infotext"])
    assert shown["Script"] == "Ablation strip"
    assert shown["Prompt"] == WISH["prompt"]
    assert report["strip"]["width"] > 6 * 224


def test_its_numbers_are_those_of_the_pictures(
    program: Program, strip: tuple[str, dict[str, Any]]
) -> None:
    for place in strip[1]["places"]:
        if place["change"] in ("base", "all"):
            assert place["figures"] is place["difference"] is None
            continue
        first, second = (
            np.asarray(opened(program, f"/atelier/v1/pictures/{place[which]}")).astype(int)
            for which in ("picture", "against")
        )
        apart = np.abs(first - second)
        assert place["figures"]["mean"] == pytest.approx(apart.mean(), abs=1e-3)
        assert place["figures"]["furthest"] == apart.max() > 0
        heat = np.asarray(opened(program, place["difference"]))
        assert heat.shape == first.shape
        brightest = np.unravel_index(apart.max(axis=2).argmax(), first.shape[:2])
        assert heat[brightest].sum() == heat.sum(axis=2).max()


def test_every_single_picture_is_drawn_again_from_its_own_settings(
    program: Program, strip: tuple[str, dict[str, Any]]
) -> None:
    program.http.post("/sdapi/v1/options", json={"sd_lora": "tiny-loha"}).raise_for_status()
    drawn = sorted({place["picture"] for place in strip[1]["places"]})
    try:
        jobs = [
            program.http.post(
                "/atelier/v1/replay",
                json={
                    "image": base64.b64encode(
                        program.http.get(f"/atelier/v1/pictures/{picture}").content
                    ).decode()
                },
            ).json()["id"]
            for picture in drawn
        ]
        for job in jobs:
            program.ended(job)
            receipt = program.http.get(f"/atelier/v1/replay/{job}").json()
            assert receipt["verdict"] == "identical", receipt
    finally:
        program.http.post("/sdapi/v1/options", json={"sd_lora": "None"}).raise_for_status()


def test_a_strip_whose_worker_is_killed_goes_on_in_the_middle(
    program: Program, strip: tuple[str, dict[str, Any]]
) -> None:
    job = asked(program, steps=8)
    until(lambda: len(program.job(job)["pictures"]) >= 2)
    early = program.job(job)["pictures"]

    worker_of(psutil.Process(program.process.pid)).kill()

    report = told(program, job)
    assert program.job(job)["attempts"] == 2
    assert program.job(job)["pictures"][: len(early)] == early
    assert [place["change"] for place in report["places"]] == CHANGES
    assert all(place["picture"] for place in report["places"])


@pytest.mark.parametrize("way", ["hires", "img2img", "aesthetic"])
def test_a_strip_can_have_a_second_pass_a_picture_to_start_from_and_a_mood(
    way: str, program: Program
) -> None:
    if way == "hires":
        more: dict[str, Any] = {"hires": {"scale": 1.5, "upscaler": "Latent", "steps": 1}}
    elif way == "aesthetic":
        asked_for = {"embedding": "mood", "steps": 1, "learning_rate": 0.01}
        more = {"extensions": {"aesthetic_gradients": asked_for}}
    else:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), (200, 40, 40)).save(buffer, format="PNG")
        image = base64.b64encode(buffer.getvalue()).decode()
        kept = program.http.post("/atelier/v1/inputs", json={"image": image}).json()
        more = {"start": {"pictures": [kept], "denoising": 0.6}}
    request = {**WISH, "negative_prompt": "", "prompt": "a cat <lora:tiny-lora:1>", **more}
    sheet = {"request": request, "script": {"kind": "ablation"}}

    job = program.http.post("/atelier/v1/sheets", json=sheet).json()["id"]

    places = told(program, job)["places"]
    kinds = ["lora", "vae", *(["aesthetic"] if way == "aesthetic" else [])]
    assert [place["kind"] for place in places] == [None, *kinds, None, *kinds]
    assert len({place["picture"] for place in places}) == 2 * len(kinds)
    assert all(place["figures"]["mean"] > 0 for place in places if place["against"])
    side = 96 if way == "hires" else 64
    assert opened(program, places[0]["url"]).size == (side, side)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"prompt": "a cat", "negative_prompt": "", "vae": "None"},
         "request.nothing_to_leave_out", "uses no add-on"),
        ({"prompt": "a <lora:nowhere:1> cat", "negative_prompt": "", "vae": "None"},
         "request.nothing_to_leave_out", "LoRA not found: nowhere"),
        ({"vae": "gone.pt"}, "request.unknown_name", "gone.pt"),
        ({"seeed": 4}, "request.unknown_name", "seeed"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_what_to_do(
    changes: dict[str, Any], error: str, said: str, program: Program
) -> None:
    answer = program.http.post("/atelier/v1/ablation", json={**WISH, **changes})

    assert answer.status_code == 422
    assert answer.json()["error"] == error
    assert said in answer.json()["detail"]
    assert answer.json()["hint"]


@pytest.mark.parametrize("path", ["nowhere", "nowhere/differences/1", "{job}/differences/0",
                                  "{job}/differences/99", "{job}/differences/-1"])  # fmt: skip
def test_what_is_not_there_is_not_found(
    path: str, program: Program, strip: tuple[str, dict[str, Any]]
) -> None:
    answer: httpx.Response = program.http.get(f"/atelier/v1/ablation/{path.format(job=strip[0])}")

    assert answer.status_code == 404
