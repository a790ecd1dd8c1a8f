"""The shape of a checkpoint's three networks, from its tensors and, where it lies beside, its yaml.

Shapes cannot say everything: how many heads share a width, how many groups a normalisation has,
whether the network predicts noise or velocity. Stable Diffusion's own values fill these unless the
same-stem ``.yaml`` (the config format of github.com/CompVis/stable-diffusion) says otherwise. The
yaml is read as data: no class that it names is looked up and no ``${...}`` is resolved. No torch.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

from webui.modules.errors import ModelConfigError, UnsupportedModelError
from webui.modules.weights.families import UNET, predicts_velocity
from webui.modules.weights.header import TensorFacts
from webui.modules.weights.small_text import read_small_text

VAE: Final = "first_stage_model."
TEXT: Final = "cond_stage_model.transformer.text_model."

MAX_BLOCKS: Final = 40
"""Stable Diffusion 1 has 12 blocks on the way down."""

TIMESTEPS: Final = 1000
"""Noise levels that every model of this family was trained on."""

Prediction = Literal["epsilon", "v"]
"""What the denoising network predicts: the noise, or velocity (arXiv:2202.00512, section 4)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetShape:
    """The denoising network.

    Attributes:
        in_channels: Channels it reads; 4, or 9 and 8 for inpainting and instruction models.
        out_channels: Channels it predicts.
        widths: Channels per level, from the finest.
        blocks: Residual blocks per level on the way down.
        depths: Transformer blocks per level; 0 where a level has no attention.
        context: Width of the text encoding that cross-attention reads.
        heads: Attention heads per level.
        groups: Groups of its normalisations.
        linear: Whether the projections around the transformer blocks are linear layers.
    """

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]
    blocks: int
    depths: tuple[int, ...]
    context: int
    heads: tuple[int, ...]
    groups: int
    linear: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class VaeShape:
    """The autoencoder: channels per level from the finest, and how many blocks."""

    widths: tuple[int, ...]
    blocks: int
    latent: int
    groups: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TextShape:
    """The text encoder of CLIP."""

    vocabulary: int
    positions: int
    width: int
    inner: int
    layers: int
    heads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """A whole checkpoint.

    Attributes:
        unet: The denoising network.
        vae: The autoencoder.
        text: The text encoder.
        prediction: What the denoising network predicts.
        scale: Factor from the autoencoder's latents to the network's (0.18215 for SD 1 and 2).
        timesteps: Trained noise levels.
        beta_start: First beta of the scaled-linear noise schedule.
        beta_end: Last beta.
    """

    unet: UNetShape
    vae: VaeShape
    text: TextShape
    prediction: Prediction = "epsilon"
    scale: float = 0.18215
    timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012


def derive(
    tensors: Mapping[str, TensorFacts],
    config: Path | None,
    metadata: Mapping[str, str] | None = None,
) -> Architecture:
    """Return the shape of the SD1-family checkpoint with these tensors.

    Args:
        tensors: Facts by name, in the LDM layout.
        config: The yaml beside the file, which goes before the file's own words; None for none.
        metadata: The file's texts, one of which may say what the network predicts.

    Raises:
        UnsupportedModelError: If a network is missing or of an unknown make.
        ModelConfigError: If the yaml is damaged or contradicts the tensors.
    """
    told: Mapping[str, Any] = _read_yaml(config) if config else {}
    try:
        shape = Architecture(
            unet=derive_unet(tensors, _part(told, "unet_config")),
            vae=derive_vae(tensors, _part(told, "first_stage_config"), prefix=VAE),
            text=_derive_text(tensors),
            prediction=_prediction(tensors, told, metadata or {}),
            scale=_number(told, "scale_factor", 0.18215),
            timesteps=int(_number(told, "timesteps", 1000)),
            beta_start=_number(told, "linear_start", 0.00085),
            beta_end=_number(told, "linear_end", 0.012),
        )
        check(shape)
    except (KeyError, IndexError, StopIteration) as error:
        message = f"the checkpoint has no tensor {error}"
        hint = "It may be a part of a model, or of a family that is not supported yet."
        raise UnsupportedModelError(message, hint=hint) from error
    except (TypeError, ValueError, ArithmeticError) as error:
        name = config.name if config else "the checkpoint"
        message = f"{name} cannot be used: {error}"
        raise ModelConfigError(
            message, hint="Mend or remove the .yaml file.", value=name
        ) from error
    return shape


