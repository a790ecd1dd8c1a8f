"""The same weights in every format that people have them in."""

from __future__ import annotations

import json
import struct
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest
import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from safetensors.torch import load_file, save_file

from tests.zoo import tiny_sdxl
from webui.modules.device import choose
from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.networks.checkpoint import load_checkpoint, load_vae
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.architecture import VAE
from webui.modules.weights.describe import describe
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

EXACT: Final = choose("cpu", "exact")
Weights = dict[str, "Tensor"]


@pytest.fixture(scope="module")
def weights(tiny: ModelRecord) -> Weights:
    return load_file(tiny.path)


def record_of(path: Path, config: Path | None) -> ModelRecord:
    return ModelRecord(path=path, kind=ModelKind.CHECKPOINT, name=path.name, config=config)


def assert_holds(path: Path, weights: Weights) -> None:
    """Check that a file gives these tensors, bit for bit, and says so in its header."""
    facts = read_header(path).tensors
    with open_tensors(path) as file:
        assert set(weights) <= set(file.names())
        for name, tensor in weights.items():
            assert torch.equal(file.read(name), tensor)
            assert facts[name].shape == tuple(tensor.shape)


class Callback:
    """What a training program leaves in its files: an object of a class of its own."""

    def __init__(self) -> None:
        self.best = {"score": torch.tensor(0.5)}


