"""Trainings over HTTP: looked over, forecast, begun, followed, stopped, and their files used."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.jobs.works import encode
from webui.modules.training.plan import TRAINABLE
from webui.modules.types import ModelKind
from webui.services.studio import Studio
from webui.services.training import Captioner, LookedOver, Wish
from webui.services.training_forecast import Forecast
from webui.services.training_presets import SUBJECTS, presets
from webui.services.training_runs import Run

LONGEST_LOG: Final = 10_000
"""So many lines of a log are sent at once."""

KEEP_ALIVE_SECONDS: Final = 15.0
"""A stream says something at least this often; proxies cut silent ones after a minute."""

NO_STORE: Final = {"Cache-Control": "no-store"}

routes = APIRouter(prefix="/atelier/v1/training", route_class=StrictRoute, tags=["Training"])


class WishBody(BaseModel):
    """A training as somebody asks for it.

    Attributes:
        kind: What is trained.
        name: Of the file, without ending.
        set: Id of a set of pictures.
        folder: Instead of it, a folder of the server, for whoever sits at it.
        regular: Id of a set of the wider class that must not be forgotten.
        checkpoint: What is trained on; empty for the selected one.
        preset: "face", "object", "style" or "landscape".
        trigger: Word that calls what is learned.
        settings: Everything else by the names of the plan, nested or dotted.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: ModelKind
    name: str = Field(max_length=200)
    set: str = ""
    folder: str = Field(default="", max_length=4096)
    regular: str = ""
    checkpoint: str = Field(default="", max_length=500)
    preset: str = Field(default="", max_length=100)
    trigger: str = Field(default="", max_length=200)
    steps: int | None = None
    lr: str | float | None = None
    rank: int | None = None
    resolution: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    save_every: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def wish(self) -> Wish:
        """Return it as the services know it."""
        short = ("steps", "lr", "rank", "resolution", "batch_size", "seed", "save_every")
        return Wish(
            kind=self.kind,
            name=self.name,
            pictures=self.set,
            folder=self.folder,
            regular=self.regular,
            checkpoint=self.checkpoint,
            subject=self.preset,
            trigger=self.trigger,
            words={word: getattr(self, word) for word in short},
            settings=self.settings,
        )


@routes.get("/presets")
def all_presets() -> list[dict[str, Any]]:
    """List the settings to begin with, for each kind and subject, every value with its reason."""
    return [
        {
            "kind": kind,
            "preset": each.subject,
            "title": asdict(SUBJECTS[each.subject]),
            "settings": {
                name: {"value": choice.value, "why": asdict(choice.why)}
                for name, choice in each.choices.items()
            },
        }
        for kind in TRAINABLE
        for each in presets(kind)
    ]


@routes.get("/captioners")
def captioners(studio: TheStudio) -> list[Captioner]:
    """List the extensions that propose captions, with where theirs come from."""
    return studio.training.captioners()


@routes.post("/looked-over")
def looked_over(body: WishBody, studio: TheStudio, person: ThePerson) -> LookedOver:
    """Look at the pictures as the training will: counts, sizes, and what is wrong with any."""
    return studio.training.look_over(body.wish(), owner=person)


@routes.post("/forecast")
def forecast(body: WishBody, studio: TheStudio, person: ThePerson) -> Forecast:
    """Tell time and memory; if nothing like it was measured yet, ``job`` measures it first."""
    return studio.training.forecast(body.wish(), owner=person)


