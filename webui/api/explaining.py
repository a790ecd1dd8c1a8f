"""Explanations over HTTP: what a file would change, and one turn of training to look at."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.services.explaining import (
    ExplainRequest,
    GuideStepRequest,
    explained_picture,
    order_explanation,
    order_step,
)

routes = APIRouter(prefix="/atelier/v1", route_class=StrictRoute, tags=["Atelier"])


@routes.post("/models/explain", status_code=202)
async def explain(
    wish: ExplainRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Explain one file from its tensors; the explanation is the ``result`` of the job.

    Progress and result are at ``/atelier/v1/jobs/{job_id}`` and its events; pictures that the
    result names are at ``/atelier/v1/explained/{name}``.
    """
    key = request.headers.get("idempotency-key", "")
    return await run_in_threadpool(order_explanation, wish, studio, owner=person, key=key)


@routes.post("/guide/step", status_code=202)
async def step(
    wish: GuideStepRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Noise a picture, let the checkpoint guess it, compare, and correct once; nothing is kept.

    Give a picture first at ``/atelier/v1/inputs`` and name it by its hash.
    """
    key = request.headers.get("idempotency-key", "")
    return await run_in_threadpool(order_step, wish, studio, owner=person, key=key)


@routes.get("/explained/{name}")
def picture(name: str, studio: TheStudio) -> FileResponse:
    """Return a picture that an explanation names; the name is the hash of its content."""
    headers = {"Cache-Control": "private, max-age=604800, immutable"}
    return FileResponse(explained_picture(name, studio), media_type="image/png", headers=headers)
