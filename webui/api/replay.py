"""Routes that draw a picture again and tell whether it is the same."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from webui.api.base64_pictures import decoded
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.services import replay
from webui.services.receipts import Receipt

routes = APIRouter(prefix="/atelier/v1/replay", route_class=StrictRoute, tags=["Atelier"])


class ReplayBody(BaseModel):
    """``POST /atelier/v1/replay``: a settings text, a picture as base64, or both."""

    infotext: str = ""
    image: str = ""


@routes.post("", status_code=202)
async def submit(wish: ReplayBody, studio: TheStudio, person: ThePerson) -> JobView:
    """Draw a picture again; its receipt is at ``/atelier/v1/replay/{job_id}``.

    Without ``infotext`` the settings are read from the picture; without ``image`` there is nothing
    to compare with.
    """
    picture = decoded(wish.image) if wish.image.strip() else None

    def put() -> JobView:
        return replay.replay(studio, text=wish.infotext, picture=picture, owner=person)

    return await run_in_threadpool(put)


@routes.get("/{job_id}")
def receipt(job_id: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Tell whether the picture is the same, or what explains the difference."""
    return receipt_as_dict(replay.receipt(studio, job_id, owner=person))


@routes.get("/{job_id}/difference")
def difference(job_id: str, studio: TheStudio, person: ThePerson) -> Response:
    """Return a PNG of where the two pictures differ; 204 while there are not both."""
    png = replay.difference_of(studio, job_id, owner=person)
    headers = {"Cache-Control": "no-store"}
    if png is None:
        return Response(status_code=204, headers=headers)
    return Response(png, media_type="image/png", headers=headers)


@routes.get("/{job_id}/original")
def original(job_id: str, studio: TheStudio, person: ThePerson) -> Response:
    """Return the pixels of the original as a PNG; 204 if only its text was given."""
    found = replay.original_of(studio, job_id, owner=person).picture
    if found is None or not found.is_file():
        return Response(status_code=204)
    return Response(found.read_bytes(), media_type="image/png")


def receipt_as_dict(found: Receipt) -> dict[str, Any]:
    """Return a receipt as JSON tells it, each reason with its sentence."""
    reasons = [{**asdict(reason), "sentence": reason.sentence} for reason in found.reasons]
    return {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "max_difference": found.furthest,
        "share": found.share,
        "reasons": reasons,
    }
