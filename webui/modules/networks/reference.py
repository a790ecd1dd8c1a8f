"""The denoising network as diffusers itself would run it, to measure ours against."""

import copy
from collections.abc import Iterator
from typing import Final, cast

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Checkpoint


class PlainUNet:
    """The same weights in 32 bits, plain memory order, and diffusers' own attention."""

    def __init__(self, checkpoint: Checkpoint, device: Device) -> None:
        unet = copy.deepcopy(checkpoint.unet)
        torch.nn.Module.to(unet, device.torch, torch.float32)
        torch.nn.Module.to(unet, memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue] - missing in torch's types
        unet.set_attn_processor(AttnProcessor2_0())
        self._unet = unet

    def __call__(self, latents: Tensor, times: Tensor, text: Tensor) -> Tensor:
        """Return the prediction; the arguments are those of ``UNetPredictor``."""
        return self._unet(latents, times, text, return_dict=False)[0]


TRANSFORMER: Final = ("to_q", "to_k", "to_v", "to_out.0", "net.0.proj", "net.2", "proj_in",
                      "proj_out")  # fmt: skip
"""Endings of the layers that a LoRA changes in transformer blocks."""


class PlainLora:
    """A LoRA on the network as diffusers would train it: each layer, and a pair of small ones."""

    def __init__(self, unet: UNet2DConditionModel, rank: int, *, save_memory: bool) -> None:
        """Put the small layers beside the large ones.

        Args:
            unet: In 32 bits.
            rank: Of the LoRA.
            save_memory: Compute its blocks twice instead of remembering them.
        """
        unet.set_attn_processor(AttnProcessor2_0())
        if save_memory:
            unet.enable_gradient_checkpointing()
        self.layers = 0
        for path, layer in list(cast("Iterator[tuple[str, nn.Module]]", unet.named_modules())):
            if "attentions" in path and path.endswith(TRANSFORMER):
                owner, _, leaf = path.rpartition(".")
                unet.get_submodule(owner).register_module(leaf, _Paired(layer, rank))
                self.layers += 1
        self._unet = unet
        learned = [each for each in unet.parameters() if each.requires_grad]
        self._learned = learned
        self._optimiser = torch.optim.AdamW(learned, lr=1e-4)

    def step(self, latents: Tensor, times: Tensor, text: Tensor, truth: Tensor) -> float:
        """Take one step; return the loss."""
        guess = self._unet(latents, times, text, return_dict=False)[0]
        loss = nn.functional.mse_loss(guess, truth)
        loss.backward()
        nn.utils.clip_grad_norm_(self._learned, 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad()
        return float(loss.detach())


class _Paired(nn.Module):
    """A layer and two small ones beside it, added up, as peft does it."""

    def __init__(self, layer: nn.Module, rank: int) -> None:
        super().__init__()
        self.base_layer = layer
        if isinstance(layer, nn.Conv2d):
            self.lora_a: nn.Module = nn.Conv2d(layer.in_channels, rank, 1, bias=False)
            self.lora_b: nn.Module = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            linear = cast("nn.Linear", layer)
            self.lora_a = nn.Linear(linear.in_features, rank, bias=False)
            self.lora_b = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.lora_b.weight)

    def forward(self, states: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return self.base_layer(states) + self.lora_b(self.lora_a(states)) * 1.0
