"""Extensions on a real server: one built in, one that cannot be loaded, one that fails in a job."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

from tests.integration.conftest import Program, running
from tests.tiny import furnish

SMALL: dict[str, Any] = {
    "prompt": "a red cat", "steps": 2, "width": 64, "height": 64, "seed": 5,
    "sampler_name": "Euler",
}  # fmt: skip

ARGUMENTS = [0.01, 0.9, 5, "mood"]

FAILS = """
    from webui.hooks.spec import Section, Setting
    API = 1
    WORKER = "atelier_fails_worker"
    def section():
        said = {"en": "Fails", "zh": "失败"}
        on = Setting(name="on", value=False, label=said, key="Fails")
        return Section(title=said, note=said, settings=(on,), switch="on")
"""


TELLS = """
    API = 1
    WORKER = "atelier_tells_worker"
    def captions():
        return {"en": "File names, shouted", "zh": "大写的文件名"}
"""

TELLING = """
    def caption(picture):
        if picture.name.startswith("odd"):
            raise KeyError("no idea")
        return f"{picture.name.upper()} {picture.image.width} x {picture.image.height}"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = furnish(tmp_path_factory.mktemp("extensions"))
    folder = home / "models" / "VAE"
    folder.mkdir(parents=True)
    told = {"atelier.kind": "aesthetic", "atelier.space": "text-pooled"}
    mood = torch.randn(1, 64, generator=torch.Generator().manual_seed(1))
    save_file({"aesthetic": mood}, folder / "mood.safetensors", metadata=told)
    site = tmp_path_factory.mktemp("site")
    install(site, "broken", "raise ValueError('a broken wheel')")
    install(site, "fails", FAILS)
    worker = "def condition(use, chunk):\n    raise KeyError('lost')\n"
    (site / "atelier_fails_worker.py").write_text(worker, encoding="utf-8")
    install(site, "tells", TELLS)
    (site / "atelier_tells_worker.py").write_text(dedent(TELLING), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site))
        with running(home) as program:
            yield program


def install(site: Path, name: str, text: str) -> None:
    """Put a package there as an installer would."""
    (site / f"atelier_{name}.py").write_text(dedent(text), encoding="utf-8")
    info = site / f"atelier_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: atelier-{name}\nVersion: 1.0\n")
    points = f"[atelier.extensions]\n{name} = atelier_{name}\n"
    (info / "entry_points.txt").write_text(points)


def drawn(server: Program, **changes: Any) -> tuple[bytes, dict[str, Any]]:
    answer = server.http.post("/sdapi/v1/txt2img", json={**SMALL, **changes})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    with Image.open(io.BytesIO(base64.b64decode(told["images"][0]))) as image:
        return image.convert("RGB").tobytes(), json.loads(told["info"])


def listed(server: Program) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in server.http.get("/atelier/v1/extensions").json()}


def test_what_cannot_be_loaded_is_listed_with_its_reason_and_drawing_goes_on(server) -> None:
    found = listed(server)

    assert found["aesthetic_gradients"]["on"]
    assert not found["broken"]["on"]
    assert found["broken"]["reason"] == "ValueError: a broken wheel"
    assert "broken is switched off" in server.said.read_text(encoding="utf-8")
    assert drawn(server)[1]["notes"] == []


def test_an_aesthetic_embedding_changes_the_picture_and_is_told(server) -> None:
    plain, _ = drawn(server)
    scripts = {"Aesthetic embeddings": {"args": ARGUMENTS}}

    changed, info = drawn(server, alwayson_scripts=scripts)

    assert changed != plain
    assert "Aesthetic LR: 0.01, Aesthetic weight: 0.9" in info["infotexts"][0]
    assert "Aesthetic embedding: mood" in info["infotexts"][0]
    assert drawn(server)[0] == plain
    assert drawn(server, infotext=info["infotexts"][0])[0] == changed


def test_our_own_route_draws_the_same_and_a_replay_is_identical(server) -> None:
    scripts = {"Aesthetic embeddings": {"args": ARGUMENTS}}
    changed, _ = drawn(server, alwayson_scripts=scripts)
    asked = {"aesthetic_gradients": {"embedding": "mood", "learning_rate": 0.01}}

    job = server.submit(prompt="a red cat", steps=2, seed=5, sampler="Euler", extensions=asked)
    assert server.ended(job)["state"] == "done"
    (file,) = server.pixels(job)
    with Image.open(io.BytesIO(file)) as image:
        assert image.convert("RGB").tobytes() == changed

    text = {"image": base64.b64encode(file).decode()}
    answer = server.http.post("/atelier/v1/replay", json=text)
    assert answer.is_success, answer.text
    again = answer.json()["id"]
    server.ended(again)
    receipt = server.http.get(f"/atelier/v1/replay/{again}").json()
    assert receipt["verdict"] == "identical"


def test_weight_nought_is_the_plain_picture(server) -> None:
    scripts = {"Aesthetic embeddings": {"args": [0.01, 0, 5, "mood"]}}

    assert drawn(server, alwayson_scripts=scripts)[0] == drawn(server)[0]


@pytest.mark.parametrize(
    ("asked", "code", "value"),
    [
        ({"aesthetic_gradients": {"embedding": "gone"}}, "request.unknown_name", "gone"),
        ({"aesthetic_gradients": {"embedding": "mood", "steps": -1}}, "request.range", "-1"),
        ({"broken": {"on": True}}, "request.unsupported", "a broken wheel"),
        ({"nowhere": {}}, "request.unknown_name", "nowhere"),
    ],
)
def test_a_wish_that_cannot_be_names_the_value(server, asked, code, value) -> None:
    answer = server.http.post("/atelier/v1/jobs", json={"prompt": "a cat", "extensions": asked})

    assert 400 <= answer.status_code < 500
    assert answer.json()["error"] == code
    assert value in answer.json()["detail"]


