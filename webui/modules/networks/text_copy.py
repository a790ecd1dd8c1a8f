"""A copy of the text encoder that can be trained while the original lies untouched."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Checkpoint


class TrainableText:
    """The text encoder computed with weights of its own.

    The modules are shared, their weights are not: add-ons that lie over the original act here as
    well, and no step of an optimiser can reach the original.
    """

    def __init__(self, checkpoint: Checkpoint, device: Device) -> None:
        self._text = checkpoint.text
        self._device = device.torch
        self._end = int(checkpoint.text.config.eos_token_id)  # pyright: ignore[reportArgumentType] - always set by ours
        self._weights: dict[str, Tensor] = {
            name: nn.Parameter(weight.detach().to(torch.float32, copy=True))
            for name, weight in checkpoint.text.named_parameters()
        }
        self._buffers = {
            name: buffer.detach().clone() for name, buffer in checkpoint.text.named_buffers()
        }

    def parameters(self) -> Sequence[Tensor]:
        """Return the copy's weights, in float32."""
        return list(self._weights.values())

    def states(self, tokens: Tensor, skip: int) -> Tensor:
        """Return ``[texts, 77, width]`` through the final normalisation, as the original does.

        Args:
            tokens: ``[texts, 77]``.
            skip: Which layer, counted from the end; 1 is the last.
        """
        output = self._run(tokens, all_layers=skip > 1)
        if skip <= 1:
            return output.last_hidden_state
        norm: dict[str, Tensor] = {
            leaf: self._weights[f"final_layer_norm.{leaf}"] for leaf in ("weight", "bias")
        }
        states: Tensor = functional_call(
            self._text.final_layer_norm, norm, (output.hidden_states[-skip],)
        )
        return states

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return ``[texts, width]``: the last layer at the first end token, as CLIP reads it."""
        states: Tensor = self._run(tokens, all_layers=False).last_hidden_state
        ends = (tokens.to(self._device) == self._end).int().argmax(dim=-1)
        return states[torch.arange(len(states), device=self._device), ends]

    def _run(self, tokens: Tensor, *, all_layers: bool) -> Any:
        inputs = {"input_ids": tokens.to(self._device), "output_hidden_states": all_layers}
        # Of all ways to compute attention this one has gradients that are equal in every run.
        with sdpa_kernel(SDPBackend.MATH):
            return functional_call(self._text, {**self._weights, **self._buffers}, (), inputs)
