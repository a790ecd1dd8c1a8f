"""Attention that forgets: its backward pass computes the probabilities again, tile by tile.

The idea is that of FlashAttention (Dao et al. 2022, arXiv:2205.14135): beside the inputs only the
output and one logarithm for each query are kept. Tiles are small enough to stay in a processor's
cache, and everything in a tile is a matrix product, an exponential or a product of numbers.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.autograd import Function

from webui.modules.networks.attention import AttentionFunction

ROWS: Final = 256
"""Queries of one tile."""

KEYS: Final = 512
"""Keys of one tile of the backward pass: with ``ROWS`` half a megabyte in 32 bits."""

SCORES: Final = 512 * 1024
"""Scores of one tile of the forward pass, which needs all keys of a query at once."""

LARGE: Final = 512 * 512
"""Fewer scores than these are left to the usual function: there is little to forget."""


def forgetting(usual: AttentionFunction) -> AttentionFunction:
    """Return a function for training: large attention is recomputed, all else is as usual.

    Args:
        usual: Used where nothing is learned, and where there are few scores.
    """

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        learning = torch.is_grad_enabled() and any(
            each.requires_grad for each in (query, key, value)
        )
        if learning and query.shape[2] * key.shape[2] >= LARGE:
            return recomputed(query, key, value)
        return usual(query, key, value)

    return attention


def recomputed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return attention of ``[batch, heads, tokens, width]``; its backward pass keeps no scores."""
    return cast("Tensor", _Recomputed.apply(query, key, value))


class _Recomputed(Function):
    """``softmax(q k / sqrt(width)) v`` and its gradients (arXiv:2205.14135, appendix B.2)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scale = 1 / math.sqrt(query.shape[-1])
        q, k, v = (query * scale).flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        output, logarithm = torch.empty_like(q), q.new_empty(*q.shape[:2], 1, dtype=torch.float32)
        rows = min(ROWS, max(16, SCORES // k.shape[1]))
        for heads in _parts(len(q), torch.get_num_threads()):
            turned = k[heads].transpose(1, 2)
            for some in _parts(q.shape[1], rows):
                scores = torch.bmm(q[heads, some], turned)
                largest = scores.amax(-1, keepdim=True)
                scores.sub_(largest).exp_()
                total = scores.sum(-1, keepdim=True, dtype=torch.float32)
                torch.div(torch.bmm(scores, v[heads]), total, out=output[heads, some])
                logarithm[heads, some] = total.log_().add_(largest)
        output = output.unflatten(0, query.shape[:2])
        ctx.save_for_backward(query, key, value, output, logarithm)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, output, logarithm = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        (change,) = gradients
        scale = 1 / math.sqrt(query.shape[-1])
        shares = (change * output).sum(-1, keepdim=True, dtype=torch.float32).flatten(0, 1)
        # What is subtracted from every score of a query rides along as columns of the products.
        queries = _with(query.flatten(0, 1) * scale, -logarithm)
        changes = _with(change.flatten(0, 1), -shares)
        keys, values = (_with_ones(each.flatten(0, 1)) for each in (key, value))
        found = [
            _heads(queries[heads], keys[heads], values[heads], changes[heads])
            for heads in _parts(len(queries), torch.get_num_threads())
        ]
        for_query, for_key, for_value = (
            torch.cat(parts).unflatten(0, query.shape[:2]).to(query.dtype)
            for parts in zip(*found, strict=True)
        )
        return for_query.mul_(scale), for_key.transpose(2, 3), for_value.transpose(2, 3)


def _heads(
    queries: Tensor, keys: Tensor, values: Tensor, changes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of some heads; those of keys and values ``[heads, width, tokens]``."""
    width = queries.shape[-1] - COLUMNS
    for_queries: list[Tensor] = []
    tiles = list(_parts(keys.shape[1], KEYS))
    sizes = [(len(keys), width, tile.stop - tile.start) for tile in tiles]
    for_keys = [keys.new_zeros(size, dtype=torch.float32) for size in sizes]
    for_values = [keys.new_zeros(size, dtype=torch.float32) for size in sizes]
    for some in _parts(queries.shape[1], ROWS):
        q, g = queries[:, some], changes[:, some]
        turned_q, turned_g = q[..., :width].transpose(1, 2), g[..., :width].transpose(1, 2)
        for_query = q.new_zeros(len(q), q.shape[1], width, dtype=torch.float32)
        for place, tile in enumerate(tiles):
            k = keys[:, tile]
            shares = torch.bmm(q, k.transpose(1, 2)).exp_()
            _add(for_values[place], turned_g, shares)
            moved = torch.bmm(g, values[:, tile].transpose(1, 2)).mul_(shares)
            _add(for_query, moved, k[..., :width])
            _add(for_keys[place], turned_q, moved)
        for_queries.append(for_query)
    return torch.cat(for_queries, 1), torch.cat(for_keys, 2), torch.cat(for_values, 2)


def _add(total: Tensor, one: Tensor, other: Tensor) -> None:
    """Add a product of batches of matrices to a total in 32 bits."""
    if one.dtype == total.dtype:
        total.baddbmm_(one, other)
    else:
        total.add_(torch.bmm(one, other))


COLUMNS: Final = 2
"""Columns that carry one number in 16 bits as exactly as it has to be: a value and its rest."""


def _with(rows: Tensor, number: Tensor) -> Tensor:
    """Return rows ``[heads, tokens, width]`` with a number in 32 bits behind each."""
    whole = number.to(rows.dtype)
    rest = (number - whole).to(rows.dtype)
    return torch.cat([rows, whole, rest], dim=2)


def _with_ones(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_ones(*rows.shape[:2], COLUMNS)], dim=2)


def _parts(length: int, size: int) -> Iterator[slice]:
    """Return slices that cover a length."""
    for begin in range(0, length, size):
        yield slice(begin, min(begin + size, length))
