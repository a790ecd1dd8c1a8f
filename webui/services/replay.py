"""Drawing a picture again from what it says about itself, with a receipt.

A replay is a job like every other; what it is to be held against lies beside the given pictures,
under the id of the job, so that the receipt can be written whenever somebody asks for it.
"""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from PIL import Image

from webui.jobs.views import JobState, JobView
from webui.library import infotext, picture_text
from webui.library.compare import compare, difference
from webui.library.infotext_keys import OPTION_KEYS
from webui.library.saving import replace_file
from webui.modules.errors import InfotextError, PictureError, UnknownNameError, UnknownPictureError
from webui.services.called import with_names_here
from webui.services.extensions import Roster
from webui.services.models import Models
from webui.services.options import defaults
from webui.services.pasted import wished
from webui.services.receipts import Drawn, Receipt, receipt_of
from webui.services.requests import GenerationRequest
from webui.services.resolve_extensions import here
from webui.services.studio import Studio
from webui.settings import DeviceSettings

_ALSO: Final = (
    "tiling",
    "s_churn",
    "s_tmin",
    "s_tmax",
    "s_noise",
    "s_min_uncond",
    "CLIP_stop_at_last_layers",
    "use_old_karras_scheduler_sigmas",
    "sd_lora",
    "sd_hypernetwork",
)
"""Options that act on pictures and that requests have a field for, or texts no key.

Files that options call stand in the prompt of a text already.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """What a replay is held against.

    Attributes:
        text: Its settings.
        picture: Its pixels as a PNG; None if only the text is known.
        lossy: The format that it came in, if that format changes pixels.
    """

    text: str
    picture: Path | None = None
    lossy: str = ""


def replay(studio: Studio, *, text: str, picture: bytes | None, owner: str) -> JobView:
    """Put a picture into the queue that shall become the original again.

    Args:
        studio: All services.
        text: Its settings; empty to read them from the picture.
        picture: The file of the original; None if only its settings are known.
        owner: Who asks for it.

    Raises:
        InfotextError: If there are no settings, or one has a value that it cannot have.
        RequestError: If something is unknown or outside its range; the message names it.
        ModelError: If no checkpoint can be used.
        QueueFullError: If this person has too many jobs that wait or run.
    """
    if not text.strip() and picture:
        text, _ = studio.gallery.read_texts(picture)
    request = replay_request(text, models=studio.models, roster=studio.extensions)
    kept = studio.inputs.keep(picture).path if picture else None
    lossy = lossy_format(picture) if picture else ""
    job = studio.drawing.submit(request, owner=owner)
    record = {"text": text, "picture": kept.name if kept else "", "lossy": lossy}
    replace_file(_record(studio, job.id), json.dumps(record).encode())
    return job


def replay_request(text: str, *, models: Models, roster: Roster) -> GenerationRequest:
    """Return the request that a settings text means under A1111's defaults.

    A checkpoint, VAE or extension that is not here is left open; the receipt tells it.

    Raises:
        InfotextError: If there are no settings, or one has a value that it cannot have.
    """
    fields = with_names_here(replay_fields(text), infotext.parse(text), models)
    fields = _here(fields, models)
    asked = here(fields.pop("extensions", {}), roster, models)
    return GenerationRequest(**fields, extensions=asked)


def replay_fields(text: str) -> dict[str, Any]:
    """Return the fields of a request that a settings text means under A1111's defaults.

    Raises:
        InfotextError: If there are no settings, or one has a value that it cannot have.
    """
    parsed = infotext.parse(text)
    if "Steps" not in parsed:
        message = "this text holds no settings to draw from"
        hint = "Give a text with a line such as: Steps: 20, Sampler: Euler, Seed: 1, Size: 512x512."
        raise InfotextError(message, hint=hint, value=text[:80])
    fields = wished(parsed)
    usual = {name: defaults()[name] for name in (*_acting(), *_ALSO)}
    fields["options"] = {
        **usual,
        "enable_prompt_comments": False,
        "samples_format": "png",
        **fields["options"],
    }
    return fields


def _acting() -> list[str]:
    return [option for option, _ in OPTION_KEYS.values()]


def _here(fields: dict[str, Any], models: Models) -> dict[str, Any]:
    """Leave out the names of files that are not here."""
    found = dict(fields)
    if not _is_here(models, found.get("checkpoint")):
        found.pop("checkpoint", None)
    found["vae"] = _vae_here(models, found.get("vae", "None"))
    refiner, hires = found.get("refiner"), found.get("hires")
    if refiner and not _is_here(models, refiner.checkpoint):
        del found["refiner"]
    if hires and hires.checkpoint and not _is_here(models, hires.checkpoint):
        found["hires"] = replace(hires, checkpoint=None)
    return found


def _is_here(models: Models, name: str | None) -> bool:
    try:
        models.find_checkpoint(name or "")
    except UnknownNameError:
        return False
    return True


def _vae_here(models: Models, name: str) -> str:
    known = {card.record.name.rsplit("/", 1)[-1]: card.record.name for card in models.vaes()}
    return name if name in known or name in known.values() else "None"


# The receipt ------------------------------------------------------------------------------------


def receipt(studio: Studio, job_id: str, *, owner: str) -> Receipt:
    """Return what has come out of a replay so far.

    Raises:
        UnknownJobError: If there is no such job, or it is somebody else's.
        UnknownPictureError: If this job is no replay, or a picture is gone.
    """
    original = original_of(studio, job_id, owner=owner)
    job = studio.drawing.view(job_id, owner=owner)
    pictures = studio.drawing.pictures(job_id, owner=owner)
    if not pictures:
        ended = job.state in (JobState.FAILED, JobState.CANCELLED)
        return Receipt(verdict="failed" if ended else "waiting")
    drawn = pictures[0]
    found = compare(original.picture, drawn.path) if original.picture else None
    return receipt_of(
        Drawn(
            text=original.text,
            plan=studio.gallery.plan(drawn.id, owner=owner),
            comparison=found,
            sizes=(_size(original.picture), f"{drawn.width}x{drawn.height}"),
            lossy=original.lossy,
            notes=job.notes,
            **circumstances(studio.settings.device),
        )
    )


def original_of(studio: Studio, job_id: str, *, owner: str) -> Original:
    """Return what a replay is held against.

    Raises:
        UnknownJobError: If there is no such job, or it is somebody else's.
        UnknownPictureError: If this job is no replay.
    """
    job = studio.drawing.view(job_id, owner=owner)
    try:
        record = json.loads(_record(studio, job.id).read_bytes())
    except OSError as error:
        message = f"job {job_id[:32]} draws no picture again"
        hint = "POST /atelier/v1/replay draws one."
        raise UnknownPictureError(message, hint=hint, value=job_id[:32]) from error
    name = record["picture"]
    picture = studio.settings.folders.inputs / Path(name).name if name else None
    return Original(text=record["text"], picture=picture, lossy=record["lossy"])


def difference_of(studio: Studio, job_id: str, *, owner: str) -> bytes | None:
    """Return a PNG of where a replay differs from its original; None while there are not both.

    Raises:
        UnknownJobError: If there is no such job, or it is somebody else's.
        UnknownPictureError: If this job is no replay, or a picture is gone.
    """
    original = original_of(studio, job_id, owner=owner)
    pictures = studio.drawing.pictures(job_id, owner=owner)
    if original.picture is None or not pictures:
        return None
    return difference(original.picture, pictures[0].path)


def circumstances(device: DeviceSettings) -> dict[str, Any]:
    """Return how this program computes, as far as its settings tell."""
    return {"precision": device.precision, "on_card": device.device.startswith(("cuda", "mps"))}


def lossy_format(data: bytes) -> str:
    """Return the format of a picture file if it does not keep pixels as they were, else "".

    Raises:
        PictureError: If this is no picture that we read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=picture_text.READABLE) as image:
            kind = image.format or ""
    except (OSError, ValueError, SyntaxError) as error:
        message = "this is not a picture that can be read"
        raise PictureError(message, hint="Give a sound PNG, JPEG, WebP or AVIF file.") from error
    lossless = kind == "PNG" or (kind == "WEBP" and b"VP8L" in data[:64])
    return "" if lossless else kind


def _size(path: Path | None) -> str:
    if path is None:
        return ""
    with Image.open(path, formats=("PNG",)) as image:
        return f"{image.width}x{image.height}"


def _record(studio: Studio, job_id: str) -> Path:
    return studio.settings.folders.inputs / "replays" / f"{job_id}.json"
