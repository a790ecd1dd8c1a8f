"""What happens to a finished picture: a file with its settings, then a row in the history."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from PIL import Image
from pydantic import TypeAdapter

from webui import __version__
from webui.jobs.executor import Delivery
from webui.jobs.plans import Grid, Sheet, picture_count
from webui.jobs.rows import Job
from webui.library import infotext
from webui.library.grids import Legend, compose, side_by_side
from webui.library.history import History, NewPicture, PictureView
from webui.library.saving import FinishedPicture, SavingRules, save
from webui.modules.errors import PictureError
from webui.modules.types import GenerationPlan, Picture
from webui.services.options import Options, OptionsStore
from webui.services.requests import GenerationRequest
from webui.services.strips import STRIP_TITLE, strip_of
from webui.settings import Folders

PROGRAM: Final = f"atelier {__version__}"
"""What infotext calls "Version"."""

UNSAVED_SECONDS: Final = 3600.0
"""How long a picture can be fetched that nobody asked to save."""

FEWEST_IN_GRID: Final = 2
"""A single picture needs no grid."""

log = logging.getLogger(__name__)


def saving_rules(options: Options) -> SavingRules:
    """Return how pictures are named and packed."""
    return SavingRules(
        extension=options.text("samples_format"),
        quality=options.whole("jpeg_quality"),
        pattern=options.text("samples_filename_pattern"),
        use_folders=options.flag("save_to_dirs"),
        folder_pattern=options.text("directories_filename_pattern"),
        add_number=options.flag("save_images_add_number"),
        words=options.whole("directories_max_prompt_words"),
        with_text=options.flag("enable_pnginfo"),
    )


class Keeper:
    """Keeps the pictures that the worker delivers."""

    def __init__(self, history: History, options: OptionsStore, folders: Folders) -> None:
        self._history = history
        self._options = options
        self._folders = folders

    def keep(self, delivery: Delivery) -> str:
        """Write a picture to the disk and into the history; return its id.

        A picture that nobody asked to save lies in the cache for an hour and is not listed.

        Raises:
            StorageError: If the disk is full or a folder cannot be written to.
        """
        job, plan, index = delivery.job, delivery.plan, delivery.index
        request = TypeAdapter(GenerationRequest).validate_json(job.request)
        options = self._options.current().with_overrides(request.options)
        user = job.owner if options.flag("add_user_name_to_info") else ""
        sheet = _Kept(
            job=job,
            plan=plan,
            index=index,
            number=delivery.number,
            infotext=infotext.write(
                plan,
                index,
                version=PROGRAM,
                user=user,
                hash_start=options.flag("save_init_img"),
            ),
            listed=request.save,
        )
        picture = replace(delivery.picture, index=index)
        return self._keep(picture, sheet, saving_rules(options), _folder(options, plan))

    def compose(self, job: Job, sheet: Sheet) -> dict[int, str]:
        """Make the grid of a sheet from the pictures that are kept; return its id by its number.

        A grid that would be too large is left out: the single pictures are there.

        Raises:
            StorageError: If the disk is full or a folder cannot be written to.
        """
        kept = {view.index: view for view in self._history.of_job(job.id, owner=job.owner)}
        if not (sheet.grid or sheet.strip) or len(kept) < FEWEST_IN_GRID:
            return {}
        request = TypeAdapter(GenerationRequest).validate_json(job.request)
        options = self._options.current().with_overrides(request.options)
        try:
            shown = list(_shown(sheet, kept))
        except PictureError as problem:
            log.warning("job %s: %s", job.id, problem)
            return {}
        made: dict[int, str] = {}
        for number, each in enumerate(shown, start=picture_count(sheet)):
            rgb = each.image.convert("RGB")
            picture = Picture(index=0, width=rgb.width, height=rgb.height, rgb=rgb.tobytes())
            place = _Kept(
                job=job,
                plan=each.plan,
                index=0,
                number=number,
                infotext=_with_settings(kept[each.like].infotext, each.told),
                listed=request.save,
                figures=each.figures,
            )
            rules = replace(saving_rules(options), pattern=f"{each.name}-[seed]")
            folder = _folder(options, sheet.plans[0], grid=True)
            made[number] = self._keep(picture, place, rules, folder)
        return made

    def _keep(self, picture: Picture, kept: "_Kept", rules: SavingRules, folder: str) -> str:
        job = kept.job
        for known in self._history.of_job(job.id, owner=job.owner):
            if known.index == kept.number:
                return known.id  # the server was killed just before the job was told
        unsaved = self._folders.cache / "unsaved"
        path = save(
            FinishedPicture(
                picture=picture,
                plan=kept.plan,
                infotext=kept.infotext,
                moment=datetime.now().astimezone(),
                user=job.owner,
            ),
            folder=self._folders.data_dir / folder if kept.listed else unsaved,
            rules=rules,
        )
        view = self._history.add(
            NewPicture(
                path=path,
                plan=kept.plan,
                index=kept.index,
                infotext=kept.infotext,
                owner=job.owner,
                job_id=job.id,
                width=picture.width,
                height=picture.height,
                position=kept.number,
                listed=kept.listed,
                figures=kept.figures,
            )
        )
        if not kept.listed:
            self._history.drop_unlisted(before=time.time() - UNSAVED_SECONDS)
        return view.id


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What is written down of a picture besides its pixels."""

    job: Job
    plan: GenerationPlan
    index: int
    number: int
    infotext: str
    listed: bool
    figures: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """Pictures of a sheet shown together.

    Attributes:
        image: All of them.
        name: What the name of its file begins with.
        plan: What was drawn, as far as one plan says it.
        like: The number of the picture whose settings it tells.
        told: What its settings tell besides.
        figures: Numbers that were found in the pictures, as JSON.
    """

    image: Image.Image
    name: str
    plan: GenerationPlan
    like: int
    told: tuple[tuple[str, str], ...]
    figures: str = ""


