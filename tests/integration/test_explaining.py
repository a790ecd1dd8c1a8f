"""Explanations over HTTP: by a real server, for a file of each kind, and one turn of the guide."""

import io
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.integration.conftest import Program, running
from tests.tiny import add_to, furnish

TINY = "tiny-sd1.safetensors"

FILES = {
    "checkpoint": TINY,
    "embedding": "tiny-emb-st.safetensors",
    "lora": "tiny-locon.safetensors",
    "hypernetwork": "tiny-hyper.pt",
    "vae": "tiny-vae.safetensors",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(add_to(furnish(tmp_path_factory.mktemp("explaining")))) as program:
        yield program


def result(program: Program, way: str, **wish: Any) -> dict[str, Any]:
    answer = program.http.post(f"/atelier/v1/{way}", json=wish)
    assert answer.status_code == 202, answer.text
    job = program.ended(answer.json()["id"])
    assert job["state"] == "done", job
    return job["result"]


def size(program: Program, name: str) -> tuple[int, int]:
    answer = program.http.get(f"/atelier/v1/explained/{name}")
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.read())) as image:
        return image.size


def test_a_file_of_each_kind_is_explained(program: Program) -> None:
    found = {
        kind: result(program, "models/explain", kind=kind, name=name, checkpoint="tiny-sd1")
        for kind, name in FILES.items()
    }

    assert {kind: each["name"] for kind, each in found.items()} == FILES
    assert len(found["embedding"]["vectors"][0]["nearest"]) == 8
    assert all(block["relative"] > 0 for block in found["lora"]["blocks"])
    assert {each["read"] for each in found["hypernetwork"]["widths"]} == {"texts", "noise"}
    assert size(program, found["vae"]["results"][0]["error"]) == (256, 256)
    assert found["checkpoint"]["parts"]["unet"]["tensors"] > 0
    assert found["checkpoint"]["resembles"] == []


def test_one_turn_is_shown_on_a_given_picture(program: Program) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), "olive").save(buffer, format="PNG")
    image = b64encode(buffer.getvalue()).decode()
    given = program.http.post("/atelier/v1/inputs", json={"image": image}).json()

    turned = result(
        program, "guide/step", kind="lora", picture=given["sha256"], caption="olive", level=200
    )
    own = result(program, "guide/step", kind="embedding")

    assert turned["after"] != turned["loss"]
    assert len({size(program, name) for name in turned["pictures"].values()}) == 1
    assert turned["pictures"]["picture"] != own["pictures"]["picture"]
    listed = program.http.get("/atelier/v1/models?kind=lora").json()
    assert not any("guide" in card["name"] for card in listed)


@pytest.mark.parametrize(
    ("way", "wish", "status", "code"),
    [
        ("models/explain", {"kind": "upscaler", "name": "x"}, 422, "request"),
        ("models/explain", {"kind": "lora", "name": "nothing"}, 422, "request.unknown_name"),
        ("models/explain", {"kind": "lora", "name": "../x"}, 422, "request.unknown_name"),
        ("models/explain", {"kind": "lora", "nome": "x"}, 422, "request"),
        ("guide/step", {"kind": "controlnet"}, 422, "request"),
        ("guide/step", {"kind": "lora", "level": 1000}, 422, "request.range"),
        ("guide/step", {"kind": "lora", "picture": "0" * 64}, 422, "request.picture"),
    ],
)
def test_a_wrong_wish_is_refused(program: Program, way, wish, status, code) -> None:
    answer = program.http.post(f"/atelier/v1/{way}", json=wish)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["hint"]


def test_only_pictures_of_explanations_are_served(program: Program) -> None:
    for name in ("0" * 64, "atelier.sqlite3", "..%2f..%2fatelier.sqlite3"):
        assert program.http.get(f"/atelier/v1/explained/{name}").status_code == 404
