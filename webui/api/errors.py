"""Errors as HTTP answers: one form for all, and a status for each class of the tree."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from webui.modules import errors

STATUS: Final[Mapping[type[errors.WebuiError], int]] = {
    errors.WebuiError: 500,
    errors.RequestError: 422,
    errors.UnknownPictureError: 404,
    errors.UnknownTrainingError: 404,
    errors.NameTakenError: 409,
    errors.ModelError: 422,
    errors.DeviceError: 503,
    errors.StorageError: 507,
    errors.SettingsError: 422,
    errors.JobError: 409,
    errors.UnknownJobError: 404,
    errors.QueueFullError: 429,
    errors.WorkerDiedError: 503,
    errors.AccessError: 403,
    errors.LoginNeededError: 401,
    errors.TooManyTriesError: 429,
}
"""A class without a line of its own has the status of its nearest ancestor."""

RETRY_SECONDS: Final = 10
"""When a client may ask again after the queue was full."""

_LONGEST_VALUE: Final = 200


def status_of(kind: type[errors.WebuiError]) -> int:
    """Return the HTTP status of a class of errors."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def status_of_code(code: str) -> int:
    """Return the HTTP status of an error by its code, as jobs remember it."""
    return next((status_of(kind) for kind in tree() if kind.code == code), 500)


def tree(root: type[errors.WebuiError] = errors.WebuiError) -> Iterator[type[errors.WebuiError]]:
    """Yield every class of the tree."""
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


def body(*, code: str, message: str, hint: str) -> dict[str, str]:
    """Return the one form of all error answers; ``errors`` is there for A1111's clients."""
    return {"error": code, "detail": message, "errors": "", "hint": hint}


def answer(error: errors.WebuiError) -> JSONResponse:
    """Return an error as an HTTP answer."""
    headers: dict[str, str] = {}
    if isinstance(error, errors.TooManyTriesError):
        headers["Retry-After"] = error.value
    elif isinstance(error, errors.QueueFullError):
        headers["Retry-After"] = str(RETRY_SECONDS)
    content = body(code=error.code, message=str(error), hint=error.hint)
    return JSONResponse(content, status_code=status_of(type(error)), headers=headers)


def add_error_answers(app: FastAPI) -> None:
    """Make the app answer every error in the one form."""
    app.add_exception_handler(errors.WebuiError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, errors.WebuiError):
        raise error
    return answer(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first: dict[str, Any] = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the request"
    value = repr(first.get("input"))[:_LONGEST_VALUE]
    content = body(
        code=errors.RequestError.code,
        message=f"{where} is {value}: {first['msg']}",
        hint="See /docs for the fields and their values.",
    )
    return JSONResponse(content, status_code=422)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    content = body(
        code="request.http" if error.status_code < 500 else "error",  # noqa: PLR2004 - HTTP's own
        message=str(error.detail),
        hint="See /docs for the routes and their fields.",
    )
    headers = dict(error.headers) if error.headers else None
    return JSONResponse(content, status_code=error.status_code, headers=headers)
