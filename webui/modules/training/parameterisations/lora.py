"""The LoRA family: small changes beside layers that themselves stay as they are.

What is laid beside a layer is, number for number, what ``layers/deltas.py`` adds to its weight when
the finished file is used: training and drawing share one formula.
"""

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, cast

import torch
from torch import Tensor, nn

from webui.modules.errors import UnsupportedError
from webui.modules.layers.blocks import BASE, block_of, factor_of, rank_of
from webui.modules.layers.deltas import delta
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.learned import LearnedWords
from webui.modules.training.chance import chance
from webui.modules.training.plan import LoraPlan
from webui.modules.weights.keymap import ldm_unet_name

ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0")
TRANSFORMER: Final = (*ATTENTION, "net.0.proj", "net.2", "proj_in", "proj_out")
CONVOLUTIONS: Final = ("conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv",
                       "upsamplers.0.conv")  # fmt: skip
TEXT: Final = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class Change(nn.Module):
    """What is learned beside one layer.

    Args:
        layer: A linear layer or a convolution; it stays as it is.
        method: Which kind of change.
        rank: Its dimensions.
        alpha: It counts ``alpha / rank``.
        dropout: Share of its inputs left out at random while training.
    """

    def __init__(
        self, layer: nn.Module, plan: LoraPlan, rank: int, random: torch.Generator
    ) -> None:
        super().__init__()
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            message = f"a layer of the kind {type(layer).__name__} cannot be changed by a LoRA"
            raise UnsupportedError(message, hint="Choose other layers.")
        self._layer = (layer,)  # in a tuple, so that it is no part of this network
        self._method = plan.method
        self._dropout = plan.dropout
        self._alpha = plan.alpha * rank / plan.rank  # the same share for convolutions
        own = layer.weight
        parts = _begun(plan.method, own, rank, random)
        self.parts = nn.ParameterDict(
            {
                name.replace(".", "-"): nn.Parameter(part.to(own.device))
                for name, part in parts.items()
            }
        )

    def forward(self, output: Tensor, states: Tensor) -> Tensor:
        """Return the layer's output for these inputs with the change added."""
        if self._dropout and torch.is_grad_enabled():
            states = nn.functional.dropout(states, self._dropout)
        parts = self.tensors()
        if self._method == "lora":
            down, up = parts["lora_down.weight"], parts["lora_up.weight"]
            # The narrow side is scaled, and the wide one is added as it is multiplied.
            narrow = self._run(down, states) * (self._alpha / len(down))
            return _added(output, narrow, up)
        change = delta(parts, self._layer[0].weight.detach().float(), strength=1.0).weight
        return output if change is None else output + self._run(change, states)

    def tensors(self) -> dict[str, Tensor]:
        """Return the parts by the names that they have in files, with alpha among them."""
        parts: dict[str, Tensor] = {
            name.replace("-", "."): part for name, part in self.parts.items()
        }
        return parts | {"alpha": torch.tensor(float(self._alpha))}

    def _run(self, weight: Tensor, states: Tensor) -> Tensor:
        """Multiply as the layer does."""
        weight, layer = weight.to(states.dtype), self._layer[0]
        if isinstance(layer, nn.Linear):
            return nn.functional.linear(states, weight)
        return nn.functional.conv2d(
            states, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups
        )


def _added(output: Tensor, narrow: Tensor, up: Tensor) -> Tensor:
    """Return ``output + up narrow`` without the product ever lying in memory by itself.

    Args:
        output: ``[..., out]`` of a linear layer, or ``[batch, out, height, width]``.
        narrow: The same with ``rank`` for ``out``.
        up: ``[out, rank]``, or ``[out, rank, 1, 1]`` for a convolution.
    """
    narrow, up = narrow.to(output.dtype), up.to(output.dtype)
    if up.dim() == 2:  # noqa: PLR2004 - a matrix
        flat = torch.addmm(output.flatten(0, -2), narrow.flatten(0, -2), up.t())
        return flat.view_as(output)
    wide = up.flatten(1).expand(len(output), -1, -1)
    return torch.baddbmm(output.flatten(2), wide, narrow.flatten(2)).view_as(output)


