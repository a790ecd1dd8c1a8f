"""Add-ons over HTTP: listed, laid on, told in the settings, and told when they are not there."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.integration.conftest import PATIENCE, running
from tests.tiny import add_to, furnish

SMALL: dict[str, Any] = {
    "steps": 2, "width": 64, "height": 64, "seed": 5, "sampler_name": "Euler",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = add_to(furnish(tmp_path_factory.mktemp("add_ons")))
    save_file({"emb_params": torch.zeros(1, 768)}, home / "embeddings" / "wide.safetensors")
    for preview in ("tiny-emb-st.png", "tiny_neg.preview.png"):
        Image.new("RGB", (8, 8)).save(home / "embeddings" / preview)
    strange = {
        f"lora_unet_no_such_layer.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")
    }
    save_file(strange, home / "models" / "Lora" / "strange.safetensors")
    with (
        running(home) as program,
        httpx.Client(base_url=f"http://127.0.0.1:{program.port}", timeout=PATIENCE) as client,
    ):
        yield client


def drawn(server: httpx.Client, prompt: str) -> tuple[bytes, dict[str, Any]]:
    answer = server.post("/sdapi/v1/txt2img", json={**SMALL, "prompt": prompt})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    with Image.open(io.BytesIO(base64.b64decode(told["images"][0]))) as image:
        return image.convert("RGB").tobytes(), json.loads(told["info"])


def test_the_lists_name_what_lies_in_the_folders(server: httpx.Client) -> None:
    loras = {each["name"]: each for each in server.get("/sdapi/v1/loras").json()}
    assert loras["tiny-lora"]["alias"] == "tiny-lora"
    assert loras["tiny-lora"]["path"] == "models/Lora/tiny-lora.safetensors"
    hypernetworks = server.get("/sdapi/v1/hypernetworks").json()
    assert {each["name"] for each in hypernetworks} == {"tiny-hyper", "tiny-hyper-relu"}
    embeddings = server.get("/sdapi/v1/embeddings").json()
    assert set(embeddings["loaded"]) == {
        "tiny-emb-pt", "tiny-emb-st", "tiny_neg", "tiny-diffusers",
    }  # fmt: skip
    assert embeddings["loaded"]["tiny-emb-pt"]["vectors"] == 3
    assert set(embeddings["skipped"]) == {"wide"}


def test_every_file_can_be_held_against_a_checkpoint(server: httpx.Client) -> None:
    files = server.get("/atelier/v1/models").json()
    assert {"checkpoint", "vae", "lora", "hypernetwork", "embedding"} <= {
        each["kind"] for each in files
    }
    asked = {"name": "tiny-lora.safetensors", "checkpoint": "tiny-sd1"}
    found = server.get("/atelier/v1/models/inspect", params=asked).json()
    assert found["applies"] == 1.0
    asked = {"name": "strange.safetensors", "checkpoint": "tiny-sd1"}
    assert server.get("/atelier/v1/models/inspect", params=asked).json()["applies"] == 0.0


def test_add_ons_change_the_picture_and_are_told_with_their_hashes(server: httpx.Client) -> None:
    plain, _ = drawn(server, "a cat")
    dressed, info = drawn(server, "a tiny-emb-st cat <lora:tiny-lora:0.8><hypernet:tiny-hyper:1>")

    assert dressed != plain
    assert 'Lora hashes: "tiny-lora: 917cad00973f"' in info["infotexts"][0]
    assert 'TI hashes: "tiny-emb-st: 19cb2da83d8a"' in info["infotexts"][0]
    assert info["notes"] == []
    again, _ = drawn(server, "a cat")
    assert again == plain


def test_tags_can_be_told_to_do_nothing(server: httpx.Client) -> None:
    plain, _ = drawn(server, "a cat ")
    wish = {**SMALL, "prompt": "a cat <lora:tiny-lora:1>", "disable_extra_networks": True}

    told = server.post("/sdapi/v1/txt2img", json=wish).json()

    with Image.open(io.BytesIO(base64.b64decode(told["images"][0]))) as image:
        assert image.convert("RGB").tobytes() == plain


def test_an_add_on_can_act_in_some_blocks_and_steps_only(server: httpx.Client) -> None:
    """Two steps: what ends before the first is nothing, what acts in all is as without times."""
    plain, _ = drawn(server, "a cat ")
    whole, _ = drawn(server, "a cat <lora:tiny-lora:1>")
    first, info = drawn(server, "a cat <lora:tiny-lora:0:1:stop=0.5>")
    second, _ = drawn(server, "a cat <lora:tiny-lora:0:1:start=0.5>")
    blocks, _ = drawn(server, "a cat <lora:tiny-lora:1:lbw=OUTALL>")

    assert len({plain, whole, first, second, blocks}) == 5
    assert "stop=0.5" in info["infotexts"][0]
    assert info["notes"] == []
    assert drawn(server, "a cat <lora:tiny-lora:1:start=0:stop=1:lbw=ALL>")[0] == whole
    assert drawn(server, "a cat <lora:tiny-lora:1:lbw=NONE>")[0] == plain
    assert drawn(server, "a cat <lora:tiny-lora:0:1:start=2>")[0] == plain
    assert drawn(server, "a cat ")[0] == plain


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("a cat <lora:nowhere:1>", "LoRA not found: nowhere"),
        ("a cat <hypernet:nowhere:1>", "Hypernetwork not found: nowhere"),
        ("a cat <lora:strange:1>", "strange.safetensors does not fit tiny-sd1 and was left out"),
        ("a wide cat", "vectors of [768] numbers where the text encoder has 64"),
        ("a cat <lora:strange:1:lbw=XYZ>", "lbw=XYZ of strange was left out"),
        ("a cat <lora:tiny-lora:much>", "weight that is no number"),
    ],
)
def test_what_is_not_laid_on_is_told_with_the_picture(
    prompt: str, told: str, server: httpx.Client
) -> None:
    pixels, info = drawn(server, prompt)

    assert any(told in note for note in info["notes"]), info["notes"]
    if "wide" not in prompt:
        assert pixels == drawn(server, "a cat ")[0]
