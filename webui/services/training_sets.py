"""Sets of pictures that people bring to train on: received whole or not at all, captioned, deleted.

A set lies in ``training/sets/ID``: ``set.json`` says whose it is, ``pictures`` holds what training
reads, each picture with a same-stem ``.txt``. Ids are random and everybody reaches their own.
"""

import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

from PIL import Image, ImageOps

from webui.library.quarantine import require_room
from webui.library.safe_names import ending, safe_stem
from webui.library.saving import TEMPORARY_PREFIX, explained, replace_file
from webui.modules.errors import BROKEN_PICTURE, LimitError, RequestError, UnknownTrainingError
from webui.modules.training.captions import caption_of_name
from webui.modules.training.pictures import ENDINGS, FORMATS, MASK
from webui.services.training_archives import unpacked
from webui.services.training_captions import changed as changed_caption
from webui.settings import Settings

CARD: Final = "set.json"
PICTURES: Final = "pictures"
CAPTION: Final = ".txt"
THUMBNAIL_SIDE: Final = 256

MOST_CAPTION: Final = 20_000
"""Characters of a caption; the text encoder reads far less."""

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One picture of a set.

    Attributes:
        name: Of its file.
        caption: What is said of it; what its name says if there is no text beside it.
        written: Whether there is a text beside it.
        width: Pixels, upright.
        height: Pixels.
    """

    name: str
    caption: str
    written: bool
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A file that was not taken, and why."""

    file: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSet:
    """A set.

    Attributes:
        id: 128 random bits as hex.
        name: What its owner calls it.
        created: Unix time in seconds.
        count: Pictures in it.
        skipped: What of the last upload was not taken.
    """

    id: str
    name: str
    created: float
    count: int
    skipped: tuple[Skipped, ...] = ()


