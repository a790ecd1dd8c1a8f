"""Pictures without server, queue or history: one wish, one engine, one folder."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from webui.jobs.worker import build_engine
from webui.library import infotext, picture_text
from webui.library.compare import compare
from webui.library.inputs import plain
from webui.library.saving import FinishedPicture, save
from webui.modules.errors import StorageError
from webui.modules.types import GenerationPlan
from webui.services.called import with_names_here
from webui.services.keeping import PROGRAM, saving_rules
from webui.services.options import Options
from webui.services.pasted import pasted
from webui.services.receipts import Drawn, receipt_of
from webui.services.replay import circumstances, lossy_format, replay_fields
from webui.services.requests import GenerationRequest
from webui.services.resolve import House, resolve
from webui.settings import DeviceSettings

_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """A picture that was drawn and saved; what ``generate`` prints as one line of JSON.

    Attributes:
        path: The file.
        seed: Of its noise.
        infotext: Its settings as text.
        seconds: From the end of the one before, or from the beginning.
        receipt: Whether it is the picture that was given; None if none was.
        notes: What a person should know of it.
    """

    path: str
    seed: int
    infotext: str
    seconds: float
    receipt: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def request_from(
    said: dict[str, Any], *, text_file: Path | None, options: Options, house: House
) -> GenerationRequest:
    """Return the wish of a command line.

    What is not said comes from the settings text, and without one from what the checkpoint draws
    well with.

    Args:
        said: Fields of the request that were said.
        text_file: A settings text, or a picture that holds one.
        options: The user options.
        house: What wishes are held against.
    """
    if text_file is not None:
        text = _text_in(text_file)
        fields = replay_fields(text) if _is_picture(text_file) else pasted(text)
        fields = with_names_here(fields, infotext.parse(text), house.models)
        return GenerationRequest(**{**fields, **said})
    name = said.get("checkpoint")
    models = house.models
    checkpoint = (
        models.find_checkpoint(name)
        if name
        else models.selected(options.text("sd_model_checkpoint"))
    )
    usual = models.suggested(checkpoint)
    fitting: dict[str, Any] = {
        "width": usual.width,
        "height": usual.height,
        "steps": usual.steps,
        "guidance": usual.guidance,
    }
    return GenerationRequest(**{**fitting, **said})


def draw(
    requests: Iterable[GenerationRequest],
    *,
    options: Options,
    house: House,
    device: DeviceSettings,
    out: Path,
    original: Path | None = None,
) -> Iterator[Printed]:
    """Draw wishes in this process and yield each picture once it is saved.

    Args:
        requests: The wishes, drawn one after the other.
        options: The user options.
        house: What wishes are held against.
        device: What computes.
        out: Where to save.
        original: What was given as settings; the first picture is held against it if it is one.

    Raises:
        WebuiError: If the wish cannot be met; see ``resolve``, the engine and ``save``.
    """
    engine, _ = build_engine(device)
    began = time.monotonic()
    for request in requests:
        plan = resolve(request, options=options, house=house, random=SystemRandom())
        rules = replace(saving_rules(options.with_overrides(request.options)), use_folders=False)
        rules = replace(rules, pattern=rules.pattern or "[seed]")
        for picture in engine.draw(plan, lambda _: None):
            text = infotext.write(plan, picture.index, version=PROGRAM)
            finished = FinishedPicture(
                picture=picture, plan=plan, infotext=text, moment=datetime.now().astimezone()
            )
            path = save(finished, folder=out, rules=rules)
            notes = tuple(dict.fromkeys((*plan.notes, *picture.notes)))
            first = picture.index == 0
            now = time.monotonic()
            yield Printed(
                path=str(path),
                seed=plan.seeds[picture.index],
                infotext=text,
                seconds=round(now - began, 3),
                receipt=_receipt(original, path, plan, device, notes) if first else None,
                notes=notes,
            )
            began = now


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES


def _receipt(
    original: Path | None,
    drawn: Path,
    plan: GenerationPlan,
    device: DeviceSettings,
    notes: tuple[str, ...],
) -> dict[str, Any] | None:
    if original is None or not _is_picture(original):
        return None
    there = plain(original.read_bytes())
    found = receipt_of(
        Drawn(
            text=_text_in(original),
            plan=plan,
            comparison=compare(there, drawn),
            sizes=(f"{there.width}x{there.height}", f"{plan.width}x{plan.height}"),
            lossy=lossy_format(original.read_bytes()),
            notes=notes,
            **circumstances(device),
        )
    )
    return {
        "verdict": found.verdict,
        "max_difference": found.furthest,
        "reasons": [reason.sentence for reason in found.reasons],
    }


def _text_in(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}"
        raise StorageError(
            message, hint="Give a settings text or a picture.", value=path
        ) from problem
    if _is_picture(path):
        return picture_text.read(data)[0]
    return data.decode("utf-8-sig", errors="replace")
