"""Two people at one server: one trains, the other draws, and each reaches their own alone."""

import asyncio
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.routing import Mount
from starlette.testclient import TestClient

from tests.integration.conftest import exact, until
from tests.tiny import furnish
from webui import app

pytestmark = [
    # Gradio opens an event loop of its own while it is mounted and never closes it.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECRET = "a secret of some length"
ROOT = "/atelier/v1/training"
ENDED = ("done", "stopped", "failed", "cancelled")
SAMPLE = {"steps": 1, "width": 64, "height": 64}
QUIET = {"watch": {"sample_every": 0, "measure_every": 0, "sample": SAMPLE}}
SMALL = {"prompt": "a cat", "width": 64, "height": 64, "seed": 5, "sampler": "Euler a", "steps": 8}


class Two:
    """A server behind logins, and two people who are logged in."""

    def __init__(self, home: Path, gate: Any) -> None:
        self.home, self.gate = home, gate
        self.anna, self.ben = (self._visitor(name) for name in ("anna", "ben"))

    def _visitor(self, name: str) -> TestClient:
        visitor = TestClient(self.gate, base_url="http://127.0.0.1:7860", follow_redirects=False)
        answer = visitor.post("/login", data={"name": name, "password": SECRET})
        assert answer.status_code == 303
        return visitor


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    home = furnish(tmp_path_factory.mktemp("two"))
    said = {
        "server.auth": (f"anna:{SECRET}", f"ben:{SECRET}"),
        "limits.turn_seconds": 0.2,
        "limits.max_training_files": 6,
    }
    with app.opened(exact(home, **said)) as studio:

        async def built() -> Any:
            return app.application(studio, port=7860, say=lambda _text: None)

        yield Two(home, asyncio.run(built()))


def png(shade: int) -> bytes:
    packed = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 255 - shade, 90)).save(packed, format="PNG")
    return packed.getvalue()


def files(count: int) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (f"{number}.png", png(40 * number))) for number in range(count)]


@pytest.fixture(scope="module")
def pictures(two: Two) -> str:
    return two.anna.post(f"{ROOT}/sets", params={"name": "hers"}, files=files(3)).json()["id"]


def trained(two: Two, pictures: str, name: str, *, steps: int = 40, **said: Any) -> None:
    wish = {"kind": "lora", "name": name, "set": pictures, "resolution": 64, "steps": steps}
    wish |= {"save_every": 20, "settings": QUIET, **said}
    answer = two.anna.post(f"{ROOT}/runs", json=wish)
    assert answer.status_code == 202, answer.text


