"""Add-ons over a checkpoint: what they change comes from the file, and nothing of it stays."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.tiny import ADD_ONS
from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.embedding import read_embedding
from webui.modules.layers.hypernetwork import Contexts, HypernetworkUse, read_hypernetwork
from webui.modules.layers.lora import LoraUse, Networks, read_lora
from webui.modules.layers.stack import Wardrobe
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.pipeline.engine import Engine
from webui.modules.types import LayerUse, ModelKind, ModelRecord

LORAS = sorted((ADD_ONS / "models" / "Lora").iterdir())
KINDS = {
    "Lora": ModelKind.LORA,
    "hypernetworks": ModelKind.HYPERNETWORK,
    "embeddings": ModelKind.EMBEDDING,
}


def use_of(path: Path, weight: float = 1.0) -> LayerUse:
    record = ModelRecord(path=path, kind=KINDS[path.parent.name], name=path.name)
    return LayerUse(model=record, weight=weight, text_weight=weight)


@pytest.fixture(scope="module")
def checkpoint(engine: Engine, tiny: ModelRecord) -> Checkpoint:
    return engine.load(tiny)


def weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    networks = {"unet": checkpoint.unet, "text": checkpoint.text}
    return {
        f"{name}.{path}": parameter.detach().clone()
        for name, network in networks.items()
        for path, parameter in network.named_parameters()
    }


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def test_everything_is_taken_off_to_the_last_bit(checkpoint: Checkpoint, engine: Engine) -> None:
    before = weights(checkpoint)
    processors = dict(checkpoint.unet.attn_processors)
    uses = [
        *map(use_of, LORAS),
        *map(use_of, sorted((ADD_ONS / "models" / "hypernetworks").iterdir())),
        *map(use_of, sorted((ADD_ONS / "embeddings").iterdir())),
    ]

    with Wardrobe().laid_on(checkpoint, uses, engine.device) as laid:
        assert laid.notes == ()
        assert len(changed(before, weights(checkpoint))) > 200

    assert changed(before, weights(checkpoint)) == set()
    assert dict(checkpoint.unet.attn_processors) == processors


def test_it_is_taken_off_even_if_drawing_fails(checkpoint: Checkpoint, engine: Engine) -> None:
    before = weights(checkpoint)

    with (
        pytest.raises(KeyError),
        Wardrobe().laid_on(checkpoint, [use_of(LORAS[0])], engine.device),
    ):
        raise KeyError

    assert changed(before, weights(checkpoint)) == set()


@pytest.mark.parametrize("path", LORAS, ids=lambda path: path.stem)
def test_strength_nought_is_nothing(path: Path, checkpoint: Checkpoint, engine: Engine) -> None:
    before = weights(checkpoint)

    with Wardrobe().laid_on(checkpoint, [use_of(path, 0.0)], engine.device):
        assert changed(before, weights(checkpoint)) == set()


def test_the_two_weights_of_a_lora_act_on_their_own_network(
    checkpoint: Checkpoint, engine: Engine
) -> None:
    before = weights(checkpoint)
    record = use_of(ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors").model

    for use, network in (
        (LayerUse(model=record, weight=1.0, text_weight=0.0), "unet."),
        (LayerUse(model=record, weight=0.0, text_weight=1.0), "text."),
    ):
        with Wardrobe().laid_on(checkpoint, [use], engine.device):
            touched = changed(before, weights(checkpoint))
        assert touched
        assert all(name.startswith(network) for name in touched)


def test_the_order_of_loras_does_not_matter(checkpoint: Checkpoint, engine: Engine) -> None:
    lora = ADD_ONS / "models" / "Lora"
    uses = [use_of(lora / "tiny-lora.safetensors", 0.6), use_of(lora / "tiny-locon.safetensors")]

    with Wardrobe().laid_on(checkpoint, uses, engine.device):
        one = weights(checkpoint)
    with Wardrobe().laid_on(checkpoint, uses[::-1], engine.device):
        other = weights(checkpoint)

    for name, tensor in one.items():
        assert torch.allclose(tensor, other[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("dialect", ["kohya", "kohya te1", "ldm", "diffusers", "peft", "processor"])
def test_every_dialect_names_the_same_layer(
    dialect: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """One change under the names of six programs moves one and the same weight alike."""
    path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    weight = checkpoint.unet.get_parameter(f"{path}.weight")
    up, down = torch.randn(weight.shape[0], 2), torch.randn(2, weight.shape[1])
    flat = path.replace(".", "_")
    names = {
        "kohya": (f"lora_unet_{flat}.lora_up.weight", f"lora_unet_{flat}.lora_down.weight"),
        "kohya te1": (
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight",
            "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
        ),
        "ldm": tuple(
            f"lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_{end}.weight"
            for end in ("up", "down")
        ),
        "diffusers": (f"unet.{path}.lora.up.weight", f"unet.{path}.lora.down.weight"),
        "peft": (
            f"base_model.model.unet.{path}.lora_B.weight",
            f"base_model.model.unet.{path}.lora_A.weight",
        ),
        "processor": tuple(
            f"unet.{path.removesuffix('to_q')}processor.to_q_lora.{end}.weight"
            for end in ("up", "down")
        ),
    }[dialect]
    target = weight
    if dialect == "kohya te1":
        target = checkpoint.text.get_parameter("encoder.layers.0.self_attn.q_proj.weight")
        up, down = torch.randn(target.shape[0], 2), torch.randn(2, target.shape[1])
    save_file(dict(zip(names, (up, down), strict=True)), tmp_path / "x.safetensors")
    networks = Networks(checkpoint.unet, checkpoint.text, checkpoint.architecture.unet)
    own = target.detach().clone()

    with networks.changed_by([LoraUse(lora=read_lora(tmp_path / "x.safetensors"))]) as notes:
        assert notes == ()
        assert torch.allclose(target, own + up @ down, atol=1e-5)

    assert torch.equal(target, own)


def test_a_file_without_layers_is_refused(tmp_path: Path) -> None:
    save_file({"weightless": torch.zeros(3)}, tmp_path / "x.safetensors")

    with pytest.raises(UnsupportedModelError, match="no change of any layer"):
        read_lora(tmp_path / "x.safetensors")


@pytest.mark.parametrize("shape", [(76, 64), (0, 64), (1, 1, 64)])
def test_an_embedding_of_an_impossible_shape_is_refused(shape, tmp_path: Path) -> None:
    save_file({"emb_params": torch.zeros(shape)}, tmp_path / "x.safetensors")

    with pytest.raises(UnsupportedModelError, match=r"x\.safetensors"):
        read_embedding(tmp_path / "x.safetensors", "x")


def test_hypernetworks_work_on_each_others_output() -> None:
    """``x + f(x)``, then ``y + g(y)``; strength nought and other widths change nothing."""
    path = ADD_ONS / "models" / "hypernetworks" / "tiny-hyper.pt"
    network = read_hypernetwork(path)
    width = 64
    context = torch.randn(1, 5, width)
    keys, _ = network.pairs[width]
    once = context + keys(context)

    twice = Contexts([HypernetworkUse(hypernetwork=network)] * 2, torch.device("cpu"))
    nought = Contexts([HypernetworkUse(hypernetwork=network, weight=0)], torch.device("cpu"))

    assert torch.allclose(twice(context)[0], once + keys(once), atol=1e-6)
    assert nought(context)[0] is context
    assert twice(torch.zeros(1, 2, 7))[0].shape == (1, 2, 7)