@routes.post("/runs", status_code=202)
def start(body: WishBody, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Begin a training as a job that survives restarts."""
    return run_as_dict(studio.training.start(body.wish(), owner=person))


@routes.get("/runs")
def runs(studio: TheStudio, person: ThePerson) -> list[dict[str, Any]]:
    """List this person's trainings, newest first."""
    training = studio.training
    return [run_as_dict(run) for run in training.runs.all(training.school, owner=person)]


@routes.get("/runs/{name}")
def run(name: str, studio: TheStudio, person: ThePerson, after: int = 0) -> dict[str, Any]:
    """Return a training with its plan, and its log without the first ``after`` lines."""
    training = studio.training
    found = training.runs.view(name, training.school, owner=person)
    return {**run_as_dict(found, whole=True), **_lines(studio, name, person, after)}


@routes.get("/runs/{name}/events")
async def events(name: str, request: Request, studio: TheStudio, person: ThePerson) -> Response:
    """Send how the training is and the new lines of its log, as server-sent events.

    An event's id is the number of lines so far, so a client that comes back misses nothing.
    """
    training = studio.training
    found = await run_in_threadpool(training.runs.view, name, training.school, owner=person)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < len("1" * 12) else 0
    stream = _events(studio, found, person, after)
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@routes.get("/runs/{name}/file")
def file(name: str, file: str, studio: TheStudio, person: ThePerson) -> Response:
    """Return a sample picture, or download the file of a step, by its name in the log."""
    training = studio.training
    path = training.runs.file(name, file, training.school, owner=person)
    if path.suffix == ".png":
        return FileResponse(path, media_type="image/png", headers=NO_STORE)
    return FileResponse(path, filename=path.name, media_type="application/octet-stream")


@routes.post("/runs/{name}/stop")
def stop(name: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """End a training now; what is learnt so far becomes the file."""
    training = studio.training
    return run_as_dict(training.runs.stop(name, training.school, owner=person))


@routes.post("/runs/{name}/pause")
def pause(name: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Let a training save its state and wait."""
    training = studio.training
    return run_as_dict(training.runs.pause(name, training.school, owner=person))


class ResumeBody(BaseModel):
    """What shall be different from now on: steps, the learning rate, what is kept and shown."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    settings: dict[str, Any] = Field(default_factory=dict)


@routes.post("/runs/{name}/resume")
def resume(
    name: str, studio: TheStudio, person: ThePerson, body: ResumeBody | None = None
) -> dict[str, Any]:
    """Let a training go on that waits, or one that has ended, from its last saved state."""
    training = studio.training
    settings = {} if body is None else body.settings
    found = training.runs.resume(name, training.school, owner=person, settings=settings)
    return run_as_dict(found)


@routes.post("/runs/{name}/cancel")
def cancel(name: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Drop a training; its last saved state stays."""
    training = studio.training
    return run_as_dict(training.runs.cancel(name, training.school, owner=person))


@routes.post("/runs/{name}/use/{step}", status_code=201)
def use(name: str, step: int, studio: TheStudio, person: ThePerson) -> dict[str, str]:
    """Put the file of a step among the models, as NAME-STEP."""
    training = studio.training
    return {"name": training.runs.use(name, step, training.school, owner=person)}


@routes.delete("/runs/{name}", status_code=204)
def delete(name: str, studio: TheStudio, person: ThePerson) -> Response:
    """Forget a training that has ended; its finished file stays."""
    training = studio.training
    training.runs.delete(name, training.school, owner=person)
    return Response(status_code=204)


def run_as_dict(run: Run, *, whole: bool = False) -> dict[str, Any]:
    """Return a training as it is sent; where the data folder is, is not among it."""
    told = asdict(run)
    del told["plan"]
    told["base"] = run.plan.base.name
    if whole:
        plan = json.loads(encode(run.plan))["plan"]
        for hidden in ("run", "out", "base", "vae"):
            del plan[hidden]
        del plan["data"]["folder"], plan["data"]["regular"]
        sample = plan["watch"]["sample"]
        plan["watch"]["sample"] = None if sample is None else sample["prompts"]
        told["plan"] = plan
    return told


def _lines(studio: Studio, name: str, person: str, after: int) -> dict[str, Any]:
    after = max(0, after)
    training = studio.training
    found = training.runs.log(name, training.school, owner=person, after=after)[:LONGEST_LOG]
    return {"log": found, "next": after + len(found)}


async def _events(studio: Studio, run: Run, person: str, after: int) -> AsyncIterator[str]:
    """Yield what is new after each change of the job, until it has ended."""

    async def views() -> AsyncIterator[JobView | None]:
        if run.job:
            async for view in studio.drawing.follow(run.job, owner=person):
                yield view
        yield None

    async for pause in _with_pauses(views()):
        if pause:
            yield ": still here\n\n"
            continue
        told = await run_in_threadpool(_snapshot, studio, run.name, person, after)
        after = told["next"]
        yield f"id: {after}\nevent: run\ndata: {json.dumps(told)}\n\n"


def _snapshot(studio: Studio, name: str, person: str, after: int) -> dict[str, Any]:
    training = studio.training
    found = training.runs.view(name, training.school, owner=person)
    return {**run_as_dict(found), **_lines(studio, name, person, after)}


async def _with_pauses(views: AsyncIterator[JobView | None]) -> AsyncIterator[bool]:
    """Yield False for each of them, and True when nothing has come for long."""
    following = asyncio.ensure_future(anext(views, views))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield True
            elif following.result() is views:
                return
            else:
                yield False
                following = asyncio.ensure_future(anext(views, views))
    finally:
        following.cancel()
