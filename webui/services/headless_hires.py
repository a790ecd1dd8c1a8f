"""A second pass on a command line: what is said of hires fix put into the wish."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from webui.modules.errors import RangeError
from webui.services.requests import GenerationRequest, HiresRequest


def with_second_pass(
    request: GenerationRequest, said: Mapping[str, Any], start: dict[str, Any], *, pictured: bool
) -> GenerationRequest:
    """Return the wish with its second pass.

    Args:
        request: The wish; a settings text may have given it a second pass.
        said: Fields of a ``HiresRequest`` that were said.
        start: Fields of a ``StartRequest`` that were said; a denoising strength is taken out of
            it if it is meant for the second pass.
        pictured: Whether there is a picture to start from, which is not drawn on.

    Raises:
        RangeError: If a second pass is asked for together with a picture to start from.
    """
    if pictured:
        for name in said:
            message = f"--hires-{name} says something of a second pass, which only words have"
            hint = "Leave it out, or draw without --init-image."
            raise RangeError(message, hint=hint, value=f"--hires-{name}")
        return replace(request, hires=None)
    if not said and request.hires is None:
        return request
    fields = dict(said)
    if "denoising" in start:
        fields["denoising"] = start.pop("denoising")
    if "scale" in fields:
        fields["resize"] = (0, 0)
    return replace(request, hires=replace(request.hires or HiresRequest(), **fields))
