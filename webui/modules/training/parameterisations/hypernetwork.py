"""A hypernetwork: small networks before every key and value, with A1111's layers and beginnings."""

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

import torch
from torch import Tensor, nn

from webui.modules.errors import RangeError, UnknownNameError
from webui.modules.layers.hypernetwork import ACTIVATIONS, Contexts, Hypernetwork, HypernetworkUse
from webui.modules.networks.attention import reading_through
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.learned import LearnedWords
from webui.modules.training.chance import chance
from webui.modules.training.plan import HypernetworkPlan

NORMAL_DEVIATION: Final = 0.01
"""How far A1111's "Normal" weights begin from zero."""

BEGINNINGS: Final = ("Normal", "KaimingUniform", "KaimingNormal", "XavierUniform", "XavierNormal")
"""A1111's names of the ways in which weights begin."""


class Networks:
    """The networks of one hypernetwork.

    Args:
        base: The checkpoint whose attention reads through them.
        plan: What they look like.
        name: Of the file.
        seed: Decides how they begin.

    Raises:
        UnknownNameError: If an activation or a beginning is unknown.
        RangeError: If the structure is none, or a width is read nowhere.
    """

    def __init__(self, base: Checkpoint, plan: HypernetworkPlan, name: str, seed: int) -> None:
        _check(plan)
        read = _widths(base.unet)
        widths = plan.widths or tuple(sorted(read))
        unread = sorted(set(widths) - read)
        if unread:
            message = f"no attention of this checkpoint reads a width of {unread[0]}"
            hint = f"Choose among {', '.join(map(str, sorted(read)))}."
            raise RangeError(message, hint=hint, value=unread[0])
        random = chance(seed, "begin", 0).noise
        device = base.unet.device
        self._unet = base.unet
        self.pairs = {
            width: (
                begun(width, plan, random).to(device),
                begun(width, plan, random).to(device),
            )
            for width in widths
        }
        self._use = HypernetworkUse(hypernetwork=Hypernetwork(source=name, pairs=self.pairs))

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names: ``width.0 or 1.linear.N.weight``."""
        return {
            f"{width}.{which}.linear.{name}": parameter
            for width, pair in self.pairs.items()
            for which, network in enumerate(pair)
            for name, parameter in network.named_parameters()
        }

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        return 1.0

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return False

    @contextmanager
    def worn(self) -> Generator[LearnedWords]:
        """Let attention read through the networks until the end of the block.

        As in A1111 they count fully while they are trained.
        """
        with reading_through(self._unet, Contexts([self._use], self._unet.device)):
            yield LearnedWords()

    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the file holds, by the same flat names."""
        return dict(finished)


def begun(width: int, plan: HypernetworkPlan, random: torch.Generator) -> nn.Sequential:
    """Return one network as it begins; the places of its layers are A1111's.

    Args:
        width: Of what it changes.
        plan: Its structure.
        random: Where its first weights come from.
    """
    layers: list[nn.Module] = []
    sizes = [int(width * factor) for factor in plan.structure]
    for place in range(len(sizes) - 1):
        last = place == len(sizes) - 2
        layer = nn.Linear(sizes[place], sizes[place + 1])
        _begin(layer, plan, random)
        layers.append(layer)
        if plan.activation != "linear" and not last:
            layers.append(ACTIVATIONS[plan.activation]())
        if plan.layer_norm:
            norm = nn.LayerNorm(sizes[place + 1])
            _normal(norm.weight, NORMAL_DEVIATION, random)  # as A1111 begins these too
            layers.append(norm)
        share = plan.dropout[place + 1] if plan.dropout else 0.0
        if share and not last:
            layers.append(nn.Dropout(share))
    return nn.Sequential(*layers)


@torch.no_grad()
def _begin(layer: nn.Linear, plan: HypernetworkPlan, random: torch.Generator) -> None:
    """Give a layer its first weights (Glorot & Bengio 2010, equation 16; arXiv:1502.01852)."""
    rows, columns = layer.weight.shape
    layer.bias.zero_()
    if plan.weights == "Normal":
        _normal(layer.weight, NORMAL_DEVIATION, random)
        return
    slope = 0.01 if plan.activation == "leakyrelu" else 0.0
    variance = 2 / (rows + columns) if "Xavier" in plan.weights else 2 / ((1 + slope**2) * columns)
    if plan.weights.endswith("Uniform"):
        bound = math.sqrt(3 * variance)
        layer.weight.copy_((torch.rand(rows, columns, generator=random) * 2 - 1) * bound)
    else:
        _normal(layer.weight, math.sqrt(variance), random)


@torch.no_grad()
def _normal(weight: Tensor, deviation: float, random: torch.Generator) -> None:
    weight.copy_(torch.randn(weight.shape, generator=random) * deviation)


def _check(plan: HypernetworkPlan) -> None:
    for name, value, known in (
        ("activation", plan.activation, tuple(ACTIVATIONS)),
        ("beginning of the weights", plan.weights, BEGINNINGS),
    ):
        if value not in known:
            message = f"there is no {name} {value[:80]!r}"
            raise UnknownNameError(
                message, hint=f"There are: {', '.join(known)}.", value=value[:80]
            )
    ends = plan.structure[:1] + plan.structure[-1:]
    if len(plan.structure) < 2 or ends != (1, 1) or min(plan.structure) <= 0:  # noqa: PLR2004 - in and out
        message = f"{list(plan.structure)} is no layer structure"
        raise RangeError(
            message, hint="Begin and end with 1, such as 1, 2, 1.", value=plan.structure
        )
    if plan.dropout and len(plan.dropout) != len(plan.structure):
        message = f"{list(plan.dropout)} has not one dropout for each number of the structure"
        raise RangeError(message, hint="Such as 0, 0.3, 0 for 1, 2, 1.", value=plan.dropout)
    if plan.dropout and not all(0 <= share < 1 for share in plan.dropout):
        message = f"{list(plan.dropout)} holds a dropout outside 0 to 1"
        raise RangeError(message, hint="Such as 0, 0.3, 0.", value=plan.dropout)


def _widths(unet: nn.Module) -> set[int]:
    """Return the widths of what keys are made from."""
    return {
        layer.in_features
        for path, layer in cast("Iterator[tuple[str, nn.Module]]", unet.named_modules())
        if path.endswith("to_k") and isinstance(layer, nn.Linear)
    }