def ended(two: Two, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        run = two.anna.get(f"{ROOT}/runs/{name}").json()
        return run if run["state"] in ENDED else None

    run = until(look)
    assert run["state"] == "done", run["failure"]
    return run


def drawn(two: Two) -> str:
    answer = two.ben.post("/atelier/v1/jobs", json={**SMALL, "batch_count": 2})
    assert answer.is_success, answer.text
    return answer.json()["id"]


def shown(two: Two, job: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = two.ben.get(f"/atelier/v1/jobs/{job}").json()
        return found if found["state"] in ENDED else None

    found = until(look)
    assert found["state"] == "done", found
    return found


def contents(two: Two, job: dict[str, Any]) -> list[bytes]:
    return [two.ben.get(f"/atelier/v1/pictures/{each}").content for each in job["pictures"]]


def tensors(two: Two, name: str) -> bytes:
    whole = (two.home / "models" / "Lora" / f"{name}.safetensors").read_bytes()
    return whole[8 + int.from_bytes(whole[:8], "little") :]


def test_training_and_drawing_at_once_change_nothing_of_each_other(two: Two, pictures: str) -> None:
    alone = shown(two, drawn(two))
    trained(two, pictures, "calm")
    ended(two, "calm")

    trained(two, pictures, "busy")
    until(lambda: two.anna.get(f"{ROOT}/runs/busy").json()["step"] >= 2)
    between = shown(two, drawn(two))
    in_the_middle = two.anna.get(f"{ROOT}/runs/busy").json()
    ended(two, "busy")

    assert in_the_middle["state"] not in ENDED, "the training was over before the pictures were"
    assert contents(two, between) == contents(two, alone)
    assert tensors(two, "busy") == tensors(two, "calm")


# ------------------------------------------------------------------------------ whose it is


def routes_of(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield method and path of every route below the trainings' own path."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(route.routes or [], prefix + route.path)
        elif not hasattr(route, "path"):
            yield from routes_of(list(route.effective_candidates()), prefix)
        elif (prefix + route.path).startswith(ROOT):
            methods = set(route.methods or ()) - {"HEAD", "OPTIONS"}
            yield from ((method, (prefix + route.path).removeprefix(ROOT)) for method in methods)


HER_SET = {"kind": "lora", "name": "stolen", "set": "{set_id}", "resolution": 64, "steps": 2}

REACHES = {
    ("POST", "/sets/{set_id}"): {"files": files(1)},
    ("GET", "/sets/{set_id}"): {},
    ("DELETE", "/sets/{set_id}"): {},
    ("GET", "/sets/{set_id}/captions"): {},
    ("PUT", "/sets/{set_id}/captions"): {"json": {"picture": "0.png", "caption": "mine now"}},
    ("POST", "/sets/{set_id}/captions"): {"json": {"action": "prefix", "text": "mine"}},
    ("POST", "/sets/{set_id}/proposals"): {"json": {}},
    ("GET", "/sets/{set_id}/picture"): {"params": {"name": "0.png", "small": False}},
    ("DELETE", "/sets/{set_id}/picture"): {"params": {"name": "0.png"}},
    ("POST", "/looked-over"): {"json": HER_SET},
    ("POST", "/forecast"): {"json": HER_SET},
    ("POST", "/runs"): {"json": HER_SET},
    ("GET", "/runs/{name}"): {},
    ("GET", "/runs/{name}/events"): {},
    ("GET", "/runs/{name}/file"): {"params": {"file": "samples/000002-0.png"}},
    ("POST", "/runs/{name}/stop"): {},
    ("POST", "/runs/{name}/pause"): {},
    ("POST", "/runs/{name}/resume"): {"json": {"settings": {"steps": 9}}},
    ("POST", "/runs/{name}/cancel"): {},
    ("POST", "/runs/{name}/use/{step}"): {},
    ("DELETE", "/runs/{name}"): {},
}
"""What reaches for something of Anna's, and how."""

OWN = {
    ("GET", "/presets"),
    ("GET", "/captioners"),
    ("POST", "/sets"),
    ("GET", "/sets"),
    ("GET", "/runs"),
}
"""What can only ever give people their own."""


def test_it_is_known_of_every_route_whose_it_is(two: Two) -> None:
    found = set(routes_of(two.gate._app.routes))

    assert found == set(REACHES) | OWN


@pytest.fixture(scope="module")
def hers(two: Two, pictures: str) -> dict[str, str]:
    """Give a set and a finished training of Anna's with pictures."""
    watch = {"watch": {"sample_every": 2, "measure_every": 0, "sample": SAMPLE}}
    trained(two, pictures, "hers", steps=4, save_every=2, settings=watch)
    ended(two, "hers")
    return {"set_id": pictures, "name": "hers", "step": "2"}


def everything(two: Two) -> dict[str, str]:
    """Return a digest of every file of sets and trainings."""
    found = sorted(path for path in (two.home / "training").rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize(("method", "path"), REACHES)
def test_nobody_sees_or_touches_what_somebody_else_trains(
    method: str, path: str, two: Two, hers: dict[str, str]
) -> None:
    said: dict[str, Any] = dict(REACHES[method, path])
    if said.get("json", {}).get("set"):
        said["json"] = {**said["json"], "set": hers["set_id"]}
    address, before = f"{ROOT}{path.format(**hers)}", everything(two)

    answer = two.ben.request(method, address, **said)

    assert answer.status_code == 404, answer.text
    assert everything(two) == before
    if method == "GET":
        assert two.anna.get(address, **said).status_code == 200


def test_lists_show_people_their_own(two: Two, hers: dict[str, str]) -> None:
    for path in ("sets", "runs"):
        assert two.ben.get(f"{ROOT}/{path}").json() == []
        assert two.anna.get(f"{ROOT}/{path}").json()
    assert two.ben.get("/atelier/v1/jobs").status_code == 200
    told = two.ben.get("/atelier/v1/jobs").text + two.ben.get("/atelier/v1/history").text
    assert hers["name"] not in told
    stolen = {**HER_SET, "set": two.ben.post(f"{ROOT}/sets", files=files(2)).json()["id"]}
    regular = two.ben.post(f"{ROOT}/runs", json={**stolen, "regular": hers["set_id"]})
    assert regular.status_code == 404


# ----------------------------------------------------------------------------------- limits


def test_more_pictures_than_may_come_are_refused_and_none_of_them_stays(two: Two) -> None:
    folder = two.home / "training" / "sets"
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    answer = two.ben.post(f"{ROOT}/sets", files=files(7))

    assert answer.status_code in (413, 422), answer.text
    assert "more than 6 files" in answer.json()["detail"]
    assert "max_training_files" in answer.json()["hint"]
    assert {path.name for path in folder.iterdir()} == before
