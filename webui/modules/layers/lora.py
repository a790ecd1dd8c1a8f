"""Files of the LoRA family: read, checked against a checkpoint, laid on and taken off exactly.

A file is a set of small tensors for each layer that it changes. Laying it on adds each layer's
change to the network's own weights, as A1111 does; see ``worn.py`` for where the sums lie.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers.blocks import BASE, Blocks, block_of, factor_of
from webui.modules.layers.deltas import LayerChange, Parts, delta, method_of
from webui.modules.layers.names import Layer, layer_table
from webui.modules.layers.peft import in_our_words, read_configs
from webui.modules.layers.room import HasRoom, is_ample
from webui.modules.layers.worn import Worn
from webui.modules.weights.architecture import UNetShape
from webui.modules.weights.keymap import ldm_unet_name
from webui.modules.weights.lora_parts import BUNDLE, split
from webui.modules.weights.read import open_tensors

FIRST_ENCODER = ("string_to_param.", "clip_l")
"""How the vectors of a bundled embedding are called that the first text encoder reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """A file of the LoRA family in memory.

    Attributes:
        source: Name of the file.
        layers: Parts by the names that the file gives to layers.
        embeddings: Vectors ``[count, width]`` by name, for prompts.
        others: Tensors that belong to no layer.
    """

    source: str
    layers: Mapping[str, Parts]
    embeddings: Mapping[str, Tensor]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraUse:
    """One file and how strongly it acts.

    Attributes:
        lora: The file.
        weight: Factor on its changes of the denoising network.
        text_weight: Factor on its changes of the text encoder.
        rank: Use only so many dimensions; 0 for all.
        blocks: Factors on ``weight`` by block, and on ``text_weight`` that of ``BASE``.
        start: From when on it acts on the denoising network; see ``times.py``.
        stop: Until when.
        told: The person knows already which layers this checkpoint has not.
    """

    lora: Lora
    weight: float = 1.0
    text_weight: float = 1.0
    rank: int = 0
    blocks: Blocks = ()
    start: float = 0.0
    stop: float = 1.0
    told: bool = False


