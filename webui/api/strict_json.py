"""JSON bodies as the standard says: no NaN, no endless depth; what is broken is refused."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException


class StrictRequest(Request):
    """A request whose JSON is read by the book."""

    async def json(self) -> Any:
        """Return the body.

        Raises:
            HTTPException: If it is no JSON, with what is wrong and where.
        """
        data = await self.body()
        try:
            value = json.loads(data, parse_constant=_refuse_constant)
            if rb"\ud" in data.lower():
                json.dumps(value, ensure_ascii=False).encode()  # half a letter cannot be kept
        except RecursionError as error:
            raise HTTPException(400, "the JSON is nested too deeply") from error
        except ValueError as error:
            raise HTTPException(400, f"the body is not JSON: {str(error)[:200]}") from error
        return value


class StrictRoute(APIRoute):
    """A route that reads its body by the book."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON number"
    raise ValueError(message)
