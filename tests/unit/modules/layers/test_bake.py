"""LoRAs baked into a checkpoint are what they are when they are laid on for drawing."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.plans import plan_of
from tests.tiny import ADD_ONS
from tests.unit.modules.layers.shelf import record_of, silent
from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.bake import bake
from webui.modules.layers.hypernetwork import Contexts, HypernetworkUse, read_hypernetwork
from webui.modules.layers.stack import Wardrobe
from webui.modules.layers.unfold import unfold
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.types import (
    BakePlan,
    LayerUse,
    ModelKind,
    ModelRecord,
    RankRule,
    SamplingPlan,
    UnfoldPlan,
)
from webui.modules.weights.pickles_out import write_hypernetwork_pt

LORAS = sorted((ADD_ONS / "models" / "Lora").iterdir())
HYPERNETWORKS = ADD_ONS / "models" / "hypernetworks"
CPU = torch.device("cpu")


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{path}": parameter.detach().clone()
        for name, network in (("unet", checkpoint.unet), ("text", checkpoint.text))
        for path, parameter in network.named_parameters()
    }


def use_of(path, weight: float, text_weight: float, **more) -> LayerUse:
    record = record_of(path, ModelKind.LORA)
    return LayerUse(model=record, weight=weight, text_weight=text_weight, **more)


def baked(folder, tiny: ModelRecord, *uses: LayerUse) -> ModelRecord:
    target = folder / "baked.safetensors"
    plan = BakePlan(checkpoint=tiny, loras=uses, precision="fp32", target=target)
    bake(plan, silent)
    return replace(tiny, path=target, name=target.name)


def test_every_method_is_baked_as_it_is_laid_on(tmp_path, engine, tiny) -> None:
    uses = [use_of(path, 0.8 / number, 0.5) for number, path in enumerate(LORAS, start=1)]
    uses[0] = replace(uses[0], blocks=(("IN05", 0.0), ("BASE", 0.5)))
    with Wardrobe().laid_on(engine.load(tiny), uses, engine.device):
        laid = weights(engine.load(tiny))

    found = weights(engine.load(baked(tmp_path, tiny, *uses)))

    assert set(found) == set(laid)
    for name, tensor in laid.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-5)


def test_the_picture_is_the_same(tmp_path, engine, tiny) -> None:
    use = use_of(ADD_ONS / "models" / "Lora" / "tiny-locon.safetensors", 0.9, 0.6)
    sampling = SamplingPlan(sampler="Euler", scheduler="automatic", steps=3, guidance=4.0)
    plan = plan_of(checkpoint=tiny, width=64, height=64, sampling=sampling, layers=(use,))

    (laid,) = engine.draw(plan, lambda _: None)
    (made,) = engine.draw(
        replace(plan, checkpoint=baked(tmp_path, tiny, use), layers=()), lambda _: None
    )
    (plain,) = engine.draw(replace(plan, layers=()), lambda _: None)

    worst = max(abs(one - other) for one, other in zip(laid.rgb, made.rgb, strict=True))
    assert worst <= 1
    assert plain.rgb != laid.rgb


def test_what_fits_nowhere_is_refused_and_what_fits_partly_is_told(tmp_path, tiny) -> None:
    from safetensors.torch import save_file

    up, down = torch.ones(8, 1), torch.ones(1, 8)
    foreign = {"lora_unet_nowhere.lora_up.weight": up, "lora_unet_nowhere.lora_down.weight": down}
    save_file(foreign, tmp_path / "foreign.safetensors")
    with pytest.raises(UnsupportedModelError, match="nothing in foreign"):
        baked(tmp_path, tiny, use_of(tmp_path / "foreign.safetensors", 1, 1))

    some = load_file(LORAS[-1].with_name("tiny-lora.safetensors"))
    bundle = {"bundle_emb.word.string_to_param.*": torch.zeros(1, 64)}
    save_file({**foreign, **some, **bundle}, tmp_path / "partly.safetensors")
    plan = BakePlan(
        checkpoint=tiny,
        loras=(use_of(tmp_path / "partly.safetensors", 1, 1),),
        target=tmp_path / "baked.safetensors",
    )
    result = bake(plan, silent)

    assert result["notes"] == [
        f"partly.safetensors: 1 of {len(some) // 3 + 1} layers are not in this checkpoint",
        "partly.safetensors: its embeddings (word) cannot be baked in",
    ]
    kinds = {tensor.dtype for tensor in load_file(tiny.path).values()}
    assert {tensor.dtype for tensor in load_file(tmp_path / "baked.safetensors").values()} == kinds


# ------------------------------------------------------------------- linear hypernetworks


def linear(path, *, bias: float = 0.0, kind: str = "linear") -> ModelRecord:
    """Write a hypernetwork [1, 2, 1] for the widths that the tiny checkpoint reads."""
    random = torch.Generator().manual_seed(3)

    def network(width: int) -> dict[str, torch.Tensor]:
        return {
            "linear.0.weight": 0.1 * torch.randn(2 * width, width, generator=random),
            "linear.0.bias": bias * torch.ones(2 * width),
            "linear.1.weight": 0.1 * torch.randn(width, 2 * width, generator=random),
            "linear.1.bias": bias * torch.ones(width),
        }

    networks = {width: (network(width), network(width)) for width in (32, 64, 96)}
    write_hypernetwork_pt(
        path, networks, {"activation_func": kind, "layer_structure": [1, 2, 1], "name": "line"}
    )
    return record_of(path, ModelKind.HYPERNETWORK)


@pytest.mark.parametrize("rank", [RankRule(), RankRule(most=128)], ids=["whole", "low rank"])
def test_a_linear_hypernetwork_is_the_same_as_a_lora(tmp_path, engine, tiny, rank) -> None:
    record = linear(tmp_path / "line.pt")
    target = tmp_path / "line.safetensors"
    plan = UnfoldPlan(hypernetwork=record, checkpoint=tiny, strength=0.7, rank=rank, target=target)

    result = unfold(plan, silent, CPU)

    checkpoint = engine.load(tiny)
    use = HypernetworkUse(hypernetwork=read_hypernetwork(record.path), weight=0.7)
    changed = Contexts([use], CPU)
    own = weights(checkpoint)
    with Wardrobe().laid_on(checkpoint, [use_of(target, 1, 1)], engine.device) as laid:
        unfolded = weights(checkpoint)
    assert (laid.notes, result["notes"]) == ((), [])
    sides = [name for name in own if name.endswith(("to_k.weight", "to_v.weight"))]
    assert result["layers"] == len(sides)
    random = torch.Generator().manual_seed(4)
    for name in sides:
        context = torch.randn(3, 5, own[name].shape[1], generator=random)
        side = changed(context)[name.endswith("to_v.weight")]
        torch.testing.assert_close(
            context @ unfolded[name].T, side @ own[name].T, atol=1e-4, rtol=1e-4
        )


def test_biases_are_told_and_activations_refused(tmp_path, tiny) -> None:
    biased = linear(tmp_path / "biased.pt", bias=0.5)
    plan = UnfoldPlan(
        hypernetwork=biased, checkpoint=tiny, rank=RankRule(), target=tmp_path / "x.safetensors"
    )

    notes = unfold(plan, silent, CPU)["notes"]

    assert notes == [
        "its biases (widths 32, 64, 96) cannot be carried: keys and values here have none"
    ]
    bent = record_of(HYPERNETWORKS / "tiny-hyper-relu.pt", ModelKind.HYPERNETWORK)
    with pytest.raises(UnsupportedModelError, match="is not linear"):
        unfold(replace(plan, hypernetwork=bent), silent, CPU)
