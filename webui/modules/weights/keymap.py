"""Names in files and names in our networks: one table of rewriting rules per network. No torch.

Files carry the names of the LDM code (github.com/CompVis/stable-diffusion); our networks carry
those of diffusers and transformers. Each rule is a bijection on the names it matches, and the way
back stands below.
"""

import re
from collections.abc import Iterable
from typing import Final

from webui.modules.weights.architecture import UNetShape, VaeShape

_RESNET: Final = (
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
)

_UNET_ENDS: Final = (
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("label_emb.0.0.", "add_embedding.linear_1."),
    ("label_emb.0.2.", "add_embedding.linear_2."),
    ("input_blocks.0.0.", "conv_in."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
)

_VAE_PARTS: Final = (
    ("mid.block_1.", "mid_block.resnets.0."),
    ("mid.block_2.", "mid_block.resnets.1."),
    ("mid.attn_1.norm.", "mid_block.attentions.0.group_norm."),
    ("mid.attn_1.q.", "mid_block.attentions.0.to_q."),
    ("mid.attn_1.k.", "mid_block.attentions.0.to_k."),
    ("mid.attn_1.v.", "mid_block.attentions.0.to_v."),
    ("mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0."),
    ("norm_out.", "conv_norm_out."),
    ("nin_shortcut.", "conv_shortcut."),
)


def unet_names(names: Iterable[str], shape: UNetShape) -> dict[str, str]:
    """Return our network's name for each LDM name, prefix taken off, of a denoising network."""
    return {name: _unet_name(name, shape) for name in names}


def vae_names(names: Iterable[str], shape: VaeShape) -> dict[str, str]:
    """Return our network's name for each LDM name, prefix taken off, of an autoencoder."""
    return {name: _vae_name(name, len(shape.widths)) for name in names}


def _unet_name(name: str, shape: UNetShape) -> str:
    for theirs, ours in _UNET_ENDS:
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    part, number, rest = name.split(".", 2)
    if part == "middle_block":
        place = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}[number]
        return f"mid_block.{place}.{_resnet(rest)}"
    inner, tail = rest.split(".", 1)
    if part == "input_blocks":
        level, index = divmod(int(number) - 1, shape.blocks + 1)
        if index == shape.blocks:
            return f"down_blocks.{level}.downsamplers.0.conv.{tail.removeprefix('op.')}"
        return f"down_blocks.{level}.{_place(inner)}.{index}.{_resnet(tail)}"
    level, index = divmod(int(number), shape.blocks + 1)
    if tail.startswith("conv."):
        return f"up_blocks.{level}.upsamplers.0.{tail}"
    return f"up_blocks.{level}.{_place(inner)}.{index}.{_resnet(tail)}"


def _place(inner: str) -> str:
    return "resnets" if inner == "0" else "attentions"


def _resnet(tail: str) -> str:
    for theirs, ours in _RESNET:
        if tail.startswith(theirs):
            return ours + tail[len(theirs) :]
    return tail


def _vae_name(name: str, levels: int) -> str:
    for theirs, ours in _VAE_PARTS:
        name = name.replace(f".{theirs}", f".{ours}")
    name = re.sub(r"\.down\.(\d+)\.block\.(\d+)\.", r".down_blocks.\1.resnets.\2.", name)
    name = re.sub(r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0.", name)
    return re.sub(
        r"\.up\.(\d+)\.(block\.(\d+)|upsample)\.", lambda found: _vae_up(found, levels), name
    )


def _vae_up(found: re.Match[str], levels: int) -> str:
    """Count the decoder's levels from the coarsest, as our network does."""
    level = levels - 1 - int(found[1])
    place = "upsamplers.0" if found[2] == "upsample" else f"resnets.{found[3]}"
    return f".up_blocks.{level}.{place}."


# The way back: our networks' names to those of files -------------------------------------------


def ldm_unet_name(name: str, shape: UNetShape) -> str:
    """Return the LDM name, prefix taken off, of a tensor of our denoising network."""
    for theirs, ours in _UNET_ENDS:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    parts = name.split(".")
    if parts[0] == "mid_block":
        number = 1 if parts[1] == "attentions" else 2 * int(parts[2])
        return f"middle_block.{number}.{_ldm_resnet('.'.join(parts[3:]))}"
    level, place, index, tail = int(parts[1]), parts[2], int(parts[3]), ".".join(parts[4:])
    inner = int(place == "attentions")
    first = level * (shape.blocks + 1)
    if place == "downsamplers":
        return f"input_blocks.{first + shape.blocks + 1}.0.op.{tail.removeprefix('conv.')}"
    if place == "upsamplers":
        attention = bool(tuple(reversed(shape.depths))[level])
        return f"output_blocks.{first + shape.blocks}.{1 + attention}.{tail}"
    if parts[0] == "down_blocks":
        return f"input_blocks.{first + index + 1}.{inner}.{_ldm_resnet(tail)}"
    return f"output_blocks.{first + index}.{inner}.{_ldm_resnet(tail)}"


def ldm_vae_name(name: str, shape: VaeShape) -> str:
    """Return the LDM name, prefix taken off, of a tensor of our autoencoder."""
    levels = len(shape.widths)
    for theirs, ours in _VAE_PARTS:
        name = name.replace(f".{ours}", f".{theirs}")
    name = re.sub(r"\.down_blocks\.(\d+)\.resnets\.(\d+)\.", r".down.\1.block.\2.", name)
    name = re.sub(r"\.down_blocks\.(\d+)\.downsamplers\.0\.", r".down.\1.downsample.", name)
    return re.sub(
        r"\.up_blocks\.(\d+)\.(resnets\.(\d+)|upsamplers\.0)\.",
        lambda found: _ldm_vae_up(found, levels),
        name,
    )


def _ldm_resnet(tail: str) -> str:
    for theirs, ours in _RESNET:
        if tail.startswith(ours):
            return theirs + tail[len(ours) :]
    return tail


def _ldm_vae_up(found: re.Match[str], levels: int) -> str:
    level = levels - 1 - int(found[1])
    place = "upsample" if found[3] is None else f"block.{found[3]}"
    return f".up.{level}.{place}."
