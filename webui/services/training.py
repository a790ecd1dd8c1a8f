"""Training from an upload to a file in use: the one service that page and routes are given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.jobs.views import JobView
from webui.library.saving import sweep
from webui.modules.errors import (
    ForbiddenError,
    PictureError,
    RequestError,
    UnknownNameError,
    UnsupportedError,
)
from webui.modules.training.buckets import size_for
from webui.modules.training.pictures import Trouble, look_over
from webui.modules.training.plan import CaptionPlan, TrainingPlan
from webui.modules.types import ModelKind
from webui.services.generate import Drawing
from webui.services.options import OptionsStore
from webui.services.resolve import House
from webui.services.training_a1111 import Classroom
from webui.services.training_forecast import Forecast, Forecasts
from webui.services.training_plans import School, plan_of
from webui.services.training_request import TrainingRequest, spoken
from webui.services.training_runs import Run, Runs
from webui.services.training_sets import PictureSets
from webui.services.training_settings import flat
from webui.services.work import Workshop
from webui.settings import Settings

HOST = "local"
"""Who sits at this machine while nobody needs to log in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A training as page and routes ask for it.

    Attributes:
        kind: What is trained.
        name: Of the file.
        pictures: Id of a set; empty when ``folder`` names one of the server's.
        folder: A folder of the server, for whoever sits at it.
        regular: Id of a set of the wider class that must not be forgotten.
        checkpoint: Empty for the selected one.
        subject: The preset.
        trigger: Word that calls what is learned.
        words: Short words for settings: steps, lr, rank, resolution, batch_size, seed, save_every.
        settings: Everything else, by the names of the plan; goes before ``words``.
    """

    kind: ModelKind
    name: str
    pictures: str = ""
    folder: str = ""
    regular: str = ""
    checkpoint: str = ""
    subject: str = ""
    trigger: str = ""
    words: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class LookedOver:
    """What there is to know of pictures before a training begins.

    Attributes:
        count: Pictures that are trained on.
        regular: Pictures of the wider class.
        captions: Of those, how many have a text beside them.
        sizes: To which sizes they are brought, and how many to each.
        troubles: What is wrong with single files.
    """

    count: int
    regular: int
    captions: int
    sizes: Mapping[str, int]
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Captioner:
    """An extension that proposes captions.

    Attributes:
        name: Of the extension.
        title: Where its captions come from, by language.
    """

    name: str
    title: Mapping[str, str]


class Training:
    """Sets, runs, forecasts.

    Args:
        settings: Where files lie.
        options: The user options.
        house: What wishes are held against.
        workshop: Carries trainings out.
        drawing: Follows and stops their jobs.
    """

    def __init__(
        self,
        settings: Settings,
        options: OptionsStore,
        house: House,
        *,
        workshop: Workshop,
        drawing: Drawing,
    ) -> None:
        self._settings = settings
        self._options = options
        self._house = house
        self.sets = PictureSets(settings)
        self.runs = Runs(workshop, drawing)
        self._forecasts = Forecasts(settings, workshop)
        self._drawing = drawing
        self._workshop = workshop

    @property
    def school(self) -> School:
        """What wishes are held against now."""
        folders = self._settings.folders
        return School(
            house=self._house,
            options=self._options.current(),
            data_dir=folders.data_dir,
            runs=folders.training,
        )

    @property
    def classroom(self) -> Classroom:
        """What A1111's own tabs work with."""
        return Classroom(school=self.school, workshop=self._workshop, drawing=self._drawing)

    def tidy(self, *, before: float) -> None:
        """Remove what a killed server left half written; only at start."""
        self.sets.sweep()
        sweep(self._settings.folders.training, before=before)

    def start(self, wish: Wish, *, owner: str) -> Run:
        """Begin a training; see ``Runs.start``."""
        return self.runs.start(self._request(wish, owner), self.school, owner=owner)

    def plan(self, wish: Wish, *, owner: str) -> TrainingPlan:
        """Return the plan of a wish; see ``plan_of``."""
        return plan_of(self._request(wish, owner), self.school)

    def look_over(self, wish: Wish, *, owner: str) -> LookedOver:
        """Look at the pictures of a wish as the training will.

        Raises:
            PictureError: If none can be used.
        """
        data = self.plan(wish, owner=owner).data
        found = look_over(data)
        sizes: dict[str, int] = {}
        for example in found.examples:
            side = (data.resolution, data.resolution)
            size = size_for(example.size, data.resolution, data.bucket_step)
            width, height = size if data.buckets else side
            sizes[f"{width}x{height}"] = sizes.get(f"{width}x{height}", 0) + 1
        without = {trouble.file for trouble in found.troubles if trouble.code == "no_caption"}
        regular = sum(example.regular for example in found.examples)
        return LookedOver(
            count=len(found.examples) - regular,
            regular=regular,
            captions=sum(example.path.name not in without for example in found.examples),
            sizes=dict(sorted(sizes.items(), key=lambda item: -item[1])),
            troubles=found.troubles,
        )

    def forecast(self, wish: Wish, *, owner: str) -> Forecast:
        """Tell how long a training will take; measures first if nothing like it was measured."""
        plan = self.plan(wish, owner=owner)
        return self._forecasts.forecast(plan, pictures=self._count(plan), owner=owner)

    def captioners(self) -> list[Captioner]:
        """Return who proposes captions here."""
        return [
            Captioner(name=each.name, title=each.captions)
            for each in self._house.extensions.captioners()
            if each.captions is not None
        ]

    def propose_captions(self, set_id: str, by: str, *, owner: str) -> JobView:
        """Let an extension describe the pictures of a set that nobody has described.

        Args:
            set_id: The set.
            by: Name of the extension; empty for the first that does.
            owner: Whose it is.

        Raises:
            UnknownTrainingError: If there is no such set, or it is somebody else's.
            UnsupportedError: If nobody here proposes captions.
            UnknownNameError: If there is no such extension.
            QueueFullError: If this person has too many jobs.
        """
        folder = self.sets.folder(set_id, owner=owner)
        names = [each.name for each in self.captioners()]
        if not names:
            message = "no extension here proposes captions"
            hint = "Write them here, or install an extension that does: see docs/extensions.md."
            raise UnsupportedError(message, hint=hint)
        if by and by not in names:
            self._house.extensions.find(by)
            message = f"the extension {by[:80]!r} proposes no captions"
            raise UnknownNameError(message, hint=f"There are: {', '.join(names)}.", value=by[:80])
        work = CaptionPlan(folder=folder, by=by or names[0])
        return self._workshop.submit(work, owner=owner)

    def job(self, run: Run, *, owner: str) -> JobView | None:
        """Return the job of a run; None if it is forgotten."""
        return self._drawing.view(run.job, owner=owner) if run.job else None

    def delete_set(self, set_id: str, *, owner: str) -> None:
        """Delete a set that no unfinished training of this person needs.

        Raises:
            RequestError: If one does.
        """
        folder = self.sets.folder(set_id, owner=owner)
        for run in self.runs.all(self.school, owner=owner):
            data = run.plan.data
            if run.state in ("queued", "running", "paused") and folder in (
                data.folder,
                data.regular,
            ):
                message = f"the training {run.name} needs these pictures"
                raise RequestError(message, hint="Stop it first.", value=run.name)
        self.sets.delete(set_id, owner=owner)

    def _count(self, plan: TrainingPlan) -> int:
        return len(look_over(plan.data).examples)

    def _request(self, wish: Wish, owner: str) -> TrainingRequest:
        settings = {**spoken(wish.kind, wish.words), **dict(flat(wish.settings))}
        self._check_folders(settings, owner)
        if wish.regular:
            settings["data.regular"] = str(self.sets.folder(wish.regular, owner=owner))
        return TrainingRequest(
            kind=wish.kind,
            name=wish.name,
            data=self._data(wish, owner),
            checkpoint=wish.checkpoint,
            subject=wish.subject,
            trigger=wish.trigger,
            settings=settings,
        )

    def _data(self, wish: Wish, owner: str) -> Path:
        if wish.pictures:
            return self.sets.folder(wish.pictures, owner=owner)
        if not wish.folder:
            message = "there are no pictures to train on"
            raise PictureError(message, hint="Bring some pictures first.")
        self.check_host(wish.folder, owner)
        return Path(wish.folder)

    def _check_folders(self, settings: Mapping[str, Any], owner: str) -> None:
        if settings.get("data.regular"):
            self.check_host(str(settings["data.regular"]), owner)

    def check_host(self, folder: str, owner: str) -> None:
        """Check that somebody may name folders of the server.

        Raises:
            ForbiddenError: If not.
        """
        if owner != HOST or self._settings.server.listen:
            message = "only whoever sits at the server may name its folders"
            raise ForbiddenError(message, hint="Upload the pictures instead.", value=folder[:100])
