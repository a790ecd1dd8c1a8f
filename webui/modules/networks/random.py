"""Files of true shape with random weights, to measure where real ones cannot be had."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.networks.build import build_text, build_unet, build_vae
from webui.modules.weights.architecture import (
    TEXT,
    VAE,
    Architecture,
    TextShape,
    UNetShape,
    VaeShape,
)
from webui.modules.weights.describe import UNET
from webui.modules.weights.keymap import ldm_unet_name, ldm_vae_name
from webui.modules.weights.write import write_safetensors

SD1: Final = Architecture(
    unet=UNetShape(
        in_channels=4,
        out_channels=4,
        widths=(320, 640, 1280, 1280),
        blocks=2,
        depths=(1, 1, 1, 0),
        context=768,
        heads=(8, 8, 8, 8),
        groups=32,
        linear=False,
    ),
    vae=VaeShape(widths=(128, 256, 512, 512), blocks=2, latent=4, groups=32),
    text=TextShape(vocabulary=49408, positions=77, width=768, inner=3072, layers=12, heads=12),
)
"""The shape of Stable Diffusion 1.5."""

_SPREAD: Final = 0.02


def write_random_checkpoint(path: Path, shape: Architecture = SD1, seed: int = 0) -> None:
    """Write a checkpoint in the LDM layout with random float16 weights.

    Raises:
        StorageError: If it cannot be written.
    """
    generator = torch.Generator().manual_seed(seed)
    write_safetensors(path, dict(_tensors(shape, generator)), {})


def write_random_lora(path: Path, rank: int = 32, shape: Architecture = SD1, seed: int = 0) -> int:
    """Write a LoRA of kohya's kind for all attention layers; return how many layers it changes.

    Raises:
        StorageError: If it cannot be written.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for name, size in _attention(shape):
        ends = (1,) * (len(size) - 2)
        for part, sides in (("up", (size[0], rank)), ("down", (rank, size[1]))):
            random = torch.randn(*sides, *ends, generator=generator) * _SPREAD
            tensors[f"{name}.lora_{part}.weight"] = random.to(torch.float16)
        tensors[f"{name}.alpha"] = torch.tensor(rank / 2, dtype=torch.float16)
    write_safetensors(path, tensors, {})
    return len(tensors) // 3


def _attention(shape: Architecture) -> Iterator[tuple[str, torch.Size]]:
    """Yield kohya's name and the size of each layer that a plain LoRA changes."""
    for name, parameter in build_unet(shape.unet).named_parameters():
        path = name.removesuffix(".weight")
        if path != name and "attentions" in name and parameter.ndim > 1:
            yield f"lora_unet_{path.replace('.', '_')}", parameter.shape
    for name, parameter in build_text(shape.text).named_parameters():
        path = name.removesuffix(".weight").removeprefix("text_model.")
        if name.endswith("weight") and "layers" in name and parameter.ndim > 1:
            yield f"lora_te_text_model_{path.replace('.', '_')}", parameter.shape


def _tensors(shape: Architecture, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in _random(build_unet(shape.unet), generator):
        yield UNET + ldm_unet_name(name, shape.unet), tensor
    for name, tensor in _random(build_vae(shape.vae), generator):
        # The LDM code computes this attention with 1 x 1 convolutions.
        whole = tensor[..., None, None] if "attentions" in name and tensor.ndim > 1 else tensor
        yield VAE + ldm_vae_name(name, shape.vae), whole
    for name, tensor in _random(build_text(shape.text), generator):
        yield TEXT + name, tensor


def _random(network: nn.Module, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    """Yield small weights, no biases, and normalisations that keep what they are given."""
    for name, parameter in network.named_parameters():
        if "norm" in name and name.endswith("weight"):
            yield name, torch.ones(parameter.shape, dtype=torch.float16)
        elif name.endswith("bias"):
            yield name, torch.zeros(parameter.shape, dtype=torch.float16)
        else:
            weights = torch.randn(parameter.shape, generator=generator) * _SPREAD
            yield name, weights.to(torch.float16)
