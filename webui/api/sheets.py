"""Routes for wishes of more than one part: given pictures, and scripts that draw a whole sheet."""

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from webui.api.base64_pictures import decoded
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.jobs.views import JobView
from webui.library.inputs import Inputs
from webui.modules.errors import UnknownNameError
from webui.modules.types import InputPicture
from webui.services.requests import GenerationRequest
from webui.services.script_requests import ScriptRequest

routes = APIRouter(prefix="/atelier/v1", route_class=StrictRoute, tags=["Atelier"])


class InputBody(BaseModel):
    """``POST /atelier/v1/inputs``: a picture as base64; ``mask`` reads it as a mask."""

    image: str
    mask: bool = False


class SheetBody(BaseModel):
    """``POST /atelier/v1/sheets``: what all pictures have in common, and which script."""

    request: GenerationRequest
    script: ScriptRequest


@routes.post("/inputs", status_code=201)
def keep(body: InputBody, studio: TheStudio) -> dict[str, Any]:
    """Keep a picture to draw from; the answer stands for it in the ``start`` of a job."""
    data = decoded(body.image)
    kept = studio.inputs.keep_mask(data) if body.mask else studio.inputs.keep(data)
    return {**asdict(kept), "path": kept.path.name}


@routes.post("/sheets", status_code=202)
async def submit(
    body: SheetBody, request: Request, studio: TheStudio, person: ThePerson
) -> JobView:
    """Put all pictures of a script into the queue as one job; its grid comes last.

    The same ``Idempotency-Key`` twice is one job.
    """
    key = request.headers.get("idempotency-key", "")

    def put() -> JobView:
        wish = with_own_inputs(body.request, studio.inputs)
        return studio.drawing.submit_script(wish, body.script, owner=person, key=key)

    return await run_in_threadpool(put)


def check_fields(told: Iterable[str]) -> None:
    """Refuse a wish with a field that there is not, so that a slip of the pen is noticed.

    Raises:
        UnknownNameError: If there is one; the message names it.
    """
    known = {field.name for field in fields(GenerationRequest)}
    for name in told:
        if name not in known:
            message = f"there is no field {name[:80]!r}"
            hint = f"There are: {', '.join(sorted(known))}."
            raise UnknownNameError(message, hint=hint, value=name[:80])


def with_own_inputs(wish: GenerationRequest, inputs: Inputs) -> GenerationRequest:
    """Return the wish with every picture found by its hash: no client names a place on the disk.

    Raises:
        PictureError: If a picture was never given.
    """
    start = wish.start
    if start is None:
        return wish

    def own(picture: InputPicture) -> InputPicture:
        return inputs.find(picture.sha256)

    masked = start.masked and replace(start.masked, mask=own(start.masked.mask))
    pictures = tuple(map(own, start.pictures))
    return replace(wish, start=replace(start, pictures=pictures, masked=masked))
