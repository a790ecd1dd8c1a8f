"""The library as people browse it: found, held against a checkpoint, written about, shown."""

import base64
import binascii
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from PIL import Image

from webui.library.cards import ModelCard
from webui.library.folders import FOLDERS, PREVIEW_EXTENSIONS
from webui.library.inputs import plain
from webui.library.reading import old_hash
from webui.library.saving import replace_file
from webui.library.user_texts import save_texts
from webui.modules.errors import ForbiddenError, UnknownPictureError, WebuiError
from webui.modules.layers.fit import Fit
from webui.modules.types import ModelKind
from webui.modules.weights.header import read_header
from webui.services.browsing import Page, Search, matching, ordered, page_of
from webui.services.models import Models
from webui.settings import Settings

PREVIEW_SIDE: Final = 384
"""Longest side of a preview in pixels."""

COVERS: Final = ("ssmd_cover_images", "modelspec.thumbnail")
"""Where LoRA files keep a picture of what they draw."""

_MOST_COVER: Final = 20_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Hashes:
    """The names under which a download site knows a file; empty where it has none.

    Attributes:
        sha256: Of the whole file.
        autov1: A1111's first kind, 8 hex digits.
        autov2: 10 hex digits of the whole file.
        autov3: 12 hex digits of a safetensors file without its header.
    """

    sha256: str = ""
    autov1: str = ""
    autov2: str = ""
    autov3: str = ""


class Catalogue:
    """Model files for people.

    Args:
        settings: Where files lie.
        models: The files.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self._folders = settings.folders
        self._frozen = settings.frozen_options
        self._models = models
        self._previews = settings.folders.cache / "previews"

    def search(self, search: Search) -> Page:
        """Return one page of what is looked for.

        Raises:
            UnknownNameError: If there is no checkpoint of the name in ``fits``.
            ModelError: If that one is refused.
        """
        kinds = [search.kind] if search.kind else [rule.kind for rule in FOLDERS]
        listed = [card for kind in kinds for card in self._models.add_ons(kind)]
        found = matching(ordered(listed, search.order), search.text)
        if not search.fits:
            return page_of(found, search, counted=True)
        base = self._base(search.fits)
        fitting = (card for card in found if (told := self._told(card, base)) and told.used)
        return page_of(fitting, search, counted=False)

    def card(self, kind: ModelKind, name: str) -> ModelCard:
        """Return one file by its name in the list of its kind.

        Raises:
            UnknownNameError: If there is none.
        """
        return self._models.card(kind, name)

    def fit(self, card: ModelCard, checkpoint: str) -> Fit | None:
        """Return how much of a file acts on a checkpoint; None where that means nothing."""
        try:
            return self._told(card, self._base(checkpoint)) if checkpoint else None
        except WebuiError:
            return None

    def cures(self, card: ModelCard) -> list[str]:
        """Return the names of the checkpoints on which all of a file acts."""
        return self._models.cures(card)

    def call_name(self, card: ModelCard) -> str:
        """Return the name by which a prompt calls an add-on."""
        return self._models.call_name(card)

    def version(self) -> str:
        """Look at the folders, and return a word that changes when some file does."""
        return self._models.version()

    def metadata(self, card: ModelCard) -> Mapping[str, str]:
        """Return everything that a file says of itself, also what is too long for the list.

        Raises:
            ModelError: If the file cannot be read any more.
        """
        return card.metadata if card.whole else read_header(card.record.path).metadata

    def hashes(self, card: ModelCard) -> Hashes:
        """Return all hashes of a file; the first time it is read from beginning to end.

        Raises:
            StorageError: If it cannot be.
        """
        path = card.record.path
        if path.is_dir():
            return Hashes()
        record = self._models.hashed(card.record)
        headless = card.format == "safetensors"
        return Hashes(
            sha256=record.sha256,
            autov1=card.old_hash or old_hash(path),
            autov2=record.shorthash,
            autov3=self._models.content_hash(record)[:12] if headless else "",
        )

    def write(self, kind: ModelKind, name: str, changes: Mapping[str, object]) -> ModelCard:
        """Write texts about a file into A1111's ``.json`` beside it, and return the new card.

        Raises:
            UnknownNameError: If there is no such file.
            ForbiddenError: If it lies in another program's tree, or this server is frozen.
            RequestError: If a text is too long, or a weight no number.
            ModelFileError: If the ``.json`` is damaged; it stays as it is.
            StorageError: If it cannot be written.
        """
        card = self.card(kind, name)
        home = self._folders.a1111_home
        if self._frozen:
            message = "the settings of this server are frozen, notes among them"
            raise ForbiddenError(message, hint="Start it without --freeze-settings.", value=name)
        if home is not None and card.record.path.is_relative_to(home):
            message = f"{name} lies in a folder that is only read"
            hint = "Copy the file into our own folders to write about it."
            raise ForbiddenError(message, hint=hint, value=name)
        save_texts(card.record.path, changes)
        self._models.refresh()
        return self.card(kind, name)

    def preview(self, card: ModelCard) -> Path:
        """Return a small WebP of what a file draws.

        Raises:
            UnknownPictureError: If it has no picture, or one that cannot be read.
            StorageError: If the small one cannot be written.
        """
        source = card.preview or card.record.path
        try:
            status = source.stat()
        except OSError as error:
            raise _no_preview(card) from error
        told = f"{source}\0{status.st_mtime_ns}\0{status.st_size}"
        small = self._previews / f"{hashlib.sha256(told.encode()).hexdigest()}.webp"
        if not small.is_file():
            replace_file(small, _shrunk(card, self._picture(card)))
        return small

    def _picture(self, card: ModelCard) -> bytes:
        """Return the picture beside a file, or the one inside it."""
        own = card.record.path.suffix.lower() in PREVIEW_EXTENSIONS
        try:
            if card.preview or own:
                return (card.preview or card.record.path).read_bytes()
            said = self.metadata(card)
        except (OSError, WebuiError) as error:
            raise _no_preview(card) from error
        found = next((picture for key in COVERS if (picture := _cover(said.get(key, "")))), b"")
        if not found:
            raise _no_preview(card)
        return found

    def _base(self, checkpoint: str) -> ModelCard:
        record = self._models.find_checkpoint(checkpoint)
        return self._models.card(ModelKind.CHECKPOINT, record.name)

    def _told(self, card: ModelCard, base: ModelCard) -> Fit | None:
        return self._models.fitting.told(card, base)


def has_picture(card: ModelCard) -> bool:
    """Tell whether there is probably a picture to show for a file, without opening it."""
    inside = card.record.path.suffix.lower() in PREVIEW_EXTENSIONS
    return bool(card.preview) or inside or not card.whole


def _cover(text: str) -> bytes:
    """Return a picture from base64: alone, as a data address, or the first of a JSON list."""
    if not text or len(text) > _MOST_COVER:
        return b""
    try:
        if text.startswith("["):
            listed: object = json.loads(text)
            first = cast("list[Any]", listed)[0] if isinstance(listed, list) and listed else ""
            text = first if isinstance(first, str) else ""
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError, RecursionError):
        return b""


def _shrunk(card: ModelCard, data: bytes) -> bytes:
    try:
        image = plain(data)
    except WebuiError as error:
        raise _no_preview(card) from error
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=82)
    return buffer.getvalue()


def _no_preview(card: ModelCard) -> UnknownPictureError:
    message = f"there is no picture of {card.record.name}"
    hint = "Put one beside the file, under the same name."
    return UnknownPictureError(message, hint=hint, value=card.record.name)
