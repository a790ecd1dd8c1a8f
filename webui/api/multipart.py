"""The one file of a form, piece by piece as it comes: a model has no room in the memory."""

import re
from collections.abc import AsyncIterator
from typing import Final

from webui.modules.errors import RequestError

MAX_HEAD: Final = 16_384
"""Bytes before the first byte of the file."""

NO_BOUNDARY: Final = "it names no boundary"
TOO_MUCH: Final = "there is too much before the file"
NO_FILE: Final = "there is no file in it"
TOO_SHORT: Final = "it ends too early"
"""What can be wrong with a form."""

_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,]{1,70}))', re.IGNORECASE)
_NAME: Final = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


class FormFile:
    """The first file of a form.

    Args:
        pieces: The body as it comes.
        content_type: Of the request; it holds the boundary.
    """

    def __init__(self, pieces: AsyncIterator[bytes], content_type: str) -> None:
        match = _BOUNDARY.search(content_type)
        if not match:
            raise _broken(NO_BOUNDARY)
        self._mark = b"\r\n--" + (match[1] or match[2]).encode("latin-1", "replace")
        self._pieces = pieces
        self._rest = b"\r\n"  # so that the first boundary looks like the others

    async def name(self) -> str:
        """Read up to the file and return its name; other fields before it are passed over.

        Raises:
            RequestError: If there is no file in the form, or too much before it.
        """
        while True:
            await self._pass(self._mark)
            head = await self._pass(b"\r\n\r\n")
            text = head.decode("utf-8", "replace")
            match = _NAME.search(text)
            if match:
                return re.sub(r'\\(["\\])', r"\1", match[1])

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the file up to the next boundary.

        Raises:
            RequestError: If the body ends before.
        """
        while (end := self._rest.find(self._mark)) < 0:
            safe = len(self._rest) - len(self._mark)
            if safe > 0:
                yield self._rest[:safe]
                self._rest = self._rest[safe:]
            await self._more()
        if end:
            yield self._rest[:end]

    async def _pass(self, mark: bytes) -> bytes:
        while (end := self._rest.find(mark)) < 0:
            if len(self._rest) > MAX_HEAD:
                raise _broken(TOO_MUCH)
            await self._more()
        passed, self._rest = self._rest[:end], self._rest[end + len(mark) :]
        if mark == self._mark and self._rest[:2] == b"--":
            raise _broken(NO_FILE)
        return passed

    async def _more(self) -> None:
        try:
            self._rest += await anext(self._pieces)
        except StopAsyncIteration:
            raise _broken(TOO_SHORT) from None


def _broken(why: str) -> RequestError:
    message = f"the form cannot be read: {why}"
    return RequestError(message, hint="Send one file as multipart/form-data, or its bytes alone.")
