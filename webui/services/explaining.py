"""Explanations of model files, and one turn of training to look at: ordered as works of the queue.

Nothing here adds a model file, so everybody may ask. Pictures of results lie in the cache under the
hash of their own content and are forgotten after a week.
"""

import io
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from PIL import Image, ImageDraw
from pydantic import ConfigDict

from webui.jobs.views import JobView
from webui.modules.errors import (
    ModelError,
    RequestError,
    UnknownPictureError,
    UnsupportedModelError,
)
from webui.modules.training.plan import TRAINABLE
from webui.modules.types import ExplainPlan, GuideStepPlan, InputPicture, ModelKind, ModelRecord
from webui.modules.weights.header import read_header
from webui.services.studio import Studio
from webui.services.work_bench import check_range
from webui.services.work_requests import STRICT

EXPLAINED: Final = (
    ModelKind.CHECKPOINT,
    ModelKind.LORA,
    ModelKind.EMBEDDING,
    ModelKind.HYPERNETWORK,
    ModelKind.VAE,
    ModelKind.AESTHETIC,
)
"""The kinds that can be explained."""

MOST_COMPARED: Final = 8
"""So many other checkpoints are compared with one; each takes a second or so."""

USUAL_TEXTS: Final = ("a photograph", "an oil painting", "a pencil drawing", "anime")
"""What an aesthetic embedding is always compared with."""

LONGEST_TEXT: Final = 2000
LAST_LEVEL: Final = 999
LARGEST_SIDE: Final = 256
SIDE_STEP: Final = 64
KEPT_SECONDS: Final = 7 * 24 * 3600
PROJECTION: Final = "text_projection.weight"

EXAMPLE_SIDE: Final = 256
EXAMPLE_CAPTION: Final = "a red apple on a blue background"
"""What the guide's own picture shows, for people who have none at hand."""

_NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainRequest:
    """A file that somebody wants to understand.

    Attributes:
        kind: What it is.
        name: As the list of its kind names it.
        checkpoint: What it is held against; empty to tell only what the file itself says.
        prompt: A text that an aesthetic embedding is compared with, beside some usual ones.
        picture: Hash of a picture given before, which a VAE is tried on; empty for a drawn one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: ModelKind
    name: str
    checkpoint: str = ""
    prompt: str = ""
    picture: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GuideStepRequest:
    """One turn of training to look at.

    Attributes:
        kind: What is corrected.
        checkpoint: The painter; empty for the selected one.
        picture: Hash of a picture given before; empty for the guide's own.
        caption: What is said of it.
        level: To which noise level it is brought, 0 to 999.
        seed: Decides the noise.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: ModelKind
    checkpoint: str = ""
    picture: str = ""
    caption: str = ""
    level: int = 400
    seed: int = 0


def order_explanation(
    wish: ExplainRequest, studio: Studio, *, owner: str, key: str = ""
) -> JobView:
    """Put an explanation into the queue; the same key twice is one job.

    Raises:
        RequestError: If the kind cannot be explained, or a text is too long.
        UnknownNameError: If there is no such file.
        PictureError: If the picture was never given.
        ModelError: If a file is refused.
        QueueFullError: If this person has too many jobs that wait or run.
    """
    if wish.kind not in EXPLAINED:
        message = f"files of the kind {wish.kind} are not explained"
        raise RequestError(message, hint=f"There are: {', '.join(EXPLAINED)}.", value=wish.kind)
    _check_text(wish.prompt)
    model = _model(wish, studio)
    checkpoint = _checkpoint(wish.checkpoint, studio) if wish.checkpoint else None
    if wish.kind is ModelKind.CHECKPOINT:
        checkpoint = None
    plan = ExplainPlan(
        model=model,
        checkpoint=checkpoint,
        others=tuple(_others(model, studio)) if wish.kind is ModelKind.CHECKPOINT else (),
        prompts=tuple(dict.fromkeys(filter(None, (wish.prompt.strip(), *USUAL_TEXTS)))),
        picture=studio.inputs.find(wish.picture).path if wish.picture else None,
        projection=_projection(studio) if wish.kind is ModelKind.AESTHETIC else None,
        pictures=_folder(studio),
    )
    told = {"explain": wish.kind.value, "name": wish.name}
    return studio.workshop.submit(plan, owner=owner, key=key, told=told)


