"""Model files over HTTP: each kind finds its folder, and hostile ones leave nothing behind."""

import io
import json
import pickle
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from tests.integration.conftest import PATIENCE, Program, running, until
from tests.tiny import ADD_ONS, furnish

BYTES = {"Content-Type": "application/octet-stream"}
MODELS = "/atelier/v1/models"
LORA = ADD_ONS / "models/Lora/tiny-lora.safetensors"

KINDS = {
    "models/Lora/tiny-lora.safetensors": "lora",
    "models/Lora/tiny-dora.safetensors": "lora",
    "embeddings/tiny-emb-pt.pt": "embedding",
    "embeddings/tiny-diffusers.bin": "embedding",
    "models/hypernetworks/tiny-hyper.pt": "hypernetwork",
    "models/VAE/tiny-vae.safetensors": "vae",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(furnish(tmp_path_factory.mktemp("bringing"))) as started:
        yield started


def bring(program: Program, name: str, content: bytes, **headers: str) -> httpx.Response:
    return program.http.post(
        MODELS, params={"name": name}, content=content, headers={**BYTES, **headers}
    )


def files(program: Program) -> set[Path]:
    homes = (program.home / "models", program.home / "embeddings", program.home / "cache")
    return {path for home in homes for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", KINDS)
def test_each_kind_finds_its_folder(place: str, program: Program) -> None:
    """By what it is, not by what it is called; and it can be used at once."""
    content = (ADD_ONS / place).read_bytes()

    told = bring(program, f"C:\\wrong\\folder\\{Path(place).name}", content)

    assert told.status_code == 201, told.text
    assert told.json()["file"] == place
    assert told.json()["kind"] == KINDS[place]
    assert (program.home / place).read_bytes() == content
    listed = program.http.get(MODELS, params={"kind": KINDS[place]}).json()
    assert Path(place).name in {each["name"] for each in listed}
    again = bring(program, "other name" + Path(place).suffix, content).json()
    assert (again["already"], again["file"]) == (True, place)


def test_a_form_brings_a_file_too_and_the_answer_says_whether_it_fits(program: Program) -> None:
    content = (ADD_ONS / "models/Lora/tiny-lokr.safetensors").read_bytes()

    told = program.http.post(
        MODELS, params={"checkpoint": "tiny-sd1"}, files={"file": ("模型 #1 %20.bin", content)}
    ).json()

    assert told["file"] == "models/Lora/模型 #1 %20.safetensors"
    assert told["applies"] == 1.0
    card = program.http.get(
        f"{MODELS}/card",
        params={"kind": "lora", "name": told["name"], "checkpoint": "tiny-sd1", "hashes": True},
    ).json()
    assert card["fit"]["applies"] == 1.0
    assert card["hashes"]["sha256"] == told["sha256"]
    assert len(card["hashes"]["autov3"]) == 12


def test_another_file_of_the_same_name_gets_a_number(program: Program, tmp_path: Path) -> None:
    names: list[str] = []
    for value in (1.0, 2.0):
        save_file({"emb_params": torch.full((1, 768), value)}, tmp_path / "style.safetensors")
        content = (tmp_path / "style.safetensors").read_bytes()
        names.append(bring(program, "style.safetensors", content).json()["name"])

    assert names == ["style.safetensors", "style-2.safetensors"]


class Evil:
    """Would make a file if it were ever unpickled."""

    def __reduce__(self) -> Any:
        return exec, ("open('/tmp/atelier-was-here', 'w')",)


def hostile() -> Iterator[tuple[str, bytes, int, str]]:
    bomb = struct.pack("<Q", 1 << 60) + b"{}"
    huge = struct.pack("<Q", 2) + b"{}"
    controlnet = io.BytesIO()
    torch.save({"control_model.input_blocks.0.0.weight": torch.zeros(1)}, controlnet)
    photo = io.BytesIO()
    Image.new("RGB", (8, 8)).save(photo, "PNG", pnginfo=PngImagePlugin.PngInfo())
    yield "cut.safetensors", LORA.read_bytes()[:-100], 422, "model.file"
    yield "bomb.safetensors", bomb, 422, "model.file"
    yield "nothing.safetensors", huge, 422, "model"
    yield "evil.ckpt", pickle.dumps(Evil(), protocol=3), 422, "model.unsafe"
    yield "evil.safetensors", pickle.dumps(Evil(), protocol=2), 422, "model.unsafe"
    yield "empty.pt", b"", 422, "model.file"
    yield "page.html", b"<script>alert(1)</script>", 422, "model.file"
    yield "control.pt", controlnet.getvalue(), 422, "model.unsupported"
    yield "photo.png", photo.getvalue(), 422, "model"
    yield "", LORA.read_bytes(), 422, "request"
    yield "   ", LORA.read_bytes(), 422, "request"


@pytest.mark.parametrize("attack", list(hostile()), ids=lambda attack: attack[0] or "no name")
def test_what_is_no_sound_model_leaves_nothing(
    attack: tuple[str, bytes, int, str], program: Program
) -> None:
    name, content, status, code = attack
    before = files(program)

    told = bring(program, name, content)

    assert told.status_code == status, told.text
    assert told.json()["error"].startswith(code)
    assert str(program.home) not in told.text
    assert files(program) == before
    assert not Path("/tmp/atelier-was-here").exists()


@pytest.mark.parametrize(
    "name", ["../../escaped.safetensors", "/etc/escaped.pt", "..", "CON.safetensors", "a/../../b"]
)
def test_no_name_leads_out_of_the_folder(name: str, program: Program) -> None:
    before = files(program)

    told = bring(program, name, LORA.read_bytes())

    assert told.is_success, told.text
    new = files(program) - before
    assert all(path.is_relative_to(program.home / "models" / "Lora") for path in new)


def test_an_upload_that_breaks_off_leaves_nothing(program: Program) -> None:
    before = files(program)
    for head in (b"Content-Length: 5000000\r\n", b"Transfer-Encoding: chunked\r\n"):
        with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as line:
            line.sendall(
                b"POST /atelier/v1/models?name=half.safetensors HTTP/1.1\r\n"
                + f"Host: 127.0.0.1:{program.port}\r\n".encode()
                + b"Content-Type: application/octet-stream\r\n"
                + head
                + b"\r\n"
                + (b"100000\r\n" if b"chunked" in head else b"")
                + b"x" * 100_000
            )
            until(lambda: list((program.home / "cache" / "quarantine").iterdir()))

        until(lambda: not list((program.home / "cache" / "quarantine").iterdir()))
    assert files(program) == before


def test_foreign_pages_and_other_methods_are_refused(program: Program) -> None:
    before = files(program)
    foreign = bring(program, "a.safetensors", LORA.read_bytes(), Origin="https://evil.example")
    assert foreign.status_code == 403
    assert program.http.put(MODELS, content=b"x").status_code == 405
    assert files(program) == before


def test_notes_are_kept_beside_the_file_and_found_again(program: Program) -> None:
    which = {"kind": "checkpoint", "name": "tiny-sd1.safetensors"}

    told = program.http.patch(f"{MODELS}/card", params=which, json={"notes": "<b>blue</b> 蓝"})

    assert told.json()["notes"] == "<b>blue</b> 蓝"
    sidecar = program.home / "models/Stable-diffusion/tiny-sd1.json"
    assert json.loads(sidecar.read_text("utf-8"))["notes"] == "<b>blue</b> 蓝"
    found = program.http.get(MODELS, params={"search": "蓝 BLUE", "limit": 1})
    assert [each["name"] for each in found.json()] == [which["name"]]
    assert found.headers["X-Total-Count"] == "1"
    wrong = program.http.patch(f"{MODELS}/card", params=which, json={"file": "/etc/passwd"})
    assert wrong.status_code == 422
    gone = program.http.patch(
        f"{MODELS}/card", params={"kind": "lora", "name": "../../x"}, json={"notes": "x"}
    )
    assert gone.json()["error"] == "request.unknown_name"


def test_only_pictures_of_listed_files_are_shown(program: Program) -> None:
    model = program.home / "models/Stable-diffusion/tiny-sd1.safetensors"
    which = {"kind": "checkpoint", "name": model.name}
    preview = f"{MODELS}/preview"
    assert program.http.get(preview, params=which).status_code == 404
    Image.new("RGB", (900, 600), "teal").save(model.with_suffix(".preview.png"))

    told = program.http.get(preview, params=which)

    assert told.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(told.content)) as image:
        assert image.size == (384, 256)
    for name in ("tiny-sd1.preview.png", "../../config.json", "/etc/passwd"):
        answer = program.http.get(preview, params={"kind": "checkpoint", "name": name})
        assert answer.json()["error"] == "request.unknown_name"
    model.with_suffix(".preview.png").write_text("<svg onload=alert(1)>")
    assert program.http.get(preview, params=which).status_code == 404


def test_the_list_can_be_searched_sorted_and_held_against_a_checkpoint(program: Program) -> None:
    strange = {
        f"lora_unet_no_such_layer.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")
    }
    save_file(strange, program.home / "models" / "Lora" / "strange.safetensors")

    def names(**asked: Any) -> list[str]:
        return [each["name"] for each in program.http.get(MODELS, params=asked).json()]

    everything = names(kind="lora")
    assert "strange.safetensors" in everything
    fitting = names(kind="lora", fits="tiny-sd1")
    assert set(everything) - set(fitting) == {"strange.safetensors"}
    assert names(kind="lora", sort="newest")[0] == "strange.safetensors"
    assert names(kind="lora", limit=1, offset=1) == everything[1:2]
    assert program.http.get(MODELS, params={"kind": "nonsense"}).status_code == 422
    before = program.http.get(f"{MODELS}/version").json()
    (program.home / "models" / "Lora" / "strange.safetensors").unlink()
    assert program.http.get(f"{MODELS}/version").json() != before
    asked = {"name": "tiny-lora.safetensors", "checkpoint": "tiny-sd1"}
    assert program.http.get(f"{MODELS}/inspect", params=asked).json()["applies"] == 1.0
