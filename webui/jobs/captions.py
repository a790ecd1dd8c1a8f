"""Lets an extension propose captions for the pictures of a set that have none yet."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from PIL import Image, ImageOps

from webui.hooks.host import Extension, collected, reason_of, worker_hooks
from webui.hooks.spec import Uncaptioned, WorkerHooks
from webui.modules.errors import (
    BROKEN_PICTURE,
    SettingsError,
    UnsupportedError,
    WebuiError,
)
from webui.modules.training.pictures import ENDINGS, FORMATS, LONGEST_CAPTION, MASK
from webui.modules.training.plan import CaptionPlan
from webui.modules.types import Tell
from webui.modules.whole import write_whole

log = logging.getLogger(__name__)

CAPTION: Final = ".txt"
USER_COMMENT: Final = 0x9286
EXIF: Final = 0x8769
"""Where JPEG and WebP keep a text of their own."""

_CODES: Final = {b"UNICODE\0": "utf-16-be", b"ASCII\0\0\0": "ascii"}


def propose_captions(work: CaptionPlan, tell: Tell) -> Mapping[str, object]:
    """Write a same-stem ``.txt`` beside each picture that has none; what people wrote stays.

    Args:
        work: The pictures, and who proposes.
        tell: Told how far it is; what is written when it ends the work stays.

    Returns:
        How many captions were ``written``, for how many pictures nothing was proposed (``left``),
        and ``notes``.

    Raises:
        UnsupportedError: If the extension is not here or proposes no captions.
        SettingsError: If it fails.
        StorageError: If a caption cannot be written.
    """
    hooks = _hooks_of(work.by)
    pictures = [path for path in _pictures(work.folder) if not path.with_suffix(CAPTION).exists()]
    written = 0
    for number, path in enumerate(pictures):
        tell(number, len(pictures), path.name)
        shown = _shown(path)
        said = "" if shown is None else _asked(hooks, work.by, shown)
        caption = path.with_suffix(CAPTION)
        if said and not caption.exists():  # somebody may have written one meanwhile
            write_whole(caption, said.encode("utf-8", "replace"))
            written += 1
    left = len(pictures) - written
    notes = [f"nothing was proposed for {left} of {len(pictures)} pictures"] if left else []
    return {"written": written, "left": left, "notes": notes}


def _hooks_of(name: str) -> WorkerHooks:
    found: Extension | None = next((each for each in collected() if each.name == name), None)
    hooks = None if found is None or found.problem else worker_hooks(found)
    if hooks is None or not hasattr(hooks, "caption"):
        message = f"the extension {name[:80]!r} proposes no captions here"
        raise UnsupportedError(message, hint="Choose another one, or write them.", value=name[:80])
    return hooks


def _pictures(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS and not path.stem.endswith(MASK):
            yield path


def _shown(path: Path) -> Uncaptioned | None:
    """Return what an extension is shown of a picture; None if it cannot be read."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            file.load()  # some programs put their texts behind the pixels
            texts = {key: value for key, value in file.info.items() if isinstance(value, str)}
            comment = file.getexif().get_ifd(EXIF).get(USER_COMMENT)
            if isinstance(comment, bytes):
                texts["UserComment"] = _decoded(comment)
            image = ImageOps.exif_transpose(file).convert("RGB")
    except (*BROKEN_PICTURE, Image.DecompressionBombError):
        return None
    return Uncaptioned(name=path.name, texts={str(key): texts[key] for key in texts}, image=image)


def _decoded(comment: bytes) -> str:
    code = _CODES.get(comment[:8])
    body = comment[8:] if code else comment
    return body.decode(code or "utf-8", "replace").strip("\0 ")


def _asked(hooks: WorkerHooks, name: str, shown: Uncaptioned) -> str:
    """Return what an extension proposes.

    Raises:
        SettingsError: If it fails, or answers anything but a text.
    """
    try:
        said = cast("object", hooks.caption(shown))
    except (MemoryError, WebuiError):
        raise
    except Exception as problem:  # what an extension raises is its own; the person is told
        log.exception("extension %s failed", name)
        message = f"the extension {name} failed at {shown.name}: {reason_of(problem)}"
        hint = "What it proposed before is kept. Choose another one, or write the rest."
        raise SettingsError(message, hint=hint, value=name) from problem
    if not isinstance(said, str):
        message = f"the extension {name} answered {type(said).__name__}, not a text"
        raise SettingsError(message, hint="Choose another one.", value=name)
    return " ".join(said[:LONGEST_CAPTION].split())
