"""The model files of this server, found by any name that A1111 would understand."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from webui.library.cards import ModelCard
from webui.library.folders import FOLDERS, ModelFolders
from webui.library.index import ModelIndex
from webui.library.sidecars import beside, read_sidecars
from webui.library.vae_choice import choose_vae
from webui.modules.errors import (
    ModelFileError,
    NoCheckpointError,
    UnknownNameError,
    WebuiError,
)
from webui.modules.layers.fit import Fit
from webui.modules.pipeline.enlarging import LATENT_MODES, PLAIN_WAYS
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.describe import Facts, describe
from webui.services.fitting import Fitting
from webui.services.verdicts import verdict
from webui.settings import Folders

__all__ = [
    "LATENT_WAYS",
    "PLAIN_WAYS",
    "Inspection",
    "ModelCard",
    "Models",
    "Suggested",
    "model_folders",
]

LATENT_WAYS: Final = tuple(LATENT_MODES)
"""The names of the ways to enlarge latents."""


A1111_UPSCALERS: Final[Mapping[str, str]] = {
    "R-ESRGAN General 4xV3": "realesr-general-x4v3",
    "R-ESRGAN General WDN 4xV3": "realesr-general-wdn-x4v3",
    "R-ESRGAN AnimeVideo": "realesr-animevideov3",
    "R-ESRGAN 4x+": "RealESRGAN_x4plus",
    "R-ESRGAN 4x+ Anime6B": "RealESRGAN_x4plus_anime_6B",
    "R-ESRGAN 2x+": "RealESRGAN_x2plus",
}
"""What A1111 calls the files of Real-ESRGAN that it downloads."""

SHOWN_CURES: Final = 3
"""How many fitting checkpoints a hint names."""

UPSCALER_FOLDERS: Final = ("RealESRGAN", "BSRGAN", "DAT", "SwinIR", "ScuNET")
"""Further folders under ``models`` in which A1111 looks for upscalers."""

A1111_AESTHETIC: Final = (
    "extensions/stable-diffusion-webui-aesthetic-gradients/aesthetic_embeddings"
)
"""Where A1111's extension keeps aesthetic embeddings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggested:
    """Settings with which a checkpoint draws well; the page's first values."""

    width: int = 512
    height: int = 512
    steps: int = 20
    guidance: float = 7.0
    sampler: str = "DPM++ 2M"
    scheduler: str = "Automatic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a file is; the fields of ``inspect --json``.

    Attributes:
        path: The file as it was named.
        kind: One of the kinds of model files, or "unknown".
        family: For a LoRA its method, for others the architecture.
        format: How the tensors are packed.
        sha256: Hash of the whole file; empty for a folder or a refused file.
        trigger_words: Words that call what it has learned.
        applies: Share of its tensors that fit the given checkpoint; None without one.
        verdict: One sentence for people.
        hint: What to do with it.
        error: ``code``, ``message`` and ``hint`` if the file is refused.
    """

    path: str
    kind: str = "unknown"
    family: str = ""
    format: str = ""
    sha256: str = ""
    trigger_words: tuple[str, ...] = ()
    applies: float | None = None
    verdict: str = ""
    hint: str = ""
    error: Mapping[str, str] | None = None


def model_folders(folders: Folders) -> ModelFolders:
    """Return the folders of each kind: ours first, then the named one, then those of A1111."""
    named = {
        ModelKind.CHECKPOINT: folders.ckpt_dir,
        ModelKind.VAE: folders.vae_dir,
        ModelKind.LORA: folders.lora_dir,
        ModelKind.HYPERNETWORK: folders.hypernetwork_dir,
        ModelKind.EMBEDDING: folders.embeddings_dir,
    }
    found: dict[ModelKind, tuple[Path, ...]] = {}
    for rule in FOLDERS:
        extra = named.get(rule.kind)
        found[rule.kind] = (folders.data_dir / rule.folder, *(() if extra is None else (extra,)))
        if folders.a1111_home is not None:
            found[rule.kind] += (folders.a1111_home / rule.folder,)
    for home in filter(None, (folders.data_dir, folders.a1111_home)):
        others = tuple(home / "models" / name for name in UPSCALER_FOLDERS)
        found[ModelKind.UPSCALER] += others
    if folders.a1111_home is not None:
        found[ModelKind.LORA] += (folders.a1111_home / "models" / "LyCORIS",)
        found[ModelKind.AESTHETIC] += (folders.a1111_home / A1111_AESTHETIC,)
    return found


class Models:
    """Everything that can be asked about model files."""

    def __init__(self, index: ModelIndex) -> None:
        self._index = index
        self.fitting = Fitting()

    def checkpoints(self) -> list[ModelCard]:
        """Return the checkpoints in A1111's order, refused ones among them."""
        return self._index.cards(ModelKind.CHECKPOINT)

    def vaes(self) -> list[ModelCard]:
        """Return the VAE files, refused ones among them."""
        return self._index.cards(ModelKind.VAE)

    def add_ons(self, kind: ModelKind) -> list[ModelCard]:
        """Return the files of a kind that is laid over checkpoints, refused ones among them."""
        return self._index.cards(kind)

    def everything(self) -> list[ModelCard]:
        """Return the files of all kinds, refused ones among them."""
        return [card for rule in FOLDERS for card in self._index.cards(rule.kind)]

    def fit(self, path: Path, checkpoint: str) -> Fit | None:
        """Return how much of a file acts on a checkpoint; None if that cannot be told.

        Raises:
            UnknownNameError: If there is no such checkpoint.
            ModelError: If a file is refused; the message says why.
        """
        base = self._index.card(self.find_checkpoint(checkpoint))
        return self.fitting.fit(_card(path, describe(path)), base)

    def cures(self, card: ModelCard) -> list[str]:
        """Return the names of the checkpoints on which all of a file acts."""
        return [base.record.stem for base in self.fitting.cures(card, self.checkpoints())]

    def call_name(self, card: ModelCard) -> str:
        """Return the name by which a prompt calls an add-on."""
        if card.record.kind is not ModelKind.LORA:
            return card.record.stem
        return self._index.calls(ModelKind.LORA).name_of(card)

    def card(self, kind: ModelKind, name: str) -> ModelCard:
        """Return the card of a file by its name below the model folder, as lists show it.

        Raises:
            UnknownNameError: If there is none.
        """
        return self._index.find(kind, name, exactly=True)

    def version(self) -> str:
        """Look at the folders, and return a word that changes when some file does."""
        return self._index.version()

    def content_hash(self, record: ModelRecord) -> str:
        """Return the SHA-256 of a file without its header.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        return self._index.content_hash(record)

    def called(self, name: str) -> ModelCard | None:
        """Return the LoRA file that a prompt calls by this name; None if there is none."""
        return self._index.calls(ModelKind.LORA).find(name)

    def known_mark(self, card: ModelCard) -> str:
        """Return the 12 digits that tell a LoRA file apart, if nothing need be read for them."""
        named = card.metadata.get("sshs_model_hash", "")
        return (named or self._index.known_content_hash(card.record))[:12]

    def mark(self, card: ModelCard) -> str:
        """Return the same, with the file read to its end if need be.

        Raises:
            StorageError: If it cannot be read.
        """
        return self.known_mark(card) or self._index.content_hash(card.record)[:12]

    def add_on(self, kind: ModelKind, name: str) -> ModelRecord:
        """Return the add-on that a tag means: by the alias in the file, or by the file's name.

        Raises:
            UnknownNameError: If there is none of this name.
            ModelError: If the file is refused; the message says why.
        """
        called = self._index.calls(kind).find(name) if kind is ModelKind.LORA else None
        return self._index.sound(called or self._index.find(kind, name, exactly=True))

    def hashed(self, record: ModelRecord) -> ModelRecord:
        """Return the record with its SHA-256.

        Raises:
            StorageError: If the file cannot be read to its end.
        """
        return self._index.hashed(record)

    def shorthash(self, record: ModelRecord) -> str:
        """Return the 12 hex digits that infotext tells add-ons apart by; empty without hashing.

        Of a LoRA it is the hash that its file names, else that of its tensors without the header.
        """
        if not record.sha256:
            return ""
        if record.kind is not ModelKind.LORA:
            return record.sha256[:12]
        named = self._index.card(record).metadata.get("sshs_model_hash", "")
        return (named or self._index.content_hash(record))[:12]

    def refresh(self) -> None:
        """Look at the folders again, now."""
        self._index.refresh()
        self.checkpoints()
        self.vaes()
        self.upscalers()

    def find_checkpoint(self, name: str, *, exactly: bool = False) -> ModelRecord:
        """Return the checkpoint of this name, hash or title.

        Raises:
            UnknownNameError: If there is none.
            ModelError: If the file is refused; the message says why.
        """
        return self._index.usable(ModelKind.CHECKPOINT, name, exactly=exactly)

    def selected(self, name: str) -> ModelRecord:
        """Return the checkpoint that the option ``sd_model_checkpoint`` means.

        As in A1111, the first usable one stands in for one that is gone.

        Raises:
            NoCheckpointError: If there is no usable checkpoint at all.
        """
        if name:
            try:
                return self.find_checkpoint(name, exactly=True)
            except UnknownNameError:
                pass
        for card in self.checkpoints():
            if card.problem is None:
                return self._index.hashed(card.record)
        message = "there is no checkpoint to draw with"
        hint = "Put a .safetensors file into models/Stable-diffusion; no restart is needed."
        raise NoCheckpointError(message, hint=hint, value=name)

    def find_vae(
        self, name: str, *, checkpoint: ModelRecord, overrides: bool = True
    ) -> ModelRecord | None:
        """Return the VAE file to use; None for the one baked into the checkpoint.

        Args:
            name: "Automatic", "None" or a file name.
            checkpoint: The main model.
            overrides: A named VAE goes before the one that the checkpoint wants.

        Raises:
            UnknownNameError: If there is none of this name.
            ModelError: If the file is refused; the message says why.
        """
        card = self._index.card(checkpoint)
        chosen = choose_vae(self.vaes(), name, checkpoint=card, overrides=overrides)
        if chosen is None:
            return None
        return self._index.usable(ModelKind.VAE, chosen.record.name, exactly=True)

    def upscalers(self) -> list[ModelCard]:
        """Return the upscaling networks, refused files among them."""
        return self._index.cards(ModelKind.UPSCALER)

    def find_upscaler(self, name: str) -> tuple[str, ModelRecord | None]:
        """Return the upscaler's right name, and its file unless it is built in.

        Args:
            name: A built-in way, a file's stem, or the name that A1111 gives to a known file.

        Raises:
            UnknownNameError: If there is none of this name; the hint names those that there are.
            ModelError: If the file is refused; the message says why.
        """
        built_in = (*LATENT_WAYS, *PLAIN_WAYS)
        own = {way.lower(): way for way in built_in}
        if name.lower() in own:
            return own[name.lower()], None
        stem = A1111_UPSCALERS.get(name, name)
        cards = [card for card in self.upscalers() if card.record.stem.lower() == stem.lower()]
        if not cards:
            message = f"there is no upscaler {name[:200]!r}"
            known = ", ".join([*built_in, *(card.record.stem for card in self.upscalers())])
            raise UnknownNameError(message, hint=f"There are: {known}.", value=name[:200])
        record = self._index.usable(ModelKind.UPSCALER, cards[0].record.name, exactly=True)
        return record.stem, record

    def title_of(self, option: str, name: str) -> str:
        """Return what to keep for an option that names a model.

        Raises:
            UnknownNameError: If there is none of this name.
        """
        if option == "sd_model_checkpoint":
            return self.find_checkpoint(name).title
        if name not in ("Automatic", "None", "auto"):
            self._index.find(ModelKind.VAE, name)
        return name

    def suggested(self, checkpoint: ModelRecord) -> Suggested:
        """Return the settings with which this checkpoint draws well."""
        said = self._index.card(checkpoint).suggested
        usual = Suggested()
        return Suggested(
            width=int(_number(said, "width", usual.width)),
            height=int(_number(said, "height", usual.height)),
            steps=int(_number(said, "steps", usual.steps)),
            guidance=float(_number(said, "cfg_scale", usual.guidance)),
            sampler=_name(said, "sampler_name", usual.sampler),
            scheduler=_name(said, "scheduler", usual.scheduler),
        )

    def inspect(self, path: Path, *, checkpoint: str | None = None) -> Inspection:
        """Tell what a file is; a refused file has ``error`` set, nothing is raised.

        Raises:
            UnknownNameError: If there is no checkpoint of the given name.
        """
        base = None if checkpoint is None else self.find_checkpoint(checkpoint)
        try:
            found = self._inspected(path)
            return found if base is None else self._held_against(found, path, base)
        except WebuiError as problem:
            error = {"code": problem.code, "message": str(problem), "hint": problem.hint}
            return Inspection(
                path=str(path), verdict=f"Refused: {problem}.", hint=problem.hint, error=error
            )

    def _inspected(self, path: Path) -> Inspection:
        if not _is_there(path):
            message = f"{str(path)[:300]} is not there"
            raise ModelFileError(message, hint="Check the spelling.", value=str(path)[:300])
        facts = describe(path)
        record = ModelRecord(path=path.absolute(), kind=facts.kind, name=path.name)
        words = read_sidecars(path, beside(path)).trigger_words
        said, hint = verdict(path, facts)
        return Inspection(
            path=str(path),
            kind=facts.kind,
            family=facts.family,
            format=facts.format,
            sha256=self._index.hashed(record).sha256,
            trigger_words=tuple(word for part in words.split(",") if (word := part.strip())),
            verdict=said,
            hint=hint,
        )

    def _held_against(self, found: Inspection, path: Path, checkpoint: ModelRecord) -> Inspection:
        """Add how much of the file acts on a checkpoint, and what to do if not all of it."""
        card = _card(path, describe(path))
        told = self.fitting.fit(card, self._index.card(checkpoint))
        if told is None:
            return found
        name = checkpoint.stem
        if told.share == 1:
            return replace(found, applies=1.0, verdict=f"{found.verdict} Fits {name}.")
        fits = "Fits {name} partly" if told.used else "Does not fit {name}"
        cures = self.cures(card)
        return replace(
            found,
            applies=round(told.share, 4),
            verdict=f"{found.verdict} {fits.format(name=name)}: {told.why}.",
            hint=f"Choose a checkpoint that it fits: {', '.join(cures[:SHOWN_CURES])}."
            if cures
            else "It was made for another kind of checkpoint; none of those here takes all of it.",
        )


def _card(path: Path, facts: Facts) -> ModelCard:
    """Return so much of a card as tells whether a file fits."""
    record = ModelRecord(path=path, kind=facts.kind, family=facts.family, name=path.name)
    return ModelCard(record=record, layout=facts.layout)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a name that is too long for this system, or a folder that may not be read


def inspection_as_dict(inspection: Inspection) -> dict[str, Any]:
    """Return the fields as they are printed and sent."""
    return asdict(inspection)


def _number(said: Mapping[str, Any], key: str, usual: float) -> float:
    value = said.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        return value
    return usual


def _name(said: Mapping[str, Any], key: str, usual: str) -> str:
    value = said.get(key)
    return value if isinstance(value, str) and value else usual
