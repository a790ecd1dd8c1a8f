"""Checks that diffusers' own reader gets back the very tensors that were exported."""

import argparse
import logging
import math
from pathlib import Path

from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors.torch import load_file
from torch import Tensor

from tools.starter.export import TEXT_PREFIX, UNET_PREFIX, VAE_PREFIX
from tools.starter.shapes import UNET_BLOCKS, build_text_encoder, build_unet, build_vae

log = logging.getLogger(__name__)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def check(file: Path) -> None:
    """Load every part of the file strictly into freshly built nets.

    Raises:
        RuntimeError: If a tensor is missing, unknown or of another shape.
    """
    tensors = load_file(file)
    unet = build_unet()
    options = {"layers_per_block": UNET_BLOCKS}
    unet.load_state_dict(convert_ldm_unet_checkpoint(dict(tensors), dict(unet.config) | options))
    vae = build_vae()
    vae.load_state_dict(convert_ldm_vae_checkpoint(dict(tensors), dict(vae.config)))
    text = build_text_encoder()
    words = part(tensors, TEXT_PREFIX)
    words.pop("embeddings.position_ids")
    text.load_state_dict(words)
    for prefix, net in ((UNET_PREFIX, unet), (VAE_PREFIX, vae), (TEXT_PREFIX, text)):
        stored = sum(
            t.double().sum() for name, t in part(tensors, prefix).items() if "_ids" not in name
        )
        loaded = sum(float(t.double().sum()) for t in net.state_dict().values())
        if not math.isclose(stored, loaded, rel_tol=1e-9):
            message = f"{prefix}: the tensors add up to {stored}, once loaded to {loaded}"
            raise RuntimeError(message)
        log.info("%s: %d tensors come back", prefix, len(net.state_dict()))


def main() -> None:
    """Run ``python -m tools.starter.check_export FILE``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    check(parser.parse_args().file)


if __name__ == "__main__":
    main()
