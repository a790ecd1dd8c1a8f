"""The three nets of the starter, in SD 1 shape but small, with their sizes in one place."""

from typing import Any, Final

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

VAE_WIDTH: Final = 16
VAE_MULTIPLES: Final = (1, 2, 4, 4)
VAE_BLOCKS: Final = 1
VAE_GROUPS: Final = 4

UNET_WIDTH: Final = 32
UNET_MULTIPLES: Final = (1, 2, 4, 5)
UNET_BLOCKS: Final = 1
UNET_GROUPS: Final = 16
HEAD_WIDTH: Final = 32

TEXT_WIDTH: Final = 128
TEXT_LAYERS: Final = 2
TEXT_ROWS: Final = 49408
TEXT_LENGTH: Final = 77

LATENT_CHANNELS: Final = 4
PIXELS_PER_LATENT: Final = 8
SCALE_FACTOR: Final = 0.18215

LibraryNet = Any
"""A net of diffusers or transformers: their annotations are too partial to be checked against."""


def build_vae() -> LibraryNet:
    """Return an autoencoder whose trunk starts close to passing its input through."""
    widths = [VAE_WIDTH * multiple for multiple in VAE_MULTIPLES]
    make: LibraryNet = AutoencoderKL
    vae = make(
        block_out_channels=widths,
        down_block_types=["DownEncoderBlock2D"] * len(widths),
        up_block_types=["UpDecoderBlock2D"] * len(widths),
        layers_per_block=VAE_BLOCKS,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=VAE_GROUPS,
        scaling_factor=SCALE_FACTOR,
        sample_size=128,
    )
    start_near_identity(vae)
    return vae


def build_unet() -> LibraryNet:
    """Return the noise predictor: attention to the text at the three finer levels."""
    widths = [UNET_WIDTH * multiple for multiple in UNET_MULTIPLES]
    make: LibraryNet = UNet2DConditionModel
    return make(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=widths,
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        layers_per_block=UNET_BLOCKS,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=[width // HEAD_WIDTH for width in widths],  # diffusers: head count
        norm_num_groups=UNET_GROUPS,
    )


def build_text_encoder() -> LibraryNet:
    """Return the text encoder; heads are 64 wide as in every CLIP."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=TEXT_ROWS,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=TEXT_WIDTH // 64,
            max_position_embeddings=TEXT_LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=49406,
            eos_token_id=49407,
            projection_dim=TEXT_WIDTH,
        )
    )


@torch.no_grad()
def start_near_identity(vae: nn.Module) -> None:
    """Make resampling and shortcuts copy their channels and residual branches start faint.

    With the stock initialisation so small an autoencoder stalls for thousands of steps.
    """
    for name, layer in vae.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if name.endswith("conv2"):
            layer.weight.mul_(0.2)
        elif name.endswith(("samplers.0.conv", "conv_shortcut", "post_quant_conv", "quant_conv")):
            layer.weight.mul_(0.3).add_(pass_through(layer))


def pass_through(layer: nn.Conv2d) -> Tensor:
    """Return the kernel that copies (or, at stride 2, averages) the channels both sides have."""
    kernel = torch.zeros_like(layer.weight)
    shared = torch.arange(min(kernel.shape[:2]))
    if layer.stride == (2, 2):
        kernel[shared, shared, :2, :2] = 0.25
    else:
        kernel[shared, shared, kernel.shape[2] // 2, kernel.shape[3] // 2] = 1.0
    return kernel
