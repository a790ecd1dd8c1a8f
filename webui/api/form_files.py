"""All files of a form, one after the other, piece by piece as they come."""

from webui.api.multipart import MAX_HEAD, FormFile
from webui.modules.errors import RequestError


class FormFiles(FormFile):
    """The files of a form.

    Each must be read to its end before the next is asked for.
    """

    async def following(self) -> str | None:
        """Read up to the next file and return its name; None at the end of the form.

        Raises:
            RequestError: If the form is broken off.
        """
        while len(self._rest) < len(self._mark) + 2 or self._mark not in self._rest:
            if len(self._rest) > MAX_HEAD and self._mark not in self._rest:
                message = "the form cannot be read: there is too much between its files"
                raise RequestError(message, hint="Send the files as multipart/form-data.")
            await self._more()
        place = self._rest.find(self._mark) + len(self._mark)
        while len(self._rest) < place + 2:
            await self._more()
        if self._rest[place : place + 2] == b"--":
            return None
        return await self.name()
