"""Every error has an answer, and every answer one form."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from webui.api import docs_page
from webui.api.atelier import event_stream
from webui.api.errors import add_error_answers, answer, status_of, status_of_code, tree
from webui.jobs.views import JobState, JobView
from webui.modules.errors import QueueFullError, RequestError, TooManyTriesError, WebuiError


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in tree()]

    assert len(codes) == len(set(codes))
    assert all(400 <= status_of(kind) <= 599 for kind in tree())
    assert all(status_of_code(kind.code) == status_of(kind) for kind in tree())


@pytest.mark.parametrize(
    "kind", [kind for kind in tree() if issubclass(kind, RequestError)], ids=lambda kind: kind.code
)
def test_the_callers_mistakes_are_never_the_servers_fault(kind: type[WebuiError]) -> None:
    assert 400 <= status_of(kind) < 500


@pytest.mark.parametrize("kind", [TooManyTriesError, QueueFullError])
def test_who_has_to_wait_is_told_how_long(kind: type[WebuiError]) -> None:
    reply = answer(kind("wait", hint="Wait.", value=7))

    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) > 0


def test_an_unknown_route_has_the_same_form() -> None:
    app = FastAPI()
    add_error_answers(app)

    told = TestClient(app).get("/nothing").json()

    assert set(told) == {"error", "detail", "errors", "hint"}


def job(state: JobState) -> JobView:
    return JobView(id="1", kind="generate", owner="anna", state=state, created=0.0)


async def slowly(*views: JobView) -> AsyncIterator[JobView]:
    for view in views:
        yield view
        await asyncio.sleep(0.05)


def test_a_silent_stream_says_that_it_is_alive() -> None:
    async def collected() -> list[str]:
        views = slowly(job(JobState.RUNNING), job(JobState.DONE))
        return [event async for event in event_stream(views, keep_alive=0.02)]

    events = asyncio.run(collected())

    assert events[0].startswith("id: 1\nevent: job\ndata: {")
    assert ": still here\n\n" in events
    assert events[-1].startswith("id: end\n")
    assert all(event.endswith("\n\n") for event in events)
    assert json.loads(events[0].split("data: ")[1])["state"] == "running"


def test_the_page_of_routes_shows_foreign_text_as_text() -> None:
    app = FastAPI(title="<b>x</b>")

    @app.get("/a")
    def _route(q: str = "<script>") -> None:
        """<img src=x>."""

    page = docs_page.render(app.openapi())

    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_library_and_routes_need_no_torch() -> None:
    code = (
        "import sys, webui.api.a1111, webui.api.atelier, webui.api.access, webui.library.index;"
        "heavy = {'torch', 'diffusers', 'transformers', 'gradio'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
