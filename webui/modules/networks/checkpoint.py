"""A loaded main model: its three networks as one value, read from a file or a diffusers folder.

Together with the other files of this folder this is the only place that knows diffusers and
transformers. Nothing here ever asks a network hub: shapes and weights come from the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from webui.modules.device import Device
from webui.modules.errors import UnsupportedModelError
from webui.modules.networks.attention import BACKENDS, AttentionProcessor
from webui.modules.networks.build import build_text, build_unet, build_vae
from webui.modules.networks.fill import Part, fill
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.architecture import (
    DIFFUSERS_VAE,
    TEXT,
    VAE,
    Architecture,
    VaeShape,
    derive,
    derive_vae,
)
from webui.modules.weights.describe import UNET, describe
from webui.modules.weights.diffusers_folder import (
    TEXT_FOLDER,
    UNET_FOLDER,
    VAE_FOLDER,
    derive_folder,
    our_name,
    weights_file,
)
from webui.modules.weights.families import DRAWABLE
from webui.modules.weights.header import read_header
from webui.modules.weights.keymap import unet_names, vae_names
from webui.modules.weights.read import TensorReader, open_tensors

Autoencoder = AutoencoderKL
"""The autoencoder as the other rooms know it."""

NORM_GROUPS: Final = "atelier.norm_groups"
"""Metadata of a VAE file: into how many groups its channels are normalised."""

LATENT = 4
"""Channels of the latents that this program draws with."""


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
    load = _load_folder if facts.format == "diffusers" else _load_file
    checkpoint = load(record, device)
    processor = AttentionProcessor(BACKENDS[device.attention])
    checkpoint.unet.set_attn_processor(processor)  # pyright: ignore[reportArgumentType] - any callable of this form will do
    return checkpoint


def load_vae(path: Path, device: Device) -> AutoencoderKL:
    """Read an autoencoder of a file of its own, in the names of the LDM code or of diffusers.

    Raises:
        ModelFileError: If the file is missing, cut off or lacks tensors.
        UnsupportedModelError: If it is not an autoencoder.
    """
    header = read_header(path)
    tensors = header.tensors
    prefix = VAE if any(name.startswith(VAE) for name in tensors) else ""
    # Shapes cannot tell how many channels are normalised together; files of ours say it.
    said = header.metadata.get(NORM_GROUPS, "")
    told = {"ddconfig": {"norm_groups": int(said)}} if said.isdecimal() else {}
    try:
        shape = derive_vae(tensors, told, prefix=prefix)
    except (KeyError, IndexError) as error:
        message = f"{path.name} is not a VAE: it has no tensor {error}"
        raise UnsupportedModelError(message, hint="Choose a VAE file.", value=path.name) from error
    if shape.latent != LATENT:
        message = f"{path.name} makes latents of {shape.latent} channels"
        hint = f"Choose a VAE of the Stable Diffusion 1 family, which makes {LATENT}."
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    _check_groups(shape, path)
    of_diffusers = any(name.startswith(DIFFUSERS_VAE) for name in tensors)

    def ours(names: Iterable[str]) -> dict[str, str]:
        if of_diffusers:
            return {name: our_name(name) for name in names}
        return vae_names(names, shape)

    with open_tensors(path) as file:
        part = Part(file, prefix, ours, path.name)
        return fill(build_vae(shape), part, device.vae, device)


def _check_groups(shape: VaeShape, path: Path) -> None:
    uneven = [width for width in shape.widths if width % shape.groups]
    if uneven:
        message = f"{path.name} has {uneven[0]} channels, which are no {shape.groups} equal groups"
        hint = "It may be a part of a checkpoint that says so in its yaml; use it from there."
        raise UnsupportedModelError(message, hint=hint, value=path.name)


def _load_file(record: ModelRecord, device: Device) -> Checkpoint:
    """Read the single-file layout of the LDM code."""
    header = read_header(record.path)
    shape = derive(header.tensors, record.config, header.metadata)
    source = record.path.name
    # Opened anew for each network, so that pages of the file that are done with do not add up.
    with open_tensors(record.path) as file:
        part = Part(file, UNET, lambda names: unet_names(names, shape.unet), source)
        unet = fill(build_unet(shape.unet), part, device.unet, device)
    with open_tensors(record.path) as file:
        part = Part(file, VAE, lambda names: vae_names(names, shape.vae), source)
        vae = fill(build_vae(shape.vae), part, device.vae, device)
    with open_tensors(record.path) as file:
        part = Part(file, TEXT, _unchanged, source)
        text = fill(build_text(shape.text), part, device.text, device)
        alphas_cumprod = _alphas_cumprod(file, shape)
    return Checkpoint(
        record=record,
        architecture=shape,
        unet=unet,
        vae=vae,
        text=text,
        alphas_cumprod=alphas_cumprod,
    )


def _load_folder(record: ModelRecord, device: Device) -> Checkpoint:
    """Read a diffusers folder: each network has a file of its own."""
    shape, root = derive_folder(record.path), record.path

    def part(file: TensorReader) -> Part:
        return Part(file, "", lambda names: {name: our_name(name) for name in names}, root.name)

    with (
        open_tensors(weights_file(root, UNET_FOLDER)) as unet,
        open_tensors(weights_file(root, VAE_FOLDER)) as vae,
        open_tensors(weights_file(root, TEXT_FOLDER)) as text,
    ):
        return Checkpoint(
            record=record,
            architecture=shape,
            unet=fill(build_unet(shape.unet), part(unet), device.unet, device),
            vae=fill(build_vae(shape.vae), part(vae), device.vae, device),
            text=fill(build_text(shape.text), part(text), device.text, device),
            alphas_cumprod=scaled_linear(shape),
        )


def _unchanged(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}


def _alphas_cumprod(file: TensorReader, shape: Architecture) -> Tensor:
    """Return the noise schedule that the file carries, or the one its settings describe."""
    if "alphas_cumprod" in file.names():
        return file.read("alphas_cumprod").to(torch.float32)
    return scaled_linear(shape)


def scaled_linear(shape: Architecture) -> Tensor:
    """Return latent diffusion's schedule: betas evenly spaced in their square roots."""
    low, high = shape.beta_start**0.5, shape.beta_end**0.5
    roots = torch.linspace(low, high, shape.timesteps, dtype=torch.float64)
    return torch.cumprod(1 - roots**2, dim=0).to(torch.float32)
