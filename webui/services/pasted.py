"""From what a settings text says to the fields of a request, with or without its pictures."""

from collections.abc import Mapping
from typing import Any

from webui.library import infotext
from webui.modules.types import InputPicture
from webui.services.requests import HiresRequest, MaskRequest, RefinerRequest, StartRequest


def pasted(text: str) -> dict[str, Any]:
    """Return the fields of a ``GenerationRequest`` that a settings text asks for.

    What it says of a picture to start from is left out, since no text holds that picture;
    ``pasted_start`` reads it for those who have the picture.

    Raises:
        InfotextError: If a setting has a value that it cannot have.
    """
    return wished(infotext.parse(text))


def wished(parsed: Mapping[str, str | int | bool]) -> dict[str, Any]:
    """Return the same from a text that is parsed already.

    Raises:
        InfotextError: If a setting has a value that it cannot have.
    """
    fields = infotext.request_fields(parsed)
    fields.pop("start", None)
    if "hires" in fields:
        fields["hires"] = HiresRequest(**fields["hires"])
    if "refiner" in fields:
        fields["refiner"] = RefinerRequest(**fields["refiner"])
    return fields


def pasted_start(
    text: str, *, pictures: tuple[InputPicture, ...], mask: InputPicture | None = None
) -> StartRequest:
    """Return what a settings text says of a picture to start from, with the pictures themselves.

    Raises:
        InfotextError: If a setting has a value that it cannot have.
    """
    fields: dict[str, Any] = infotext.request_fields(infotext.parse(text)).get("start", {})
    masked = fields.pop("masked", {})
    return StartRequest(
        **fields,
        pictures=pictures,
        masked=MaskRequest(**masked, mask=mask) if mask else None,
    )
