"""Files of the LoRA family: read, checked against a checkpoint, laid on and taken off exactly.

A file is a set of small tensors for each layer that it changes. Laying it on adds each layer's
change to the network's own weights, as A1111 does; the own weights are put aside untouched and put
back, so that afterwards every bit is as it was.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers.deltas import Parts, delta, method_of
from webui.modules.layers.names import Layer, layer_table
from webui.modules.layers.peft import in_our_words, read_configs
from webui.modules.weights.architecture import UNetShape
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
    """

    lora: Lora
    weight: float = 1.0
    text_weight: float = 1.0
    rank: int = 0


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
        self, unet: nn.Module, text: nn.Module, shape: UNetShape, second: nn.Module | None = None
    ) -> None:
        self._networks = {"unet": unet, "text": text}
        if second is not None:
            self._networks["text2"] = second
        seconds = [] if second is None else _layers(second)
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

    def parameter(self, layer: Layer, leaf: str = "weight") -> nn.Parameter:
        """Return the weight or the bias of a layer."""
        return self._networks[layer.network].get_parameter(f"{layer.path}.{leaf}")

    def has_bias(self, layer: Layer) -> bool:
        """Tell whether a layer has a bias to add to."""
        owner = self._networks[layer.network].get_submodule(layer.path)
        return any(name == "bias" for name, _ in owner.named_parameters(recurse=False))

    @contextmanager
    def changed_by(self, uses: Sequence[LoraUse]) -> Generator[tuple[str, ...]]:
        """Lay files on for as long as the context lasts; yields what the person should know.

        Changes are added in the order of the files, in float32, and then brought to the network's
        number format once.
        """
        put_aside: list[tuple[nn.Parameter, Tensor]] = []
        try:
            notes = self._lay_on(uses, put_aside)
            yield notes
        finally:
            for parameter, own in put_aside:
                parameter.data = own

    @torch.no_grad()
    def _lay_on(
        self, uses: Sequence[LoraUse], put_aside: list[tuple[nn.Parameter, Tensor]]
    ) -> tuple[str, ...]:
        notes: list[str] = []
        wanted: dict[Layer, list[tuple[LoraUse, Parts]]] = {}
        for use in uses:
            unknown = 0
            for name, parts in use.lora.layers.items():
                layer = self.find(name)
                if layer is None:
                    unknown += 1
                else:
                    wanted.setdefault(layer, []).append((use, parts))
            if unknown:
                total = len(use.lora.layers)
                notes.append(
                    f"{use.lora.source}: {unknown} of {total} layers are not in this checkpoint"
                )
        failed: dict[str, int] = {}
        for layer, changes in wanted.items():
            self._change(layer, changes, put_aside, failed)
        notes += [
            f"{source}: {count} layers do not fit this checkpoint"
            for source, count in failed.items()
        ]
        return tuple(notes)

    def _change(
        self,
        layer: Layer,
        changes: Iterable[tuple[LoraUse, Parts]],
        put_aside: list[tuple[nn.Parameter, Tensor]],
        failed: dict[str, int],
    ) -> None:
        parameter = self.parameter(layer)
        own_weight = parameter.detach().float()
        weight, bias = own_weight, None
        own_bias = self.parameter(layer, "bias") if self.has_bias(layer) else None
        known_bias = None if own_bias is None else own_bias.detach().float()
        for use, parts in changes:
            strength = use.weight if layer.network == "unet" else use.text_weight
            if strength == 0:
                continue
            try:
                change = delta(parts, weight, strength=strength, rank=use.rank, bias=known_bias)
            except ModelFileError:
                failed[use.lora.source] = failed.get(use.lora.source, 0) + 1
                continue
            if change.weight is not None:
                # A1111 adds in the number format of the change, and its pixels depend on it.
                weight = (weight.to(change.weight.dtype) + change.weight).float()
            if change.bias is not None:
                bias = change.bias if bias is None else bias + change.bias
        if weight is not own_weight:
            _replace(parameter, weight, put_aside)
        if bias is not None and own_bias is not None and known_bias is not None:
            _replace(own_bias, known_bias + bias, put_aside)


def _replace(
    parameter: nn.Parameter, value: Tensor, put_aside: list[tuple[nn.Parameter, Tensor]]
) -> None:
    put_aside.append((parameter, parameter.data))
    parameter.data = value.to(parameter.dtype)


def _layers(network: nn.Module) -> list[str]:
    """Return the paths of all layers that have a weight."""
    return [
        name.removesuffix(".weight")
        for name, _ in network.named_parameters()
        if name.endswith(".weight")
    ]