@pytest.fixture
def left_behind(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give what pytorch-lightning puts around the weights."""
    module = ModuleType("pytorch_lightning")
    module.Callback = Callback  # pyright: ignore[reportAttributeAccessIssue] - modules take any name
    monkeypatch.setitem(sys.modules, "pytorch_lightning", module)
    monkeypatch.setattr(Callback, "__module__", "pytorch_lightning")
    return {
        "epoch": 3,
        "pytorch-lightning_version": "1.4.2",
        "callbacks": {Callback: {"best": None}, "kept": Callback()},
        "optimizer_states": [{"state": {0: {"step": 7, "exp_avg": torch.zeros(3)}}}],
        "lr_schedulers": [],
        "hyper_parameters": {"betas": (0.9, 0.999), "size": torch.Size([3, 4])},
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_a_ckpt_holds_the_same_weights(
    zipped: bool, weights: Weights, left_behind: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.ckpt"
    whole = {**left_behind, "state_dict": weights}
    torch.save(whole, path, _use_new_zipfile_serialization=zipped)

    assert_holds(path, weights)
    assert describe(path).kind is ModelKind.CHECKPOINT
    assert describe(path).format == ("pickle" if zipped else "pickle-legacy")


def test_parameters_views_and_shared_memory_are_read(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "parameter": torch.nn.Parameter(base.clone()),
        "transposed": base.T,
        "slice": base[1:3, ::2],
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 4),
        "truth": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
    }
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pt"
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
        assert_holds(path, {name: tensor.detach() for name, tensor in tensors.items()})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_weights_of_every_precision_are_loaded(
    dtype: torch.dtype, weights: Weights, tiny: ModelRecord, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in weights.items()}, path)

    loaded = load_checkpoint(record_of(path, tiny.config), EXACT)

    name = "model.diffusion_model.input_blocks.0.0.weight"
    assert torch.equal(loaded.unet.conv_in.weight, weights[name].to(dtype).float())


@pytest.mark.parametrize("length", [0x80, 0x280, 0x480, 0x580, 0x10280])
def test_a_header_of_any_length_is_one_of_safetensors(length: int, tmp_path: Path) -> None:
    """Such a length begins with the byte with which pickles begin."""
    path = tmp_path / "long.safetensors"
    entry = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    said = json.dumps(entry).encode().ljust(length)
    path.write_bytes(struct.pack("<Q", length) + said + struct.pack("<2f", 1.0, 2.0))

    assert_holds(path, {"a": torch.tensor([1.0, 2.0])})


def test_what_is_read_does_not_lie_on_the_file(tmp_path: Path) -> None:
    """A model may be cut while it is loaded; a page of the file would then end the program."""
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1000)}, path)

    with open_tensors(path) as file:
        read = file.read("a")
    path.write_bytes(b"")

    assert torch.equal(read, torch.ones(1000))


def test_a_checkpoint_without_a_part_says_what_it_lacks(
    weights: Weights, tiny: ModelRecord, tmp_path: Path
) -> None:
    path = tmp_path / "torso.safetensors"
    lost = "model.diffusion_model.middle_block.1.proj_in.weight"
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, path)

    with pytest.raises(ModelFileError, match=r"torso\.safetensors has no tensor for mid_block"):
        load_checkpoint(record_of(path, tiny.config), EXACT)


def test_a_vae_is_read_with_its_prefix_and_without(weights: Weights, tmp_path: Path) -> None:
    inside = {name: tensor for name, tensor in weights.items() if name.startswith(VAE)}
    named, bare = tmp_path / "named.safetensors", tmp_path / "bare.safetensors"
    save_file(inside, named)
    save_file({name.removeprefix(VAE): tensor for name, tensor in inside.items()}, bare)

    one, other = (load_vae(path, EXACT).state_dict() for path in (named, bare))

    assert describe(bare).kind is ModelKind.VAE
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_vae_that_diffusers_saved_is_the_same_vae(weights: Weights, tmp_path: Path) -> None:
    inside = {name: tensor for name, tensor in weights.items() if name.startswith(VAE)}
    save_file(inside, tmp_path / "ldm.safetensors")
    network = load_vae(tmp_path / "ldm.safetensors", EXACT)
    network.save_pretrained(tmp_path / "vae")
    path = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"

    again = load_vae(path, EXACT).state_dict()

    assert describe(path).kind is ModelKind.VAE
    assert all(torch.equal(again[name], tensor) for name, tensor in network.state_dict().items())


def test_a_vae_with_other_latents_is_refused_politely(tmp_path: Path) -> None:
    shapes = {
        "encoder.down.0.block.0.conv2.weight": (8, 8, 3, 3),
        "decoder.conv_in.weight": (8, 16, 3, 3),
        "decoder.mid.block_1.conv1.weight": (8, 8, 3, 3),
    }
    path = tmp_path / "flux-ae.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)

    with pytest.raises(UnsupportedModelError, match="16 channels"):
        load_vae(path, EXACT)


def test_networks_alone_are_named_as_diffusers_saves_them(tmp_path: Path) -> None:
    sdxl = tiny_sdxl()
    made: dict[str, tuple[Any, ModelKind, str]] = {
        "sdxl": (sdxl.unet, ModelKind.CHECKPOINT, "sd1-unet"),  # its texts are tiny, so no width
        "control": (ControlNetModel.from_unet(sdxl.unet), ModelKind.CONTROLNET, ""),
        "adapter": (
            T2IAdapter(channels=[8, 8], num_res_blocks=1), ModelKind.CONTROLNET, "t2i-adapter"
        ),
    }  # fmt: skip
    for name, (network, kind, family) in made.items():
        network.save_pretrained(tmp_path / name)
        facts = describe(tmp_path / name / "diffusion_pytorch_model.safetensors")
        assert (facts.kind, facts.family) == (kind, family)


def test_a_unet_alone_is_refused_by_its_name(tmp_path: Path) -> None:
    tiny_sdxl().unet.save_pretrained(tmp_path / "unet")
    path = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"

    with pytest.raises(UnsupportedModelError, match="sd1-unet"):
        load_checkpoint(record_of(path, None), EXACT)


def test_a_file_may_say_itself_that_it_predicts_velocity(
    weights: Weights, tiny: ModelRecord, tmp_path: Path
) -> None:
    said, marked = tmp_path / "said.safetensors", tmp_path / "marked.safetensors"
    save_file(weights, said, {"modelspec.prediction_type": "v"})
    save_file({**weights, "v_pred": torch.zeros(0)}, marked)

    for path in (said, marked):
        loaded = load_checkpoint(record_of(path, None), EXACT)
        assert loaded.architecture.prediction == "v"
    assert load_checkpoint(record_of(tiny.path, None), EXACT).architecture.prediction == "epsilon"


NOT_DRAWN: Final = {
    "sd2": ("model.diffusion_model.out.2.weight", "cond_stage_model.model.ln_final.weight"),
    "sdxl": ("model.diffusion_model.out.2.weight", "conditioner.embedders.1.model.ln_final.weight"),
    "sd3": ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",),
    "flux": ("double_blocks.0.img_attn.qkv.weight",),
}


@pytest.mark.parametrize("family", NOT_DRAWN)
def test_only_checkpoints_of_the_first_family_are_drawn_with(family: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(1) for name in NOT_DRAWN[family]}, path)

    with pytest.raises(UnsupportedModelError, match=family) as refused:
        load_checkpoint(record_of(path, None), EXACT)

    assert "Stable Diffusion 1" in refused.value.hint
