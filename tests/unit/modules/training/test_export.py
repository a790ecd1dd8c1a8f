"""Files that other programs read: names, metadata, hashes, and values to the last bit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from tests.trainings import BASE, Beside, carry_out, plan_of
from webui.modules.device import choose
from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.embedding import read_embedding
from webui.modules.layers.hypernetwork import read_hypernetwork
from webui.modules.networks.checkpoint import load_checkpoint, load_vae
from webui.modules.training.plan import CheckpointPlan, HypernetworkPlan, LoraPlan, VaePlan
from webui.modules.types import ModelKind
from webui.modules.weights.describe import describe
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors
from webui.modules.weights.write import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lora_says_what_other_programs_ask_of_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, steps=1)
    whole = carry_out(plan)

    said = read_header(plan.out).metadata
    data = whole[8 + int.from_bytes(whole[:8], "little") :]
    assert said["sshs_model_hash"] == hashlib.sha256(data).hexdigest()
    assert said["ss_output_name"] == "mine"
    assert said["ss_base_model_version"] == "sd_v1_v"
    assert said["ss_network_module"] == "networks.lora"
    assert (said["ss_network_dim"], said["ss_network_alpha"]) == ("4", "2")
    assert json.loads(said["ss_network_args"]) == {"conv_dim": "2"}
    assert said["modelspec.sai_model_spec"] == "1.0.1"
    assert said["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert said["atelier.base"] == "starter"


def test_a_lora_tells_ranks_and_rates_of_blocks_as_kohyas_scripts_do(tmp_path: Path) -> None:
    what = LoraPlan(
        rank=4, alpha=2, conv_rank=2, ranks=(("IN01", 0.5), ("M00", 0.0)), blocks=(("OUT11", 0.5),)
    )
    plan = plan_of(tmp_path, steps=1, what=what)
    carry_out(plan)

    header = read_header(plan.out)
    told = json.loads(header.metadata["ss_network_args"])
    dims, alphas = (told[name].split(",") for name in ("block_dims", "block_alphas"))
    assert (len(dims), len(alphas)) == (25, 25)
    assert (dims[1], alphas[1], dims[12], alphas[12]) == ("2", "1", "0", "0")
    assert (dims[0], alphas[0]) == ("4", "2")
    assert told["conv_block_dims"].split(",")[:2] == ["2", "1"]
    assert told["up_lr_weight"] == ",".join(["1"] * 11 + ["0.5"])
    assert (told["down_lr_weight"], told["mid_lr_weight"]) == (",".join(["1"] * 12), "1")
    assert not any("mid_block" in name for name in header.tensors)


def test_an_embedding_is_written_as_safetensors_and_as_a1111s_pickle(tmp_path: Path) -> None:
    plain = plan_of(tmp_path / "plain", "embedding", steps=2)
    pickled = replace(plan_of(tmp_path / "pt", "embedding", steps=2), out=tmp_path / "mine.pt")
    heard, again = Beside(), Beside()
    carry_out(plain, heard)
    carry_out(pickled, again)
    assert heard.losses == again.losses

    first, second = (read_embedding(path, "mine").vectors for path in (plain.out, pickled.out))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.shape == (2, 128)
    with open_tensors(pickled.out) as file:
        assert file.values()["sd_checkpoint_name"] == "starter"
        assert file.values()["step"] == 2


def test_a_hypernetwork_is_read_with_all_its_layers(tmp_path: Path) -> None:
    what = HypernetworkPlan(activation="relu", layer_norm=True, dropout=(0, 0.2, 0), widths=(128,))
    plan = replace(plan_of(tmp_path, "hypernetwork", steps=1), what=what)
    carry_out(plan)

    found = read_hypernetwork(plan.out)

    kinds = [type(layer).__name__ for layer in found.pairs[128][0]]  # pyright: ignore[reportGeneralTypeIssues] - a sequence of layers
    assert kinds == ["Linear", "ReLU", "LayerNorm", "Identity", "Linear", "LayerNorm"]
    assert (found.name, found.step) == ("mine", 1)


@pytest.mark.parametrize("half", [True, False])
def test_a_trained_checkpoint_is_a_whole_checkpoint_again(half: bool, tmp_path: Path) -> None:
    plan = replace(plan_of(tmp_path, "checkpoint", steps=1), what=CheckpointPlan(half=half))
    carry_out(plan)

    facts = describe(plan.out)
    base, own = (read_header(path).tensors for path in (BASE.path, plan.out))
    assert facts.kind is ModelKind.CHECKPOINT
    assert {name: each.shape for name, each in base.items()} == {
        name: each.shape for name, each in own.items()
    }
    record = replace(BASE, path=plan.out, config=plan.out.with_suffix(".yaml"))
    trained = load_checkpoint(record, choose("cpu", "exact"))
    assert trained.architecture == load_checkpoint(BASE, choose("cpu", "exact")).architecture


def test_a_trained_vae_keeps_its_encoder_to_the_last_bit(tmp_path: Path) -> None:
    plan = replace(plan_of(tmp_path, "vae", steps=2), what=VaePlan())
    carry_out(plan)
    device = choose("cpu", "exact")

    own = load_checkpoint(BASE, device).vae
    trained = load_vae(plan.out, device)

    moved = {
        name
        for name, tensor in own.named_parameters()
        if not torch.equal(tensor, trained.get_parameter(name))
    }
    assert "decoder.conv_in.weight" in moved
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in moved)


def test_an_aesthetic_embedding_tells_in_which_space_it_lies(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "aesthetic", steps=1)
    carry_out(plan)

    header = read_header(plan.out)

    assert tuple(header.tensors["aesthetic"].shape) == (1, 128)
    assert header.metadata["atelier.space"] == "text-pooled"


def test_a_vae_that_does_not_say_how_it_is_normalised_is_refused_in_words(tmp_path: Path) -> None:
    with open_tensors(BASE.path) as file:
        names = [name for name in file.names() if name.startswith("first_stage_model.")]
        tensors = {name.removeprefix("first_stage_model."): file.read(name) for name in names}
    write_safetensors(tmp_path / "small.safetensors", tensors, {})

    with pytest.raises(UnsupportedModelError, match="16 channels, which are no 32 equal groups"):
        load_vae(tmp_path / "small.safetensors", choose("cpu", "exact"))
