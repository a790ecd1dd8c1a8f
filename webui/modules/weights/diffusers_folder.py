"""The shape of a checkpoint that lies in a diffusers folder, from its config files. No torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from webui.modules.errors import ModelFileError
from webui.modules.weights.architecture import (
    Architecture,
    TextShape,
    UNetShape,
    VaeShape,
    check,
)
from webui.modules.weights.small_text import read_small_text

UNET_FOLDER: Final = "unet"
VAE_FOLDER: Final = "vae"
TEXT_FOLDER: Final = "text_encoder"

_OLD_ATTENTION: Final = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}
"""Names that the autoencoder's attention had before diffusers 0.13."""


def derive_folder(root: Path) -> Architecture:
    """Return the shape of the checkpoint in this folder.

    Raises:
        ModelFileError: If a config is missing or damaged.
    """
    unet = _config(root, UNET_FOLDER)
    vae = _config(root, VAE_FOLDER)
    text = _config(root, TEXT_FOLDER)
    noise = _config(root, "scheduler", "scheduler_config.json")
    try:
        shape = Architecture(
            unet=_unet(unet),
            vae=VaeShape(
                widths=tuple(vae["block_out_channels"]),
                blocks=vae["layers_per_block"],
                latent=vae["latent_channels"],
                groups=vae["norm_num_groups"],
            ),
            text=TextShape(
                vocabulary=text["vocab_size"],
                positions=text["max_position_embeddings"],
                width=text["hidden_size"],
                inner=text["intermediate_size"],
                layers=text["num_hidden_layers"],
                heads=text["num_attention_heads"],
            ),
            prediction="v" if noise.get("prediction_type") == "v_prediction" else "epsilon",
            scale=float(vae.get("scaling_factor", 0.18215)),
            timesteps=int(noise.get("num_train_timesteps", 1000)),
            beta_start=float(noise.get("beta_start", 0.00085)),
            beta_end=float(noise.get("beta_end", 0.012)),
        )
        check(shape)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        message = f"a config in {root.name} lacks or spoils the entry {error}"
        hint = "Is this a whole diffusers folder?"
        raise ModelFileError(message, hint=hint, value=root.name) from error
    return shape


def weights_file(root: Path, folder: str) -> Path:
    """Return the file with a network's weights, safetensors before pickles, shortest name first.

    Raises:
        ModelFileError: If there is none.
    """
    for pattern in ("*.safetensors", "*.bin"):
        found = sorted((root / folder).glob(pattern), key=lambda path: (len(path.name), path.name))
        if found:
            return found[0]
    message = f"{root.name}/{folder} holds no weights"
    raise ModelFileError(message, hint="Is this a whole diffusers folder?", value=root.name)


def our_name(name: str) -> str:
    """Return our network's name for one in a folder's file, which may be of an older make."""
    for old, new in _OLD_ATTENTION.items():
        name = name.replace(old, new)
    return name.removeprefix("text_model.")


def _unet(config: Mapping[str, Any]) -> UNetShape:
    widths = tuple(config["block_out_channels"])
    heads = config.get("num_attention_heads") or config["attention_head_dim"]
    depth = config.get("transformer_layers_per_block", 1)
    depths = (depth,) * len(widths) if isinstance(depth, int) else tuple(depth)
    kinds = config["down_block_types"]
    return UNetShape(
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        widths=widths,
        blocks=config["layers_per_block"],
        depths=tuple(
            depth if "CrossAttn" in kind else 0 for depth, kind in zip(depths, kinds, strict=True)
        ),
        context=config["cross_attention_dim"],
        heads=(heads,) * len(widths) if isinstance(heads, int) else tuple(heads),
        groups=config["norm_num_groups"],
        linear=bool(config.get("use_linear_projection", False)),
    )


def _config(root: Path, folder: str, name: str = "config.json") -> dict[str, Any]:
    try:
        content: object = json.loads(read_small_text(root / folder / name))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{root.name}/{folder}/{name} cannot be read: {error}"
        hint = "Is this a whole diffusers folder?"
        raise ModelFileError(message, hint=hint, value=root.name) from error
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}
