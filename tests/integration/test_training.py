"""From an upload to a file in use, over HTTP, with the real worker and the tiny checkpoint."""

import io
import json
import shutil
import socket
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.integration.conftest import Program, running, until, worker_of
from tests.tiny import NAME, furnish

ROOT = "/atelier/v1/training"
SAMPLE = {"steps": 1, "width": 64, "height": 64, "prompts": ["a coin"]}
ENDED = ("done", "stopped", "failed", "cancelled")

KINDS = {
    "lora": ("what.rank", 2),
    "embedding": ("what.vectors", 1),
    "hypernetwork": ("correction.rate", "1e-5"),
    "checkpoint": ("correction.rate", "1e-6"),
    "vae": ("correction.rate", "1e-6"),
    "aesthetic": ("what.vectors", 1),
}


def png(shade: int, size: tuple[int, int] = (64, 64)) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", size, (shade, 255 - shade, 90)).save(packed, format="PNG")
    return packed.getvalue()


def a_zip(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return packed.getvalue()


CARD = {"description": "A tiny painter.", "suggested": {"width": 64, "height": 64, "steps": 2}}
"""What is said beside the checkpoint that all is trained on."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = furnish(tmp_path_factory.mktemp("training"))
    beside = home / "models" / "Stable-diffusion" / NAME
    beside.with_suffix(".json").write_text(json.dumps(CARD), "utf-8")
    with running(home) as started:
        yield started


@pytest.fixture(scope="module")
def pictures(program: Program) -> str:
    files = [("files", (f"{n}.png", png(40 * n))) for n in range(4)]
    files += [("files", (f"{n}.txt", f"a coin, number {n}".encode())) for n in range(3)]
    answer = program.http.post(f"{ROOT}/sets", params={"name": "coins"}, files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def wish(pictures: str, **said: Any) -> dict[str, Any]:
    settings = {"watch": {"sample": SAMPLE, "sample_every": 2, "measure_every": 2}}
    return {
        "kind": "lora",
        "name": "coin",
        "set": pictures,
        "checkpoint": NAME,
        "resolution": 64,
        "steps": 4,
        "save_every": 2,
        "trigger": "zyx",
        "settings": settings,
        **said,
    }


def ended(program: Program, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        run = program.http.get(f"{ROOT}/runs/{name}").json()
        return run if run["state"] in ENDED else None

    return until(look)


def test_pictures_are_brought_captioned_and_looked_over(program: Program, pictures: str) -> None:
    one = f"{ROOT}/sets/{pictures}"
    shown = program.http.get(one).json()["pictures"]
    assert [each["caption"] for each in shown][:3] == [f"a coin, number {n}" for n in range(3)]
    assert not shown[3]["written"]
    put = program.http.put(f"{one}/captions", json={"picture": "3.png", "caption": "a coin, 3"})
    assert put.json()["caption"] == "a coin, 3"
    bulk = {"action": "replace", "text": "coin", "into": "penny"}
    assert (
        program.http.post(f"{one}/captions", json=bulk).json()[0]["caption"].startswith("a penny")
    )
    small = program.http.get(f"{one}/picture", params={"name": "0.png"})
    assert small.headers["content-type"] == "image/webp"
    found = program.http.post(f"{ROOT}/looked-over", json=wish(pictures)).json()
    assert (found["count"], found["captions"], found["sizes"]) == (4, 4, {"64x64": 4})


def test_a_setting_by_its_full_name_goes_before_the_short_word(
    program: Program, pictures: str
) -> None:
    said = wish(pictures, resolution=128, settings={"data.resolution": 64})
    found = program.http.post(f"{ROOT}/looked-over", json=said).json()
    assert found["sizes"] == {"64x64": 4}


def test_what_is_no_picture_is_told_and_what_leads_elsewhere_refused(program: Program) -> None:
    inside = {
        "a__1_dot_png": png(1),
        "b__1_dot_png": png(2),
        "a__1_dot_txt": b"one",
        "notes_dot_pdf": b"%PDF",
        "bad_dot_png": b"no",
    }
    content = {"files": ("set.zip", a_zip(**inside))}
    told = program.http.post(f"{ROOT}/sets", files=content).json()
    assert told["count"] == 2
    assert {each["file"] for each in told["skipped"]} == {"notes.pdf", "bad.png"}
    for evil in (a_zip(**{"..__..__x_dot_png": png(1)}), a_zip(inner_dot_zip=a_zip()), b"PK\3\4"):
        answer = program.http.post(
            f"{ROOT}/sets", content=evil, headers={"content-type": "application/zip"}
        )
        assert answer.status_code == 422, answer.text
    assert program.http.delete(f"{ROOT}/sets/{told['id']}").status_code == 204
    left = [path.name for path in (program.home / "training" / "sets").iterdir()]
    assert all(len(name) == 32 for name in left)


def sets(program: Program) -> set[str]:
    """Return what lies in the folder of the sets."""
    folder = program.home / "training" / "sets"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_sent_again(program: Program) -> None:
    files = [("files", (f"{n}.png", png(30 * n, (256, 256)))) for n in range(3)]
    request = program.http.build_request("POST", f"{ROOT}/sets", files=files)
    body, before = request.read(), sets(program)
    head = f"POST {ROOT}/sets HTTP/1.1\r\nHost: 127.0.0.1:{program.port}\r\n"
    head += f"Content-Type: {request.headers['content-type']}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", program.port)) as line:
        line.sendall(head.encode() + body[: len(body) // 2])
        until(lambda: sets(program) - before)
    until(lambda: sets(program) == before)

    kind = {"content-type": request.headers["content-type"]}
    cut = program.http.post(f"{ROOT}/sets", content=body[: len(body) // 2], headers=kind)
    assert (cut.status_code, "ends too early" in cut.json()["detail"]) == (422, True)
    assert sets(program) == before
    again = program.http.post(f"{ROOT}/sets", content=body, headers=kind)
    assert (again.status_code, again.json()["count"]) == (201, 3)


def test_a_base_that_is_deleted_in_the_middle_is_named_and_nothing_is_lost(
    program: Program, pictures: str
) -> None:
    folder = program.home / "models" / "Stable-diffusion"
    whole = (folder / NAME).read_bytes()
    (folder / "gone.safetensors").write_bytes(whole)
    said = wish(pictures, name="orphan", steps=300, checkpoint="gone")
    said["settings"] = {"watch": {"sample_every": 0, "measure_every": 0, "sample": SAMPLE}}
    assert program.http.post(f"{ROOT}/runs", json=said).status_code == 202
    until(lambda: progress(program, "orphan") >= 2)
    program.http.post(f"{ROOT}/runs/orphan/pause")
    until(lambda: program.http.get("/atelier/v1/jobs").json()[0]["state"] != "running")
    (folder / "gone.safetensors").unlink()
    program.http.post(f"{ROOT}/runs/orphan/resume")
    failed = ended(program, "orphan")
    assert failed["state"] == "failed"
    assert "gone.safetensors" in failed["failure"]["message"]
    assert failed["failure"]["hint"]

    (folder / "gone.safetensors").write_bytes(whole)
    on = {"settings": {"steps": failed["step"] + 1}}
    assert program.http.post(f"{ROOT}/runs/orphan/resume", json=on).is_success
    again = ended(program, "orphan")
    assert (again["state"], again["step"]) == ("done", failed["step"] + 1)
    steps = [line["step"] for line in again["log"] if "loss" in line]
    assert steps == list(range(1, failed["step"] + 2))
    (folder / "gone.safetensors").unlink()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_a_file_that_the_lists_show(
    program: Program, pictures: str, kind: str
) -> None:
    key, value = KINDS[kind]
    name = f"penny {kind} 币"
    said = wish(pictures, kind=kind, name=name, steps=2)
    said["settings"] = {**said["settings"], key: value}
    assert program.http.post(f"{ROOT}/runs", json=said).status_code == 202
    run = ended(program, name)
    assert run["state"] == "done", run["failure"]
    assert [line["step"] for line in run["log"] if "loss" in line] == [1, 2]
    card = {"kind": kind, "name": run["file"]}
    told = program.http.get("/atelier/v1/models/card", params=card).json()
    assert told["problem"] is None
    assert (told["trigger_words"], told["preview"]) == ("zyx", True)
    assert told["description"] == f"{name}, step 2, trained on tiny-sd1."
    assert program.http.post(f"{ROOT}/runs", json=said).status_code == 409


def test_a_trained_checkpoint_draws_as_its_base_does_and_keeps_what_people_write(
    program: Program, pictures: str
) -> None:
    said = wish(pictures, kind="checkpoint", name="whole", steps=1, trigger="")
    said["settings"] = {"watch": {"sample_every": 0, "measure_every": 0}}
    program.http.post(f"{ROOT}/runs", json=said)
    run = ended(program, "whole")
    file = program.home / "models" / "Stable-diffusion" / run["file"]
    assert next(line for line in run["log"] if "samples" in line)["step"] == 1
    titles = [each["model_name"] for each in program.http.get("/sdapi/v1/sd-models").json()]
    assert "whole" in titles
    base = file.with_name(NAME).with_suffix(".yaml")
    assert file.with_suffix(".yaml").read_bytes() == base.read_bytes()
    card = json.loads(file.with_suffix(".json").read_bytes())
    assert card["suggested"] == CARD["suggested"]
    assert card["atelier"]["base"] == "tiny-sd1"
    drawn = program.home / "training" / "whole" / "samples" / "000001-0.png"
    assert file.with_name("whole.preview.png").read_bytes() == drawn.read_bytes()

    mine = {**card, "notes": "better at night", "description": "mine"}
    file.with_suffix(".json").write_text(json.dumps(mine), "utf-8")
    file.with_name("whole.preview.png").write_bytes(png(7))
    program.http.post(f"{ROOT}/runs/whole/resume", json={"settings": {"steps": 2}})
    assert ended(program, "whole")["step"] == 2
    kept = json.loads(file.with_suffix(".json").read_bytes())
    assert (kept["notes"], kept["description"], kept["atelier"]["step"]) == (
        "better at night", "mine", 2,
    )  # fmt: skip
    assert file.with_name("whole.preview.png").read_bytes() == png(7)


def test_a_training_is_followed_and_a_step_used(program: Program, pictures: str) -> None:
    assert program.http.post(f"{ROOT}/runs", json=wish(pictures, name="coin")).status_code == 202
    heard: list[dict[str, Any]] = []
    with program.http.stream("GET", f"{ROOT}/runs/coin/events") as stream:
        told = (line for line in stream.iter_lines() if line.startswith("data: "))
        heard.extend(json.loads(line[6:]) for line in told)
    assert heard[-1]["state"] == "done"
    lines = [line for event in heard for line in event["log"]]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4]
    walls = [name for line in lines for name in line.get("samples", ())]
    shown = program.http.get(f"{ROOT}/runs/coin/file", params={"file": walls[0]})
    assert shown.headers["content-type"] == "image/png"
    used = program.http.post(f"{ROOT}/runs/coin/use/2")
    assert used.json() == {"name": "coin-2.safetensors"}
    card = {"kind": "lora", "name": "coin-2.safetensors"}
    told = program.http.get("/atelier/v1/models/card", params=card).json()
    assert (told["trigger_words"], told["preview"]) == ("zyx", True)
    drawn = program.ended(program.submit(prompt="zyx <lora:coin-2:1>"))
    assert drawn["state"] == "done"
    assert program.http.post(f"{ROOT}/runs/coin/use/3").status_code == 404
    outside = {"file": "../../models/Lora/README.md"}
    assert program.http.get(f"{ROOT}/runs/coin/file", params=outside).status_code in (403, 404)


def test_paused_and_killed_five_times_the_file_is_the_same(program: Program, pictures: str) -> None:
    said = wish(pictures, steps=60, save_every=3)
    said["settings"] = {"watch": {"sample_every": 0, "measure_every": 0}}
    program.http.post(f"{ROOT}/runs", json={**said, "name": "calm"})
    calm = ended(program, "calm")
    program.http.post(f"{ROOT}/runs", json={**said, "name": "rough"})
    until(lambda: program.http.get(f"{ROOT}/runs/rough").json()["step"] >= 2)
    program.http.post(f"{ROOT}/runs/rough/pause")
    until(lambda: program.http.get("/atelier/v1/jobs").json()[0]["state"] != "running")
    assert program.http.get(f"{ROOT}/runs/rough").json()["state"] == "paused"
    program.http.post(f"{ROOT}/runs/rough/resume")
    chosen = Random(5).sample(range(8, 50), 5)  # noqa: S311 - no secret
    for step in sorted(chosen):
        until(lambda step=step: progress(program, "rough") >= step)
        worker = worker_of(psutil.Process(program.process.pid))
        worker.kill()
        until(lambda step=step: progress(program, "rough") < step)
    rough = ended(program, "rough")
    assert (calm["state"], rough["state"]) == ("done", "done"), rough
    lora = program.home / "models" / "Lora"
    one, other = (_tensors(lora / f"{name}.safetensors") for name in ("calm", "rough"))
    assert one == other


def progress(program: Program, name: str) -> int:
    """Return the step that the worker is at; 0 while none is at work."""
    run = program.http.get(f"{ROOT}/runs/{name}").json()
    return run["progress"]["step"] if run["state"] == "running" else 0


def _tensors(path: Path) -> bytes:
    whole = path.read_bytes()
    return whole[8 + int.from_bytes(whole[:8], "little") :]


def test_stopped_it_saves_and_goes_on_with_another_rate(program: Program, pictures: str) -> None:
    said = wish(pictures, name="stopped", steps=400, save_every=2)
    program.http.post(f"{ROOT}/runs", json=said)
    until(lambda: program.http.get(f"{ROOT}/runs/stopped").json()["step"] >= 2)
    program.http.post(f"{ROOT}/runs/stopped/stop")
    run = ended(program, "stopped")
    assert run["state"] == "stopped"
    assert run["file"] == "stopped.safetensors"
    foreign = {"settings": {"what.rank": 3}}
    assert program.http.post(f"{ROOT}/runs/stopped/resume", json=foreign).status_code == 409
    on = {"settings": {"steps": run["step"] + 2, "correction.rate": "5e-5"}}
    assert program.http.post(f"{ROOT}/runs/stopped/resume", json=on).is_success
    again = ended(program, "stopped")
    assert (again["state"], again["step"]) == ("done", run["step"] + 2)
    assert program.http.delete(f"{ROOT}/runs/stopped").status_code == 204


def test_trainings_are_listed_while_one_is_being_deleted(program: Program, pictures: str) -> None:
    program.http.post(f"{ROOT}/runs", json=wish(pictures, name="kept", steps=1))
    ended(program, "kept")
    kept = program.home / "training" / "kept"
    doomed = kept.with_name("doomed")
    copies = 60

    def come_and_go() -> list[int]:
        told: list[int] = []
        for _ in range(copies):
            shutil.copytree(kept, doomed)
            (doomed / "run.json").write_text('{"owner": "local"}', "utf-8")
            told.append(program.http.delete(f"{ROOT}/runs/doomed").status_code)
        return told

    with ThreadPoolExecutor(1) as other:
        deleted = other.submit(come_and_go)
        while not deleted.done():
            answer = program.http.get(f"{ROOT}/runs")
            assert answer.is_success, answer.text
            assert "kept" in [run["name"] for run in answer.json()]
            assert program.http.get(f"{ROOT}/runs/doomed").status_code in (200, 404)
    assert deleted.result() == [204] * copies


def test_time_and_memory_are_measured_before_they_are_told(program: Program, pictures: str) -> None:
    said = wish(pictures, name="forecast", steps=100)
    first = program.http.post(f"{ROOT}/forecast", json=said).json()
    assert first["seconds"] is None
    assert program.ended(first["job"])["state"] == "done"
    told = program.http.post(f"{ROOT}/forecast", json=said).json()
    assert told["seconds"] > 100 * told["step_seconds"] > 0
    assert told["memory"] > 50_000_000
    assert "Measured on this machine" in told["basis"]


def a1111(pictures: Path, **said: Any) -> dict[str, Any]:
    """Return every field that A1111's train routes ask for."""
    return {
        "id_task": "1", "learn_rate": "0.005", "batch_size": 1, "gradient_step": 1,
        "data_root": str(pictures), "log_directory": "textual_inversion", "training_width": 64,
        "training_height": 64, "varsize": False, "steps": 2, "clip_grad_mode": "disabled",
        "clip_grad_value": "0.1", "shuffle_tags": False, "tag_drop_out": 0,
        "latent_sampling_method": "once", "use_weight": False, "create_image_every": 0,
        "template_filename": "style_filewords.txt", "save_image_with_stored_embedding": True,
        "preview_from_txt2img": False, "preview_prompt": "", "preview_negative_prompt": "",
        "preview_steps": 20, "preview_sampler_name": "Euler", "preview_cfg_scale": 7,
        "preview_seed": -1, "preview_width": 64, "preview_height": 64, **said,
    }  # fmt: skip


def test_clients_of_a1111_create_and_train_as_they_are_used_to(
    program: Program, tmp_path: Path
) -> None:
    def post(path: str, body: dict[str, Any]) -> str:
        answer = program.http.post(f"/sdapi/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["info"]

    (tmp_path / "one.png").write_bytes(png(90))
    emb = program.home / "embeddings" / "glow.pt"
    begun = {"name": "glow", "num_vectors_per_token": 2, "init_text": "a light"}
    assert post("create/embedding", begun) == f"create embedding filename: {emb}"
    assert "already exists" in post("create/embedding", begun)
    before = emb.read_bytes()
    said = a1111(tmp_path, embedding_name="glow", save_embedding_every=0)
    done = post("train/embedding", said)
    assert done == f"train embedding complete: filename: {emb} error: None"
    assert emb.read_bytes() != before
    assert "cannot be read" in post("train/embedding", {**said, "learn_rate": "x"})
    del said["varsize"]
    assert "missing the argument 'varsize'" in post("train/embedding", said)
    assert "was not created here" in post("train/embedding", {**said, "embedding_name": "other"})

    net = program.home / "models" / "hypernetworks" / "net.pt"
    info = post("create/hypernetwork", {"name": "net", "layer_structure": "1, 2, 1"})
    assert info == f"create hypernetwork filename: {net}"
    said = a1111(tmp_path, hypernetwork_name="net", save_hypernetwork_every=0)
    assert str(net) in post("train/hypernetwork", {**said, "template_filename": "hypernetwork.txt"})