def check(shape: Architecture) -> None:
    """Refuse settings that no network can have.

    Raises:
        ValueError: If one is out of its range; the text says which.
    """
    unet, vae, text = shape.unet, shape.vae, shape.text
    sane = {
        "levels": all((*unet.widths, *vae.widths)) and len(unet.widths) == len(unet.heads),
        "heads": all(
            heads > 0 and width % heads == 0
            for heads, width in (
                *zip(unet.heads, unet.widths, strict=True),
                (text.heads, text.width),
            )
        ),
        "norm_groups": all(
            part.groups > 0 and width % part.groups == 0
            for part in (unet, vae)
            for width in part.widths
        ),
        "scale_factor": 0 < shape.scale < float("inf"),
        "timesteps": shape.timesteps == TIMESTEPS,
        "linear_start and linear_end": 0 < shape.beta_start <= shape.beta_end < 1,
    }
    wrong = [name for name, holds in sane.items() if not holds]
    if wrong:
        message = f"{', '.join(wrong)} out of range"
        raise ValueError(message)


def unet_shape(tensors: Mapping[str, TensorFacts]) -> UNetShape:
    """Return the shape of the denoising network of a checkpoint that need not be one we draw with.

    Raises:
        UnsupportedModelError: If it is no U-Net of Stable Diffusion's make.
    """
    try:
        return derive_unet(tensors, {})
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        message = "the checkpoint has no U-Net of Stable Diffusion's make"
        hint = "Add-ons can be held against checkpoints of Stable Diffusion 1, 2 and XL."
        raise UnsupportedModelError(message, hint=hint) from error


def derive_unet(tensors: Mapping[str, TensorFacts], told: Mapping[str, Any]) -> UNetShape:
    """Walk down ``input_blocks`` and note where a level ends and where attention sits."""
    widths: list[int] = []
    depths: list[int] = []
    blocks = 0
    width = depth = count = 0
    for number in range(1, min(MAX_BLOCKS, _count(tensors, UNET + r"input_blocks\.(\d+)\."))):
        block = f"{UNET}input_blocks.{number}"
        if f"{block}.0.op.weight" in tensors:
            widths.append(width)
            depths.append(depth)
            count = 0
            continue
        width = tensors[f"{block}.0.out_layers.3.weight"].shape[0]
        depth = _count(tensors, re.escape(block) + r"\.1\.transformer_blocks\.(\d+)\.")
        count += 1
        blocks = max(blocks, count)
    widths.append(width)
    depths.append(depth)
    reader = next(name for name in tensors if name.endswith("attn2.to_k.weight"))
    projection = next(name for name in tensors if name.endswith(".proj_in.weight"))
    return UNetShape(
        in_channels=tensors[f"{UNET}input_blocks.0.0.weight"].shape[1],
        out_channels=tensors[f"{UNET}out.2.weight"].shape[0],
        widths=tuple(widths),
        blocks=blocks,
        depths=tuple(depths),
        context=tensors[reader].shape[1],
        heads=_heads(widths, told),
        groups=_whole(told, "norm_groups", 32),
        linear=len(tensors[projection].shape) == 2,  # noqa: PLR2004 - rows and columns
    )


def derive_vae(
    tensors: Mapping[str, TensorFacts], told: Mapping[str, Any], *, prefix: str
) -> VaeShape:
    """Read the autoencoder's widths off its encoder; its names may be diffusers' as well."""
    if any(name.startswith(DIFFUSERS_VAE) for name in tensors):
        return _derive_diffusers_vae(tensors)
    levels = _count(tensors, re.escape(prefix) + r"encoder\.down\.(\d+)\.")
    widths = tuple(
        tensors[f"{prefix}encoder.down.{level}.block.0.conv2.weight"].shape[0]
        for level in range(levels)
    )
    details = told.get("ddconfig")
    details = cast("dict[str, Any]", details) if isinstance(details, dict) else {}
    return VaeShape(
        widths=widths,
        blocks=_count(tensors, re.escape(prefix) + r"encoder\.down\.0\.block\.(\d+)\."),
        latent=tensors[f"{prefix}decoder.conv_in.weight"].shape[1],
        groups=_whole(details, "norm_groups", 32),
    )


