"""The gate in front of the real program: every route that it has, tried without a login."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount
from starlette.testclient import TestClient

from tests.integration.conftest import PATIENCE, running
from tests.tiny import furnish
from webui import app
from webui.api.roles import NOTHING, Role, rule_for
from webui.services.studio import Studio

pytestmark = [
    # Gradio opens an event loop of its own while it is mounted and never closes it.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SECRET = "a secret of some length"
WISH = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "sampler": "Euler a"}


def tricks(path: str) -> Iterator[str]:
    """Yield a path and other spellings of it."""
    yield path
    yield f"{path}/"
    yield f"/{path}"
    yield path.upper()
    yield f"{path}%2e"
    yield f"{path};x"
    yield f"{path}%00"
    yield f"/healthz/%2e%2e{path}"
    yield f"/login/..{path}"


def routes_of(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of every route, mounted ones too, with its parameters filled in."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(route.routes or [], prefix + route.path)
        elif hasattr(route, "path"):
            yield prefix + re.sub(r"\{[^}]*\}", "1", route.path), route
        else:
            yield from routes_of(list(route.effective_candidates()), prefix)


@pytest.fixture(scope="module")
def closed(studio: Studio) -> Any:
    """The program as it is on a network: behind logins.

    Built in a running loop: outside one Gradio makes loops of its own and never closes them.
    """
    server = replace(studio.settings.server, auth=(f"anna:{SECRET}", f"ben:{SECRET}"))
    guarded = replace(studio, settings=replace(studio.settings, server=server))

    async def built() -> Any:
        return app.application(guarded, port=7860, say=lambda _text: None)

    return asyncio.run(built())


def visitor(gate: Any) -> TestClient:
    return TestClient(gate, base_url="http://127.0.0.1:7860", follow_redirects=False)


@pytest.fixture(scope="module")
def paths(closed: Any) -> list[str]:
    found = sorted({path for path, _ in routes_of(closed._app.routes)})
    assert len(found) > 100, "the program with its page has more routes than this"
    assert {"/sdapi/v1/txt2img", "/atelier/v1/jobs", "/gradio_api/queue/join"} <= set(found)
    return found


def test_no_route_of_the_program_answers_without_a_login(closed: Any, paths: list[str]) -> None:
    stranger = visitor(closed)
    told: list[str] = []
    for path in paths:
        for spelling in tricks(path):
            if rule_for(httpx.URL(f"http://x{spelling}").path).role is Role.ANYONE:
                continue
            for method in METHODS:
                answer = stranger.request(method, f"http://127.0.0.1:7860{spelling}")
                if answer.status_code not in (401, 403):
                    told.append(f"{method} {spelling}: {answer.status_code}")
    assert told == []


def test_every_route_of_ours_has_a_role(paths: list[str]) -> None:
    ours = [path for path in paths if path.startswith(("/sdapi", "/atelier", "/healthz", "/docs"))]

    assert [path for path in ours if rule_for(path) is NOTHING] == []


def test_only_health_login_and_icons_are_for_everybody(paths: list[str]) -> None:
    open_to_all = {path for path in paths if rule_for(path).role is Role.ANYONE}

    assert open_to_all <= {"/healthz", "/login", "/login/", "/favicon.ico", "/robots.txt"}


def test_gradios_own_tools_are_not_offered_even_to_people(closed: Any, paths: list[str]) -> None:
    anna = visitor(closed)
    anna.post("/login", data={"name": "anna", "password": SECRET})
    unused = re.compile("vibe|proxy|run-history|profiling|monitoring|dev/reload|component_server")

    for path in filter(unused.search, paths):
        assert anna.get(path).status_code in (404, 405), path
    assert anna.get("/config").status_code == 200


def test_no_answer_tells_a_secret_or_a_place_on_the_disk(
    closed: Any, paths: list[str], studio: Studio
) -> None:
    anna = visitor(closed)
    anna.post("/login", data={"name": "anna", "password": SECRET})
    secrets = (SECRET, str(studio.settings.folders.data_dir), str(Path.home()) + "/")

    for path in paths:
        if rule_for(path) is NOTHING or "heartbeat" in path or "queue" in path:
            continue
        text = anna.get(path).text
        assert [secret for secret in secrets if secret in text] == [], path


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../etc/passwd",
        "/gradio_api/file=%2fetc%2fpasswd",
        "/gradio_api/file={home}/config.json",
        "/gradio_api/file={home}/atelier.sqlite3",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/static/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/atelier/v1/pictures/..%2f..%2fconfig.json",
    ],
)
def test_no_file_is_served_by_its_path(path: str, closed: Any, studio: Studio) -> None:
    anna = visitor(closed)
    anna.post("/login", data={"name": "anna", "password": SECRET})
    home = studio.settings.folders.data_dir
    (home / "config.json").write_text("{}")

    assert anna.get(path.format(home=home)).status_code in (403, 404)


# ------------------------------------------------------------------------------- two people


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Anna and Ben at one server, with a finished job of Anna's to be had."""
    home = furnish(tmp_path_factory.mktemp("two"))
    flags = ("--auth", f"anna:{SECRET}", "--auth", f"ben:{SECRET}")
    with running(home, *flags) as program:
        address = f"http://127.0.0.1:{program.port}"
        people: list[httpx.Client] = []
        for name in ("anna", "ben"):
            person = httpx.Client(base_url=address, timeout=PATIENCE)
            answer = person.post("/login", data={"name": name, "password": SECRET})
            assert answer.status_code == 303
            people.append(person)
        yield people[0], people[1]
        for person in people:
            person.close()


def test_nobody_reaches_the_jobs_and_pictures_of_others(
    two: tuple[httpx.Client, httpx.Client],
) -> None:
    anna, ben = two
    job = anna.post("/atelier/v1/jobs", json=WISH).json()
    with anna.stream("GET", f"/atelier/v1/jobs/{job['id']}/events") as stream:
        for _ in stream.iter_lines():
            pass
    picture = anna.get(f"/atelier/v1/jobs/{job['id']}").json()["pictures"][0]

    for path in ("", "/events", "/preview", "/pictures"):
        assert ben.get(f"/atelier/v1/jobs/{job['id']}{path}").status_code == 404
    assert ben.delete(f"/atelier/v1/jobs/{job['id']}").status_code == 404
    for verb in ("interrupt", "skip"):
        assert ben.post(f"/atelier/v1/jobs/{job['id']}/{verb}").status_code == 404
    for path in ("", "/thumbnail"):
        assert anna.get(f"/atelier/v1/pictures/{picture}{path}").status_code == 200
        assert ben.get(f"/atelier/v1/pictures/{picture}{path}").status_code == 404
    assert ben.get("/atelier/v1/history").json() == []
    assert ben.get("/atelier/v1/jobs").json() == []
    assert len(anna.get("/atelier/v1/history").json()) == 1


def test_interrupting_ends_nobody_elses_job(two: tuple[httpx.Client, httpx.Client]) -> None:
    anna, ben = two
    wish = WISH | {"steps": 100, "batch_count": 3}
    job = anna.post("/atelier/v1/jobs", json=wish).json()

    assert ben.post("/sdapi/v1/interrupt").status_code == 200
    assert ben.get("/sdapi/v1/progress").json()["progress"] == 0

    with anna.stream("GET", f"/atelier/v1/jobs/{job['id']}/events") as stream:
        for _ in stream.iter_lines():
            pass
    done = anna.get(f"/atelier/v1/jobs/{job['id']}").json()
    assert (done["state"], len(done["pictures"])) == ("done", 3)
