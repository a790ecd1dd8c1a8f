"""Programs written for A1111 talk to our server: the client from PyPI, and A1111's own tests."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import webuiapi
from PIL import Image

from tests.integration.conftest import PATIENCE, running
from tests.tiny import furnish
from webui.library.infotext import parse

SMALL: dict[str, Any] = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5}

INFO_KEYS = {
    "prompt", "all_prompts", "negative_prompt", "all_negative_prompts", "seed", "all_seeds",
    "subseed", "all_subseeds", "subseed_strength", "width", "height", "sampler_name", "cfg_scale",
    "steps", "batch_size", "restore_faces", "face_restoration_model", "sd_model_name",
    "sd_model_hash", "sd_vae_name", "sd_vae_hash", "seed_resize_from_w", "seed_resize_from_h",
    "denoising_strength", "extra_generation_params", "index_of_first_image", "infotexts", "styles",
    "job_timestamp", "clip_skip", "is_using_inpainting_conditioning", "version", "notes",
}  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(furnish(tmp_path_factory.mktemp("a1111"))) as program:
        yield f"http://127.0.0.1:{program.port}"


@pytest.fixture(scope="module")
def server(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def client(address: str) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(baseurl=f"{address}/sdapi/v1", sampler="Euler a", steps=2)


def drawn(server: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = server.post("/sdapi/v1/txt2img", json={**SMALL, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_client_draws_a_picture_with_its_settings_inside(client: webuiapi.WebUIApi) -> None:
    result = client.txt2img(prompt="a red cat", seed=1000, width=64, height=128)

    assert isinstance(result, webuiapi.WebUIApiResult)
    assert result.image.size == (64, 128)
    assert result.info["all_seeds"] == [1000]
    assert set(result.info) == INFO_KEYS
    assert parse(result.image.info["parameters"])["Prompt"] == "a red cat"
    assert result.parameters["prompt"] == "a red cat"
    assert client.png_info(result.image).info == result.info["infotexts"][0]


def test_the_client_finds_what_it_asks_for_at_start(client: webuiapi.WebUIApi) -> None:
    (model,) = client.get_sd_models()

    assert model["model_name"] == "tiny-sd1"
    assert client.util_get_current_model() == model["title"]
    assert client.get_samplers()[0]["name"] == "DPM++ 2M"
    assert {"name", "label", "aliases", "default_rho", "need_inner_model"} == set(
        client.get_schedulers()[0]
    )
    assert client.get_memory()["ram"]["total"] > 0
    assert "x/y/z plot" in client.get_scripts()["txt2img"]
    assert client.get_progress()["progress"] == 0
    assert client.refresh_checkpoints() is None
    assert [way["name"] for way in client.get_upscalers()] == ["None", "Lanczos", "Nearest"]
    assert client.get_latent_upscale_modes()[0] == {"name": "Latent"}
    for empty in (client.get_loras, client.get_hypernetworks):
        assert empty() == []
    client.util_wait_for_ready(check_interval=0.01)


def test_the_client_changes_an_option_and_back(client: webuiapi.WebUIApi) -> None:
    before = client.get_options()["send_seed"]

    client.set_options({"send_seed": not before})

    assert client.get_options()["send_seed"] is not before
    client.set_options({"send_seed": before})
    client.util_set_model("tiny-sd1")
    assert client.util_get_current_model().startswith("tiny-sd1.safetensors [")


@pytest.mark.parametrize(
    "changes",
    [
        {"negative_prompt": "example negative prompt"},
        {"prompt": "((emphasis)), (emphasis1:1.1), [to:1], [from::2], [from:to:0.3], [alt|alt1]"},
        {"height": 128},
        {"tiling": True},
        {"sampler_index": "PLMS", "steps": 3},
        {"sampler_index": "DDIM", "steps": 3},
        {"sampler_index": "UniPC", "steps": 3},
        {"sampler_name": "DPM++ 2M Karras"},
        {"sampler_name": "Euler", "scheduler": "SGM Uniform"},
        {"n_iter": 2},
        {"batch_size": 2},
        {"eta": 0, "s_churn": 0, "s_noise": 1, "s_tmax": 0, "s_tmin": 0, "subseed": -1},
        {"denoising_strength": 0, "firstphase_width": 0, "restore_faces": False, "styles": []},
        {"a field": "that nobody knows"},
        {"enable_hr": True, "hr_scale": 1.5, "hr_second_pass_steps": 1, "hr_upscaler": "Lanczos"},
        {"refiner_checkpoint": "tiny-sd1", "refiner_switch_at": 0.5},
        {"override_settings": {"token_merging_ratio": 0.5}},
    ],
    ids=", ".join,
)
def test_a1111s_own_requests_are_answered(changes: dict[str, Any], server: httpx.Client) -> None:
    result = drawn(server, **changes)

    info = json.loads(result["info"])
    count = changes.get("n_iter", 1) * changes.get("batch_size", 1)
    assert len(result["images"]) == len(info["all_seeds"]) == count
    assert info["all_seeds"] == [5 + number for number in range(count)]
    for image in result["images"]:
        Image.open(io.BytesIO(base64.b64decode(image))).verify()


def test_a_second_pass_is_drawn_and_drawn_again_from_its_infotext(server: httpx.Client) -> None:
    first = drawn(server, enable_hr=True, hr_resize_x=128, hr_resize_y=96, denoising_strength=0.6)
    text = json.loads(first["info"])["infotexts"][0]

    again = server.post("/sdapi/v1/txt2img", json={"infotext": text}).json()

    picture = Image.open(io.BytesIO(base64.b64decode(first["images"][0])))
    assert picture.size == (128, 96)
    assert "Denoising strength: 0.6, RNG: CPU, Hires resize: 128x96, Hires upscaler: Latent" in text
    assert again["images"] == first["images"]


def test_an_infotext_fills_what_is_left_open(server: httpx.Client) -> None:
    first = drawn(server, sampler_name="Heun", scheduler="Karras", cfg_scale=3.5, save_images=True)
    text = json.loads(first["info"])["infotexts"][0]

    again = server.post("/sdapi/v1/txt2img", json={"infotext": text, "steps": 2}).json()

    assert json.loads(again["info"])["infotexts"] == [text]
    assert again["images"] == first["images"]


def test_settings_of_one_request_do_not_leak_into_the_next(server: httpx.Client) -> None:
    before = server.get("/sdapi/v1/options").json()

    changed = drawn(server, override_settings={"CLIP_stop_at_last_layers": 2, "randn_source": "NV"})
    plain = drawn(server)

    assert "Clip skip: 2, RNG: NV" in json.loads(changed["info"])["infotexts"][0]
    assert "Clip skip" not in json.loads(plain["info"])["infotexts"][0]
    assert changed["images"] != plain["images"]
    assert server.get("/sdapi/v1/options").json() == before


@pytest.mark.parametrize(
    ("changes", "code", "value"),
    [
        ({"width": 1_000_000_000}, "request.range", "1000000000"),
        ({"width": -1}, "request.range", "-1"),
        ({"width": 65}, "request.size", "65"),
        ({"width": "512; x"}, "request", "512; x"),
        ({"steps": 0}, "request.range", "0"),
        ({"steps": 10_000}, "request.range", "10000"),
        ({"batch_size": 1_000_000_000}, "request.range", "1000000000"),
        ({"n_iter": 0}, "request.range", "0"),
        ({"cfg_scale": "high"}, "request", "high"),
        ({"seed": 10**30}, "request.range", "1000000000000000000000000000000"),
        ({"sampler_name": "no such"}, "request.unknown_name", "no such"),
        ({"scheduler": "no such"}, "request.unknown_name", "no such"),
        ({"prompt": "x" * 100_000}, "request.limit", "100000"),
        ({"prompt": ["a", "b"]}, "request.range", "2 texts"),
        ({"override_settings": {"no such": 1}}, "request.unknown_name", "no such"),
        ({"override_settings": {"sd_model_checkpoint": "no such"}}, "request.unknown_name",
         "no such"),
        ({"override_settings": {"outdir_samples": "/etc"}}, "access.forbidden", "outdir_samples"),
        ({"enable_hr": True, "hr_upscaler": "Laczos"}, "request.unknown_name", "Laczos"),
        ({"enable_hr": True, "hr_scale": 99}, "request.range", "99"),
        ({"refiner_checkpoint": "no such"}, "request.unknown_name", "no such"),
        ({"script_name": "custom code"}, "request.unknown_name", "custom code"),
        ({"script_name": "x/y/z plot", "script_args": ["Steps"]}, "request.range", "Steps"),
        ({"alwayson_scripts": {"ControlNet": {}}}, "request.unsupported", "ControlNet"),
        ({"init_images": ["AAAA"]}, "request.unsupported", "init_images"),
        ({"infotext": "Steps: many, Seed: 1, Size: 8x8"}, "request.infotext", "many"),
    ],
    ids=lambda part: str(part)[:40],
)  # fmt: skip
def test_a_wish_that_cannot_be_names_the_value(
    changes: dict[str, Any], code: str, value: str, server: httpx.Client
) -> None:
    answer = server.post("/sdapi/v1/txt2img", json={**SMALL, **changes})

    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error", "detail", "errors", "hint"}
    assert answer.json()["error"] == code
    assert value in answer.json()["detail"]
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"cfg_scale": NaN}',
        b'{"cfg_scale": Infinity}',
        b'{"x": -Infinity}',
        b'{"steps": 1e999}',
        b'{"seed": ' + b"9" * 1_000_000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"prompt": "\xff\xfe"}',
        b'{"prompt": "\\ud800"}',
        b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_broken_body_is_the_senders_fault(body: bytes, server: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    started = time.perf_counter()

    for path in ("/sdapi/v1/txt2img", "/atelier/v1/jobs", "/sdapi/v1/options"):
        answer = server.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.text[:200])
        assert set(answer.json()) == {"error", "detail", "errors", "hint"}
        assert len(answer.content) < 2000

    assert time.perf_counter() - started < 10


def test_many_keys_cost_little(server: httpx.Client) -> None:
    body = {**SMALL, **{f"key {number}": number for number in range(200_000)}}

    assert server.post("/sdapi/v1/txt2img", json=body).status_code == 200


def test_a_body_that_never_ends_is_cut(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    head = (
        f"POST /sdapi/v1/txt2img HTTP/1.1\r\nHost: {host}:{port}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as line:
        line.sendall(head.encode())
        sent = 0
        try:
            while sent < 200:
                line.sendall(piece)
                sent += 1
            answer = line.recv(100)
        except OSError:
            answer = b" 413 "
    assert b" 413 " in answer or sent < 200


@pytest.mark.parametrize(
    "path", ["extra-single-image", "interrogate", "unload-checkpoint", "no-such-route"]
)
def test_a_route_that_is_not_here_says_so(path: str, server: httpx.Client) -> None:
    answer = server.post(f"/sdapi/v1/{path}", json={})

    assert answer.status_code == 422
    assert path in answer.json()["detail"]


@pytest.mark.parametrize(
    "image",
    ["%%%", "https://example.com/a.png", base64.b64encode(b"<svg/>").decode(), "A" * 5],
)
def test_what_is_no_picture_has_no_settings(image: str, server: httpx.Client) -> None:
    answer = server.post("/sdapi/v1/png-info", json={"image": image})

    assert answer.status_code == 422
    assert answer.json()["error"] == "request.picture"


def test_a_running_job_is_seen_and_stopped(server: httpx.Client, address: str) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        slow = {**SMALL, "steps": 150, "width": 256, "height": 256, "n_iter": 20}
        answers.append(httpx.post(f"{address}/sdapi/v1/txt2img", json=slow, timeout=PATIENCE))

    asking = threading.Thread(target=ask)
    asking.start()
    end = time.monotonic() + PATIENCE
    state: dict[str, Any] = {}
    while time.monotonic() < end and not state.get("state", {}).get("sampling_step"):
        state = server.get("/sdapi/v1/progress").json()
    assert server.post("/sdapi/v1/interrupt").json() == {}
    asking.join(PATIENCE)

    assert 0 < state["progress"] < 1
    assert state["state"]["job_count"] == 20
    assert state["state"]["sampling_steps"] == 150
    assert answers[0].status_code == 200
    assert len(answers[0].json()["images"]) < 20
    assert server.get("/sdapi/v1/progress").json()["progress"] == 0


def test_a_job_goes_on_when_the_client_hangs_up(server: httpx.Client, address: str) -> None:
    wish = {**SMALL, "seed": 4242, "steps": 20, "save_images": True}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{address}/sdapi/v1/txt2img", json=wish, timeout=httpx.Timeout(9, read=0.2))

    end = time.monotonic() + PATIENCE
    found: list[Any] = []
    while time.monotonic() < end and not found:
        found = server.get("/atelier/v1/history", params={"text": "4242"}).json()
        time.sleep(0.2)

    assert found[0]["seed"] == 4242
    assert server.get(found[0]["url"]).headers["content-type"] == "image/png"
    assert server.get(found[0]["thumbnail"]).headers["content-type"] == "image/webp"


def test_a_job_of_our_own_dialect_tells_its_story(server: httpx.Client) -> None:
    wish = {"prompt": "a cat", "steps": 3, "width": 64, "height": 64, "seed": 9}
    headers = {"Idempotency-Key": "once"}
    job = server.post("/atelier/v1/jobs", json=wish, headers=headers).json()
    again = server.post("/atelier/v1/jobs", json=wish, headers=headers).json()

    with server.stream("GET", f"/atelier/v1/jobs/{job['id']}/events") as stream:
        lines = [line for line in stream.iter_lines() if line.startswith(("id:", "data:"))]

    assert again["id"] == job["id"]
    assert lines[-2] == "id: end"
    last = json.loads(lines[-1].removeprefix("data: "))
    assert (last["state"], len(last["pictures"])) == ("done", 1)
    (picture,) = server.get(f"/atelier/v1/jobs/{job['id']}/pictures").json()
    assert picture["id"] == last["pictures"][0]
    events = f"/atelier/v1/jobs/{job['id']}/events"
    assert server.get(events, headers={"Last-Event-ID": "end"}).status_code == 204
    assert server.get("/atelier/v1/jobs").json()[0]["id"] == job["id"]


def test_a_misspelt_field_of_our_own_dialect_is_refused(server: httpx.Client) -> None:
    answer = server.post("/atelier/v1/jobs", json={"promt": "a cat"})

    assert answer.status_code == 422
    assert "promt" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path",
    ["jobs/x", "jobs/x/events", "jobs/x/preview", "jobs/x/pictures", "pictures/x",
     "pictures/x/thumbnail", "pictures/../../config.json", "pictures/%2e%2e%2fconfig.json"],
)  # fmt: skip
def test_an_unknown_id_is_not_found(path: str, server: httpx.Client) -> None:
    assert server.get(f"/atelier/v1/{path}").status_code == 404


def test_the_routes_are_told_without_a_network(server: httpx.Client) -> None:
    page = server.get("/docs")

    assert "/sdapi/v1/txt2img" in page.text
    assert "http" not in page.text.replace("HTTP", "").replace("https://", "http")
    assert "/sdapi/v1/txt2img" in server.get("/openapi.json").json()["paths"]


def test_models_are_listed_and_inspected_by_name_alone(server: httpx.Client) -> None:
    (card,) = server.get("/atelier/v1/models").json()

    told = server.get("/atelier/v1/models/inspect", params={"name": card["name"]}).json()
    refused = server.get("/atelier/v1/models/inspect", params={"name": "/etc/passwd"})

    assert (told["kind"], told["family"]) == ("checkpoint", "sd1")
    assert refused.status_code == 422
