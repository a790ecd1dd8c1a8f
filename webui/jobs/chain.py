"""Plans that build on each other: the next one starts from the picture that was drawn last."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Self

from PIL import Image

from webui.modules.errors import JobError
from webui.modules.types import GenerationPlan, InputPicture, Picture


class Chain:
    """Hands the last picture of one plan to the next; its files vanish with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="atelier-")
        self._last: InputPicture | None = None

    def __enter__(self) -> Self:
        """Begin a chain."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove its files."""
        self._folder.cleanup()

    def add(self, picture: Picture) -> None:
        """Keep a picture for the next plan."""
        path = Path(self._folder.name) / "last.png"
        image = Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)
        image.save(path)
        self._last = InputPicture(
            path=path,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            width=picture.width,
            height=picture.height,
        )

    def next(self, plan: GenerationPlan) -> GenerationPlan:
        """Return the plan as it is to be drawn now.

        Raises:
            JobError: If it does not start from a picture at all.
        """
        if plan.start is None:
            message = "a chain of pictures has a link that starts from no picture"
            raise JobError(message, hint="Submit it again.")
        if self._last is None:
            return plan
        return replace(plan, start=replace(plan.start, pictures=(self._last,)))
