"""A loaded main model: its three networks as one value, built from a file or a diffusers folder.

Together with the other files of this folder this is the only place that knows diffusers and
transformers. Nothing here ever asks a network hub: shapes and weights come from the file.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from webui.modules.device import Device
from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.networks.attention import BACKENDS, AttentionProcessor
from webui.modules.networks.upsample import LdmUpsample
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.architecture import (
    TEXT,
    VAE,
    Architecture,
    TextShape,
    UNetShape,
    VaeShape,
    derive,
    derive_vae,
)
from webui.modules.weights.describe import UNET, describe
from webui.modules.weights.header import read_header
from webui.modules.weights.keymap import unet_names, vae_names
from webui.modules.weights.read import TensorReader, open_tensors

_Network = TypeVar("_Network", bound=nn.Module)

DRAWABLE: Final = ("sd1",)
"""Families that this program draws with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A main model in memory.

    Attributes:
        record: Which file it came from.
        architecture: Shapes and noise schedule.
        unet: The denoising network.
        vae: The autoencoder.
        text: The text encoder.
        alphas_cumprod: Share of the picture left at each trained noise level, ``[timesteps]``.
    """

    record: ModelRecord
    architecture: Architecture
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel
    alphas_cumprod: Tensor


def load_checkpoint(record: ModelRecord, device: Device) -> Checkpoint:
    """Read a checkpoint of the SD1 family into memory.

    Raises:
        ModelFileError: If the file is missing, cut off or lacks tensors.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it is not a main model, or of a family we do not draw with.
        ModelConfigError: If the yaml beside it cannot be used.
    """
    facts = describe(record.path)
    if facts.kind is not ModelKind.CHECKPOINT or facts.family not in DRAWABLE:
        what = facts.family if facts.kind is ModelKind.CHECKPOINT else facts.kind.value
        message = f"{record.path.name} is of the kind {what or 'unknown'}"
        hint = "Choose a checkpoint of the Stable Diffusion 1 family."
        raise UnsupportedModelError(message, hint=hint, value=record.path.name)
    if facts.format == "diffusers":
        return _load_folder(record, device)
    architecture = derive(read_header(record.path).tensors, record.config)
    with open_tensors(record.path) as file:
        parts = _Parts(file)
        return _assemble(record, architecture, device, parts)


def load_vae(path: Path, device: Device) -> AutoencoderKL:
    """Read an autoencoder of a file of its own, with or without the checkpoint's prefix.

    Raises:
        ModelFileError: If the file is missing, cut off or lacks tensors.
        UnsupportedModelError: If it is not an autoencoder.
    """
    tensors = read_header(path).tensors
    prefix = VAE if any(name.startswith(VAE) for name in tensors) else ""
    try:
        shape = derive_vae(tensors, {}, prefix=prefix)
    except (KeyError, IndexError) as error:
        message = f"{path.name} is not a VAE: it has no tensor {error}"
        raise UnsupportedModelError(message, hint="Choose a VAE file.", value=path.name) from error
    network = build_vae(shape)
    with open_tensors(path) as file:
        source = _Parts(file).part(prefix, lambda names: vae_names(names, shape))
        _fill(network, source, device.vae, path.name)
    return _place(network, device)


def _load_folder(record: ModelRecord, device: Device) -> Checkpoint:
    """Read a diffusers folder: the same networks, each with its own config and file."""
    root = record.path
    unet = _with_ldm_upsampling(UNet2DConditionModel.from_config(_config(root / "unet")))
    vae = AutoencoderKL.from_config(_config(root / "vae"))
    text = CLIPTextModel(CLIPTextConfig.from_dict(_config(root / "text_encoder")))
    scheduler = _config(root / "scheduler", "scheduler_config.json")
    for network, folder, dtype in (
        (unet, "unet", device.unet),
        (vae, "vae", device.vae),
        (text, "text_encoder", device.text),
    ):
        with open_tensors(_weights(root / folder)) as file:
            names = {name: _flat_text_name(name) for name in file.names()}
            source = {ours: (file, theirs) for theirs, ours in names.items()}
            _fill(network, source, dtype, root.name)
    config = unet.config
    architecture = Architecture(
        unet=UNetShape(
            in_channels=config.in_channels,
            out_channels=config.out_channels,
            widths=tuple(config.block_out_channels),
            blocks=config.layers_per_block,
            depths=tuple(int("CrossAttn" in kind) for kind in config.down_block_types),
            context=config.cross_attention_dim,
            heads=(8,) * len(config.block_out_channels),
            groups=config.norm_num_groups,
            linear=bool(config.use_linear_projection),
        ),
        vae=VaeShape(
            widths=tuple(vae.config.block_out_channels),
            blocks=vae.config.layers_per_block,
            latent=vae.config.latent_channels,
            groups=vae.config.norm_num_groups,
        ),
        text=TextShape(
            vocabulary=text.config.vocab_size,
            positions=text.config.max_position_embeddings,
            width=text.config.hidden_size,
            inner=text.config.intermediate_size,
            layers=text.config.num_hidden_layers,
            heads=text.config.num_attention_heads,
        ),
        prediction="v" if scheduler.get("prediction_type") == "v_prediction" else "epsilon",
        scale=vae.config.scaling_factor,
        timesteps=int(scheduler.get("num_train_timesteps", 1000)),
        beta_start=float(scheduler.get("beta_start", 0.00085)),
        beta_end=float(scheduler.get("beta_end", 0.012)),
    )
    return _finish(record, architecture, device, (unet, vae, text), None)


def _assemble(
    record: ModelRecord, architecture: Architecture, device: Device, parts: "_Parts"
) -> Checkpoint:
    name = record.path.name
    unet = build_unet(architecture.unet)
    shape = architecture
    _fill(unet, parts.part(UNET, lambda names: unet_names(names, shape.unet)), device.unet, name)
    vae = build_vae(architecture.vae)
    _fill(vae, parts.part(VAE, lambda names: vae_names(names, shape.vae)), device.vae, name)
    text = build_text(architecture.text)
    _fill(text, parts.part(TEXT, lambda names: {each: each for each in names}), device.text, name)
    return _finish(record, architecture, device, (unet, vae, text), parts.alphas_cumprod())


def _finish(
    record: ModelRecord,
    architecture: Architecture,
    device: Device,
    networks: tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel],
    alphas_cumprod: Tensor | None,
) -> Checkpoint:
    unet, vae, text = networks
    unet.set_attn_processor(AttentionProcessor(BACKENDS[device.attention]))  # pyright: ignore[reportArgumentType] - the protocol is wider than its type
    if alphas_cumprod is None:
        alphas_cumprod = _scaled_linear(architecture)
    return Checkpoint(
        record=record,
        architecture=architecture,
        unet=_place(unet, device),
        vae=_place(vae, device),
        text=text.to(device.torch).eval().requires_grad_(requires_grad=False),
        alphas_cumprod=alphas_cumprod,
    )


def _place(network: _Network, device: Device) -> _Network:
    """Move a convolutional network to its device, frozen, in the memory order it likes."""
    order = torch.channels_last if device.channels_last else torch.contiguous_format
    network.to(device.torch).to(memory_format=order)  # pyright: ignore[reportCallIssue, reportUnknownMemberType] - missing in torch's types
    return network.eval().requires_grad_(requires_grad=False)


def build_unet(shape: UNetShape) -> UNet2DConditionModel:
    """Return an empty denoising network, its weights on torch's "meta" device."""
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in shape.depths)
    up = tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(shape.depths))
    with torch.device("meta"):
        network = UNet2DConditionModel(
            in_channels=shape.in_channels,
            out_channels=shape.out_channels,
            down_block_types=down,
            up_block_types=up,
            block_out_channels=shape.widths,
            layers_per_block=shape.blocks,
            transformer_layers_per_block=tuple(max(1, depth) for depth in shape.depths),
            cross_attention_dim=shape.context,
            attention_head_dim=shape.heads,  # diffusers calls the number of heads so
            norm_num_groups=shape.groups,
            use_linear_projection=shape.linear,
        )
    return _with_ldm_upsampling(network)


