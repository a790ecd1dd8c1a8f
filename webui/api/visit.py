"""What every route starts from: the services, and the person whom the gate let in."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from webui.modules.errors import LoginNeededError
from webui.services.studio import Studio


def serving(studio: Studio, *routers: APIRouter) -> APIRouter:
    """Return routes that find these services when they are asked."""

    def lend(request: Request) -> None:
        request.state.studio = studio

    together = APIRouter(dependencies=[Depends(lend)])
    for router in routers:
        together.include_router(router)
    return together


def lent_studio(request: Request) -> Studio:
    """Return the services that ``serving`` lends to each request."""
    return request.state.studio


def person(request: Request) -> str:
    """Return the name under which this person's jobs and pictures are kept.

    Raises:
        LoginNeededError: If the request did not come through the gate.
    """
    name = getattr(request.state, "person", None)
    if not name:
        message = "nobody is logged in"
        raise LoginNeededError(message, hint="Log in and try again.")
    return name


TheStudio = Annotated[Studio, Depends(lent_studio)]
ThePerson = Annotated[str, Depends(person)]
