"""Our own routes under ``/atelier/v1``: durable jobs, their events, pictures, history, models."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from webui.api import (
    ablation,
    docs_page,
    explaining,
    extensions,
    models,
    replay,
    sheets,
    training,
    training_sets,
    works,
)
from webui.api.shown import picture_as_dict
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio, serving
from webui.jobs.views import JobView
from webui.modules.errors import UnknownPictureError
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio
from webui.services.styles import Style, keep_style, read_styles, styles_file

KEEP_ALIVE_SECONDS: Final = 15.0
"""A stream says something at least this often; proxies cut silent ones after a minute."""

LAST_EVENT: Final = "end"
"""Id of a stream's last event; a browser that comes back with it has seen everything."""

_KINDS: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
}
_LASTING: Final = {"Cache-Control": "private, max-age=31536000, immutable"}

routes = APIRouter(prefix="/atelier/v1", route_class=StrictRoute, tags=["Atelier"])
outside = APIRouter()


def router(studio: Studio) -> APIRouter:
    """Return the routes for these services."""
    return serving(
        studio,
        routes,
        explaining.routes,
        models.routes,
        replay.routes,
        sheets.routes,
        ablation.routes,
        extensions.routes,
        works.routes,
        training_sets.routes,
        training.routes,
        outside,
    )


@outside.get("/healthz", tags=["Atelier"])
def healthz() -> dict[str, str]:
    """Tell that the server answers; nothing else."""
    return {"status": "ok"}


@outside.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """Show all routes as a page that needs no network."""
    page = docs_page.render(request.app.openapi())
    headers = {"Content-Security-Policy": docs_page.POLICY}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