def _with_ldm_upsampling(network: UNet2DConditionModel) -> UNet2DConditionModel:
    for block in network.up_blocks:
        for index, layer in enumerate(block.upsamplers or ()):
            block.upsamplers[index] = LdmUpsample(layer.conv)
    return network


def build_vae(shape: VaeShape) -> AutoencoderKL:
    """Return an empty autoencoder, its weights on torch's "meta" device."""
    levels = len(shape.widths)
    with torch.device("meta"):
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=shape.widths,
            layers_per_block=shape.blocks,
            latent_channels=shape.latent,
            norm_num_groups=shape.groups,
        )


def build_text(shape: TextShape) -> CLIPTextModel:
    """Return an empty CLIP text encoder, its weights on torch's "meta" device."""
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
        return CLIPTextModel(config)


_Source = Mapping[str, tuple[TensorReader, str]]
"""For each of our names: the open file and the name in it."""


class _Parts:
    """The networks inside one open file."""

    def __init__(self, file: TensorReader) -> None:
        self._file = file
        self._names = file.names()

    def part(self, prefix: str, rename: Callable[[Iterable[str]], Mapping[str, str]]) -> _Source:
        """Return the tensors below this prefix under our names."""
        inside = [name[len(prefix) :] for name in self._names if name.startswith(prefix)]
        wanted = [name for name in inside if not name.startswith(("loss.", "model_ema."))]
        return {ours: (self._file, prefix + theirs) for theirs, ours in rename(wanted).items()}

    def alphas_cumprod(self) -> Tensor | None:
        """Return the noise schedule that the file carries, if it does."""
        if "alphas_cumprod" not in self._names:
            return None
        return self._file.read("alphas_cumprod").to(torch.float32)


