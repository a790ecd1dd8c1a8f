"""Routes of the workshop: model files made out of others, each as a job that can be followed."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.services.studio import Studio
from webui.services.work_requests import (
    BakeRequest,
    ConvertRequest,
    ExtractRequest,
    MergeRequest,
    ResizeRequest,
    WorkRequest,
)

routes = APIRouter(prefix="/atelier/v1/works", route_class=StrictRoute, tags=["Atelier"])


@routes.post("/merge", status_code=202)
async def merge(
    wish: MergeRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Make a checkpoint out of one, two or three others.

    Progress and result are at ``/atelier/v1/jobs/{job_id}`` and its events; the same
    ``Idempotency-Key`` twice is one job. This holds for all routes here.
    """
    return await _order(wish, request, studio, person)


@routes.post("/extract", status_code=202)
async def extract(
    wish: ExtractRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Make a LoRA that leads from one checkpoint to another."""
    return await _order(wish, request, studio, person)


@routes.post("/resize", status_code=202)
async def resize(
    wish: ResizeRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Make a LoRA with fewer dimensions."""
    return await _order(wish, request, studio, person)


@routes.post("/bake", status_code=202)
async def bake(
    wish: BakeRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Make LoRAs part of a checkpoint; without a checkpoint, make one LoRA out of several."""
    return await _order(wish, request, studio, person)


@routes.post("/convert", status_code=202)
async def convert(
    wish: ConvertRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Write a file in another container, or a linear hypernetwork as a LoRA."""
    return await _order(wish, request, studio, person)


async def _order(wish: WorkRequest, request: Request, studio: Studio, person: str) -> JobView:
    key = request.headers.get("idempotency-key", "")
    return await run_in_threadpool(studio.workshop.order, wish, owner=person, key=key)
