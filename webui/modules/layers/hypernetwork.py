"""Hypernetworks: small networks that change what attention reads before it makes keys and values.

The file format and all its oddities are A1111's (github.com/AUTOMATIC1111/stable-diffusion-webui,
``modules/hypernetworks``): a dictionary with one pair of networks for each width, the first for
keys, the second for values. What the layers between the linear ones are is told by the file.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers.times import acts
from webui.modules.weights.read import TensorReader, open_tensors

ACTIVATIONS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leakyrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "swish": nn.Hardswish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "glu": nn.GLU,
    "hardshrink": nn.Hardshrink,
    "hardsigmoid": nn.Hardsigmoid,
    "hardtanh": nn.Hardtanh,
    "logsigmoid": nn.LogSigmoid,
    "logsoftmax": nn.LogSoftmax,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu6": nn.ReLU6,
    "rrelu": nn.RReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "softmax": nn.Softmax,
    "softmax2d": nn.Softmax2d,
    "softmin": nn.Softmin,
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "tanhshrink": nn.Tanhshrink,
}
"""A1111's names of activations; what it calls "swish" is in truth Hardswish."""

TEXTS: Final = frozenset(
    {"name", "sd_checkpoint", "sd_checkpoint_name", "activation_func", "weight_initialization",
     "optional_info"}
)  # fmt: skip
"""Settings that are texts, whatever they look like; the others are numbers, lists and truths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypernetwork:
    """A file in memory.

    Attributes:
        source: Name of the file.
        pairs: Networks for keys and for values by the width of what they change.
        name: What its maker called it.
        step: How long it was trained.
    """

    source: str
    pairs: Mapping[int, tuple[nn.Module, nn.Module]]
    name: str = ""
    step: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class HypernetworkUse:
    """One file, how strongly it acts, and when; see ``times.py``."""

    hypernetwork: Hypernetwork
    weight: float = 1.0
    start: float = 0.0
    stop: float = 1.0


def read_hypernetwork(path: Path) -> Hypernetwork:
    """Read a hypernetwork, a ``.pt`` of A1111 or the same tensors as safetensors.

    Raises:
        ModelFileError: If it is missing, cut off or damaged.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it is no hypernetwork, or has layers that we do not know.
    """
    with open_tensors(path) as file:
        values = told_values(file.values())
        widths = sorted(
            {int(head) for name in file.names() if (head := name.split(".")[0]).isdigit()}
        )
        if not widths:
            message = f"{path.name} has no networks by width"
            hint = "Is it a hypernetwork? Try: launch.py inspect FILE"
            raise UnsupportedModelError(message, hint=hint, value=path.name)
        pairs = {
            width: (_network(file, f"{width}.0.", path), _network(file, f"{width}.1.", path))
            for width in widths
        }
    return Hypernetwork(
        source=path.name,
        pairs=pairs,
        name=str(values.get("name") or ""),
        step=int(values.get("step") or 0),
    )


def told_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a hypernetwork as values: a safetensors file has them as texts."""
    return {
        key: json.loads(value)
        if isinstance(value, str) and (value == "null" or (key not in TEXTS and _is_json(value)))
        else value
        for key, value in values.items()
    }


def _is_json(text: str) -> bool:
    """Tell a number, list, truth value or null that was written as text."""
    try:
        return not isinstance(json.loads(text), str | dict)
    except (ValueError, RecursionError):
        return False


def _network(file: TensorReader, prefix: str, path: Path) -> nn.Module:
    """Build one network from its tensors: the numbers in their names are places in a sequence."""
    tensors = {
        _modern(name.removeprefix(prefix)): file.read(name).float()
        for name in file.names()
        if name.startswith(prefix)
    }
    values = told_values(file.values())
    kind = str(values.get("activation_func") or "linear").lower()
    places = sorted({int(name.split(".")[1]) for name in tensors})
    if not places or kind not in ACTIVATIONS:
        what = f"the activation {kind!r}" if places else f"no layers under {prefix}"
        message = f"{path.name} has {what}"
        raise UnsupportedModelError(message, hint="It cannot be used here.", value=path.name)
    linear = [place for place in places if tensors[f"linear.{place}.weight"].dim() == 2]  # noqa: PLR2004 - a matrix
    activate_last = bool(values.get("activate_output", True))
    layers: list[nn.Module] = []
    for place in range(places[-1] + 1):
        if place in places:
            layers.append(_layer(tensors, place))
        elif _activates(place, linear, kind=kind):
            layers.append(ACTIVATIONS[kind]())
        else:
            layers.append(nn.Identity())  # a dropout, which does nothing while drawing
    if activate_last and kind != "linear":
        layers += _after_last(values, kind)
    network = nn.Sequential(*layers)
    return network.eval().requires_grad_(requires_grad=False)


def _modern(name: str) -> str:
    """Return the name of today for the two linear layers of the first files."""
    for old, new in (("linear1.", "linear.0."), ("linear2.", "linear.1.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _activates(place: int, linear: Sequence[int], *, kind: str) -> bool:
    """Tell whether the layer at this place is the activation: it follows a linear layer."""
    return kind != "linear" and place - 1 in linear


def _after_last(values: Mapping[str, Any], kind: str) -> list[nn.Module]:
    """Return the activation behind the last layer, which only early files have.

    It stands before that layer's normalisation; files with both were never seen.
    """
    return [] if values.get("is_layer_norm") else [ACTIVATIONS[kind]()]


def _layer(tensors: Mapping[str, Tensor], place: int) -> nn.Module:
    weight, bias = tensors[f"linear.{place}.weight"], tensors.get(f"linear.{place}.bias")
    if weight.dim() == 1:
        norm = nn.LayerNorm(weight.shape[0])
        norm.weight = nn.Parameter(weight)
        norm.bias = nn.Parameter(torch.zeros_like(weight) if bias is None else bias)
        return norm
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


class Contexts:
    """What attention reads, changed by hypernetworks one after the other.

    Each network answers with a change that is added to its input: ``x + strength * f(x)``.
    """

    def __init__(self, uses: Sequence[HypernetworkUse], device: torch.device) -> None:
        self._uses = [use for use in uses if use.weight != 0]
        self._acting = self._uses
        for use in self._uses:
            for pair in use.hypernetwork.pairs.values():
                for network in pair:
                    nn.Module.to(network, device)

    def __bool__(self) -> bool:
        """Tell whether there is anything that acts at some time."""
        return bool(self._uses)

    def at(self, taken: int, steps: int) -> None:
        """Let act what acts after so many steps."""
        self._acting = [use for use in self._uses if acts(use, taken, steps)]

    def __call__(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return what keys and what values are made from.

        Args:
            context: ``[batch, tokens, width]``.

        Raises:
            ModelFileError: If a network does not fit this width.
        """
        keys = values = context
        for use in self._acting:
            pair = use.hypernetwork.pairs.get(context.shape[-1])
            if pair is not None:
                keys = _added(pair[0], keys, use)
                values = _added(pair[1], values, use)
        return keys, values


def _added(network: nn.Module, context: Tensor, use: HypernetworkUse) -> Tensor:
    try:
        change: Tensor = network(context.float())
    except RuntimeError as error:
        message = f"{use.hypernetwork.source} does not fit a width of {context.shape[-1]}: {error}"
        hint = "It was made for another checkpoint, or is damaged."
        raise ModelFileError(message, hint=hint, value=use.hypernetwork.source) from error
    return context + (change * use.weight).to(context.dtype)
