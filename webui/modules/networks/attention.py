"""How attention is computed: one formula (arXiv:1706.03762, equation 1), several ways to run it."""

import importlib
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, cast

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

CHUNK_ELEMENTS: Final = 16 * 1024 * 1024
"""Elements of the score matrix that are alive at once; 32 MB in bfloat16, which caches like."""

AttentionFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Takes queries, keys and values ``[batch, heads, tokens, width]``; returns the same as queries."""


def sdpa(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Let torch choose its own kernel."""
    return nn.functional.scaled_dot_product_attention(query, key, value)


def chunked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Multiply, normalise, multiply, for a few queries at a time.

    On a CPU with bfloat16 the two products run in oneDNN's fast matrix kernels, which torch's own
    fused kernel does not reach.
    """
    batch, heads, tokens, width = query.shape
    flat = batch * heads
    query = (query * (1 / math.sqrt(width))).reshape(flat, tokens, width)
    key = key.reshape(flat, key.shape[2], width).transpose(1, 2)
    value = value.reshape(flat, value.shape[2], width)
    rows = max(1, CHUNK_ELEMENTS // (flat * key.shape[2]))
    parts = [
        torch.bmm(torch.bmm(part, key).softmax(dim=-1), value) for part in query.split(rows, 1)
    ]
    return torch.cat(parts, dim=1).reshape(batch, heads, tokens, width)


def xformers(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Call xformers' memory-efficient attention; only on CUDA."""
    operators: Any = importlib.import_module("xformers.ops")  # an extra, imported only when chosen
    inputs = (part.transpose(1, 2).contiguous() for part in (query, key, value))
    output: Tensor = operators.memory_efficient_attention(*inputs)
    return output.transpose(1, 2)


BACKENDS: Final[dict[str, AttentionFunction]] = {
    "sdpa": sdpa,
    "chunked": chunked,
    "xformers": xformers,
}


Readings = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Takes what attention reads, ``[batch, tokens, width]``; returns what keys and what values are
made from."""


class AttentionProcessor:
    """Runs one attention layer of the denoising network through a chosen function.

    It follows the protocol by which diffusers lets its attention layers be replaced.
    """

    def __init__(self, function: AttentionFunction, readings: Readings | None = None) -> None:
        self._function = function
        self._readings = readings

    def reading(self, readings: Readings) -> "AttentionProcessor":
        """Return the same with something between the text and the layer."""
        return AttentionProcessor(self._function, readings)

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        """Return the layer's output for hidden states ``[batch, tokens, width]``."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        for_keys, for_values = self._readings(source) if self._readings else (source, source)
        query, key, value = (
            self._heads(layer(states), attn.heads)
            for layer, states in (
                (attn.to_q, hidden_states),
                (attn.to_k, for_keys),
                (attn.to_v, for_values),
            )
        )
        mixed = self._function(query, key, value)
        output: Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(2))
        return output

    @staticmethod
    def _heads(states: Tensor, heads: int) -> Tensor:
        return states.unflatten(-1, (heads, -1)).transpose(1, 2)


@contextmanager
def reading_through(unet: UNet2DConditionModel, readings: Readings) -> Generator[None]:
    """Put something between the text and every attention layer until the end of the block."""
    own = cast("AttentionProcessor", next(iter(unet.attn_processors.values())))
    unet.set_attn_processor(own.reading(readings))  # pyright: ignore[reportArgumentType] - any callable of this form will do
    try:
        yield
    finally:
        unet.set_attn_processor(own)  # pyright: ignore[reportArgumentType] - likewise
