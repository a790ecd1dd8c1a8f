"""A LoRA that was trained here, as other libraries read it: every layer, and the same change."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from safetensors.torch import load_file

from tests.trainings import BASE, carry_out, plan_of
from webui.modules.device import choose
from webui.modules.layers.deltas import delta
from webui.modules.layers.lora import Networks, read_lora
from webui.modules.networks.checkpoint import Checkpoint, load_checkpoint
from webui.modules.training.plan import CorrectionPlan, LoraPlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

CLOSE = 1e-5
"""So far may a change be from ours, in 32 bits."""


@pytest.fixture(scope="module")
def base() -> Checkpoint:
    return load_checkpoint(BASE, choose("cpu", "exact"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a LoRA with convolutions whose alpha is not its rank."""
    what = LoraPlan(rank=4, alpha=2, conv_rank=2)
    correction = CorrectionPlan(rate="1e-2")
    plan = plan_of(tmp_path_factory.mktemp("peers"), what=what, correction=correction)
    carry_out(plan)
    return plan.out


@pytest.fixture(scope="module")
def ours(base: Checkpoint, trained: Path) -> Mapping[str, Tensor]:
    """Give what we add to each weight, by network and layer."""
    networks = Networks(base.unet, base.text, base.architecture.unet)
    found: dict[str, Tensor] = {}
    for name, parts in read_lora(trained).layers.items():
        layer = networks.find(name)
        assert layer is not None
        weight = networks.parameter(layer).detach()
        change = delta(parts, weight, strength=1.0).weight
        assert change is not None
        found[f"{layer.network}.{layer.path.removeprefix('text_model.')}"] = change
    return found


def apart(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> float:
    """Return the largest difference between two readings of one file; the layers are the same."""
    assert set(theirs) == set(ours)
    assert all(bool(change.any()) for change in ours.values())
    return max(float((theirs[name] - change).abs().max()) for name, change in ours.items())


def as_layer(name: str) -> str:
    """Return the layer that diffusers' old name of a LoRA's part means."""
    path = re.sub(r"(\.lora|\.lora_linear_layer|_lora)\.down\.weight$", "", name)
    path = path.replace(".processor", "")
    if not path.startswith("text_encoder."):
        return re.sub(r"to_out$", "to_out.0", path)
    path = path.replace("text_encoder.text_model.", "text.")
    return re.sub(r"self_attn\.to_(\w+)$", r"self_attn.\1_proj", path)


def test_diffusers_reads_every_layer_and_the_same_change(
    trained: Path, ours: Mapping[str, Tensor]
) -> None:
    parts, alphas = cast(
        "tuple[dict[str, Tensor], dict[str, float]]",
        _convert_non_diffusers_lora_to_diffusers(load_file(trained)),
    )
    theirs: dict[str, Tensor] = {}
    for name, down in parts.items():
        if ".down." in name:
            up, alpha = parts[name.replace(".down.", ".up.")], alphas[f"{stem(name)}.alpha"]
            flat = up.float().flatten(1) @ down.float().flatten(1)
            shape = (len(up), *down.shape[1:])
            theirs[as_layer(name)] = flat.reshape(shape) * alpha / len(down)

    assert apart(theirs, ours) <= CLOSE


def stem(name: str) -> str:
    """Return under which name diffusers keeps an alpha."""
    return name.partition(".lora.")[0]


@pytest.mark.filterwarnings("ignore")  # of libraries that are not ours
def test_diffusers_with_peft_adds_the_same_to_every_weight(
    trained: Path, ours: Mapping[str, Tensor]
) -> None:
    pytest.importorskip("peft", reason="PEFT is not installed: diffusers needs it to load a LoRA")
    from diffusers.loaders.lora_pipeline import StableDiffusionLoraLoaderMixin

    other = load_checkpoint(BASE, choose("cpu", "exact"))
    loader: Any = StableDiffusionLoraLoaderMixin
    tensors, alphas = loader.lora_state_dict(str(trained))
    loader.load_lora_into_unet(tensors, alphas, other.unet)
    loader.load_lora_into_text_encoder(tensors, alphas, other.text, prefix="text_encoder")
    from peft.tuners.tuners_utils import (  # pyright: ignore[reportMissingImports] - may be absent
        BaseTunerLayer,
    )

    theirs: dict[str, Tensor] = {}
    for network, module in (("unet", other.unet), ("text", other.text)):
        for path, layer in module.named_modules():
            if isinstance(layer, BaseTunerLayer):
                change = cast("Any", layer).get_delta_weight("default_0").detach()
                theirs[f"{network}.{path.removeprefix('text_model.')}"] = change
    assert apart(theirs, ours) <= CLOSE


@pytest.mark.filterwarnings("ignore")  # of libraries that are not ours
def test_lycoris_finds_every_layer_of_the_painter_and_the_same_change(
    trained: Path, ours: Mapping[str, Tensor]
) -> None:
    pytest.importorskip("lycoris", reason="LyCORIS is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lycoris.kohya import (  # pyright: ignore[reportMissingImports] - may be absent
            create_network_from_weights,
        )

    other = load_checkpoint(BASE, choose("cpu", "exact"))
    network, tensors = create_network_from_weights(
        1.0, str(trained), None, other.text, other.unet, for_inference=True
    )
    network.load_state_dict(tensors, strict=False)
    found = {lora.lora_name: lora for lora in network.unet_loras}
    wanted = {f"lora_unet_{name.removeprefix('unet.').replace('.', '_')}": change
              for name, change in ours.items() if name.startswith("unet.")}  # fmt: skip
    theirs = {name: found[name].get_diff_weight()[0].reshape(wanted[name].shape) for name in found}
    assert apart(theirs, wanted) <= CLOSE


def test_kept_values_are_those_that_were_learned(trained: Path) -> None:
    tensors = load_file(trained)

    assert all(tensor.dtype is torch.float16 for tensor in tensors.values())
    assert {float(tensors[name]) for name in tensors if name.endswith(".alpha")} == {1.0, 2.0}
