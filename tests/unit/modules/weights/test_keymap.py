"""Names of files and names of networks: each has exactly one partner, also in diffusers' eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)

from webui.modules.networks.build import build_text, build_unet, build_vae
from webui.modules.networks.random import SD1
from webui.modules.weights.architecture import TEXT, VAE, Architecture, derive
from webui.modules.weights.describe import UNET
from webui.modules.weights.header import read_header
from webui.modules.weights.keymap import ldm_unet_name, ldm_vae_name, unet_names, vae_names

if TYPE_CHECKING:
    from webui.modules.types import ModelRecord


@pytest.fixture(params=["tiny", "Stable Diffusion 1.5"])
def shape(request: pytest.FixtureRequest, tiny: ModelRecord) -> Architecture:
    if request.param == "tiny":
        return derive(read_header(tiny.path).tensors, tiny.config)
    return SD1


def test_every_name_of_the_denoising_network_comes_back(shape: Architecture) -> None:
    ours = list(build_unet(shape.unet).state_dict())
    theirs = [ldm_unet_name(name, shape.unet) for name in ours]

    assert len(set(theirs)) == len(ours)
    assert list(unet_names(theirs, shape.unet).values()) == ours


def test_every_name_of_the_autoencoder_comes_back(shape: Architecture) -> None:
    ours = list(build_vae(shape.vae).state_dict())
    theirs = [ldm_vae_name(name, shape.vae) for name in ours]

    assert len(set(theirs)) == len(ours)
    assert list(vae_names(theirs, shape.vae).values()) == ours


def test_the_tiny_file_names_each_tensor_of_each_network_once(tiny: ModelRecord) -> None:
    names = read_header(tiny.path).tensors
    shape = derive(names, tiny.config)

    def inside(prefix: str) -> list[str]:
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    unet, vae = unet_names(inside(UNET), shape.unet), vae_names(inside(VAE), shape.vae)
    text = {name for name in inside(TEXT) if not name.endswith("position_ids")}

    assert sorted(unet.values()) == sorted(build_unet(shape.unet).state_dict())
    assert sorted(vae.values()) == sorted(build_vae(shape.vae).state_dict())
    assert text == {name for name, _ in build_text(shape.text).named_parameters()}


def test_diffusers_renames_the_denoising_network_alike(shape: Architecture) -> None:
    ours = list(build_unet(shape.unet).state_dict())
    file = {UNET + ldm_unet_name(name, shape.unet): torch.empty(0) for name in ours}
    config: dict[str, Any] = {"layers_per_block": shape.unet.blocks, "class_embed_type": None,
                              "addition_embed_type": None}  # fmt: skip

    theirs = convert_ldm_unet_checkpoint(dict(file), config)

    renamed = unet_names([name.removeprefix(UNET) for name in file], shape.unet)
    assert {renamed[name.removeprefix(UNET)]: id(file[name]) for name in file} == {
        name: id(tensor) for name, tensor in theirs.items()
    }


def test_diffusers_renames_the_autoencoder_alike(shape: Architecture) -> None:
    ours = build_vae(shape.vae).state_dict()
    numbers = {name: float(place) for place, name in enumerate(ours)}
    file = {
        VAE + ldm_vae_name(name, shape.vae): torch.full((1, 1, 1), numbers[name]) for name in ours
    }
    config = {
        "down_block_types": shape.vae.widths,
        "up_block_types": shape.vae.widths,
        "layers_per_block": shape.vae.blocks,
    }

    theirs = convert_ldm_vae_checkpoint(file, config)

    assert {name: float(tensor.flatten()[0]) for name, tensor in theirs.items()} == numbers