class LoraFamily:
    """All changes of one file.

    Args:
        base: The checkpoint.
        plan: Which layers, and how.
        seed: Decides how they begin.

    Raises:
        UnsupportedError: If no layer is changed.
    """

    def __init__(self, base: Checkpoint, plan: LoraPlan, seed: int) -> None:
        random = chance(seed, "begin", 0).noise
        self._plan = plan
        self._changes: dict[str, tuple[nn.Module, Change]] = {}
        self._blocks: dict[str, str] = {}
        if plan.unet:
            shape = base.architecture.unet
            for path, layer, rank in _unet_layers(base.unet, plan):
                block = block_of(ldm_unet_name(f"{path}.", shape))
                self._add(kohya_name("unet", path), layer, block, rank, random)
        if plan.text:
            for path, layer in _modules(base.text):
                if path.endswith(TEXT):
                    self._add(kohya_name("text", path), layer, BASE, plan.rank, random)
        if not self._changes:
            message = "this LoRA would change no layer"
            hint = "Train the U-Net, the text encoder, or both, and leave some block above 0."
            raise UnsupportedError(message, hint=hint)

    def _add(
        self, name: str, layer: nn.Module, block: str, rank: int, random: torch.Generator
    ) -> None:
        """Lay a change beside a layer, unless its block stays as it is."""
        plan = self._plan
        own = rank_of(rank, plan.ranks, block)
        if own and factor_of(plan.blocks, block):
            self._changes[name] = (layer, Change(layer, plan, own, random))
            self._blocks[name] = block

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names."""
        return {
            f"{name}.{part}": parameter
            for name, (_, change) in self._changes.items()
            for part, parameter in change.parts.items()
        }

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        own = factor_of(self._plan.blocks, self._blocks[name.partition(".")[0]])
        return own * text_rate if name.startswith("lora_te") else own

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return self._plan.text

    @contextmanager
    def worn(self) -> Generator[LearnedWords]:
        """Lay all changes beside their layers until the end of the block."""
        with ExitStack() as worn:
            for layer, change in self._changes.values():
                worn.enter_context(_beside(layer, change))
            yield LearnedWords()

    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the file holds, by kohya's names, with these values for what is learned."""
        found: dict[str, Tensor] = {}
        for name, (_, change) in self._changes.items():
            found[f"{name}.alpha"] = change.tensors()["alpha"]
            for part in change.parts:
                found[f"{name}.{part.replace('-', '.')}"] = finished[f"{name}.{part}"]
        return found


def kohya_name(network: str, path: str) -> str:
    """Return the name that a layer has in LoRA files, by a fixed table.

    The text encoder's modules are called ``text_model...`` in files whatever the installed library
    calls them (github.com/kohya-ss/sd-scripts, ``networks/lora.py``).
    """
    flat = path.replace(".", "_")
    if network == "unet":
        return f"lora_unet_{flat}"
    return f"lora_te_text_model_{flat.removeprefix('text_model_')}"


def _modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Return all layers with their paths; torch leaves the types of this open."""
    return cast("Iterator[tuple[str, nn.Module]]", network.named_modules())


def _unet_layers(unet: nn.Module, plan: LoraPlan) -> Generator[tuple[str, nn.Module, int]]:
    ends = ATTENTION if plan.targets == "attention" else TRANSFORMER
    for path, layer in _modules(unet):
        if "attentions" in path and path.endswith(ends):
            yield path, layer, plan.rank
        elif plan.conv_rank and path.endswith(CONVOLUTIONS) and "attentions" not in path:
            yield path, layer, plan.conv_rank


@contextmanager
def _beside(layer: nn.Module, change: Change) -> Generator[None]:
    def add(_layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return change(output, given[0])

    handle = layer.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


# ------------------------------------------------------------------- how each method begins


def _begun(method: str, weight: Tensor, rank: int, random: torch.Generator) -> dict[str, Tensor]:
    """Return the parts of a change that changes nothing yet."""
    rows, columns = weight.shape[0], weight[0].numel()
    if method == "loha":
        return {
            "hada_w1_a": 0.1 * torch.randn(rows, rank, generator=random),
            "hada_w1_b": torch.randn(rank, columns, generator=random),
            "hada_w2_a": torch.zeros(rows, rank),
            "hada_w2_b": torch.randn(rank, columns, generator=random),
        }
    if method == "lokr":
        return _lokr_begun(weight, rank, random)
    kernel = tuple(weight.shape[2:])
    ones = (1,) * len(kernel)
    parts = {
        "lora_down.weight": _uniform((rank, weight.shape[1], *kernel), random),
        "lora_up.weight": torch.zeros(rows, rank, *ones),
    }
    if method == "dora":
        axes = tuple(axis for axis in range(weight.dim()) if axis != 1)
        own = weight.detach().float().cpu()
        # Lengths of columns: the layout that A1111 draws with.
        parts["dora_scale"] = own.square().sum(dim=axes, keepdim=True).sqrt()
    return parts


def _lokr_begun(weight: Tensor, rank: int, random: torch.Generator) -> dict[str, Tensor]:
    """Split each side into a small and a large factor, as near to its root as it goes."""
    (rows, row_rest), (columns, column_rest) = (_halves(side) for side in weight.shape[:2])
    kernel = tuple(weight.shape[2:])
    parts = {"lokr_w1": _uniform((rows, columns), random)}
    if kernel or rank >= max(row_rest, column_rest) / 2:
        return parts | {"lokr_w2": torch.zeros(row_rest, column_rest, *kernel)}
    return parts | {
        "lokr_w2_a": torch.zeros(row_rest, rank),
        "lokr_w2_b": _uniform((rank, column_rest), random),
    }


def _halves(side: int) -> tuple[int, int]:
    """Return two factors of a side, the smaller first, as near to each other as it goes."""
    small = next(each for each in range(math.isqrt(side), 0, -1) if side % each == 0)
    return small, side // small


def _uniform(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Return He's uniform beginning as torch's layers have it (arXiv:1502.01852, equation 10)."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    return (torch.rand(shape, generator=random) * 2 - 1) * bound
