"""Fewer tokens in self-attention: those that say nearly the same are attended to as one.

Token merging for Stable Diffusion (Bolya and Hoffman 2023, arXiv:2303.17604) as A1111 uses it: only
where the denoising network looks at every latent cell, only around self-attention, and without
chance: the upper left of each four neighbouring cells is the one into which others are merged.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Merging:
    """Which tokens of each picture are merged into which.

    Attributes:
        targets: ``[targets]``; places of the tokens into which others are merged.
        kept: ``[batch, kept]``; places of the tokens that stay as they are.
        merged: ``[batch, merged]``; places of the tokens that are merged.
        into: ``[batch, merged]``; into which target, counted in ``targets``.
    """

    targets: Tensor
    kept: Tensor
    merged: Tensor
    into: Tensor

    @classmethod
    def of(cls, tokens: Tensor, ratio: float, *, rows: int, columns: int) -> "Merging":
        """Merge the tokens that are most like one of the targets (section 3, "partitioning").

        Args:
            tokens: ``[batch, rows * columns, width]``; compared by the cosine between them.
            ratio: Share of all tokens that is merged away, at most what is no target.
            rows: Of latent cells.
            columns: Of latent cells.
        """
        places = torch.arange(rows * columns, device=tokens.device).view(rows, columns)
        is_target = torch.zeros_like(places, dtype=torch.bool)
        is_target[: rows // 2 * 2 : 2, : columns // 2 * 2 : 2] = True
        targets, others = places[is_target], places[~is_target]
        directions = tokens / tokens.norm(dim=-1, keepdim=True)
        likeness = directions[:, others] @ directions[:, targets].transpose(1, 2)
        closest, into = likeness.max(dim=-1)
        order = closest.argsort(dim=-1, descending=True, stable=True)
        count = min(len(others), int(rows * columns * ratio))
        return cls(
            targets=targets,
            kept=others[order[:, count:]],
            merged=others[order[:, :count]],
            into=into.gather(1, order[:, :count]),
        )

    def merge(self, tokens: Tensor) -> Tensor:
        """Return fewer tokens: those kept, then the targets as means of all merged into them."""
        sources = tokens.gather(1, _wide(self.merged, tokens))
        means = tokens[:, self.targets].scatter_reduce(
            1, _wide(self.into, tokens), sources, reduce="mean"
        )
        return torch.cat([tokens.gather(1, _wide(self.kept, tokens)), means], dim=1)

    def unmerge(self, fewer: Tensor) -> Tensor:
        """Return as many tokens as before; merged ones are copies of their target."""
        kept, means = fewer.split([self.kept.shape[1], len(self.targets)], dim=1)
        batch, _, width = fewer.shape
        count = len(self.targets) + self.kept.shape[1] + self.merged.shape[1]
        tokens = fewer.new_empty(batch, count, width)
        tokens[:, self.targets] = means
        tokens.scatter_(1, _wide(self.kept, fewer), kept)
        copies = means.gather(1, _wide(self.into, fewer))
        return tokens.scatter_(1, _wide(self.merged, fewer), copies)


def _wide(places: Tensor, tokens: Tensor) -> Tensor:
    return places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])


@contextmanager
def merged_tokens(network: nn.Module, ratio: float, *, rows: int, columns: int) -> Generator[None]:
    """Merge tokens around self-attention in this network, until the end of the block.

    Args:
        network: The denoising network.
        ratio: Share of the tokens that is merged away, 0 to 0.9.
        rows: Of latent cells of the pictures that are drawn.
        columns: Of latent cells.
    """
    with ExitStack() as hooks:
        for block in network.modules():
            if isinstance(block, BasicTransformerBlock):
                pair = _Pair(ratio, rows, columns)
                hooks.callback(block.norm1.register_forward_hook(pair.merge).remove)
                hooks.callback(block.attn1.register_forward_hook(pair.unmerge).remove)
        yield


class _Pair:
    """The two ends of one self-attention: what goes in is merged, what comes out is unmerged."""

    def __init__(self, ratio: float, rows: int, columns: int) -> None:
        self._ratio = ratio
        self._rows = rows
        self._columns = columns
        self._merging: Merging | None = None

    def merge(self, _norm: nn.Module, given: tuple[Any, ...], normed: Tensor) -> Tensor:
        """Choose by the tokens before their normalisation; merge them after it."""
        self._merging = None
        if normed.shape[1] != self._rows * self._columns:
            return normed  # a coarser level of the network
        merging = Merging.of(given[0], self._ratio, rows=self._rows, columns=self._columns)
        self._merging = merging
        return merging.merge(normed)

    def unmerge(self, _attention: nn.Module, _given: tuple[Any, ...], mixed: Tensor) -> Tensor:
        """Give each token its share of the answer."""
        return mixed if self._merging is None else self._merging.unmerge(mixed)