DIFFUSERS_VAE: Final = "encoder.down_blocks."
"""With what names begin of an autoencoder by itself, as it lies in a diffusers folder."""


def _derive_diffusers_vae(tensors: Mapping[str, TensorFacts]) -> VaeShape:
    begin = re.escape(DIFFUSERS_VAE)
    return VaeShape(
        widths=tuple(
            tensors[f"{DIFFUSERS_VAE}{level}.resnets.0.conv2.weight"].shape[0]
            for level in range(_count(tensors, begin + r"(\d+)\."))
        ),
        blocks=_count(tensors, begin + r"0\.resnets\.(\d+)\."),
        latent=tensors["decoder.conv_in.weight"].shape[1],
        groups=32,
    )


CLIP_HEAD: Final = 64
"""Width of one attention head in every CLIP text encoder."""


def _derive_text(tensors: Mapping[str, TensorFacts]) -> TextShape:
    vocabulary, width = tensors[f"{TEXT}embeddings.token_embedding.weight"].shape
    return TextShape(
        vocabulary=vocabulary,
        positions=tensors[f"{TEXT}embeddings.position_embedding.weight"].shape[0],
        width=width,
        inner=tensors[f"{TEXT}encoder.layers.0.mlp.fc1.weight"].shape[0],
        layers=_count(tensors, re.escape(TEXT) + r"encoder\.layers\.(\d+)\."),
        heads=max(1, width // CLIP_HEAD),
    )


def _heads(widths: list[int], told: Mapping[str, Any]) -> tuple[int, ...]:
    """Return heads per level: eight in SD1, or as the yaml says by count or by width."""
    size = _whole(told, "num_head_channels", -1)
    if size > 0:
        return tuple(width // size for width in widths)
    return (_whole(told, "num_heads", 8),) * len(widths)


def _prediction(
    tensors: Mapping[str, TensorFacts], told: Mapping[str, Any], metadata: Mapping[str, str]
) -> Prediction:
    if "parameterization" in told:
        return "v" if told["parameterization"] == "v" else "epsilon"
    return "v" if "v_pred" in tensors or predicts_velocity(metadata) else "epsilon"


def _count(tensors: Mapping[str, TensorFacts], pattern: str) -> int:
    """Return one more than the highest number that the pattern's group takes; 0 if none."""
    matcher = re.compile(pattern)
    found = (matcher.match(name) for name in tensors)
    return max((int(match[1]) for match in found if match), default=-1) + 1


class _PlainLoader(yaml.SafeLoader):
    """Reads plain data; aliases, with which a short text swells without end, are refused."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse ``*name``."""
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType] - partial types
            message = "it uses aliases"
            raise yaml.YAMLError(message)
        return super().compose_node(parent, index)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    """Return ``model.params`` of an LDM config as plain data."""
    try:
        raw: object = yaml.load(read_small_text(path), _PlainLoader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        message = f"{path.name} cannot be read: {error}"
        raise ModelConfigError(
            message, hint="Mend or remove the .yaml file.", value=path.name
        ) from error
    model = cast("dict[str, Any]", raw).get("model") if isinstance(raw, dict) else None
    params = cast("dict[str, Any]", model).get("params") if isinstance(model, dict) else None
    if not isinstance(params, dict):
        message = f"{path.name} has no model.params"
        raise ModelConfigError(message, hint="Mend or remove the .yaml file.", value=path.name)
    return cast("dict[str, Any]", params)


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    params = cast("dict[str, Any]", part).get("params") if isinstance(part, dict) else None
    return cast("dict[str, Any]", params) if isinstance(params, dict) else {}


def _whole(told: Mapping[str, Any], name: str, default: int) -> int:
    return int(_number(told, name, default))


def _number(told: Mapping[str, Any], name: str, default: float) -> float:
    value = told.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} is {repr(value)[:80]}, which is no number"
        raise TypeError(message)
    return float(value)