def order_step(wish: GuideStepRequest, studio: Studio, *, owner: str, key: str = "") -> JobView:
    """Put one turn of training into the queue; the same key twice is one job.

    Raises:
        RequestError: If the kind is not trained, or a number is outside its range.
        UnknownNameError: If there is no such checkpoint.
        PictureError: If the picture was never given.
        ModelError: If the checkpoint is refused.
        QueueFullError: If this person has too many jobs that wait or run.
    """
    if wish.kind not in TRAINABLE:
        message = f"files of the kind {wish.kind} are not trained"
        raise RequestError(message, hint=f"There are: {', '.join(TRAINABLE)}.", value=wish.kind)
    _check_text(wish.caption)
    check_range("level", wish.level, 0, LAST_LEVEL)
    check_range("seed", wish.seed, 0, 2**63 - 1)
    checkpoint = _checkpoint(wish.checkpoint, studio)
    side = min(studio.models.suggested(checkpoint).width, LARGEST_SIDE)
    plan = GuideStepPlan(
        kind=wish.kind,
        checkpoint=checkpoint,
        picture=studio.inputs.find(wish.picture).path
        if wish.picture
        else example_picture(studio).path,
        caption=wish.caption.strip() if wish.picture else EXAMPLE_CAPTION,
        level=wish.level,
        side=max(SIDE_STEP, side // SIDE_STEP * SIDE_STEP),
        seed=wish.seed,
        pictures=_folder(studio),
    )
    return studio.workshop.submit(plan, owner=owner, key=key, told={"guide": wish.kind.value})


def explained_picture(name: str, studio: Studio) -> Path:
    """Return a picture of a result.

    Raises:
        UnknownPictureError: If there is none of this name, or not any more.
    """
    path = _place(studio) / f"{name}.png"
    if not _NAME.fullmatch(name) or not path.is_file():
        message = f"there is no picture {name[:80]!r} of an explanation any more"
        raise UnknownPictureError(message, hint="Ask for it again.", value=name[:80])
    return path


def example_picture(studio: Studio) -> InputPicture:
    """Return the guide's own picture, kept like any that is given.

    Raises:
        StorageError: If it cannot be written.
    """
    large = Image.new("RGB", (EXAMPLE_SIDE * 2, EXAMPLE_SIDE * 2), (58, 104, 168))
    draw = ImageDraw.Draw(large)
    draw.ellipse((126, 150, 386, 410), fill=(196, 32, 38))
    draw.ellipse((178, 196, 232, 244), fill=(236, 128, 120))
    draw.rectangle((250, 108, 262, 172), fill=(92, 60, 32))
    draw.polygon([(262, 132), (336, 88), (322, 144)], fill=(64, 140, 60))
    buffer = io.BytesIO()
    large.resize((EXAMPLE_SIDE, EXAMPLE_SIDE), Image.Resampling.LANCZOS).save(buffer, format="PNG")
    return studio.inputs.keep(buffer.getvalue())


def _model(wish: ExplainRequest, studio: Studio) -> ModelRecord:
    card = studio.models.card(wish.kind, wish.name)
    if card.problem:
        raise UnsupportedModelError(
            card.problem.message, hint=card.problem.hint, value=card.record.name
        )
    return card.record


def _checkpoint(name: str, studio: Studio) -> ModelRecord:
    if name:
        return studio.models.find_checkpoint(name)
    return studio.models.selected(studio.options.current().text("sd_model_checkpoint"))


def _others(model: ModelRecord, studio: Studio) -> list[ModelRecord]:
    """Return checkpoints of the same family."""
    family = model.family.split("-")[0]
    found = [
        card.record
        for card in studio.models.checkpoints()
        if not card.problem
        and card.record.path != model.path
        and card.record.family.split("-")[0] == family
    ]
    return found[:MOST_COMPARED]


def _projection(studio: Studio) -> Path | None:
    """Return CLIP's own file, if it is here."""
    for root in studio.extensions.roots:
        for path in sorted((root / "CLIP").rglob("*.safetensors")):
            try:
                if path.is_file() and PROJECTION in read_header(path).tensors:
                    return path
            except ModelError:
                continue
    return None


def _check_text(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        message = f"the text has {len(text)} characters"
        raise RequestError(message, hint=f"Use at most {LONGEST_TEXT}.", value=len(text))


def _place(studio: Studio) -> Path:
    return studio.settings.folders.cache / "explained"


def _folder(studio: Studio) -> Path:
    """Return where pictures of results go, rid of those that nobody looks at any more."""
    folder = _place(studio)
    folder.mkdir(parents=True, exist_ok=True)
    before = time.time() - KEPT_SECONDS
    for path in folder.glob("*.png"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
    return folder