def _fill(network: nn.Module, source: _Source, dtype: torch.dtype, file_name: str) -> None:
    """Give a network on the "meta" device its weights, each cast as it is read."""
    for name, parameter in list(network.named_parameters()):
        if name not in source:
            message = f"{file_name} has no tensor for {name}"
            raise ModelFileError(message, hint="The file is incomplete.", value=file_name)
        file, theirs = source[name]
        tensor = file.read(theirs).to(dtype)
        if tensor.shape != parameter.shape:
            tensor = _reshaped(tensor, parameter, f"{file_name}: {theirs}")
        owner, _, leaf = name.rpartition(".")
        network.get_submodule(owner).register_parameter(leaf, nn.Parameter(tensor))
    for name, buffer in list(network.named_buffers()):
        if buffer.is_meta:
            owner, _, leaf = name.rpartition(".")
            filled = torch.arange(buffer.shape[-1]).expand(buffer.shape).clone()
            network.get_submodule(owner).register_buffer(leaf, filled, persistent=False)


def _reshaped(tensor: Tensor, parameter: Tensor, name: str) -> Tensor:
    """Let a 1 x 1 convolution stand for a linear layer and the other way round."""
    if tensor.numel() != parameter.numel() or tensor.shape[0] != parameter.shape[0]:
        message = f"{name} has the shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}"
        raise ModelFileError(message, hint="Does the .yaml beside it fit the file?", value=name)
    return tensor.reshape(parameter.shape)


def _scaled_linear(architecture: Architecture) -> Tensor:
    """Return the schedule of latent diffusion: betas evenly spaced in their square roots."""
    roots = torch.linspace(
        architecture.beta_start**0.5,
        architecture.beta_end**0.5,
        architecture.timesteps,
        dtype=torch.float64,
    )
    return torch.cumprod(1 - roots**2, dim=0).to(torch.float32)


def _config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{folder.name}/{name} cannot be read: {error}"
        hint = "Is this a whole diffusers folder?"
        raise ModelFileError(message, hint=hint, value=folder.name) from error
    return content


def _weights(folder: Path) -> Path:
    """Return the one weights file of a network's folder, safetensors before pickles."""
    for pattern in ("*.safetensors", "*.bin"):
        found = sorted(folder.glob(pattern), key=lambda path: len(path.name))
        if found:
            return found[0]
    message = f"{folder.name} holds no weights"
    raise ModelFileError(message, hint="Is this a whole diffusers folder?", value=folder.name)


def _flat_text_name(name: str) -> str:
    """Drop the prefix that text encoders carried before transformers 5."""
    return name.removeprefix("text_model.")
