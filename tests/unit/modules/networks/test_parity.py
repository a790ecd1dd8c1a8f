"""Our loaded networks compute what diffusers' and transformers' own do from the same weights."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

from webui.modules.networks.attention import CHUNK_ELEMENTS, chunked, sdpa
from webui.modules.networks.predict import (
    OVERLAP,
    TILE,
    TextPredictor,
    UNetPredictor,
    _decode_tiled,
    _tops,
    decode,
)
from webui.modules.networks.tiling import joined_edges

if TYPE_CHECKING:
    from torch import Tensor

    from webui.modules.networks.checkpoint import Checkpoint
    from webui.modules.pipeline.engine import Engine
    from webui.modules.types import ModelRecord

TOLERANCE: Final = 1e-4
"""Largest difference of any number; the numbers themselves are about 1."""


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def weights(tiny: ModelRecord) -> dict[str, Tensor]:
    return load_file(tiny.path)


@pytest.fixture
def loaded(engine: Engine, tiny: ModelRecord) -> Checkpoint:
    return engine.load(tiny)


@torch.inference_mode()
def test_the_denoising_network_is_that_of_diffusers(
    loaded: Checkpoint, engine: Engine, weights: dict[str, Tensor]
) -> None:
    theirs = UNet2DConditionModel(
        block_out_channels=(32, 64, 96, 96), cross_attention_dim=64, attention_head_dim=8
    )
    config: dict[str, Any] = dict(theirs.config)
    theirs.load_state_dict(convert_ldm_unet_checkpoint(dict(weights), config))
    latents, times, text = random(2, 4, 16, 16), torch.tensor([999.0, 12.5]), random(2, 77, 64)

    found = UNetPredictor(loaded, engine.device)(latents, times, text)

    expected = theirs.eval()(latents, times, text).sample
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


@torch.inference_mode()
def test_the_autoencoder_is_that_of_diffusers(
    loaded: Checkpoint, engine: Engine, weights: dict[str, Tensor]
) -> None:
    shape: dict[str, Any] = {
        "block_out_channels": (32, 64, 64, 64),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    theirs: Any = AutoencoderKL(**shape)
    theirs.load_state_dict(convert_ldm_vae_checkpoint(dict(weights), dict(theirs.config)))
    latents = random(1, 4, 8, 8)

    found = decode(loaded.vae, latents, engine.device)

    torch.testing.assert_close(found, theirs.eval().decode(latents).sample, rtol=0, atol=TOLERANCE)


@torch.inference_mode()
@pytest.mark.parametrize("skip", [1, 2])
def test_the_text_encoder_is_that_of_transformers(
    skip: int, loaded: Checkpoint, engine: Engine, weights: dict[str, Tensor]
) -> None:
    theirs = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1
        )
    ).eval()
    converted = convert_ldm_clip_checkpoint(weights)
    wanted = {name.removeprefix("text_model."): tensor for name, tensor in converted.items()}
    wanted.pop("embeddings.position_ids", None)
    theirs.load_state_dict(wanted, strict=False)
    tokens = torch.randint(0, 49406, (2, 77), generator=torch.Generator().manual_seed(1))

    found = TextPredictor(loaded, engine.device)(tokens, skip)

    states = theirs(input_ids=tokens, output_hidden_states=True).hidden_states[-skip]
    expected = theirs.final_layer_norm(states)
    torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("tokens", [(1, 1), (7, 77), (256, 256), (4096, 2100)])
def test_ways_to_attend_agree(tokens: tuple[int, int]) -> None:
    """The last size is one for which the queries come in two parts."""
    asked, told = tokens
    query = random(2, 2, asked, 8)
    key, value = random(2, 2, told, 8, seed=2), random(2, 2, told, 8, seed=3)

    found = chunked(query, key, value)

    assert (4 * asked * told > CHUNK_ELEMENTS) == (tokens == (4096, 2100))
    torch.testing.assert_close(found, sdpa(query, key, value), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_large_picture_in_tiles_is_nearly_the_whole_one(
    loaded: Checkpoint, engine: Engine
) -> None:
    latents = random(1, 4, 72, 40) * 3

    tiled = _decode_tiled(loaded.vae, latents, engine.device)
    whole = decode(loaded.vae, latents, engine.device)

    assert tiled.shape == whole.shape
    assert float((tiled - whole).abs().mean()) < 0.05


@pytest.mark.parametrize("length", [8, TILE, TILE + 1, 129, 200, 512])
def test_tiles_cover_everything_and_overlap(length: int) -> None:
    tops = _tops(length)

    assert tops[0] == 0
    assert tops[-1] + TILE >= length
    assert all(0 < after - top <= TILE - OVERLAP for top, after in pairwise(tops))


@torch.inference_mode()
def test_joined_edges_make_a_picture_that_can_be_shifted(loaded: Checkpoint) -> None:
    """A convolution that sees round the edge does not care where the edge is."""
    latents = random(1, 4, 16, 16)
    shifted = latents.roll((4, 4), dims=(2, 3))

    with joined_edges(loaded.unet):
        first = loaded.unet.conv_in(latents)
        second = loaded.unet.conv_in(shifted)

    torch.testing.assert_close(first.roll((4, 4), dims=(2, 3)), second)
    assert not torch.allclose(loaded.unet.conv_in(latents), first)
