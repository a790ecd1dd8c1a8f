"""What an extension may add: every point as an empty function, and the values that go in and out.

An extension is a module with some of these functions, found by its place in ``webui/extensions`` or
by an entry point. ``docs/extensions.md`` walks through the one that comes with the program. No
torch here: the server reads this file too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from webui.modules.types import ExtensionUse, ModelKind, SettingValue

if TYPE_CHECKING:
    from PIL.Image import Image

    from webui.modules.conditioning import Reworked, TextChunk, TextCopy

__all__ = [
    "API",
    "GROUP",
    "NOTHING",
    "SERVER_POINTS",
    "WORKER_POINTS",
    "Asked",
    "ExtensionUse",
    "FileFacts",
    "ModelKind",
    "Resource",
    "Reworked",
    "Said",
    "Section",
    "ServerHooks",
    "Setting",
    "SettingValue",
    "Settled",
    "TextChunk",
    "TextCopy",
    "Uncaptioned",
    "WorkerHooks",
]

API: Final = 1
"""Version of these points; an extension says for which one it was written."""

GROUP: Final = "atelier.extensions"
"""Entry points of this group name extensions that were installed as packages."""

NOTHING: Final = (None, "", "None", False, 0)
"""Values of a switch that ask for nothing."""

Said = Mapping[str, str]
"""A text in each language of the page, by its code: ``{"en": ..., "zh": ...}``."""


# The points ---------------------------------------------------------------------------------------


class ServerHooks(Protocol):
    """The module of an extension that the server imports; it must not import torch."""

    def section(self) -> Section:
        """Say what people can set: in the forms, in requests, in settings texts."""
        ...

    def settle(self, asked: Asked) -> Settled:
        """Refuse what cannot be met, before the job waits; else say which files are needed."""
        ...

    def captions(self) -> Said:
        """Say where the captions come from that the worker part proposes for training pictures."""
        ...


class WorkerHooks(Protocol):
    """The module of an extension that only the process that draws imports."""

    def condition(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        """Change what the text encoder says of one chunk of a prompt."""
        ...

    def caption(self, picture: Uncaptioned) -> str:
        """Propose what is said of a picture that is to be trained on; an empty text for nothing."""
        ...


SERVER_POINTS: Final = ("section", "settle", "captions")
WORKER_POINTS: Final = ("condition", "caption")


# What goes in and out -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One thing that people can set.

    Attributes:
        name: What requests call it.
        value: Its default; the type of it is the type of the setting.
        label: What the form calls it.
        key: What settings texts call it.
        bounds: Lowest, highest and step of a number; a step of 0 makes a field to type into.
        kind: It names a file of this kind; empty and "None" name none.
    """

    name: str
    value: SettingValue
    label: Said
    key: str
    bounds: tuple[float, float, float] | None = None
    kind: ModelKind | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A file that is used if it is there, whoever asks.

    Attributes:
        name: What the extension calls it.
        folder: Where it lies, below ``models``.
        tensor: A tensor that it must hold; the first file by name that has it is taken.
    """

    name: str
    folder: str
    tensor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """What people can set, as one section of a form.

    Attributes:
        title: Its head.
        note: One sentence on what it does.
        settings: In the order of the form and of the settings text.
        switch: The setting that must be given; while it is empty, the drawing does without.
        script: Title of the always-on script by which A1111's clients ask for it; may be empty.
        arguments: Names of the settings in the order of that script's arguments.
        resources: Files that are used if they are there.
    """

    title: Said
    note: Said
    settings: tuple[Setting, ...]
    switch: str
    script: str = ""
    arguments: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """What a file says of itself, no tensor read.

    Attributes:
        name: As people know it.
        tensors: Shapes by name.
        metadata: Free texts of a safetensors file.
    """

    name: str
    tensors: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a drawing asks of an extension.

    Attributes:
        settings: All of them, each of its type and within its bounds.
        files: The files that are there, by the setting or resource that names them.
        family: Of the checkpoint, such as ``sd1``.
        text_width: Numbers in a vector of its text encoder; 0 if that cannot be told.
    """

    settings: Mapping[str, SettingValue]
    files: Mapping[str, FileFacts] = field(default_factory=dict[str, FileFacts])
    family: str = "sd1"
    text_width: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Uncaptioned:
    """A picture of a training set that nobody has described yet.

    Attributes:
        name: Of its file.
        texts: That the file carries, by the names it gives them; EXIF's is ``UserComment``.
        image: Upright, in RGB.
    """

    name: str
    texts: Mapping[str, str]
    image: Image


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """How a wish is met.

    Attributes:
        files: Which of the files the worker shall be given.
        notes: What the person should know.
    """

    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
