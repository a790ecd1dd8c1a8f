"""The denoising network as diffusers itself would run it, to measure ours against."""

import copy

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

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