class Incoming:
    """Files on their way into a set; nothing of them is there before ``file`` has put them in.

    Args:
        folder: A place apart, which goes when the upload ends.
        settings: How much may come.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._limits = settings.limits
        self._size = self._taken = 0
        self.skipped: list[Skipped] = []

    @contextmanager
    def receive(self, name: str) -> Generator["Writer"]:
        """Give a place to write one file to; it is looked at when it is whole.

        Raises:
            LimitError: If there is too much.
            StorageError: If the disk has no room.
        """
        path = self.folder / f"{secrets.token_hex(8)}{ending(name)}"
        with explained(self.folder, needed=0), path.open("wb") as file:
            yield Writer(file.write, self, self._most(name))
        try:
            self._look_at(path, name)
        finally:
            path.unlink(missing_ok=True)

    def _most(self, name: str) -> int:
        """Return how large a file may be: a zip holds many pictures."""
        packed = ending(name) == ".zip"
        return self._limits.max_training_bytes if packed else self._limits.max_body_bytes

    def count(self, size: int) -> None:
        """Count bytes that come.

        Raises:
            LimitError: If there are too many.
        """
        self._size += size
        if self._size > self._limits.max_training_bytes:
            message = f"the pictures have more than {self._limits.max_training_bytes} bytes"
            hint = "Send fewer; the limit is the setting limits.max_training_bytes."
            raise LimitError(message, hint=hint, value=self._size)

    def _look_at(self, path: Path, name: str) -> None:
        if ending(name) == ".zip":
            for inner, data in unpacked(path, name, self._limits):
                self._take(data, inner)
        else:
            self._take(path.read_bytes(), name)

    def _take(self, data: bytes, name: str) -> None:
        """Keep a picture or a caption under a safe name; note down what is neither."""
        suffix = ending(name)
        if suffix not in (*ENDINGS, CAPTION):
            self.skipped.append(Skipped(file=name[:200], why="it is neither a picture nor a .txt"))
            return
        why = _unusable(data) if suffix in ENDINGS else ""
        if why:
            self.skipped.append(Skipped(file=name[:200], why=why))
            return
        place = self.folder / PICTURES
        place.mkdir(exist_ok=True)
        self._taken += 1
        if self._taken > self._limits.max_training_files:
            message = f"there are more than {self._limits.max_training_files} files"
            hint = "Send fewer; the limit is the setting limits.max_training_files."
            raise LimitError(message, hint=hint, value=self._limits.max_training_files)
        replace_file(place / f"{safe_stem(name)}{suffix}", data)


class Writer:
    """Takes the pieces of one file."""

    def __init__(self, write: Callable[[bytes], object], incoming: Incoming, most: int) -> None:
        self._write = write
        self._incoming = incoming
        self._left = most

    def write(self, data: bytes) -> None:
        """Take a piece.

        Raises:
            LimitError: If there is too much.
        """
        self._incoming.count(len(data))
        self._left -= len(data)
        if self._left < 0:
            message = "one of the files is too large"
            hint = "A picture may have as many bytes as the setting limits.max_body_bytes says."
            raise LimitError(message, hint=hint)
        self._write(data)


class PictureSets:
    """Everything that can be done with sets; each person reaches their own.

    Methods that name a set raise UnknownTrainingError if there is none, or it is somebody else's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.folders.training / "sets"
        self._thumbnails = settings.folders.cache / "thumbnails" / "training"

    @contextmanager
    def receive(self) -> Generator[Incoming]:
        """Give a place for an upload; leaving removes whatever was not put away."""
        require_room(self._settings.folders.data_dir, 0)
        place = self._folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        with explained(self._folder, needed=0):
            place.mkdir(parents=True)
        try:
            yield Incoming(place, self._settings)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what a killed server left half received; only at start."""
        if self._folder.is_dir():
            for place in self._folder.glob(f"{TEMPORARY_PREFIX}*"):
                shutil.rmtree(place, ignore_errors=True)

    def keep(self, incoming: Incoming, *, owner: str, name: str = "") -> PictureSet:
        """Make a set of what has come.

        Raises:
            RequestError: If there is no picture in it.
        """
        _require_pictures(incoming)
        set_id = secrets.token_hex(16)
        told = {"owner": owner, "name": name.strip()[:200], "created": time.time()}
        replace_file(incoming.folder / CARD, json.dumps(told).encode())
        whole = self._folder / f"{TEMPORARY_PREFIX}{set_id}"
        with explained(self._folder, needed=0):
            whole.mkdir()
            for part in (CARD, PICTURES):
                (incoming.folder / part).rename(whole / part)
            whole.rename(self._folder / set_id)
        return self._view(set_id, incoming.skipped)

    def add(self, set_id: str, incoming: Incoming, *, owner: str) -> PictureSet:
        """Put more files into a set; a file of the same name takes the place of the old one."""
        place = self.folder(set_id, owner=owner)
        arrived = incoming.folder / PICTURES
        if arrived.is_dir():
            names = {path.name for path in (*arrived.iterdir(), *place.iterdir())}
            if len(names) > self._settings.limits.max_training_files:
                message = f"the set would have {len(names)} files"
                hint = f"At most {self._settings.limits.max_training_files} are taken."
                raise LimitError(message, hint=hint, value=len(names))
            with explained(place, needed=0):
                for path in sorted(arrived.iterdir()):
                    path.replace(place / path.name)
        return self._view(set_id, incoming.skipped)

    def all(self, *, owner: str) -> list[PictureSet]:
        """Return this person's sets, newest first."""
        found = [
            self._view(path.name)
            for path in (self._folder.iterdir() if self._folder.is_dir() else ())
            if _ID.fullmatch(path.name) and self._card(path.name).get("owner") == owner
        ]
        return sorted(found, key=lambda each: -each.created)

    def folder(self, set_id: str, *, owner: str) -> Path:
        """Return the folder with the pictures of a set."""
        if not _ID.fullmatch(set_id) or self._card(set_id).get("owner") != owner:
            message = f"there is no set of pictures {set_id[:64]!r}"
            hint = "It may have been deleted, or be somebody else's."
            raise UnknownTrainingError(message, hint=hint, value=set_id[:64])
        return self._folder / set_id / PICTURES

    def view(self, set_id: str, *, owner: str) -> PictureSet:
        """Return a set."""
        self.folder(set_id, owner=owner)
        return self._view(set_id)

    def pictures(self, set_id: str, *, owner: str) -> list[Shown]:
        """Return the pictures of a set in the order of their names."""
        folder = self.folder(set_id, owner=owner)
        return [_shown(path) for path in _pictures(folder)]

    def delete(self, set_id: str, *, owner: str) -> None:
        """Delete a set, which only its owner brought here."""
        place = self.folder(set_id, owner=owner).parent
        doomed = self._folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        with explained(self._folder, needed=0):
            place.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def remove(self, set_id: str, name: str, *, owner: str) -> None:
        """Take one picture, its caption and its mask out of a set."""
        path = self.picture(set_id, name, owner=owner)
        for part in (path, path.with_suffix(CAPTION), path.with_name(f"{path.stem}{MASK}.png")):
            part.unlink(missing_ok=True)

    def picture(self, set_id: str, name: str, *, owner: str) -> Path:
        """Return the file of a picture.

        Raises:
            UnknownTrainingError: If there is none of this name.
        """
        folder = self.folder(set_id, owner=owner)
        found = next((path for path in _pictures(folder) if path.name == name), None)
        if found is None:
            message = f"there is no picture {name[:200]!r} in this set"
            raise UnknownTrainingError(message, hint="Look at its list.", value=name[:200])
        return found

    def thumbnail(self, set_id: str, name: str, *, owner: str) -> Path:
        """Return a small WebP of a picture."""
        path = self.picture(set_id, name, owner=owner)
        told = f"{path}\0{path.stat().st_mtime_ns}"
        small = self._thumbnails / f"{hashlib.sha256(told.encode()).hexdigest()}.webp"
        if not small.is_file():
            with Image.open(path, formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            packed = BytesIO()
            upright.save(packed, format="WEBP", quality=80)
            replace_file(small, packed.getvalue())
        return small

    def write(self, set_id: str, name: str, caption: str, *, owner: str) -> Shown:
        """Write what is said of a picture.

        Raises:
            LimitError: If it is too long.
        """
        path = self.picture(set_id, name, owner=owner)
        _write_caption(path, caption)
        return _shown(path)

    def change(self, set_id: str, action: str, text: str, into: str, *, owner: str) -> list[Shown]:
        """Change all captions of a set in one way; see ``training_captions.changed``.

        Raises:
            RequestError: If there is no such way, or nothing to look for.
        """
        found: list[Shown] = []
        for shown in self.pictures(set_id, owner=owner):
            said = changed_caption(shown.caption, action, text, into)
            path = self.folder(set_id, owner=owner) / shown.name
            if said != shown.caption or not shown.written:
                _write_caption(path, said)
            found.append(_shown(path))
        return found

    def _card(self, set_id: str) -> dict[str, Any]:
        try:
            told = json.loads((self._folder / set_id / CARD).read_bytes())
        except (OSError, ValueError):
            return {}
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {}

    def _view(self, set_id: str, skipped: Sequence[Skipped] = ()) -> PictureSet:
        told = self._card(set_id)
        return PictureSet(
            id=set_id,
            name=str(told.get("name", "")),
            created=float(told.get("created", 0)),
            count=len(_pictures(self._folder / set_id / PICTURES)),
            skipped=tuple(skipped),
        )


def _require_pictures(incoming: Incoming) -> None:
    if not _pictures(incoming.folder / PICTURES):
        reasons = "; ".join(f"{each.file}: {each.why}" for each in incoming.skipped[:3])
        message = "there is no usable picture among the files" + (reasons and f" ({reasons})")
        hint = f"Send pictures ({', '.join(ENDINGS[:4])}), each with a .txt of the same name."
        raise RequestError(message, hint=hint)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    return sorted(path for path in found if not path.stem.endswith(MASK))


def _unusable(data: bytes) -> str:
    """Return why this is no picture that can be trained on; empty if it is one."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            image.verify()
    except (*BROKEN_PICTURE, Image.DecompressionBombError) as problem:
        return f"it cannot be read ({type(problem).__name__})"
    return ""


def _shown(path: Path) -> Shown:
    with Image.open(path, formats=FORMATS) as image:
        width, height = image.size
        if image.getexif().get(0x0112, 1) >= 5:  # noqa: PLR2004 - EXIF: lies on its side
            width, height = height, width
    beside = path.with_suffix(CAPTION)
    written = beside.is_file()
    said = (
        beside.read_text(encoding="utf-8-sig", errors="replace")[:MOST_CAPTION].strip()
        if written
        else caption_of_name(path.stem)
    )
    return Shown(name=path.name, caption=said, written=written, width=width, height=height)


def _write_caption(path: Path, caption: str) -> None:
    if len(caption) > MOST_CAPTION:
        message = f"the caption has {len(caption)} characters, more than {MOST_CAPTION}"
        raise LimitError(message, hint="Shorten it.", value=len(caption))
    replace_file(path.with_suffix(CAPTION), caption.strip().encode())
