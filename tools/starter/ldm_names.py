"""Renames diffusers' tensors to the names of Latent Diffusion (LDM), as SD 1 files carry them.

Diffusers can read LDM files but not write them; these tables are its reader's, turned round.
A table is a list of (pattern, replacement) tried in order; the first that matches the whole
prefix wins, and what follows it is renamed by the table for the parts of a block.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]
Table = tuple[tuple[str, Replacement], ...]

UNET_BLOCK_PARTS: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE_BLOCK_PARTS: Final = {"conv_shortcut": "nin_shortcut"}
VAE_ATTENTION_PARTS: Final = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def unet_to_ldm(tensors: Mapping[str, Tensor], *, blocks: int) -> dict[str, Tensor]:
    """Rename a ``UNet2DConditionModel``'s tensors; ``blocks`` is its ``layers_per_block``."""
    attended = {name.split(".")[1] for name in tensors if re.match(r"up_blocks\.\d+\.att", name)}

    def down(match: re.Match[str]) -> str:
        place = 1 + int(match[1]) * (blocks + 1) + int(match[3])
        return f"input_blocks.{place}.{0 if match[2] == 'resnets' else 1}."

    def downsample(match: re.Match[str]) -> str:
        return f"input_blocks.{(int(match[1]) + 1) * (blocks + 1)}.0.op."

    def up(match: re.Match[str]) -> str:
        place = int(match[1]) * (blocks + 1) + int(match[3])
        return f"output_blocks.{place}.{0 if match[2] == 'resnets' else 1}."

    def upsample(match: re.Match[str]) -> str:
        place = int(match[1]) * (blocks + 1) + blocks
        return f"output_blocks.{place}.{2 if match[1] in attended else 1}.conv."

    table: Table = (
        (r"conv_in\.", "input_blocks.0.0."),
        (r"time_embedding\.linear_1\.", "time_embed.0."),
        (r"time_embedding\.linear_2\.", "time_embed.2."),
        (r"conv_norm_out\.", "out.0."),
        (r"conv_out\.", "out.2."),
        (r"mid_block\.resnets\.0\.", "middle_block.0."),
        (r"mid_block\.attentions\.0\.", "middle_block.1."),
        (r"mid_block\.resnets\.1\.", "middle_block.2."),
        (r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.", downsample),
        (r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", down),
        (r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.", upsample),
        (r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", up),
    )
    return {
        renamed(name, table, UNET_BLOCK_PARTS if "resnets" in name else {}): tensor
        for name, tensor in tensors.items()
    }


def vae_to_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename an ``AutoencoderKL``'s tensors; its attention becomes 1 x 1 convolutions."""
    last = max(int(match[1]) for name in tensors if (match := re.search(r"up_blocks\.(\d+)", name)))

    def up(match: re.Match[str]) -> str:
        level = last - int(match[1])
        part = "upsample." if match[2].startswith("up") else f"block.{match[3]}."
        return f"decoder.up.{level}.{part}"

    table: Table = (
        (r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\.", r"encoder.down.\1.block.\2."),
        (r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.", r"encoder.down.\1.downsample."),
        (r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.", up),
        (r"(\w+)\.mid_block\.resnets\.0\.", r"\1.mid.block_1."),
        (r"(\w+)\.mid_block\.resnets\.1\.", r"\1.mid.block_2."),
        (r"(\w+)\.mid_block\.attentions\.0\.", r"\1.mid.attn_1."),
        (r"(\w+)\.conv_norm_out\.", r"\1.norm_out."),
        (r"(\w+\.conv_(?:in|out)|quant_conv|post_quant_conv)\.", r"\1."),
    )
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        attention = "attentions" in name
        parts = VAE_ATTENTION_PARTS if attention else VAE_BLOCK_PARTS
        matrix = attention and tensor.ndim == 2
        named[renamed(name, table, parts)] = tensor[:, :, None, None] if matrix else tensor
    return named


def renamed(name: str, table: Table, parts: Mapping[str, str]) -> str:
    """Apply the first fitting row of ``table`` to the prefix and ``parts`` to the rest.

    Raises:
        KeyError: If no row fits: the net has a layer that the table does not know.
    """
    for pattern, replacement in table:
        match = re.match(pattern, name)
        if match is None:
            continue
        prefix = replacement(match) if callable(replacement) else match.expand(replacement)
        part, dot, kind = name[match.end() :].rpartition(".")
        return prefix + parts.get(part, part) + dot + kind
    raise KeyError(name)
