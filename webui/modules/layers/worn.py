"""The weights of one network as its add-ons change them, put on and taken off by swapping.

The network's own weights are never written to. Changed ones are computed into memory of their own,
and a parameter is pointed at the one or the other; so taking off costs nothing and is exact, and
the same add-ons are put on again for nothing while their weights are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.layers.deltas import (
    LayerChange,
    Parts,
    added,
    first_dimensions,
    method_of,
    scale_of,
)
from webui.modules.layers.room import HasRoom, Room, is_ample, size_of

_FACTORS: Final = ("lora_up.weight", "lora_down.weight")

_PLAIN: Final = frozenset({*_FACTORS, "alpha", "scale"})
"""The parts of a layer whose change is a product of two matrices and nothing else."""

_PIECE: Final = 1024 * 1024
"""Elements of a narrower weight that are computed at once in 32 bits; so many stay in cache."""

_KERNEL: Final = 4
"""Axes of a convolution's weight."""


Key = tuple[tuple[int, str, float, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Set:
    """Changed weights by their full names, and the memory that they lie in.

    Attributes:
        key: What tells it from other sets.
        room: The memory.
        weights: By the names of parameters.
        failed: Layers that a file could not change, by the file.
        changes: What they came from; held here so that no other change can have their key.
    """

    key: Key
    room: Room
    weights: Mapping[str, Tensor]
    failed: Mapping[str, int]
    changes: Sequence[LayerChange]


@dataclass(slots=True)
class Worn:
    """One network, and what it wears.

    Attributes:
        network: The network; while it wears nothing its weights are its own, bit for bit.
        has_room: Tells whether a device has memory to spare for what is not worn.
    """

    network: nn.Module
    has_room: HasRoom = is_ample
    _own: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    _kept: _Set | None = None
    _now: Key = ()

    @torch.inference_mode(mode=False)
    def wear(self, changes: Sequence[LayerChange]) -> Mapping[str, int]:
        """Wear exactly these changes; none of them is the network as it is.

        Changes of one layer are added in their order, in float32, and brought to the network's
        number format once.

        Returns:
            How many layers each file could not change.
        """
        changes = [change for change in changes if change.strength != 0]
        key = tuple(change.key for change in changes)
        if key != self._now:
            self._put_back()
            if changes:
                if self._kept is None or self._kept.key != key:
                    self._kept = self._made(changes, key)
                self._point_at(self._kept.weights)
            self._now = key
        return self._kept.failed if key and self._kept else {}

    def spare(self, *, everything: bool = False) -> None:
        """Let go of what is kept but not worn, if memory is short or all of it is to go."""
        device = next(self.network.parameters()).device
        if not self._now and (everything or not self.has_room(device)):
            self._kept = None

    def _put_back(self) -> None:
        for name, weight in self._own.items():
            self.network.get_parameter(name).data = weight
        self._own.clear()
        self._now = ()

    def _point_at(self, weights: Mapping[str, Tensor]) -> None:
        for name, weight in weights.items():
            parameter = self.network.get_parameter(name)
            self._own[name] = parameter.data
            parameter.data = weight

    @torch.no_grad()
    def _made(self, changes: Sequence[LayerChange], key: Key) -> _Set:
        by_layer: dict[str, list[LayerChange]] = {}
        for change in changes:
            by_layer.setdefault(change.path, []).append(change)
        own = {name: self.network.get_parameter(name).data for name in self._named(by_layer)}
        room = self._room(own)
        places = dict(zip(own, room.like(own.values()), strict=True))
        weights: dict[str, Tensor] = {}
        failed: dict[str, int] = {}
        widened = _widened(changes, next(iter(own.values())).device)
        for path, wanted in by_layer.items():
            layer = _Layer(path, own, places)
            if layer.add_plain(
                [widened.get(change.key, change) for change in wanted]
            ) or layer.add_any(wanted, failed):
                weights |= layer.changed
        return _Set(key=key, room=room, weights=weights, failed=failed, changes=changes)

    def _named(self, by_layer: Mapping[str, Sequence[LayerChange]]) -> list[str]:
        """Return the names of all parameters that these changes may touch."""
        named: list[str] = []
        for path, wanted in by_layer.items():
            named.append(f"{path}.weight")
            inside = dict(self.network.get_submodule(path).named_parameters(recurse=False))
            if "bias" in inside and not all(_is_plain(change.parts) for change in wanted):
                named.append(f"{path}.bias")
        return named

    def _room(self, own: Mapping[str, Tensor]) -> Room:
        """Return memory for changed weights: that of the last ones if it is large enough."""
        size, device = size_of(own.values()), next(iter(own.values())).device
        kept, self._kept = self._kept, None
        if kept is not None and kept.room.size >= size:
            return kept.room
        del kept
        return Room(size, device)


class _Layer:
    """One layer: its own weights, and where its changed ones are written."""

    def __init__(self, path: str, own: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> None:
        self.changed: dict[str, Tensor] = {}
        self._weight, self._bias = f"{path}.weight", f"{path}.bias"
        self._own = own
        self._places = places

    def add_plain(self, changes: Sequence[LayerChange]) -> bool:
        """Add changes that are each a product of two matrices, as one product; tell if they are."""
        own, place = self._own[self._weight], self._places[self._weight]
        found = [_product(change, own) for change in changes]
        products = [product for product in found if product is not None]
        if len(products) < len(found):
            return False
        product = products[0]
        if len(products) > 1:
            product = _Product(
                torch.cat([each.up * each.scale for each in products], 1),
                torch.cat([each.down for each in products]),
            )
        product.add_to(_matrix(own), _matrix(place))
        self.changed[self._weight] = place
        return True

    def add_any(self, changes: Sequence[LayerChange], failed: dict[str, int]) -> bool:
        """Add changes of any method one after the other; tell whether one could be added."""
        own = self._own[self._weight].float()
        own_bias = self._own[self._bias].float() if self._bias in self._own else None
        weight, bias = added(changes, own, own_bias, failed)
        if weight is not own:
            self.changed[self._weight] = self._places[self._weight].copy_(weight)
        if bias is not None and own_bias is not None:
            self.changed[self._bias] = self._places[self._bias].copy_(own_bias + bias)
        return bool(self.changed)


@dataclass(frozen=True, slots=True)
class _Product:
    """``scale * up @ down``, both factors in float32."""

    up: Tensor
    down: Tensor
    scale: float = 1.0

    def add_to(self, own: Tensor, place: Tensor) -> None:
        """Write the sum of a matrix and this product into a place of the matrix' format."""
        if own.dtype == torch.float32:
            torch.mm(self.up, self.down, out=place)
            torch.add(own, place, alpha=self.scale, out=place)
            return
        step = max(1, _PIECE // own.shape[1])
        wide = torch.empty(min(step, len(own)), own.shape[1], device=own.device)
        for first in range(0, len(own), step):
            rows = slice(first, first + step)
            sums = wide[: len(own[rows])].copy_(own[rows])
            place[rows].copy_(sums.addmm_(self.up[rows], self.down, alpha=self.scale))


def _widened(
    changes: Sequence[LayerChange], device: torch.device
) -> Mapping[tuple[int, str, float, int], LayerChange]:
    """Return plain changes with their factors in float32 on the device, by their keys.

    All are brought there at once: hundreds of small tensors one by one take longer than the sums.
    """
    plain = [change for change in changes if _is_plain(change.parts)]
    if not plain:
        return {}
    factors = [change.parts[name] for change in plain for name in _FACTORS]
    flat = torch.cat([factor.reshape(-1) for factor in factors]).to(device, torch.float32)
    wide = iter(torch.split(flat, [factor.numel() for factor in factors]))
    return {
        change.key: replace(
            change,
            parts={
                **change.parts,
                **{name: next(wide).view(change.parts[name].shape) for name in _FACTORS},
            },
        )
        for change in plain
    }


def _is_plain(parts: Parts) -> bool:
    method = method_of(parts)
    return method is not None and method.name == "lora" and set(parts) <= _PLAIN


def _product(change: LayerChange, weight: Tensor) -> _Product | None:
    """Return the product that a change is, its columns in the order of the weight's memory.

    None if the change is more than such a product, or does not fit the weight.
    """
    method = method_of(change.parts)
    if method is None or not _is_plain(change.parts):
        return None
    parts = first_dimensions(change.parts, change.rank) if change.rank else change.parts
    up, down = (parts[name] for name in _FACTORS)
    pointwise = up.numel() == up.shape[0] * up.shape[1]
    if not pointwise or up.shape[0] != weight.shape[0] or up.shape[1] != down.shape[0]:
        return None
    if down[0].numel() != weight[0].numel():
        return None
    scale = scale_of(method, change.parts) * change.strength
    return _Product(up.flatten(1), _matrix(_ordered(down, weight)), scale)


def _ordered(down: Tensor, weight: Tensor) -> Tensor:
    """Bring a kernel's axes into the order that the weight has in memory."""
    if weight.dim() < _KERNEL or weight.is_contiguous():
        return down
    shaped = down.reshape(down.shape[0], *weight.shape[1:])
    return shaped.contiguous(memory_format=torch.channels_last)


def _matrix(tensor: Tensor) -> Tensor:
    """Return a weight as rows, one for each output, without moving it in memory."""
    if tensor.dim() == _KERNEL and not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)
    return tensor.flatten(1)
