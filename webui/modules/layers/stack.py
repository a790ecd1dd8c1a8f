"""All add-ons of a job laid over a checkpoint in their order, and taken off again, exactly."""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import torch

from webui.modules.device import Device
from webui.modules.errors import WebuiError
from webui.modules.layers.embedding import Embedding, read_embedding
from webui.modules.layers.hypernetwork import Contexts, HypernetworkUse, read_hypernetwork
from webui.modules.layers.lora import LoraUse, Networks, read_lora
from webui.modules.layers.times import acts
from webui.modules.networks.attention import reading_through
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.token_table import TokenTable
from webui.modules.text.learned import LearnedWords
from webui.modules.types import LayerUse, ModelKind

REMEMBERED: Final = 32
"""So many add-on files stay in memory, the last used ones."""

File = TypeVar("File")


@dataclass(kw_only=True, slots=True)
class Laid:
    """What lies over a checkpoint now.

    Attributes:
        words: What prompts can name.
        told: What could not be laid on, for the person to read.
        networks: The checkpoint's networks, which wear LoRA files.
        loras: Those files.
        contexts: The hypernetworks.
    """

    words: LearnedWords
    told: dict[str, None]
    networks: Networks
    loras: Sequence[LoraUse]
    contexts: Contexts

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be laid on so far; what acts late is tried late."""
        return tuple(self.told)

    def at(self, taken: int, steps: int) -> None:
        """Let act what acts on the denoising network after so many of its steps."""
        acting = [use for use in self.loras if acts(use, taken, steps)]
        self.told |= dict.fromkeys(self.networks.wear(self.loras, acting))
        self.contexts.at(taken, steps)


class Wardrobe:
    """The add-on files of a worker, read once and kept while they do not change."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, int], object] = {}
        self._networks: dict[int, tuple[Checkpoint, Networks]] = {}

    @contextmanager
    def laid_on(
        self, checkpoint: Checkpoint, uses: Sequence[LayerUse], device: Device
    ) -> Generator[Laid]:
        """Lay add-ons over a checkpoint for as long as the context lasts.

        One that cannot be laid on is left out and told in the notes; the others are laid on, as
        they act before the first step.

        Args:
            checkpoint: The main model; afterwards it is bit for bit what it was.
            uses: In the order in which they were asked for.
            device: Where the networks are.
        """
        notes: list[str] = []
        loras = list(self._loras(uses, notes))
        embeddings = list(self._embeddings(uses, notes))
        known = {embedding.name for embedding in embeddings}
        for use in loras:
            embeddings += [
                Embedding(name=name, vectors=vectors.float())
                for name, vectors in use.lora.embeddings.items()
                if name not in known
            ]
        networks = self._networks_of(checkpoint)
        notes += networks.unknown(loras)
        contexts = Contexts(list(self._hypernetworks(uses, notes)), device.torch)
        with ExitStack() as worn:
            worn.callback(networks.take_off)
            if contexts:
                worn.enter_context(reading_through(checkpoint.unet, contexts))
            known = {use.name for use in uses if use.told}
            fitting = _fitting(embeddings, checkpoint, notes, known)
            if fitting:
                table = cast("TokenTable", checkpoint.text.get_input_embeddings())
                rows = torch.cat([embedding.vectors for embedding in fitting])
                worn.enter_context(table.with_rows(rows))
            words = LearnedWords((each.name, len(each.vectors)) for each in fitting)
            laid = Laid(
                words=words,
                told=dict.fromkeys(notes),
                networks=networks,
                loras=loras,
                contexts=contexts,
            )
            laid.at(0, 1)
            yield laid

    def forget(self, checkpoint: Checkpoint | None = None) -> None:
        """Let go of all that is kept of one checkpoint, or of all, and is not worn."""
        for known, networks in list(self._networks.values()):
            if checkpoint is None or known is checkpoint:
                networks.spare(everything=True)
        if checkpoint is not None:
            self._networks.pop(id(checkpoint), None)

    def _networks_of(self, checkpoint: Checkpoint) -> Networks:
        known = self._networks.get(id(checkpoint))
        if known is None:
            shape = checkpoint.architecture.unet
            known = (checkpoint, Networks(checkpoint.unet, checkpoint.text, shape))
            self._networks[id(checkpoint)] = known
        return known[1]

    def _loras(self, uses: Sequence[LayerUse], notes: list[str]) -> Generator[LoraUse]:
        for use, lora in self._read_all(ModelKind.LORA, uses, read_lora, notes):
            yield LoraUse(
                lora=lora,
                weight=use.weight,
                text_weight=use.text_weight,
                rank=use.rank,
                blocks=use.blocks,
                start=use.start,
                stop=use.stop,
                told=use.told,
            )

    def _hypernetworks(
        self, uses: Sequence[LayerUse], notes: list[str]
    ) -> Generator[HypernetworkUse]:
        found = self._read_all(ModelKind.HYPERNETWORK, uses, read_hypernetwork, notes)
        for use, hypernetwork in found:
            yield HypernetworkUse(
                hypernetwork=hypernetwork, weight=use.weight, start=use.start, stop=use.stop
            )

    def _embeddings(self, uses: Sequence[LayerUse], notes: list[str]) -> Generator[Embedding]:
        def read(path: Path) -> Embedding:
            return read_embedding(path, "")

        for use, embedding in self._read_all(ModelKind.EMBEDDING, uses, read, notes):
            yield Embedding(name=use.name or use.model.stem, vectors=embedding.vectors)

    def _read_all(
        self,
        kind: ModelKind,
        uses: Sequence[LayerUse],
        read: Callable[[Path], File],
        notes: list[str],
    ) -> Generator[tuple[LayerUse, File]]:
        for use in uses:
            if use.model.kind is not kind:
                continue
            try:
                yield use, self._read(use.model.path, read)
            except WebuiError as problem:
                notes.append(f"{use.model.name} was left out: {problem}")

    def _read(self, path: Path, read: Callable[[Path], File]) -> File:
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            stamp = 0
        key = (path, stamp)
        content: Any = self._files.pop(key, None)
        if content is None:
            content = read(path)
            while len(self._files) >= REMEMBERED:
                self._files.pop(next(iter(self._files)))
        self._files[key] = content
        return content


def _fitting(
    embeddings: Sequence[Embedding],
    checkpoint: Checkpoint,
    notes: list[str],
    known: Collection[str],
) -> list[Embedding]:
    """Leave out embeddings that were made for a text encoder of another width.

    Nothing is said of those of which the person knows it.
    """
    width = checkpoint.architecture.text.width
    fitting: list[Embedding] = []
    for embedding in embeddings:
        if embedding.vectors.shape[1] == width:
            fitting.append(embedding)
        elif embedding.name not in known:
            notes.append(
                f"the embedding {embedding.name} was left out: its vectors have"
                f" {embedding.vectors.shape[1]} numbers, and this checkpoint's text encoder {width}"
            )
    return fitting
