"""Empty networks of a given shape, their weights on torch's "meta" device: no memory taken."""

from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from webui.modules.networks.token_table import TokenTable
from webui.modules.networks.upsample import LdmUpsample
from webui.modules.weights.architecture import TextShape, UNetShape, VaeShape


def build_unet(shape: UNetShape) -> UNet2DConditionModel:
    """Return an empty denoising network."""
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in shape.depths)
    up = tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(shape.depths))
    per_level: dict[str, Any] = {
        "transformer_layers_per_block": tuple(max(1, depth) for depth in shape.depths),
        "attention_head_dim": shape.heads,  # diffusers calls the number of heads so
    }
    with torch.device("meta"):
        network = UNet2DConditionModel(
            in_channels=shape.in_channels,
            out_channels=shape.out_channels,
            down_block_types=down,
            up_block_types=up,
            block_out_channels=shape.widths,
            layers_per_block=shape.blocks,
            cross_attention_dim=shape.context,
            norm_num_groups=shape.groups,
            use_linear_projection=shape.linear,
            **per_level,
        )
    for block in cast("list[Any]", list(network.up_blocks)):
        for index, layer in enumerate(block.upsamplers or ()):
            block.upsamplers[index] = LdmUpsample(layer.conv)
    return network


def build_vae(shape: VaeShape) -> AutoencoderKL:
    """Return an empty autoencoder."""
    levels = len(shape.widths)
    blocks: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": shape.widths,
    }
    with torch.device("meta"):
        return AutoencoderKL(
            layers_per_block=shape.blocks,
            latent_channels=shape.latent,
            norm_num_groups=shape.groups,
            **blocks,
        )


def build_text(shape: TextShape) -> CLIPTextModel:
    """Return an empty CLIP text encoder."""
    config = CLIPTextConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.positions,
        hidden_act="quick_gelu",
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
    )
    with torch.device("meta"):
        network = CLIPTextModel(config)
        network.set_input_embeddings(TokenTable(shape.vocabulary, shape.width))
    return network
