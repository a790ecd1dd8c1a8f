"""The pictures of a training: found, read, looked over before anything starts. No torch.

Trouble with one picture never stops the others: it is left out or used, and the person is told.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from webui.modules.errors import BROKEN_PICTURE, PictureError
from webui.modules.training.captions import caption_of_name
from webui.modules.training.plan import DataPlan

ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
"""Files that are taken for pictures."""

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""What such a file may be inside: readers that start no other program."""

MASK: Final = ".mask"
"""``NAME.mask.png`` beside ``NAME.jpg`` says where it counts."""

SMALLEST: Final = 16
"""A picture with a shorter side is left out."""

MOST_PIXELS: Final = 100_000_000
"""A larger picture is left out."""

LONGEST_CAPTION: Final = 20_000
"""Characters of a caption that are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One picture that is trained on.

    Attributes:
        path: The file.
        caption: What is said of it.
        size: Width and height in pixels, upright.
        digest: Of the file's bytes, to notice doubles and changes.
        mask: A picture of where it counts; None for everywhere.
        regular: It stands for the wider class that must not be forgotten.
    """

    path: Path
    caption: str
    size: tuple[int, int]
    digest: str
    mask: Path | None = None
    regular: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Something about one file that the person should know.

    Attributes:
        file: Its name.
        code: "unreadable", "too_small", "too_large", "double", "no_caption", "enlarged" or
            "long_caption".
        text: One sentence.
        left_out: It is not trained on.
    """

    file: str
    code: str
    text: str
    left_out: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """What is trained on, and what to know of it."""

    examples: tuple[Example, ...]
    troubles: tuple[Trouble, ...]

    @property
    def digest(self) -> str:
        """Tells whether pictures or captions have changed."""
        whole = hashlib.sha256()
        for example in self.examples:
            whole.update(f"{example.digest} {example.regular} {example.caption}\n".encode())
        return whole.hexdigest()


def look_over(plan: DataPlan) -> Collection:
    """Return the pictures of a plan in the order of their names, and what is wrong with any.

    Raises:
        PictureError: If there is no usable picture.
    """
    troubles: list[Trouble] = []
    examples = list(_examples(plan.folder, plan, troubles))
    if not examples:
        reasons = "; ".join(trouble.text for trouble in troubles[:3])
        message = f"there is no usable picture in {plan.folder.name}" + (reasons and f": {reasons}")
        hint = f"Put pictures there ({', '.join(ENDINGS[:4])}), each with a .txt that describes it."
        raise PictureError(message, hint=hint, value=plan.folder.name)
    if plan.regular is not None:
        examples += _examples(plan.regular, plan, troubles, regular=True)
    return Collection(examples=tuple(examples), troubles=tuple(troubles))


def read_picture(example: Example) -> tuple[Image.Image, Image.Image | None]:
    """Return a picture upright in RGB, and where it counts: ``L``, 255 for fully, None if all does.

    What is transparent is laid on white and counts as little as it covers.

    Raises:
        PictureError: If it cannot be read.
    """
    picture = _opened(example.path)
    mask = None
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        mask = picture.getchannel("A")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    picture = picture.convert("RGB")
    if example.mask is not None:
        mask = _opened(example.mask).convert("L")
    if mask is not None:
        mask = mask.resize(picture.size) if mask.size != picture.size else mask
        mask = None if mask.getextrema() == (255, 255) else mask
    return picture, mask


def _examples(
    folder: Path, plan: DataPlan, troubles: list[Trouble], *, regular: bool = False
) -> Iterator[Example]:
    known: dict[str, str] = {}
    for path in _files(folder):
        try:
            size, digest = _measured(path)
        except PictureError as problem:
            code = "too_large" if "pixels" in str(problem) else "unreadable"
            troubles.append(Trouble(file=path.name, code=code, text=str(problem), left_out=True))
            continue
        if min(size) < SMALLEST:
            text = f"{path.name} is only {size[0]} x {size[1]} pixels"
            troubles.append(Trouble(file=path.name, code="too_small", text=text, left_out=True))
            continue
        caption = _caption(path, troubles)
        troubles += _doubts(path, size, plan, known.get(digest))
        known.setdefault(digest, path.name)
        mask = path.with_name(f"{path.stem}{MASK}.png")
        yield Example(
            path=path,
            caption=caption,
            size=size,
            digest=digest,
            mask=mask if plan.masks and mask.is_file() else None,
            regular=regular,
        )


def _files(folder: Path) -> Sequence[Path]:
    """Return the picture files of a folder and its sub-folders, masks left out, sorted."""
    try:
        found = [path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS]
    except OSError as error:
        message = f"the folder {folder.name} cannot be read ({error.strerror})"
        hint = "Name a folder with pictures."
        raise PictureError(message, hint=hint, value=folder.name) from error
    return sorted(path for path in found if path.is_file() and not path.stem.endswith(MASK))


def _measured(path: Path) -> tuple[tuple[int, int], str]:
    """Return the upright size, and a digest of the file; the picture is decoded once to be sure.

    A training looks at its pictures several times before it starts; those that have not changed
    since are not decoded again.
    """
    told = path.stat()
    return _measured_once(path, told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=100_000)
def _measured_once(path: Path, _changed: int, _bytes: int) -> tuple[tuple[int, int], str]:
    picture = _opened(path)
    return picture.size, hashlib.sha256(path.read_bytes()).hexdigest()


def _opened(path: Path) -> Image.Image:
    """Return the decoded picture, turned as its camera says.

    Raises:
        PictureError: If it cannot be read to its end.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            if file.width * file.height > MOST_PIXELS:
                message = f"{path.name} has {file.width * file.height} pixels, which is too many"
                raise PictureError(message, hint="Make it smaller.", value=path.name)
            file.load()
            return ImageOps.exif_transpose(file)
    except (*BROKEN_PICTURE, Image.DecompressionBombError) as error:
        unknown = isinstance(error, UnidentifiedImageError)
        why = "it is no picture" if unknown else str(error)[:120]
        message = f"{path.name} cannot be read: {why}"
        raise PictureError(
            message, hint="Save it again as PNG or JPEG.", value=path.name
        ) from error


def _caption(path: Path, troubles: list[Trouble]) -> str:
    beside = path.with_suffix(".txt")
    if not beside.is_file():
        said = caption_of_name(path.stem)
        text = f"{path.name} has no {beside.name}; its name stands for it: {said!r}"
        troubles.append(Trouble(file=path.name, code="no_caption", text=text))
        return said
    said = beside.read_text(encoding="utf-8-sig", errors="replace")
    if len(said) > LONGEST_CAPTION:
        text = f"{beside.name} has {len(said)} characters; the first {LONGEST_CAPTION} are read"
        troubles.append(Trouble(file=path.name, code="long_caption", text=text))
    return " ".join(said[:LONGEST_CAPTION].split())


def _doubts(
    path: Path, size: tuple[int, int], plan: DataPlan, double: str | None
) -> Iterator[Trouble]:
    if double is not None:
        text = f"{path.name} is the same picture as {double}; it counts twice"
        yield Trouble(file=path.name, code="double", text=text)
    if size[0] * size[1] < plan.resolution**2 / 2:
        text = f"{path.name} is {size[0]} x {size[1]} pixels and will be enlarged"
        yield Trouble(file=path.name, code="enlarged", text=text)
