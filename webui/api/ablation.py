"""Routes that tell what each add-on of a picture does."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from webui.api.sheets import check_fields, with_own_inputs
from webui.api.shown import picture_as_dict
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.services import ablation_report
from webui.services.ablation_report import PlaceReport
from webui.services.requests import GenerationRequest
from webui.services.script_requests import AblationRequest

routes = APIRouter(prefix="/atelier/v1/ablation", route_class=StrictRoute, tags=["Atelier"])


@routes.post("", status_code=202)
async def submit(
    wish: GenerationRequest, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Draw a picture with one add-on after the other, and with all but one, as one job.

    The body is that of ``/atelier/v1/jobs``; what comes of it is at
    ``/atelier/v1/ablation/{job_id}``. The same ``Idempotency-Key`` twice is one job.
    """
    check_fields(await request.json())
    key = request.headers.get("idempotency-key", "")

    def put() -> JobView:
        own = with_own_inputs(wish, studio.inputs)
        return studio.drawing.submit_script(own, AblationRequest(), owner=person, key=key)

    return await run_in_threadpool(put)


@routes.get("/{job_id}")
def report(job_id: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Tell what each add-on did: pictures, labels and numbers; no places before the job's end."""
    found = ablation_report.ablation_report(studio, job_id, owner=person)
    return {
        "state": found.state,
        "strip": picture_as_dict(found.strip) if found.strip else None,
        "brightest": found.brightest,
        "places": [_place(job_id, number, place) for number, place in enumerate(found.places)],
    }


@routes.get("/{job_id}/differences/{place}")
def difference(job_id: str, place: int, studio: TheStudio, person: ThePerson) -> Response:
    """Return a PNG of where a picture differs from the one that it is held against."""
    png = ablation_report.difference_map(studio, job_id, place, owner=person)
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(png, media_type="image/png", headers=headers)


def _place(job_id: str, number: int, place: PlaceReport) -> dict[str, Any]:
    root = "/atelier/v1"
    compared = f"{root}/ablation/{job_id}/differences/{number}"
    return {
        "change": place.change,
        "kind": place.kind or None,
        "name": place.name or None,
        "strength": place.strength or None,
        "label": place.label,
        "picture": place.picture or None,
        "url": f"{root}/pictures/{place.picture}" if place.picture else None,
        "against": place.against or None,
        "difference": compared if place.figures else None,
        "figures": asdict(place.figures) if place.figures else None,
    }
