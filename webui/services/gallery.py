"""A person's finished pictures."""

from pathlib import Path

from webui.library.history import PictureView


class Gallery:
    """Everything that can be asked about saved pictures; each person sees their own."""

    def search(
        self, *, owner: str, text: str = "", before: str = "", limit: int = 50
    ) -> list[PictureView]:
        """Return pictures, newest first, that hold all words; ``before`` is the last id seen."""
        raise NotImplementedError

    def get(self, picture_id: str, *, owner: str) -> PictureView:
        """Return one picture; UnknownNameError if it is not there or not this person's."""
        raise NotImplementedError

    def path(self, picture_id: str, *, owner: str) -> Path:
        """Return the file of one picture."""
        raise NotImplementedError

    def thumbnail(self, picture_id: str, *, owner: str) -> Path:
        """Return the file of one thumbnail."""
        raise NotImplementedError

    def read_infotext(self, data: bytes) -> tuple[str, dict[str, str]]:
        """Return the infotext of a picture file and its items; PictureError if it is none."""
        raise NotImplementedError