def read_lora(path: Path) -> Lora:
    """Read a file of the LoRA family, whatever its method and dialect.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it changes no layer that could be read.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    embeddings: dict[str, Tensor] = {}
    others: list[str] = []
    with open_tensors(path) as file:
        for name in file.names():
            if name.startswith(BUNDLE):
                word, _, part = name.removeprefix(BUNDLE).partition(".")
                if part.startswith(FIRST_ENCODER):
                    embeddings[word] = file.read(name)
            elif found := split(name):
                layers.setdefault(found[0], {})[found[1]] = file.read(name)
            else:
                others.append(name)
        configs = read_configs(path, file.values())
    layers = in_our_words(layers, configs)
    whole = {name: parts for name, parts in layers.items() if method_of(parts)}
    others += sorted(set(layers) - set(whole))
    if not whole and not embeddings:
        message = f"{path.name} holds no change of any layer"
        hint = "Is it a LoRA file? Try: launch.py inspect FILE"
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    return Lora(source=path.name, layers=whole, embeddings=embeddings, others=tuple(others))


class Networks:
    """The networks of a checkpoint as the files of the LoRA family see them."""

    def __init__(
        self,
        unet: nn.Module,
        text: nn.Module,
        shape: UNetShape,
        second: nn.Module | None = None,
        *,
        has_room: HasRoom = is_ample,
    ) -> None:
        """Take the networks.

        Args:
            unet: The denoising network.
            text: The text encoder.
            shape: Of the denoising network.
            second: SDXL's second text encoder.
            has_room: Tells whether changed weights may be kept for the next time.
        """
        self._networks = {"unet": unet, "text": text}
        self._shape = shape
        if second is not None:
            self._networks["text2"] = second
        seconds = [] if second is None else _layers(second)
        self._worn = {name: Worn(network, has_room) for name, network in self._networks.items()}
        self._table = layer_table(_layers(unet), _layers(text), shape, seconds)

    def find(self, name: str) -> Layer | None:
        """Return the layer that a file calls so; None if this checkpoint has none."""
        return self._table.get(name)

    def fits(self, lora: Lora) -> tuple[int, tuple[str, ...]]:
        """Return how many layers of the file there are here, in the same shape, and the others."""
        unfit = tuple(name for name, parts in lora.layers.items() if not self._takes(name, parts))
        return len(lora.layers) - len(unfit), unfit

    def _takes(self, name: str, parts: Parts) -> bool:
        layer = self.find(name)
        if layer is None:
            return False
        try:
            delta(parts, self.parameter(layer).detach().float(), strength=1.0)
        except ModelFileError:
            return False
        return True

    def layer(self, layer: Layer) -> nn.Module:
        """Return a layer itself."""
        return self._networks[layer.network].get_submodule(layer.path)

    def parameter(self, layer: Layer, leaf: str = "weight") -> nn.Parameter:
        """Return the weight or the bias of a layer."""
        return self._networks[layer.network].get_parameter(f"{layer.path}.{leaf}")

    @contextmanager
    def changed_by(self, uses: Sequence[LoraUse]) -> Generator[tuple[str, ...]]:
        """Lay files on for as long as the context lasts; yields what the person should know."""
        try:
            yield (*self.unknown(uses), *self.wear(uses, uses))
        finally:
            self.take_off()

    def wear(self, uses: Sequence[LoraUse], acting: Sequence[LoraUse]) -> tuple[str, ...]:
        """Wear exactly these files; returns what could not be laid on.

        Args:
            uses: All files that prompts ask for; they change the text encoder.
            acting: Those that change the denoising network now.
        """
        failed: Counter[str] = Counter()
        for name, worn in self._worn.items():
            chosen = acting if name == "unet" else uses
            failed.update(worn.wear(list(self._changes(name, chosen))))
        return tuple(
            f"{source}: {count} layers do not fit this checkpoint and were left out"
            for source, count in failed.items()
        )

    def take_off(self) -> None:
        """Wear nothing; what was worn last is kept for the next time while there is memory."""
        self.wear((), ())
        self.spare()

    def spare(self, *, everything: bool = False) -> None:
        """Let go of changed weights that are kept for the next time, if memory is short."""
        for worn in self._worn.values():
            worn.spare(everything=everything)

    def unknown(self, uses: Sequence[LoraUse]) -> tuple[str, ...]:
        """Return what the person should know of layers that this checkpoint has not."""
        notes: list[str] = []
        for use in uses:
            unknown = sum(self.find(name) is None for name in use.lora.layers)
            if unknown and not use.told:
                total = len(use.lora.layers)
                notes.append(
                    f"{use.lora.source}: {unknown} of {total} layers are not in this checkpoint"
                    " and were left out"
                )
        return tuple(notes)

    def _changes(self, network: str, uses: Sequence[LoraUse]) -> Iterator[LayerChange]:
        for use in uses:
            for name, parts in use.lora.layers.items():
                layer = self.find(name)
                if layer is None or layer.network != network:
                    continue
                strength = use.weight if network == "unet" else use.text_weight
                if use.blocks:
                    strength *= factor_of(use.blocks, self._block(layer))
                yield LayerChange(
                    source=use.lora.source,
                    path=layer.path,
                    parts=parts,
                    strength=strength,
                    rank=use.rank,
                )

    def _block(self, layer: Layer) -> str:
        if layer.network != "unet":
            return BASE
        return block_of(ldm_unet_name(f"{layer.path}.", self._shape))


def _layers(network: nn.Module) -> list[str]:
    """Return the paths of all layers that have a weight."""
    return [
        name.removesuffix(".weight")
        for name, _ in network.named_parameters()
        if name.endswith(".weight")
    ]
