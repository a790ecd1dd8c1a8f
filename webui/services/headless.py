"""Pictures without server, queue or history: one wish, one engine, one folder."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from webui.jobs.worker import build_engine
from webui.library import infotext, picture_text
from webui.library.saving import FinishedPicture, save
from webui.modules.errors import StorageError
from webui.services.keeping import PROGRAM, saving_rules
from webui.services.options import Options
from webui.services.pasted import pasted
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
    """

    path: str
    seed: int
    infotext: str
    seconds: float


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
        return GenerationRequest(**{**_fields_in(text_file), **said})
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
    request: GenerationRequest, *, options: Options, house: House, device: DeviceSettings, out: Path
) -> Iterator[Printed]:
    """Draw a wish in this process and yield each picture once it is saved.

    Raises:
        WebuiError: If the wish cannot be met; see ``resolve``, the engine and ``save``.
    """
    plan = resolve(request, options=options, house=house, random=SystemRandom())
    engine, _ = build_engine(device)
    rules = replace(saving_rules(options.with_overrides(request.options)), use_folders=False)
    began = time.monotonic()
    for picture in engine.draw(plan, lambda _: None):
        text = infotext.write(plan, picture.index, version=PROGRAM)
        finished = FinishedPicture(
            picture=picture, plan=plan, infotext=text, moment=datetime.now().astimezone()
        )
        path = save(finished, folder=out, rules=replace(rules, pattern=rules.pattern or "[seed]"))
        now = time.monotonic()
        yield Printed(
            path=str(path),
            seed=plan.seeds[picture.index],
            infotext=text,
            seconds=round(now - began, 3),
        )
        began = now


def _fields_in(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}"
        raise StorageError(
            message, hint="Give a settings text or a picture.", value=path
        ) from problem
    if path.suffix.lower() in _PICTURES:
        text, _ = picture_text.read(data)
    else:
        text = data.decode("utf-8-sig", errors="replace")
    return pasted(text)
