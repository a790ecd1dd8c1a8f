"""Writes the trained nets as one checkpoint in SD 1's key layout."""

import argparse
import logging
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor

from tools.starter.diffusion import alphas_cumprod
from tools.starter.ldm_names import unet_to_ldm, vae_to_ldm
from tools.starter.painter import Painter
from tools.starter.shapes import SCALE_FACTOR, TEXT_LENGTH, UNET_BLOCKS
from tools.starter.state import finished

log = logging.getLogger(__name__)

UNET_PREFIX: Final = "model.diffusion_model."
VAE_PREFIX: Final = "first_stage_model."
TEXT_PREFIX: Final = "cond_stage_model.transformer.text_model."
WORD_ROWS: Final = "embeddings.token_embedding.weight"


def checkpoint(painter: Painter, vae: dict[str, Tensor], centre: Tensor, spread: Tensor) -> dict:
    """Return the file's tensors by name; weights in fp16, the schedule in fp32."""
    unet = unet_to_ldm(painter.unet.state_dict(), blocks=UNET_BLOCKS)
    stage = vae_to_ldm(fold_statistics(vae, centre, spread))
    named = {UNET_PREFIX + name: tensor for name, tensor in unet.items()}
    named |= {VAE_PREFIX + name: tensor for name, tensor in stage.items()}
    named |= {TEXT_PREFIX + name: tensor for name, tensor in text_tensors(painter).items()}
    weights = {name: tensor.half().contiguous() for name, tensor in named.items()}
    positions = torch.arange(TEXT_LENGTH)[None]
    extras = {TEXT_PREFIX + "embeddings.position_ids": positions}
    return weights | extras | {"alphas_cumprod": alphas_cumprod()}


def fold_statistics(vae: dict[str, Tensor], centre: Tensor, spread: Tensor) -> dict[str, Tensor]:
    """Bake the latents' mean and deviation into the convolutions on both sides of them.

    Afterwards encoded latents times ``SCALE_FACTOR`` have mean 0 and deviation 1 per channel.
    """
    folded = dict(vae)
    unit = spread * SCALE_FACTOR
    gain = torch.cat([1 / unit, torch.ones_like(unit)])
    shift = torch.cat([-centre / unit, -2 * unit.log()])
    folded["quant_conv.weight"] = vae["quant_conv.weight"] * gain[:, None, None, None]
    folded["quant_conv.bias"] = vae["quant_conv.bias"] * gain + shift
    decoding = vae["post_quant_conv.weight"]
    folded["post_quant_conv.weight"] = decoding * unit[None, :, None, None]
    folded["post_quant_conv.bias"] = vae["post_quant_conv.bias"] + decoding[:, :, 0, 0] @ centre
    return folded


def text_tensors(painter: Painter) -> dict[str, Tensor]:
    """Return the text encoder's tensors by their classic names, with the whole token table."""
    tensors = {
        name: tensor
        for name, tensor in painter.text.state_dict().items()
        if "token_embedding" not in name
    }
    return tensors | {WORD_ROWS: painter.words.whole()}


def main() -> None:
    """Run ``python -m tools.starter.export --work DIR --to FILE``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    painter = Painter()
    painter.load_state_dict(finished(asked.work, "painter")["average"])
    latents = finished(asked.work, "latents")
    vae = finished(asked.work, "vae")["average"]
    tensors = checkpoint(painter, vae, latents["centre"], latents["spread"])
    save_file(tensors, asked.to, metadata={"format": "pt"})
    log.info("%s: %.1f MB", asked.to, asked.to.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
