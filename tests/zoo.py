"""Tiny networks whose weights need no file, and the inputs with which the zoo's files are tried.

The tiny checkpoint of ``tests/tiny.py`` stands for Stable Diffusion 1. For SDXL, two text encoders
and a U-Net of its make are built here from a row of numbers that is the same everywhere.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

ZOO: Final = Path(__file__).parent / "unit" / "modules" / "weights" / "zoo"
"""What other libraries saved, and in ``forwards.safetensors`` what they answer."""

TOKENS: Final = 8
WORDS: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Trio:
    """A U-Net and the text encoders that go with it; SD1 has one."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    second: nn.Module | None = None


def row(count: int, seed: int) -> Tensor:
    """Return numbers between -1 and 1, the same on every machine."""
    numbers = np.random.Generator(np.random.PCG64(seed)).random(count)
    return torch.from_numpy(numbers * 2 - 1).float()


def tiny_sdxl() -> Trio:
    """Return networks of SDXL's make: two text encoders of 16 and 32, and what reads both."""
    per_level: dict[str, Any] = {
        "block_out_channels": (16, 32, 32),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 1, 2),
        "attention_head_dim": (1, 2, 2),
    }
    unet = UNet2DConditionModel(
        **per_level,
        cross_attention_dim=48,
        norm_num_groups=4,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=80,
    )
    text = CLIPTextModel(_encoder(16))
    second = CLIPTextModelWithProjection(_encoder(32))
    for number, network in enumerate((unet, text, second)):
        _fill(network, number)
    return Trio(unet=unet.eval(), text=text.eval(), second=second.eval())


def _encoder(width: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=WORDS,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        eos_token_id=WORDS - 1,
    )


def _fill(network: nn.Module, seed: int) -> None:
    for number, (name, parameter) in enumerate(network.named_parameters()):
        drawn = row(parameter.numel(), 1000 * seed + number).reshape(parameter.shape)
        if parameter.dim() > 1:
            drawn = drawn / parameter[0].numel() ** 0.5
        elif name.endswith("weight"):
            drawn = 1 + drawn / 4
        parameter.data = drawn


@torch.no_grad()
def answers(networks: Trio) -> dict[str, Tensor]:
    """Return what each network makes of inputs that are always the same."""
    tokens = torch.arange(1, TOKENS + 1)[None]
    tokens[0, -1] = WORDS - 1
    found = {"text": _last(networks.text(tokens))}
    width = 64
    more: dict[str, Any] = {}
    if networks.second is not None:
        found["text2"] = _last(networks.second(tokens))
        width = 48
        conditions = {"text_embeds": row(32, 7)[None], "time_ids": torch.arange(6.0)[None] * 8}
        more = {"added_cond_kwargs": conditions}
    latents = row(4 * 8 * 8, 5).reshape(1, 4, 8, 8)
    context = row(TOKENS * width, 6).reshape(1, TOKENS, width)
    found["unet"] = networks.unet(latents, torch.tensor(500), context, **more).sample
    return found


def _last(output: Any) -> Tensor:
    return output.last_hidden_state


def sdxl_checkpoint(networks: Trio) -> dict[str, Tensor]:
    """Return the tensors of SDXL's networks as a file of the LDM layout has them."""
    unet, first, second = (
        each.state_dict() if each else {}
        for each in (networks.unet, networks.text, networks.second)
    )
    found = {f"model.diffusion_model.{_ldm(name)}": tensor for name, tensor in unet.items()}
    for name, tensor in first.items():
        inner = name.removeprefix("text_model.")
        found[f"conditioner.embedders.0.transformer.text_model.{inner}"] = tensor
    found |= {f"conditioner.embedders.1.model.{n}": t for n, t in _open_clip(second).items()}
    return {name: tensor.contiguous() for name, tensor in found.items()}


_ENDS: Final = {
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def _blocks() -> dict[str, str]:
    """Return the LDM code's place for each place of a U-Net of three levels of two blocks."""
    found = dict(_ENDS)
    for level in range(3):
        for kind, inner in (("resnets", 0), ("attentions", 1)):
            for block in range(2):
                place = 3 * level + block + 1
                found[f"down_blocks.{level}.{kind}.{block}"] = f"input_blocks.{place}.{inner}"
            for block in range(3):
                place = 3 * level + block
                found[f"up_blocks.{level}.{kind}.{block}"] = f"output_blocks.{place}.{inner}"
        found[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{3 * level + 3}.0.op"
        found[f"up_blocks.{level}.upsamplers.0"] = f"output_blocks.{3 * level + 2}.2"
    return found


_BLOCKS: Final = _blocks()
_INSIDE: Final = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip


def _ldm(name: str) -> str:
    """Write a U-Net's name out as the LDM code does; a table of its own, to check ours against."""
    begin = next(theirs for theirs in _BLOCKS if name.startswith(f"{theirs}."))
    rest = name.removeprefix(f"{begin}.")
    if ".resnets." in begin:
        part, _, leaf = rest.partition(".")
        rest = f"{_INSIDE[part]}.{leaf}"
    return f"{_BLOCKS[begin]}.{rest}"


def _open_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name a text encoder's tensors as OpenCLIP does, queries, keys and values in one."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        inner = name.removeprefix("text_model.").replace(
            "encoder.layers.", "transformer.resblocks."
        )
        for ours, theirs in (
            (".self_attn.out_proj.", ".attn.out_proj."), (".mlp.fc1.", ".mlp.c_fc."),
            (".mlp.fc2.", ".mlp.c_proj."), (".layer_norm1.", ".ln_1."), (".layer_norm2.", ".ln_2."),
            ("final_layer_norm.", "ln_final."), ("embeddings.token_embedding.", "token_embedding."),
            ("embeddings.position_embedding.weight", "positional_embedding"),
            ("text_projection.weight", "text_projection"),
        ):  # fmt: skip
            inner = inner.replace(ours, theirs)
        if ".self_attn.q_proj." in name:
            kinds = [name.replace(".q_proj.", f".{kind}_proj.") for kind in "qkv"]
            path, _, leaf = inner.partition(".self_attn.q_proj.")
            found[f"{path}.attn.in_proj_{leaf}"] = torch.cat([state[each] for each in kinds])
        elif ".self_attn.k_proj." not in name and ".self_attn.v_proj." not in name:
            found[inner] = tensor
    return found