def test_captions_are_proposed_by_an_extension_and_written_ones_stay(server) -> None:
    def png(**texts: str) -> bytes:
        packed, carried = io.BytesIO(), PngInfo()
        for key, text in texts.items():
            carried.add_text(key, text)
        Image.new("RGB", (64, 48), "teal").save(packed, format="PNG", pnginfo=carried)
        return packed.getvalue()

    def proposed(set_id: str, by: str) -> dict[str, Any]:
        answer = server.http.post(f"{root}/{set_id}/proposals", json={"by": by})
        assert answer.status_code == 202, answer.text
        return server.ended(answer.json()["job"])

    root = "/atelier/v1/training/sets"
    settings = "a (red:1.2) cat <lora:x:1>, [night]\nSteps: 20, Sampler: Euler"
    files = [("files", ("drawn.png", png(parameters=settings))), ("files", ("b.png", png())),
             ("files", ("b.txt", b"mine"))]  # fmt: skip
    set_id = server.http.post(root, files=files).json()["id"]
    told = server.http.get("/atelier/v1/training/captioners").json()
    assert {each["name"] for each in told} == {"prompt_captions", "tells"}

    done = proposed(set_id, "")
    assert (done["state"], done["result"]["written"]) == ("done", 1)
    server.http.post(f"{root}/{set_id}", files=[("files", ("c.png", png()))])
    assert proposed(set_id, "prompt_captions")["notes"] == [
        "nothing was proposed for 1 of 1 pictures"
    ]
    assert proposed(set_id, "tells")["result"]["written"] == 1
    found = server.http.get(f"{root}/{set_id}/captions").json()
    assert [each["caption"] for each in found] == ["mine", "C.PNG 64 x 48", "a red cat, night"]

    more = [("files", (f"{name}.png", png())) for name in ("d", "odd")]
    server.http.post(f"{root}/{set_id}", files=more)
    failed = proposed(set_id, "tells")
    assert "the extension tells failed at odd.png" in failed["failure"]["message"]
    found = server.http.get(f"{root}/{set_id}/captions").json()
    assert {each["name"]: each["written"] for each in found} == {
        "b.png": True, "c.png": True, "d.png": True, "drawn.png": True, "odd.png": False,
    }  # fmt: skip


def test_without_anybody_who_proposes_captions_it_is_said_what_to_do(server) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, format="PNG")
    files = [("files", ("a.png", picture.getvalue()))]
    set_id = server.http.post("/atelier/v1/training/sets", files=files).json()["id"]
    path = f"/atelier/v1/training/sets/{set_id}/proposals"
    for name in ("aesthetic_gradients", "nobody"):
        refused = server.http.post(path, json={"by": name})
        assert (refused.status_code, name in refused.json()["detail"]) == (422, True)
    server.http.post("/sdapi/v1/options", json={"disable_all_extensions": "all"})
    try:
        assert server.http.get("/atelier/v1/training/captioners").json() == []
        answer = server.http.post(path, json={})
    finally:
        server.http.post("/sdapi/v1/options", json={"disable_all_extensions": "none"})
    assert answer.status_code == 422
    assert "no extension here proposes captions" in answer.json()["detail"]
    assert "install an extension" in answer.json()["hint"]


def test_an_option_switches_an_extension_off_and_on_again(server) -> None:
    asked = {"alwayson_scripts": {"Aesthetic embeddings": {"args": ARGUMENTS}}}

    server.http.post("/sdapi/v1/options", json={"disabled_extensions": ["aesthetic_gradients"]})
    refused = server.http.post("/sdapi/v1/txt2img", json={**SMALL, **asked})
    off = listed(server)["aesthetic_gradients"]
    server.http.post("/sdapi/v1/options", json={"disabled_extensions": []})

    assert refused.json()["error"] == "request.unsupported"
    assert "disabled_extensions" in off["reason"]
    assert listed(server)["aesthetic_gradients"]["on"]


def test_a1111s_clients_find_extensions_and_their_script(server) -> None:
    extensions = server.http.get("/sdapi/v1/extensions").json()
    assert {each["name"]: each["enabled"] for each in extensions}["aesthetic_gradients"]
    scripts = server.http.get("/sdapi/v1/scripts").json()
    assert "aesthetic embeddings" in scripts["txt2img"]
    assert "aesthetic embeddings" in scripts["img2img"]
    told = server.http.get("/sdapi/v1/script-info").json()
    (found,) = (
        each for each in told if each["name"] == "aesthetic embeddings" and not each["is_img2img"]
    )
    assert found["is_alwayson"]
    assert [argument["value"] for argument in found["args"]] == [
        0.0001, 0.9, 5, "None", False, "", 0.1, False,
    ]  # fmt: skip


def test_one_that_fails_in_a_job_is_left_out_told_and_switched_off(server) -> None:
    """The last test of this server: afterwards the extension is off."""
    plain, _ = drawn(server)
    assert listed(server)["fails"]["on"]

    job = server.submit(
        prompt="a red cat", steps=2, seed=5, sampler="Euler", extensions={"fails": {"on": True}}
    )

    ended = server.ended(job)
    assert ended["state"] == "done"
    assert any("fails was left out" in note and "lost" in note for note in ended["notes"])
    with Image.open(io.BytesIO(server.pixels(job)[0])) as image:
        assert image.convert("RGB").tobytes() == plain
    assert listed(server)["fails"]["reason"] == "it failed: KeyError: 'lost'"
    wish = {"prompt": "a cat", "extensions": {"fails": {"on": True}}}
    assert server.http.post("/atelier/v1/jobs", json=wish).status_code == 422