def _folder(options: Options, plan: GenerationPlan, *, grid: bool = False) -> str:
    """Return the folder of a picture or a grid, below the data dir."""
    way = "img2img" if plan.start else "txt2img"
    what = "grids" if grid else "samples"
    return options.text(f"outdir_{what}") or options.text(f"outdir_{way}_{what}")


def _opened(path: Path) -> Image.Image | None:
    """Return a picture of ours; None if its file is gone meanwhile."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError:
        return None


def _shown(sheet: Sheet, kept: Mapping[int, PictureView]) -> Iterator[_Shown]:
    """Yield the pictures that show a sheet together.

    Raises:
        PictureError: If one would be larger than any program opens.
    """
    pictures = {number: _opened(view.path) for number, view in kept.items()}
    first = min(kept)
    if sheet.grid:
        for grid in _drawn(sheet.grid, pictures):
            yield _Shown(
                image=grid, name="grid", plan=sheet.plans[0], like=first, told=sheet.grid.told
            )
    if sheet.strip:
        strip = strip_of(sheet.strip, pictures, {number: view.id for number, view in kept.items()})
        whole = [place.number for place in sheet.strip if place.change in ("with", "all")][-1]
        yield _Shown(
            image=strip.picture,
            name="ablation",
            plan=sheet.plans[whole],
            like=whole if whole in kept else first,
            told=(("Script", STRIP_TITLE),),
            figures=json.dumps(strip.told),
        )


def _drawn(grid: Grid, pictures: Mapping[int, Image.Image | None]) -> list[Image.Image]:
    """Return the whole grid, and each of its blocks if they are wanted alone."""
    size = len(grid.columns) * len(grid.rows)
    blocks = [
        compose(
            [pictures.get(number) for number in grid.places[place * size : (place + 1) * size]],
            Legend(columns=grid.columns, rows=grid.rows, title=title),
            margin=grid.margin,
        )
        for place, title in enumerate(grid.blocks)
    ]
    if len(blocks) == 1:
        return blocks
    whole = side_by_side(blocks, margin=grid.margin)
    return [whole, *blocks] if grid.blocks_alone else [whole]


def _with_settings(text: str, told: Iterable[tuple[str, str]]) -> str:
    """Put more settings into an infotext, before its version."""
    more = "".join(f", {key}: {infotext.quote(value)}" for key, value in told)
    head, version, tail = text.rpartition(", Version: ")
    return f"{head}{more}{version}{tail}"
