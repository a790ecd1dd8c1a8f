"""Sets of pictures to train on over HTTP: brought, looked at, captioned, deleted."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from webui.api.form_files import FormFiles
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.modules.errors import RequestError
from webui.services.training_sets import Incoming, PictureSet, Shown, Writer

BLOCK: Final = 4_000_000
"""So many bytes are written at once."""

_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "application/zip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

routes = APIRouter(prefix="/atelier/v1/training/sets", route_class=StrictRoute, tags=["Training"])


@routes.post("", status_code=201, openapi_extra=_BODY)
async def bring(
    request: Request, studio: TheStudio, person: ThePerson, name: str = ""
) -> PictureSet:
    """Make a set of a form with many files, or of a zip; ``.txt`` beside a picture describes it.

    What is broken off leaves nothing. ``skipped`` says what was not taken, and why.
    """
    sets = studio.training.sets
    with sets.receive() as incoming:
        await _take_in(request, incoming)
        return await run_in_threadpool(sets.keep, incoming, owner=person, name=name)


@routes.post("/{set_id}", openapi_extra=_BODY)
async def add(
    set_id: str, request: Request, studio: TheStudio, person: ThePerson
) -> PictureSet:  # fmt: skip
    """Put more files into a set; a file of the same name takes the place of the old one."""
    sets = studio.training.sets
    sets.folder(set_id, owner=person)
    with sets.receive() as incoming:
        await _take_in(request, incoming)
        return await run_in_threadpool(sets.add, set_id, incoming, owner=person)


@routes.get("")
def all_sets(studio: TheStudio, person: ThePerson) -> list[PictureSet]:
    """List this person's sets, newest first."""
    return studio.training.sets.all(owner=person)


@routes.get("/{set_id}")
def one_set(set_id: str, studio: TheStudio, person: ThePerson) -> dict[str, Any]:
    """Return a set with its pictures and captions."""
    sets = studio.training.sets
    told = asdict(sets.view(set_id, owner=person))
    return {**told, "pictures": [asdict(each) for each in sets.pictures(set_id, owner=person)]}


@routes.delete("/{set_id}", status_code=204)
def delete(set_id: str, studio: TheStudio, person: ThePerson) -> Response:
    """Delete a set that no unfinished training needs."""
    studio.training.delete_set(set_id, owner=person)
    return Response(status_code=204)


@routes.get("/{set_id}/captions")
def captions(set_id: str, studio: TheStudio, person: ThePerson) -> list[Shown]:
    """List the pictures of a set with what is said of them."""
    return studio.training.sets.pictures(set_id, owner=person)


class CaptionBody(BaseModel):
    """What is said of a picture."""

    model_config = ConfigDict(extra="forbid")

    picture: str
    caption: str


@routes.put("/{set_id}/captions")
def write(set_id: str, body: CaptionBody, studio: TheStudio, person: ThePerson) -> Shown:
    """Write what is said of one picture."""
    return studio.training.sets.write(set_id, body.picture, body.caption, owner=person)


class BulkBody(BaseModel):
    """One change of all captions: prefix, suffix, replace or remove_tag."""

    model_config = ConfigDict(extra="forbid")

    action: str
    text: str = Field(max_length=2000)
    into: str = Field(default="", max_length=2000)


@routes.post("/{set_id}/captions")
def change(set_id: str, body: BulkBody, studio: TheStudio, person: ThePerson) -> list[Shown]:
    """Change all captions of a set in one way."""
    return studio.training.sets.change(set_id, body.action, body.text, body.into, owner=person)


class ProposalBody(BaseModel):
    """By which extension captions are proposed; empty for the first that does."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(default="", max_length=200)


@routes.post("/{set_id}/proposals", status_code=202)
def propose(
    set_id: str, body: ProposalBody, studio: TheStudio, person: ThePerson
) -> dict[str, str]:
    """Let an extension describe the pictures that have no caption, as a job; written ones stay."""
    return {"job": studio.training.propose_captions(set_id, body.by, owner=person).id}


@routes.get("/{set_id}/picture")
def picture(
    set_id: str, name: str, studio: TheStudio, person: ThePerson, *, small: bool = True
) -> Response:
    """Return a small WebP of a picture, or the picture as it was brought."""
    sets = studio.training.sets
    if small:
        found = sets.thumbnail(set_id, name, owner=person)
        return FileResponse(found, media_type="image/webp", headers=_PRIVATE)
    found = sets.picture(set_id, name, owner=person)
    return FileResponse(found, filename=found.name, headers=_PRIVATE)


@routes.delete("/{set_id}/picture", status_code=204)
def remove(set_id: str, name: str, studio: TheStudio, person: ThePerson) -> Response:
    """Take one picture with its caption out of a set."""
    studio.training.sets.remove(set_id, name, owner=person)
    return Response(status_code=204)


_PRIVATE: Final = {"Cache-Control": "private, max-age=3600"}


async def _take_in(request: Request, incoming: Incoming) -> None:
    """Write what comes, file by file, beside the loop that serves everybody."""
    try:
        await _taken_in(request, incoming)
    except ClientDisconnect as error:
        message = "the upload broke off"
        raise RequestError(message, hint="Send it again; nothing of it is kept.") from error


async def _taken_in(request: Request, incoming: Incoming) -> None:
    declared = request.headers.get("content-type", "")
    kind = declared.partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        if kind not in ("application/zip", "application/x-zip-compressed"):
            message = f"pictures cannot come as {kind or 'nothing'!r}"
            hint = "Send a form with files, or a zip as application/zip."
            raise RequestError(message, hint=hint, value=kind)
        await _one(incoming, "pictures.zip", request.stream())
        return
    form = FormFiles(request.stream(), declared)
    while (name := await form.following()) is not None:
        await _one(incoming, name, form.content())


async def _one(incoming: Incoming, name: str, content: AsyncIterator[bytes]) -> None:
    arriving = incoming.receive(name)
    writer: Writer = await run_in_threadpool(arriving.__enter__)
    try:
        block = bytearray()
        async for piece in content:
            block += piece
            if len(block) >= BLOCK:
                await run_in_threadpool(writer.write, bytes(block))
                block.clear()
        await run_in_threadpool(writer.write, bytes(block))
    except BaseException as problem:
        arriving.__exit__(type(problem), problem, problem.__traceback__)
        raise
    await run_in_threadpool(arriving.__exit__, None, None, None)
