"""Pictures to start from on a command line: one, or a folder of them with one job each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from webui.library.inputs import Inputs
from webui.modules.errors import PictureError, RangeError, StorageError
from webui.modules.types import InputPicture, MaskedContent, ResizeMode
from webui.services.requests import MaskRequest, StartRequest

RESIZE_MODES: Final[tuple[ResizeMode, ...]] = (
    "Just resize",
    "Crop and resize",
    "Resize and fill",
    "Just resize (latent upscale)",
)
"""In the order of A1111's numbers, likewise the next."""

CONTENTS: Final[tuple[MaskedContent, ...]] = ("fill", "original", "latent noise", "latent nothing")

ENDINGS: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"})
"""Files of a folder that are taken for pictures."""

OF_THE_MASK: Final = {
    "blur": "--mask-blur",
    "content": "--inpainting-fill",
    "only_masked": "--only-masked",
    "padding": "--inpaint-padding",
    "invert": "--mask-invert",
}
"""What is said of a mask, and the flag that says it."""

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a command line says of pictures to start from.

    Attributes:
        pictures: A picture or a folder; None to draw from words.
        masks: A mask, or a folder of masks named as their pictures; None without.
        start: Fields of a ``StartRequest`` that were said.
        mask: Fields of a ``MaskRequest`` that were said; numbers as typed.
    """

    pictures: Path | None = None
    masks: Path | None = None
    start: Mapping[str, Any]
    mask: Mapping[str, Any]


def starts(given: Given, inputs: Inputs) -> Iterator[tuple[Path, StartRequest]]:
    """Yield each picture's file and the start that it asks for, by name.

    Args:
        given: What was said.
        inputs: Where pictures are kept.

    Raises:
        RangeError: If something is said of a picture or mask that was not given.
        StorageError: If a file or folder cannot be read.
        PictureError: If one is no picture that we read; the message names it.
    """
    if given.pictures is None:
        _refuse_without_picture(given)
        return
    said = dict(given.start)
    if "resize" in said:
        said["resize"] = _word("--resize-mode", said["resize"], RESIZE_MODES)
    for path in _pictures(given.pictures):
        picture = _kept(path, inputs, mask=False)
        masked = _masked(given, path, inputs)
        yield path, StartRequest(**said, pictures=(picture,), masked=masked)


def _masked(given: Given, picture: Path, inputs: Inputs) -> MaskRequest | None:
    if given.masks is None:
        for name in given.mask:
            raise _missing(OF_THE_MASK[name], needed="--mask")
        return None
    fields = dict(given.mask)
    if "content" in fields:
        fields["content"] = _word("--inpainting-fill", fields["content"], CONTENTS)
    if "blur" in fields:
        fields["blur"] = (fields["blur"], fields["blur"])
    path = _mask_of(given.masks, picture)
    return replace(MaskRequest(mask=_kept(path, inputs, mask=True)), **fields)


def _refuse_without_picture(given: Given) -> None:
    if given.masks is not None or given.start or given.mask:
        flags = {"denoising": "--denoising-strength", "resize": "--resize-mode", **OF_THE_MASK}
        said = "--mask" if given.masks else flags[next(iter((*given.start, *given.mask)))]
        raise _missing(said, needed="--init-image")


def _missing(said: str, *, needed: str) -> RangeError:
    message = f"{said} says something of a picture that was not given"
    return RangeError(message, hint=f"Give it with {needed} FILE.", value=said)


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS)
    if not found:
        message = f"{path} has no pictures"
        hint = "Give a picture, or a folder of PNG, JPEG, WebP, GIF or AVIF files."
        raise StorageError(message, hint=hint, value=path)
    return found


def _mask_of(path: Path, picture: Path) -> Path:
    """Return the mask of a picture: the one for all, or that of its name in a folder."""
    if not path.is_dir():
        return path
    for mask in _pictures(path):
        if mask.stem == picture.stem:
            return mask
    message = f"{path} has no mask for {picture.name}"
    hint = "Name each mask as its picture, or give one mask for all."
    raise StorageError(message, hint=hint, value=picture.name)


def _kept(path: Path, inputs: Inputs, *, mask: bool) -> InputPicture:
    try:
        data = path.read_bytes()
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}"
        raise StorageError(message, hint="Give a picture.", value=path) from problem
    try:
        return inputs.keep_mask(data) if mask else inputs.keep(data)
    except PictureError as problem:
        message = f"{path}: {problem}"
        raise PictureError(message, hint=problem.hint, value=path.name) from problem


def _word(flag: str, number: int, words: tuple[Word, ...]) -> Word:
    if 0 <= number < len(words):
        return words[number]
    meanings = ", ".join(f"{place} ({word})" for place, word in enumerate(words))
    message = f"{flag} is {number}"
    raise RangeError(message, hint=f"Use {meanings}.", value=number)
