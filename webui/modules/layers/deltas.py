"""What each method of the LoRA family adds to one weight: the formulas, and nothing else.

A file holds, for every layer of the network that it changes, a few small tensors: its parts. Which
parts there are tells the method. The sources are the papers named below and, for names and scales,
LyCORIS (github.com/KohakuBlueleaf/LyCORIS) and A1111's built-in reader; where the two disagree,
A1111 decides, since it is what people have seen their files do.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import ModelFileError
from webui.modules.layers import peft_deltas

BUTTERFLY: Final = 4
"""Axes of the blocks of a butterfly: levels, blocks, rows, columns; others have no levels."""

Parts = Mapping[str, Tensor]
"""The tensors of one layer in the file by the names of their parts."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What is added to a layer: to its weight and to its bias; None for nothing."""

    weight: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One method of the family.

    Attributes:
        name: What people call it.
        marks: Parts that only this method has; any of them tells it.
        needs: Parts that must be there, each one of several spellings.
        weight: The change of the weight before scale and strength, shaped like the weight.
        rank: By what ``alpha`` is divided; None for a method without a scale.
        widens: Compute in float32 whatever the file's number format. A1111 does so only for LoRA
            itself, and its pixels depend on it.
    """

    name: str
    marks: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]
    weight: Callable[[Parts, Tensor], Tensor]
    rank: Callable[[Parts], int | None]
    widens: bool = False


def method_of(parts: Parts) -> Method | None:
    """Return the method of a layer's parts; None if no method has such parts."""
    for method in METHODS:
        marked = any(mark in parts for mark in method.marks)
        if marked and all(any(part in parts for part in either) for either in method.needs):
            return method
    return None


def delta(
    parts: Parts, weight: Tensor, *, strength: float, rank: int = 0, bias: Tensor | None = None
) -> Delta:
    """Return what a layer's parts add to its weight.

    Args:
        parts: Of one layer.
        weight: The network's own weight, float32.
        strength: Factor on the whole change.
        rank: Use only so many of a LoRA's dimensions; 0 for all.
        bias: The network's own bias, float32, which one method multiplies; None if it has none.

    Raises:
        ModelFileError: If the parts are of no method that we know, or do not fit the weight.
    """
    method = method_of(parts)
    if method is None:
        message = f"a layer with the parts {', '.join(sorted(parts))[:120]} is of no known method"
        raise ModelFileError(message, hint="Is it a LoRA file of another model family?")
    scale = scale_of(method, parts)
    chosen = first_dimensions(parts, rank) if rank else parts
    parts = {
        name: part.to(weight.device, torch.float32 if method.widens else part.dtype)
        for name, part in chosen.items()
    }
    try:
        change = method.weight(parts, weight)
        if "bias" in parts:
            change = change + parts["bias"].reshape(change.shape)
        if change.shape != weight.shape:
            change = change.reshape(weight.shape)
        change = change * scale
        if "dora_scale" in parts:
            change = _redirected(weight, change, parts["dora_scale"])
        shift = _shift(parts, weight, bias)
    except RuntimeError as error:
        shape = tuple(weight.shape)
        message = f"a layer of the method {method.name} does not fit a weight of {shape}: {error}"
        raise ModelFileError(message, hint="It was made for another checkpoint.") from error
    return Delta(change * strength, None if shift is None else shift * strength)


