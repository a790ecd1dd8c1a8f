"""A person's finished pictures."""

from pathlib import Path

from webui.library import infotext, picture_text
from webui.library.history import History, PictureView
from webui.modules.types import GenerationPlan

__all__ = ["Gallery", "PictureView"]


class Gallery:
    """Everything that can be asked about finished pictures; each person sees their own."""

    def __init__(self, history: History) -> None:
        self._history = history

    def search(
        self, *, owner: str, text: str = "", before: str = "", limit: int = 50
    ) -> list[PictureView]:
        """Return pictures, newest first, that hold all words; ``before`` is the last id seen."""
        return self._history.search(owner=owner, text=text, before=before, limit=limit)

    def get(self, picture_id: str, *, owner: str) -> PictureView:
        """Return one picture.

        Raises:
            UnknownPictureError: If it is not there or not this person's.
        """
        return self._history.get(picture_id, owner=owner)

    def plan(self, picture_id: str, *, owner: str) -> GenerationPlan:
        """Return the plan that a picture was drawn from.

        Raises:
            UnknownPictureError: If it is not there or not this person's.
        """
        return self._history.plan(picture_id, owner=owner)

    def figures(self, picture_id: str, *, owner: str) -> str:
        """Return the numbers that are kept with a picture, as JSON; empty if there are none.

        Raises:
            UnknownPictureError: If it is not there or not this person's.
        """
        return self._history.figures(picture_id, owner=owner)

    def of_job(self, job_id: str, *, owner: str) -> list[PictureView]:
        """Return the pictures of a job in drawing order, even when the job is long forgotten."""
        return self._history.of_job(job_id, owner=owner)

    def path(self, picture_id: str, *, owner: str) -> Path:
        """Return the file of one picture.

        Raises:
            UnknownPictureError: If it is not there or not this person's.
        """
        return self._history.get(picture_id, owner=owner).path

    def thumbnail(self, picture_id: str, *, owner: str) -> Path:
        """Return the file of one thumbnail.

        Raises:
            UnknownPictureError: If it is not there or not this person's.
        """
        return self._history.thumbnail(picture_id, owner=owner)

    def read_infotext(self, data: bytes) -> tuple[str, infotext.Parsed]:
        """Return the infotext of a picture file and the settings it says; both may be empty.

        Raises:
            PictureError: If this is no picture that we read.
        """
        text, _ = picture_text.read(data)
        return text, infotext.parse(text) if text else {}

    def read_texts(self, data: bytes) -> tuple[str, dict[str, str]]:
        """Return the infotext of a picture file and its other texts by name, as they stand there.

        Raises:
            PictureError: If this is no picture that we read.
        """
        return picture_text.read(data)