@routes.post("/jobs", status_code=202)
async def submit(
    wish: GenerationRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Put a wish for pictures into the queue; the same ``Idempotency-Key`` twice is one job."""
    sheets.check_fields(await request.json())
    key = request.headers.get("idempotency-key", "")
    own = await run_in_threadpool(sheets.with_own_inputs, wish, studio.inputs)
    return await run_in_threadpool(studio.drawing.submit, own, owner=person, key=key)


@routes.get("/jobs")
def jobs(studio: TheStudio, person: ThePerson, limit: int = 20) -> list[JobView]:
    """List this person's last jobs, newest first."""
    return studio.drawing.recent(owner=person, limit=max(1, min(limit, 500)))


@routes.get("/jobs/{job_id}")
def job(job_id: str, studio: TheStudio, person: ThePerson) -> JobView:
    """Return a job as it is now."""
    return studio.drawing.view(job_id, owner=person)


@routes.delete("/jobs/{job_id}")
def cancel(job_id: str, studio: TheStudio, person: ThePerson) -> JobView:
    """Drop a job, waiting or running."""
    studio.drawing.cancel(job_id, owner=person)
    return studio.drawing.view(job_id, owner=person)


@routes.post("/jobs/{job_id}/interrupt")
def interrupt(job_id: str, studio: TheStudio, person: ThePerson) -> JobView:
    """End a job now and keep what is drawn so far."""
    studio.drawing.interrupt(job_id, owner=person)
    return studio.drawing.view(job_id, owner=person)


@routes.post("/jobs/{job_id}/skip")
def skip(job_id: str, studio: TheStudio, person: ThePerson) -> JobView:
    """End the batch of a job and go on with the next."""
    studio.drawing.skip(job_id, owner=person)
    return studio.drawing.view(job_id, owner=person)


@routes.get("/jobs/{job_id}/pictures")
def job_pictures(job_id: str, studio: TheStudio, person: ThePerson) -> list[dict[str, Any]]:
    """List the finished pictures of a job in drawing order."""
    return [picture_as_dict(view) for view in studio.drawing.pictures(job_id, owner=person)]


@routes.get("/jobs/{job_id}/preview")
def preview(job_id: str, studio: TheStudio, person: ThePerson) -> Response:
    """Return the latest preview as PNG; 204 while there is none."""
    png = studio.drawing.preview(job_id, owner=person)
    headers = {"Cache-Control": "no-store"}
    if png is None:
        return Response(status_code=204, headers=headers)
    return Response(png, media_type="image/png", headers=headers)


@routes.get("/jobs/{job_id}/events")
async def events(job_id: str, request: Request, studio: TheStudio, person: ThePerson) -> Response:
    """Send the job as a server-sent event at once and after each change, until it has ended.

    An event is a whole snapshot, so a client that comes back misses nothing; 204 tells a browser
    that has seen the end to stay away.
    """
    await run_in_threadpool(studio.drawing.view, job_id, owner=person)
    if request.headers.get("last-event-id") == LAST_EVENT:
        return Response(status_code=204)
    stream = event_stream(studio.drawing.follow(job_id, owner=person))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@routes.get("/pictures/{picture_id}")
def picture(
    picture_id: str, studio: TheStudio, person: ThePerson, *, download: bool = False
) -> Response:
    """Return the file of a picture, its settings inside."""
    view = studio.gallery.get(picture_id, owner=person)
    return _file(view.path, picture_id, download=download)


@routes.get("/pictures/{picture_id}/thumbnail")
def thumbnail(picture_id: str, studio: TheStudio, person: ThePerson) -> Response:
    """Return a small WebP of a picture."""
    return _file(studio.gallery.thumbnail(picture_id, owner=person), picture_id, download=False)


@routes.get("/history")
def history(
    studio: TheStudio, person: ThePerson, text: str = "", before: str = "", limit: int = 50
) -> list[dict[str, Any]]:
    """List this person's pictures, newest first, whose settings hold all words of a text."""
    found = studio.gallery.search(owner=person, text=text, before=before, limit=limit)
    return [picture_as_dict(view) for view in found]


class StyleBody(BaseModel):
    """``POST /atelier/v1/styles``: a named piece of both prompts."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


@routes.get("/styles")
def styles(studio: TheStudio) -> list[dict[str, Any]]:
    """List the styles."""
    found = read_styles(styles_file(studio.settings.folders))
    return [{"name": name, **asdict(style)} for name, style in found.items()]


@routes.post("/styles")
def save_style(wish: StyleBody, studio: TheStudio) -> list[dict[str, Any]]:
    """Save a style for everybody; the file as it was before is kept as ``.bak``."""
    style = Style(prompt=wish.prompt, negative_prompt=wish.negative_prompt)
    keep_style(studio.settings, wish.name, style)
    return styles(studio)


async def event_stream(
    views: AsyncIterator[JobView], *, keep_alive: float = KEEP_ALIVE_SECONDS
) -> AsyncIterator[str]:
    """Yield snapshots of a job as server-sent events, and a comment when nothing happens for long.

    Args:
        views: The job after each change; ends when the job has ended.
        keep_alive: Longest silence in seconds.
    """
    number = 0
    following = asyncio.ensure_future(anext(views, None))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=keep_alive)
            if not done:
                yield ": still here\n\n"
                continue
            view = following.result()
            if view is None:
                return
            number += 1
            event_id = LAST_EVENT if view.state.ended else str(number)
            yield f"id: {event_id}\nevent: job\ndata: {json.dumps(asdict(view))}\n\n"
            if view.state.ended:
                return
            following = asyncio.ensure_future(anext(views, None))
    finally:
        following.cancel()


def _file(path: Path, picture_id: str, *, download: bool) -> Response:
    if not path.is_file():
        message = f"the file of picture {picture_id} is no longer there: {path.name}"
        hint = "It was moved or deleted outside of this program."
        raise UnknownPictureError(message, hint=hint, value=picture_id)
    kind = _KINDS.get(path.suffix.lower(), "application/octet-stream")
    disposition = "attachment" if download else "inline"
    named = f"{disposition}; filename*=utf-8''{quote(path.name)}"
    return FileResponse(path, media_type=kind, headers=_LASTING | {"Content-Disposition": named})
