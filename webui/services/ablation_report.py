"""What an ablation has found: its pictures, what each one is, and how much it changed.

The numbers are kept with the strip in the history, so that they outlive the job.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

from PIL import Image

from webui.jobs.views import JobState
from webui.library.figures import Figures, heat
from webui.library.history import PictureView
from webui.modules.errors import UnknownPictureError
from webui.services.gallery import Gallery
from webui.services.studio import Studio


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaceReport:
    """One picture of a strip.

    Attributes:
        change: "base", "with", "all" or "without".
        kind: Of the add-on that comes or goes here.
        name: Of that add-on.
        strength: How strongly it acts; empty for as it is.
        label: What stands above it in the strip.
        picture: Id in the history; empty if it was not drawn.
        against: Id of the picture that it is held against; empty for none.
        figures: How much the two differ; None where there is nothing to compare.
    """

    change: str
    kind: str
    name: str
    strength: str
    label: str
    picture: str
    against: str
    figures: Figures | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationReport:
    """What is known of an ablation.

    Attributes:
        state: Of its job.
        strip: All steps as one picture; None while it is not there.
        brightest: The difference that maps show brightest, of 255.
        places: In the order in which they are read.
    """

    state: JobState
    strip: PictureView | None = None
    brightest: int = 0
    places: tuple[PlaceReport, ...] = ()


def ablation_report(studio: Studio, job_id: str, *, owner: str) -> AblationReport:
    """Return what an ablation has found; nothing yet while its job is in work.

    Raises:
        UnknownJobError: If there is no such job, or it is somebody else's.
    """
    for view in studio.gallery.of_job(job_id, owner=owner)[::-1]:
        if found := report_of(studio.gallery, view, owner=owner):
            return found
    return AblationReport(state=studio.drawing.view(job_id, owner=owner).state)


def report_of(gallery: Gallery, view: PictureView, *, owner: str) -> AblationReport | None:
    """Return what is kept with a picture if it is the strip of an ablation, else None.

    Raises:
        UnknownPictureError: If it is not there or not this person's.
    """
    text = gallery.figures(view.id, owner=owner)
    if not text:
        return None
    told: dict[str, Any] = json.loads(text)
    return AblationReport(
        state=JobState.DONE,
        strip=view,
        brightest=int(told["brightest"]),
        places=tuple(_place(place) for place in told["places"]),
    )


def difference_map(studio: Studio, job_id: str, place: int, *, owner: str) -> bytes:
    """Return a PNG of where a picture differs from the one that it is held against.

    Raises:
        UnknownJobError: If there is no such job, or it is somebody else's.
        UnknownPictureError: If there is no such place, nothing to compare, or a file is gone.
    """
    report = ablation_report(studio, job_id, owner=owner)
    found = report.places[place] if 0 <= place < len(report.places) else None
    if found is None or found.figures is None:
        message = f"place {place} of this strip is held against nothing"
        hint = "GET /atelier/v1/ablation/{job} lists the places and their differences."
        raise UnknownPictureError(message, hint=hint, value=place)
    pair = (
        _opened(studio.gallery.get(picture, owner=owner))
        for picture in (found.picture, found.against)
    )
    shown = heat(*pair, brightest=report.brightest)
    if shown is None:
        message = "the two pictures have different sizes"
        hint = "One was changed outside of this program."
        raise UnknownPictureError(message, hint=hint, value=place)
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG")
    return buffer.getvalue()


def _place(told: dict[str, Any]) -> PlaceReport:
    numbers = told["figures"]
    return PlaceReport(
        change=told["change"],
        kind=told["kind"],
        name=told["name"],
        strength=told["strength"],
        label=told["label"],
        picture=told["picture"] or "",
        against=told["against"] or "",
        figures=Figures(**numbers) if numbers else None,
    )


def _opened(view: PictureView) -> Image.Image:
    try:
        with Image.open(view.path, formats=("PNG", "JPEG", "WEBP", "AVIF")) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the picture {view.path.name} is no longer there"
        hint = "It was moved, changed or deleted outside of this program."
        raise UnknownPictureError(message, hint=hint, value=view.path.name) from error
