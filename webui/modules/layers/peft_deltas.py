"""The changes that only PEFT writes: its IA3, OFT and BOFT act on inputs, with parts of their own.

Source of names and formulas: the forward of github.com/huggingface/peft, ``tuners/{ia3,oft,boft}``.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Parts = Mapping[str, Tensor]

TERMS = 5
"""Terms of the series with which PEFT turns its blocks unless its config says otherwise."""


def scaled(parts: Parts, weight: Tensor) -> Tensor:
    """IA3 as a whole multiplier of outputs or, in a feed-forward layer, of inputs.

    ``[out, 1]`` and ``[1, in]`` tell themselves apart; a convolution's ``[1, n, 1, 1]`` counts as
    one of outputs if it can, unless ``on_input`` says otherwise.
    """
    factor = parts["ia3_l"] - 1
    shape = [1] * weight.dim()
    shape[1 if on_input(parts, weight) else 0] = -1
    return weight * factor.reshape(shape)


def scaled_bias(parts: Parts, weight: Tensor, bias: Tensor) -> Tensor | None:
    """Return what PEFT's IA3 adds to a bias: outputs are multiplied with the bias in them."""
    return None if on_input(parts, weight) else bias * (parts["ia3_l"].flatten() - 1)


def on_input(parts: Parts, weight: Tensor) -> bool:
    """Tell whether IA3's factors belong to the inputs of a layer."""
    factor = parts["ia3_l"]
    if "on_input" in parts:
        return bool(parts["on_input"])
    if factor.dim() == 2:  # noqa: PLR2004 - rows and columns
        return factor.shape[0] == 1 and factor.shape[1] > 1
    return factor.numel() != weight.shape[0]


def turned(parts: Parts, weight: Tensor) -> Tensor:
    """OFT on inputs (arXiv:2506.19847): ``W' = W R^T`` with R of skew-symmetric blocks.

    A block is kept as the numbers above its diagonal. One block alone stands for all.
    """
    packed = parts["oft_R"]
    size = (1 + math.isqrt(1 + 8 * packed.shape[1])) // 2
    rows, columns = torch.triu_indices(size, size, 1)
    skew = packed.new_zeros(packed.shape[0], size, size)
    skew[:, rows, columns] = packed
    skew = skew - skew.transpose(-1, -2)
    terms = int(parts["oft_terms"]) if "oft_terms" in parts else TERMS
    rotation = _series(skew, terms) if terms else _cayley(skew)
    flat = weight.flatten(1)
    blocks = flat.reshape(flat.shape[0], -1, size)
    rotation = rotation.expand(blocks.shape[1], size, size)
    return torch.einsum("obk,bik->obi", blocks, rotation).reshape(weight.shape) - weight


def _series(skew: Tensor, terms: int) -> Tensor:
    """Return ``(I + Q) (I - Q)^-1`` by its Neumann series, the last term counted once."""
    one = torch.eye(skew.shape[-1], device=skew.device).expand_as(skew)
    total, power = one, one
    terms = 4 if terms == 3 else terms  # noqa: PLR2004 - PEFT's loop makes the same of both
    for number in range(1, terms):
        power = power @ skew
        total = total + (power if number == terms - 1 > 1 else 2 * power)
    return total


def _cayley(skew: Tensor) -> Tensor:
    """Return ``(I - Q) (I + Q)^-1``; PEFT's sign here is the other one."""
    one = torch.eye(skew.shape[-1], device=skew.device).expand_as(skew)
    return (one - skew) @ torch.inverse(one + skew)


def butterfly(parts: Parts, weight: Tensor) -> Tensor:
    """BOFT on inputs (arXiv:2311.06243): levels of turned blocks, then a factor for each output."""
    blocks = parts["boft_R"]
    levels, count, size = blocks.shape[:3]
    rotation = _cayley((blocks - blocks.transpose(-1, -2)) / 2)
    flat = weight.flatten(1)
    if count * size != flat.shape[1]:
        message = f"{count} blocks of {size} do not make {flat.shape[1]} inputs"
        raise RuntimeError(message)
    turned = flat
    for level in range(levels):
        order = _order(count, size, level, levels)
        mixed = turned[:, order].reshape(-1, count, size)
        mixed = torch.einsum("obk,bik->obi", mixed, rotation[level]).reshape(flat.shape)
        turned = torch.empty_like(mixed)
        turned[:, order] = mixed
    factor = parts["boft_s"].reshape(-1, 1) if "boft_s" in parts else 1.0
    return (turned * factor).reshape(weight.shape) - weight


def _order(count: int, size: int, level: int, levels: int) -> Tensor:
    """Return which inputs a level's blocks turn: half-blocks of a group, even ones first."""
    inputs = torch.arange(count * size)
    if levels == 1:
        return inputs
    groups = count // 2**level
    halves = inputs.reshape(groups, -1, size // 2)
    return torch.cat([halves[:, 0::2], halves[:, 1::2]], dim=1).flatten()
