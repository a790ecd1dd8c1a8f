"""The library over HTTP: lists, cards, pictures, notes, and model files that people bring."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from webui.api.multipart import FormFile
from webui.api.shown import shown_path
from webui.api.strict_json import StrictRoute
from webui.api.visit import ThePerson, TheStudio
from webui.library.cards import ModelCard
from webui.library.quarantine import Arrival
from webui.modules.errors import RequestError, UnknownNameError
from webui.modules.layers.fit import Fit
from webui.modules.types import ModelKind
from webui.services.browsing import MOST, Order, Search
from webui.services.catalogue import has_picture
from webui.services.imports import Landed
from webui.services.models import Inspection
from webui.services.studio import Studio

BLOCK: Final = 4_000_000
"""So many bytes are written at once."""

routes = APIRouter(prefix="/atelier/v1/models", route_class=StrictRoute, tags=["Atelier"])

Kind = Annotated[ModelKind, Query(description="One of the kinds of model files.")]
Name = Annotated[str, Query(description="As the list of its kind names the file.")]


class ListQuery(BaseModel):
    """``GET /atelier/v1/models``: which files, in which order, which page.

    Attributes:
        kind: Only this kind.
        search: Words that all occur in what is known of a file.
        fits: A checkpoint on which a file must act at least partly.
        sort: "name", "newest" or "largest".
        offset: How many to pass over.
        limit: How many to list; 0 for all.
    """

    kind: ModelKind | None = None
    search: str = Field(default="", max_length=500)
    fits: str = Field(default="", max_length=500)
    sort: Order = "name"
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=0, ge=0, le=MOST)


@routes.get("")
def models(
    studio: TheStudio, response: Response, wish: Annotated[ListQuery, Query()]
) -> list[dict[str, Any]]:
    """List the model files, refused ones with the reason.

    The header ``X-More`` says whether there is a next page, and ``X-Total-Count``, where that is
    known without opening every file, how many there are.
    """
    search = Search(
        kind=wish.kind,
        text=wish.search,
        fits=wish.fits,
        order=wish.sort,
        offset=wish.offset,
        limit=wish.limit,
    )
    page = studio.catalogue.search(search)
    response.headers["X-More"] = "yes" if page.more else "no"
    if page.total is not None:
        response.headers["X-Total-Count"] = str(page.total)
    return [card_as_dict(card, studio, checkpoint=wish.fits) for card in page.cards]


@routes.get("/version")
def version(studio: TheStudio) -> dict[str, str]:
    """Return a word that changes when a file comes, changes or goes; cheap to ask again."""
    return {"version": studio.catalogue.version()}


@routes.get("/inspect")
def inspect(studio: TheStudio, name: str, checkpoint: str | None = None) -> Inspection:
    """Tell what a file in the model folders is; only files that the list shows."""
    for card in studio.models.everything():
        if name in (card.title, card.record.name):
            return studio.models.inspect(card.record.path, checkpoint=checkpoint)
    message = f"there is no model file {name[:200]!r}"
    raise UnknownNameError(message, hint="See /atelier/v1/models for the list.", value=name[:200])


@routes.get("/card")
def card(
    studio: TheStudio, kind: Kind, name: Name, checkpoint: str = "", *, hashes: bool = False
) -> dict[str, Any]:
    """Return all that is known of one file.

    ``checkpoint`` asks how much of it acts there; ``hashes`` reads the file from beginning to end
    if that was never done.
    """
    found = studio.catalogue.card(kind, name)
    told = card_as_dict(found, studio, checkpoint=checkpoint)
    told["metadata"] = dict(studio.catalogue.metadata(found))
    if hashes:
        told["hashes"] = asdict(studio.catalogue.hashes(found))
    return told


class TextsBody(BaseModel):
    """``PATCH /atelier/v1/models/card``: what is given is written, the rest stays."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    description: str | None = None
    notes: str | None = None
    trigger_words: str | None = None
    negative_words: str | None = None
    base: str | None = None
    weight: float | None = None


@routes.patch("/card")
def write(studio: TheStudio, kind: Kind, name: Name, texts: TextsBody) -> dict[str, Any]:
    """Write about a file, for everybody, into A1111's ``.json`` beside it."""
    return card_as_dict(
        studio.catalogue.write(kind, name, texts.model_dump(exclude_none=True)), studio
    )


@routes.get("/preview")
def preview(studio: TheStudio, kind: Kind, name: Name) -> Response:
    """Return a small WebP of what a file draws, if a picture stands beside it or is inside."""
    small = studio.catalogue.preview(studio.catalogue.card(kind, name))
    headers = {"Cache-Control": "private, max-age=86400"}
    return FileResponse(small, media_type="image/webp", headers=headers)


@routes.post("", status_code=201, openapi_extra={
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
})  # fmt: skip
async def bring(
    request: Request, studio: TheStudio, person: ThePerson, name: str = "", checkpoint: str = ""
) -> Landed:
    """Take a model file in: its bytes with ``?name=``, or a form with one file.

    What it is decides into which folder it goes; nothing is overwritten. A file that is damaged,
    unsafe or of no known kind is not kept, and the answer says why.
    """
    pieces = request.stream()
    content: AsyncIterator[bytes] = pieces
    declared = request.headers.get("content-type", "")
    if declared.partition(";")[0].strip().lower() == "multipart/form-data":
        form = FormFile(pieces, declared)
        sent, content = await form.name(), form.content()
        name = name or sent
    if not name.strip():
        message = "the file has no name"
        raise RequestError(message, hint="Add ?name=NAME to the address.")
    size = request.headers.get("content-length", "")
    with studio.imports.receive(
        name, person=person, size=int(size) if size.isdecimal() else None
    ) as arrived:
        await _write(arrived, content)
        return await run_in_threadpool(
            studio.imports.file, arrived, person=person, checkpoint=checkpoint
        )


async def _write(arrived: Arrival, content: AsyncIterator[bytes]) -> None:
    """Write what comes in large blocks, beside the loop that serves everybody."""
    block = bytearray()
    async for piece in content:
        block += piece
        if len(block) >= BLOCK:
            await run_in_threadpool(arrived.write, bytes(block))
            block.clear()
    await run_in_threadpool(arrived.write, bytes(block))


def card_as_dict(card: ModelCard, studio: Studio, *, checkpoint: str = "") -> dict[str, Any]:
    """Return what everybody may know of a file; where the data folder is, is not among it.

    Args:
        card: The file.
        studio: The services.
        checkpoint: Say also how much of the file acts on this one.
    """
    record = card.record
    told = studio.catalogue.fit(card, checkpoint)
    return {
        "kind": record.kind,
        "title": card.title,
        "name": record.name,
        "family": record.family,
        "format": card.format,
        "sha256": record.sha256 or None,
        "file": shown_path(card, studio.settings.folders),
        "size": card.size,
        "modified": card.changed / 1e9,
        "call": studio.catalogue.call_name(card),
        "given_title": card.given_title,
        "base": card.base,
        "trigger_words": card.trigger_words,
        "negative_words": card.negative_words,
        "weight": card.weight,
        "description": card.description,
        "notes": card.notes,
        "suggested": dict(card.suggested),
        "preview": has_picture(card),
        "problem": asdict(card.problem) if card.problem else None,
        "fit": _fit(told, card, studio),
    }


def _fit(told: Fit | None, card: ModelCard, studio: Studio) -> dict[str, Any] | None:
    if told is None:
        return None
    cures = [] if told.share == 1 else studio.catalogue.cures(card)
    return {"applies": round(told.share, 4), "why": told.why, "fits_instead": cures}