def _shift(parts: Parts, weight: Tensor, bias: Tensor | None) -> Tensor | None:
    """Return the change of the bias; None for none."""
    if "ia3_l" in parts and bias is not None:
        return peft_deltas.scaled_bias(parts, weight, bias)
    return next((parts[name] for name in ("diff_b", "b_norm") if name in parts), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerChange:
    """What one file does to one layer.

    Attributes:
        source: Name of the file.
        path: The layer in the network.
        parts: The file's tensors for it.
        strength: Factor on the whole change.
        rank: Use only so many dimensions; 0 for all.
    """

    source: str
    path: str
    parts: Parts
    strength: float
    rank: int = 0

    @property
    def key(self) -> tuple[int, str, float, int]:
        """What tells it from every other one while its file is in memory."""
        return id(self.parts), self.path, self.strength, self.rank


def added(
    changes: Iterable[LayerChange],
    weight: Tensor,
    own_bias: Tensor | None,
    failed: dict[str, int],
) -> tuple[Tensor, Tensor | None]:
    """Add changes of any method to a layer one after the other.

    Args:
        changes: In their order.
        weight: The layer's own weight, float32.
        own_bias: Its bias, float32; None if it has none.
        failed: Counts, by file, changes that do not fit and are left out.

    Returns:
        The changed weight, the very tensor that was given if nothing changes it, and what is to be
        added to the bias.
    """
    bias = None
    for change in changes:
        try:
            found = delta(
                change.parts, weight, strength=change.strength, rank=change.rank, bias=own_bias
            )
        except ModelFileError:
            failed[change.source] = failed.get(change.source, 0) + 1
            continue
        if found.weight is not None:
            # A1111 adds in the number format of the change, and its pixels depend on it.
            weight = (weight.to(found.weight.dtype) + found.weight).float()
        if found.bias is not None:
            bias = found.bias if bias is None else bias + found.bias
    return weight, bias


def scale_of(method: Method, parts: Parts) -> float:
    """Return ``alpha / rank``, or what the file says instead; 1 where a method has no scale."""
    if "scale" in parts:
        return float(parts["scale"])
    rank = method.rank(parts)
    if rank is None or "alpha" not in parts:
        return 1.0
    return float(parts["alpha"]) / rank


def first_dimensions(parts: Parts, rank: int) -> Parts:
    """Keep the first dimensions of a LoRA (the ``dyn`` of A1111's tags, for DyLoRA files)."""
    if "lora_up.weight" not in parts or "lora_down.weight" not in parts:
        return parts
    up, down = parts["lora_up.weight"], parts["lora_down.weight"]
    return {**parts, "lora_up.weight": up[:, :rank], "lora_down.weight": down[:rank]}


# ------------------------------------------------------------------------- the methods


def _lora(parts: Parts, weight: Tensor) -> Tensor:
    """``up @ down`` (arXiv:2106.09685, section 4.1), over the kernel of a convolution as well."""
    up, down = parts["lora_up.weight"], parts["lora_down.weight"]
    if "lora_mid.weight" in parts:
        return _tucker(parts["lora_mid.weight"], up.flatten(1), down.flatten(1))
    if weight.dim() == 4 and down.shape[2:] == (1, 1) and up.dim() == 4 and up.shape[2:] != (1, 1):  # noqa: PLR2004 - a convolution's weight has four axes
        return torch.einsum("orkl,ri->oikl", up, down.flatten(1))
    return (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)


def _tucker(middle: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Rebuild a kernel from its core and two factors (Tucker decomposition)."""
    return torch.einsum("nmkl,in,mj->ijkl", middle, up, down)


def _loha(parts: Parts, weight: Tensor) -> Tensor:
    """Product, element by element, of two low-rank matrices (arXiv:2108.06098, equation 2)."""
    factors: list[Tensor] = []
    for number in ("1", "2"):
        left, right = parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"]
        core = parts.get(f"hada_t{number}")
        if core is None:
            factors.append((left @ right).reshape(weight.shape))
        else:
            factors.append(torch.einsum("ijkl,jr,ip->prkl", core, right, left))
    return factors[0] * factors[1]


def _lokr(parts: Parts, weight: Tensor) -> Tensor:
    """Kronecker product of a small and a larger factor (arXiv:2309.14859, section 3.2)."""
    small, large = _lokr_factor(parts, "1"), _lokr_factor(parts, "2")
    if large.dim() > small.dim():
        small = small.reshape(*small.shape, *(1,) * (large.dim() - small.dim()))
    return torch.kron(small, large.contiguous()).reshape(weight.shape)


def _lokr_factor(parts: Parts, number: str) -> Tensor:
    if f"lokr_w{number}" in parts:
        return parts[f"lokr_w{number}"]
    left, right = parts[f"lokr_w{number}_a"], parts[f"lokr_w{number}_b"]
    core = parts.get(f"lokr_t{number}")
    if core is not None:
        return torch.einsum("ijkl,jr,ip->prkl", core, right, left)
    return left @ right


def _ia3(parts: Parts, weight: Tensor) -> Tensor:
    """Scale rows or, on the input, columns (arXiv:2205.05638, section 3.3)."""
    factor = parts["weight"].flatten()
    shape = (1, -1) if bool(parts["on_input"]) else (-1, 1)
    return weight * factor.reshape(*shape, *(1,) * (weight.dim() - 2))


def _full(parts: Parts, _weight: Tensor) -> Tensor:
    return parts["diff"]


def _bias_only(_parts: Parts, weight: Tensor) -> Tensor:
    return torch.zeros_like(weight)


def _norm(parts: Parts, _weight: Tensor) -> Tensor:
    return parts["w_norm"]


def _glora(parts: Parts, weight: Tensor) -> Tensor:
    """``B + W A`` with both in two factors (arXiv:2306.07967, equation 10).

    A acts on the input channels; of a convolution it is the same for every cell of the kernel.
    """
    a1, a2, b1, b2 = (parts[f"{name}.weight"].flatten(1) for name in ("a1", "a2", "b1", "b2"))
    if a1.shape[0] != weight.shape[1]:
        # Older files name the two factors the other way round.
        a1, a2, b1, b2 = a2, a1, b2, b1
    mixed = torch.einsum("oi...,ij->oj...", weight, (a1 @ a2).to(weight.dtype))
    return mixed + (b1 @ b2).reshape(weight.shape)


def _glora_rank(parts: Parts) -> int | None:
    return min(parts["a1.weight"].shape[:2])


def _oft(parts: Parts, weight: Tensor) -> Tensor:
    """Rotate blocks of rows (arXiv:2306.07280, section 3.2; butterfly: arXiv:2311.06243)."""
    blocks = parts["oft_blocks"] if "oft_blocks" in parts else parts["oft_diag"]
    rotation = blocks if "oft_diag" in parts else _rotations(blocks, weight, parts)
    rotated = weight
    if rotation.dim() == BUTTERFLY:
        for level, turns in enumerate(rotation):
            rotated = _butterfly(rotated, turns, level)
    else:
        rotated = _rotated(rotated, rotation)
    if "rescale" in parts:
        rotated = rotated * parts["rescale"].reshape(-1, *(1,) * (weight.dim() - 1))
    return rotated - weight


def _rotations(blocks: Tensor, weight: Tensor, parts: Parts) -> Tensor:
    """Return orthogonal blocks from skew-symmetric ones (Cayley's transform)."""
    skew = blocks - blocks.transpose(-1, -2)
    bound = float(parts["alpha"]) * weight.shape[0] if "alpha" in parts else 0.0
    length = float(skew.square().sum().sqrt())
    if bound > 0 and length > bound:
        skew = skew * (bound / length)
    one = torch.eye(blocks.shape[-1], device=blocks.device)
    return (one + skew) @ torch.inverse(one - skew)


def _rotated(weight: Tensor, rotation: Tensor) -> Tensor:
    count, size = rotation.shape[:2]
    rows = weight.reshape(count, size, -1)
    return torch.einsum("knm,kn...->km...", rotation, rows).reshape(weight.shape)


def _butterfly(weight: Tensor, rotation: Tensor, level: int) -> Tensor:
    """Rotate rows that lie ``2 ** level`` half-blocks apart, then put them back in place."""
    size, half = rotation.shape[-1], rotation.shape[-1] // 2
    gap, rest = 2**level * half, weight.shape[1:]
    mixed = weight.reshape(-1, 2, gap, *rest).transpose(1, 2).reshape(-1, size, *rest)
    turned = torch.einsum("bij,bj...->bi...", rotation, mixed)
    return turned.reshape(-1, gap, 2, *rest).transpose(1, 2).reshape(weight.shape)


def _redirected(weight: Tensor, change: Tensor, lengths: Tensor) -> Tensor:
    """Give the changed weight learned lengths (DoRA, arXiv:2402.09353, equation 5).

    Two layouts share one name: lengths of rows and lengths of columns; their shape tells them.
    """
    changed = weight + change
    by_rows = lengths.shape[0] == weight.shape[0] and lengths.numel() == weight.shape[0]
    axes = tuple(axis for axis in range(weight.dim()) if axis != (0 if by_rows else 1))
    norm = changed.square().sum(dim=axes, keepdim=True).sqrt()
    shape = [1] * weight.dim()
    shape[0 if by_rows else 1] = -1
    return changed * (lengths.reshape(shape) / norm) - weight


def _rows_of(*names: str) -> Callable[[Parts], int | None]:
    def rank(parts: Parts) -> int | None:
        return next((parts[name].shape[0] for name in names if name in parts), None)

    return rank


def _no_rank(_parts: Parts) -> int | None:
    return None


METHODS: Final = (
    Method(
        name="lora",
        marks=("lora_up.weight", "lora_down.weight"),
        needs=(("lora_up.weight",), ("lora_down.weight",)),
        weight=_lora,
        rank=_rows_of("lora_down.weight"),
        widens=True,
    ),
    Method(
        name="loha",
        marks=("hada_w1_a",),
        needs=(("hada_w1_a",), ("hada_w1_b",), ("hada_w2_a",), ("hada_w2_b",)),
        weight=_loha,
        rank=_rows_of("hada_w1_b"),
    ),
    Method(name="ia3", marks=("ia3_l",), needs=(), weight=peft_deltas.scaled, rank=_no_rank),
    Method(name="ia3", marks=("on_input",), needs=(("weight",),), weight=_ia3, rank=_no_rank),
    Method(
        name="lokr",
        marks=("lokr_w1", "lokr_w1_a"),
        needs=(("lokr_w1", "lokr_w1_a"), ("lokr_w2", "lokr_w2_a")),
        weight=_lokr,
        rank=_rows_of("lokr_w2_b", "lokr_w1_b"),
    ),
    Method(name="full", marks=("diff",), needs=(), weight=_full, rank=_no_rank),
    Method(name="full", marks=("diff_b",), needs=(), weight=_bias_only, rank=_no_rank),
    Method(
        name="oft",
        marks=("oft_R",),
        needs=(),
        weight=peft_deltas.turned,
        rank=_no_rank,
        widens=True,
    ),
    Method(
        name="boft",
        marks=("boft_R",),
        needs=(),
        weight=peft_deltas.butterfly,
        rank=_no_rank,
        widens=True,
    ),
    Method(name="norm", marks=("w_norm",), needs=(), weight=_norm, rank=_no_rank),
    Method(
        name="glora",
        marks=("a1.weight",),
        needs=(("a1.weight",), ("a2.weight",), ("b1.weight",), ("b2.weight",)),
        weight=_glora,
        rank=_glora_rank,
    ),
    Method(
        name="oft",
        marks=("oft_blocks", "oft_diag"),
        needs=(),
        weight=_oft,
        rank=_no_rank,
        widens=True,
    ),
)
"""All methods: PEFT's own, and the others in the order in which A1111 tries them."""
