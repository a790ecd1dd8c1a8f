"""The workshop over HTTP: files made out of others by a real server, listed at once, drawn with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.integration.conftest import Program, running
from tests.tiny import add_to, furnish
from tests.unit.modules.layers.shelf import noisy, record_of, varied

TINY = "tiny-sd1.safetensors"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    home = add_to(furnish(tmp_path_factory.mktemp("workshop")))
    folder = home / "models" / "Stable-diffusion"
    change = noisy(1)
    varied(
        record_of(folder / TINY),
        folder / "other.safetensors",
        lambda name, each: change(name, each) if "model" in name else each,
    )
    with running(home) as program:
        yield program


def order(program: Program, way: str, **wish: Any) -> str:
    answer = program.http.post(f"/atelier/v1/works/{way}", json=wish)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["kind"], told["yields"]) == ("work", False)
    return told["id"]


def made(program: Program, way: str, **wish: Any) -> dict[str, Any]:
    job = program.ended(order(program, way, **wish))
    assert job["state"] == "done", job
    return job["result"]


def listed(program: Program, kind: str) -> set[str]:
    return {card["name"] for card in program.http.get(f"/atelier/v1/models?kind={kind}").json()}


def pixels(program: Program, **wish: Any) -> bytes:
    job = program.ended(program.submit(steps=2, **wish))
    assert job["state"] == "done", job
    picture = program.http.get(f"/atelier/v1/pictures/{job['pictures'][0]}").read()
    path = program.home / "picture.png"
    path.write_bytes(picture)
    with Image.open(path) as image:
        return image.tobytes()


def test_a_merged_checkpoint_is_listed_at_once_and_draws(program) -> None:
    result = made(program, "merge", first="tiny-sd1", second="other", share=1, precision="fp16")

    assert result == {
        "kind": "checkpoint",
        "name": "0.0(tiny-sd1) + 1.0(other).safetensors",
        "notes": [],
    }
    assert result["name"] in listed(program, "checkpoint")
    folder = program.home / "models" / "Stable-diffusion"
    assert (folder / "0.0(tiny-sd1) + 1.0(other).yaml").is_file()
    assert pixels(program, checkpoint=result["name"]) == pixels(program, checkpoint="other")


def test_its_events_tell_progress_and_end_with_the_result(program) -> None:
    job_id = order(program, "merge", first=TINY, second="other", name="followed")

    with program.http.stream("GET", f"/atelier/v1/jobs/{job_id}/events") as stream:
        told = [
            json.loads(line.removeprefix("data: "))
            for line in stream.iter_lines()
            if line.startswith("data: ")
        ]

    assert told[-1]["state"] == "done"
    assert told[-1]["result"]["name"] == "followed.safetensors"
    working = [view["progress"] for view in told if view["progress"]["phase"] == "working"]
    assert working
    fractions = [progress["fraction"] for progress in working]
    assert fractions == sorted(fractions)
    assert job_id in {job["id"] for job in program.http.get("/atelier/v1/jobs").json()}
    assert program.http.get(f"/atelier/v1/jobs/{job_id}/pictures").json() == []


def test_a_baked_lora_draws_what_it_draws_when_it_is_called(program) -> None:
    loras = [{"name": "tiny-locon", "weight": 0.8}]
    result = made(program, "bake", checkpoint=TINY, loras=loras, precision="fp32", name="baked")

    one = pixels(program, checkpoint="baked", prompt="a cat")
    other = pixels(program, checkpoint=TINY, prompt="a cat <lora:tiny-locon:0.8>")

    assert result["layers"] > 100
    assert max(abs(x - y) for x, y in zip(one, other, strict=True)) <= 1
    assert one != pixels(program, checkpoint=TINY, prompt="a cat")


def test_loras_are_extracted_thinned_and_joined(program) -> None:
    extracted = made(program, "extract", base=TINY, tuned="other", rank=4, name="way")
    thinned = made(program, "resize", lora="way", rank=2)
    joined = made(program, "bake", loras=[{"name": "way"}, {"name": "tiny-lora", "weight": 0.5}])

    assert (extracted["name"], 0 < extracted["keeps"] < 1) == ("way.safetensors", True)
    assert "changed tensors cannot be carried" in extracted["notes"][0]
    assert (thinned["name"], thinned["rank"]) == ("way-small.safetensors", 2)
    assert joined["name"] == "way + tiny-lora.safetensors"
    assert {extracted["name"], thinned["name"], joined["name"]} <= listed(program, "lora")


def test_files_change_their_containers(program) -> None:
    embedding = {"kind": "embedding", "source": "tiny-emb-st"}
    card = made(program, "convert", **embedding, to="png", name="carried")
    linear = {"kind": "hypernetwork", "source": "tiny-hyper-relu"}
    refused = program.ended(order(program, "convert", **linear, to="lora", checkpoint=TINY))

    assert card == {"kind": "embedding", "name": "carried.png"}
    assert "carried.png" in listed(program, "embedding")
    assert pixels(program, prompt="a tiny-emb-st cat") == pixels(program, prompt="a carried cat")
    assert refused["state"] == "failed"
    assert refused["failure"]["code"] == "model.unsupported"
    assert "is not linear" in refused["failure"]["message"]


@pytest.mark.parametrize(
    ("way", "wish", "code"),
    [
        ("merge", {"first": "nothing", "second": "other"}, "request.unknown_name"),
        ("merge", {"first": TINY}, "request"),
        ("merge", {"first": TINY, "second": "other", "share": 7}, "request.range"),
        ("merge", {"first": TINY, "second": "other", "shares": 0.5}, "request"),
        ("merge", {"first": TINY, "second": "other", "method": "stir"}, "request"),
        ("extract", {"base": TINY, "tuned": "other", "rank": "many"}, "request"),
        ("resize", {}, "request"),
        ("bake", {"loras": [{"name": "tiny-lora", "wait": 1}]}, "request"),
        ("convert", {"kind": "lora", "source": "tiny-lora", "to": "pt"}, "request"),
        ("convert", {"kind": "lora", "source": "../../tiny-lora"}, "request.unknown_name"),
    ],
)
def test_a_wrong_wish_is_refused_before_it_is_queued(program, way, wish, code) -> None:
    before = len(program.http.get("/atelier/v1/jobs?limit=500").json())

    answer = program.http.post(f"/atelier/v1/works/{way}", json=wish)

    assert (answer.status_code, answer.json()["error"]) == (422, code)
    assert answer.json()["hint"]
    assert len(program.http.get("/atelier/v1/jobs?limit=500").json()) == before


def test_the_same_key_twice_is_one_file(program) -> None:
    wish = {"first": TINY, "method": "no interpolation", "name": "once"}
    headers = {"Idempotency-Key": "one"}
    answers = [
        program.http.post("/atelier/v1/works/merge", json=wish, headers=headers) for _ in range(2)
    ]

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert program.ended(answers[0].json()["id"])["state"] == "done"
    path = program.home / "models" / "Stable-diffusion" / "once.safetensors"
    assert set(load_file(path)) == set(load_file(path.with_name(TINY)))
    assert not path.with_name("once-2.safetensors").exists()


def test_a_dropped_work_leaves_no_file(program) -> None:
    folder: Path = program.home / "models" / "Stable-diffusion"
    drawing = program.submit(steps=20, seed=3)
    job_id = order(program, "merge", first=TINY, second="other", name="dropped")

    dropped = program.http.delete(f"/atelier/v1/jobs/{job_id}").json()
    program.http.delete(f"/atelier/v1/jobs/{drawing}")

    assert dropped["state"] == "cancelled"
    assert program.ended(order(program, "merge", first=TINY, second="other"))["state"] == "done"
    assert not list(folder.glob("*dropped*"))
