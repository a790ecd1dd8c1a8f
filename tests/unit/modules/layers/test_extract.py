"""LoRAs out of checkpoints, thinner LoRAs and sums of LoRAs: what is lost, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.tiny import ADD_ONS
from tests.unit.modules.layers.shelf import TEXT, UNET, record_of, silent, varied
from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.bake import bake
from webui.modules.layers.deltas import delta
from webui.modules.layers.extract import extract
from webui.modules.layers.lora import read_lora
from webui.modules.layers.lowrank import chosen_rank, factors_of, thinner
from webui.modules.layers.resize import join, resize
from webui.modules.types import (
    BakePlan,
    ExtractPlan,
    JoinPlan,
    LayerUse,
    ModelKind,
    ModelRecord,
    RankRule,
    ResizePlan,
)

LORAS = ADD_ONS / "models" / "Lora"
CPU = torch.device("cpu")
ALL = RankRule()


def lora_record(path: Path) -> ModelRecord:
    return record_of(path, ModelKind.LORA)


def use_of(path: Path, weight: float = 1.0, text_weight: float = 1.0) -> LayerUse:
    return LayerUse(model=lora_record(path), weight=weight, text_weight=text_weight)


def baked(folder: Path, checkpoint: ModelRecord, *uses: LayerUse) -> dict[str, Tensor]:
    plan = BakePlan(
        checkpoint=checkpoint, loras=uses, precision="fp32", target=folder / "baked.safetensors"
    )
    return load_file(folder / str(bake(plan, silent)["name"]))


def change_of(*uses: LayerUse) -> dict[str, Tensor]:
    """Return the sum of what files add to each layer that they name."""
    summed: dict[str, Tensor] = {}
    for use in uses:
        for name, parts in read_lora(use.model.path).layers.items():
            up, down = parts["lora_up.weight"], parts["lora_down.weight"]
            weight = torch.zeros(up.shape[0], *down.shape[1:])
            strength = use.text_weight if "lora_te" in name else use.weight
            added = delta(parts, weight, strength=strength).weight
            assert added is not None
            summed[name] = summed.get(name, torch.zeros_like(added)) + added
    return summed


def rank_four(name: str, tensor: Tensor) -> Tensor:
    """Add a change of four dimensions to each matrix of attention and of residual blocks."""
    inside = name.startswith((UNET, TEXT)) and tensor.dim() > 1 and "embedding" not in name
    if not inside or "embed." in name or name.endswith(("blocks.0.0.weight", "out.2.weight")):
        return tensor.float() if tensor.is_floating_point() else tensor
    random = torch.Generator().manual_seed(len(name))
    rows, columns = tensor.shape[0], tensor[0].numel()
    change = torch.randn(rows, 4, generator=random) @ torch.randn(4, columns, generator=random)
    return tensor.float() + 0.01 * change.reshape(tensor.shape)


@pytest.fixture(scope="module")
def tuned(tiny: ModelRecord, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    return varied(tiny, tmp_path_factory.mktemp("shelf") / "tuned.safetensors", rank_four)


def extracted(folder: Path, base: ModelRecord, tuned: ModelRecord, **plan: Any) -> dict[str, Any]:
    plan = {"rank": ALL, "precision": "fp32", "target": folder / "found.safetensors", **plan}
    return dict(extract(ExtractPlan(base=base, tuned=tuned, **plan), silent, CPU))


# ------------------------------------------------------------------------------- extraction


def test_with_all_dimensions_it_leads_from_the_one_to_the_other(tmp_path, tiny, tuned) -> None:
    result = extracted(tmp_path, tiny, tuned, convolutions=True)

    there = baked(tmp_path, tiny, use_of(tmp_path / "found.safetensors"))

    assert result["notes"] == []
    assert result["keeps"] == 1
    for name, tensor in load_file(tuned.path).items():
        torch.testing.assert_close(there[name].float(), tensor.float(), atol=1e-5, rtol=1e-5)


def test_four_dimensions_are_enough_for_a_change_of_four(tmp_path, tiny, tuned) -> None:
    rule = RankRule(most=64, by="sv_fro", value=0.99999)
    result = extracted(tmp_path, tiny, tuned, rank=rule, convolutions=True)

    downs = {
        name: tensor.shape[0]
        for name, tensor in load_file(tmp_path / str(result["name"])).items()
        if name.endswith("lora_down.weight")
    }
    there = baked(tmp_path, tiny, use_of(tmp_path / "found.safetensors"))

    assert max(downs.values()) == 4
    name = f"{UNET}middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    torch.testing.assert_close(there[name], load_file(tuned.path)[name], atol=1e-4, rtol=1e-4)


def test_its_names_are_those_of_kohyas_scripts(tmp_path, tiny, tuned) -> None:
    kohyas = {name.split(".")[0] for name in load_file(LORAS / "tiny-lora.safetensors")}

    extracted(tmp_path, tiny, tuned)

    found = load_file(tmp_path / "found.safetensors")
    assert {name.split(".")[0] for name in found} == kohyas
    assert {name.split(".", 1)[1] for name in found} == {
        "lora_up.weight", "lora_down.weight", "alpha"
    }  # fmt: skip


def test_what_a_lora_cannot_carry_is_counted(tmp_path, tiny, tuned) -> None:
    plain = extracted(tmp_path, tiny, tuned, text=False)

    assert "changed tensors cannot be carried" in plain["notes"][0]
    assert all("lora_te" not in name for name in load_file(tmp_path / "found.safetensors"))
    with pytest.raises(UnsupportedModelError, match="are equal where a LoRA acts"):
        extracted(tmp_path, tiny, tiny)


# ------------------------------------------------------------------------------- dimensions


@given(seed=st.integers(0, 99), rows=st.integers(2, 12), columns=st.integers(2, 12))
@settings(max_examples=20)
def test_the_best_form_of_a_rank_loses_the_other_singular_values(seed, rows, columns) -> None:
    random = torch.Generator().manual_seed(seed)
    change = torch.randn(rows, columns, generator=random)
    rank = min(rows, columns) // 2 + 1

    found = factors_of(change, RankRule(most=rank))

    values = torch.linalg.svdvals(change)
    lost = torch.linalg.matrix_norm(change - found.up @ found.down)
    assert float(lost) == pytest.approx(float(values[rank:].square().sum().sqrt()), abs=1e-4)
    assert found.rank == rank


@given(seed=st.integers(0, 99), rank=st.integers(1, 6), kept=st.integers(1, 6))
@settings(max_examples=20)
def test_a_thinner_product_is_that_of_the_whole_change(seed, rank, kept) -> None:
    random = torch.Generator().manual_seed(seed)
    up, down = torch.randn(9, rank, generator=random), torch.randn(rank, 7, generator=random)
    rule = RankRule(most=kept)

    short, long = thinner(up, down, rule), factors_of(up @ down, rule)

    torch.testing.assert_close(short.up @ short.down, long.up @ long.down, atol=1e-4, rtol=1e-4)
    assert short.kept == pytest.approx(long.kept, abs=1e-4)


@pytest.mark.parametrize(
    ("rule", "rank"),
    [
        (RankRule(), 4),
        (RankRule(most=3), 3),
        (RankRule(by="sv_ratio", value=2), 2),
        (RankRule(by="sv_ratio", value=10), 3),
        (RankRule(by="sv_fro", value=0.9), 2),
        (RankRule(by="sv_fro", value=1.0), 4),
        (RankRule(by="sv_cumulative", value=0.5), 1),
        (RankRule(by="sv_cumulative", value=0.9, most=2), 2),
        (RankRule(by="sv_fro", value=0.0), 1),
    ],
    ids=str,
)
def test_rules_of_ranks(rule, rank) -> None:
    assert chosen_rank(torch.tensor([4.0, 2.0, 1.0, 0.1]), rule) == rank


def test_nothing_has_one_dimension() -> None:
    found = factors_of(torch.zeros(3, 5), RankRule(by="sv_fro", value=0.5, most=1))

    assert found.rank == 1
    assert not (found.up @ found.down).any()


# ------------------------------------------------------------------------- resize and join


@pytest.mark.parametrize("name", ["tiny-lora.safetensors", "tiny-locon.safetensors"])
def test_all_dimensions_are_the_same_change(tmp_path, name) -> None:
    target = tmp_path / "same.safetensors"
    plan = ResizePlan(lora=lora_record(LORAS / name), rank=ALL, precision="fp32", target=target)

    result = resize(plan, silent)

    assert result["keeps"] == 1
    torch.testing.assert_close(
        change_of(use_of(target)), change_of(use_of(LORAS / name)), atol=1e-5, rtol=1e-5
    )


def test_fewer_dimensions_make_a_smaller_file_that_says_so(tmp_path) -> None:
    source, target = LORAS / "tiny-lora.safetensors", tmp_path / "small.safetensors"
    plan = ResizePlan(lora=lora_record(source), rank=RankRule(most=2), target=target)

    result = resize(plan, silent)

    assert result["rank"] == 2
    assert 0 < float(str(result["keeps"])) < 1
    assert target.stat().st_size < source.stat().st_size
    with safe_open(target, framework="pt") as file:
        texts = file.metadata()
    assert (texts["ss_network_dim"], texts["ss_output_name"]) == ("2", "small")
    assert json.loads(texts["atelier.made"])["from"] == "tiny-lora.safetensors"
    kinds = {tensor.dtype for tensor in load_file(source).values()}
    assert {tensor.dtype for tensor in load_file(target).values()} == kinds


@pytest.mark.parametrize("name", ["tiny-loha", "tiny-dora", "tiny-locon-cp", "tiny-ia3"])
def test_a_method_without_such_dimensions_is_refused_in_words(tmp_path, name) -> None:
    record = lora_record(LORAS / f"{name}.safetensors")
    plan = ResizePlan(lora=record, rank=RankRule(most=2), target=tmp_path / "x.safetensors")

    with pytest.raises(UnsupportedModelError, match=name) as refused:
        resize(plan, silent)

    assert "extract" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


def test_several_as_one_change_as_they_do_together(tmp_path) -> None:
    uses = (
        use_of(LORAS / "tiny-lora.safetensors", 0.7, 0.4),
        use_of(LORAS / "tiny-locon.safetensors", -0.5, 1.0),
    )
    target = tmp_path / "one.safetensors"

    result = join(JoinPlan(loras=uses, rank=ALL, target=target), silent)

    assert result["keeps"] == 1
    torch.testing.assert_close(change_of(use_of(target)), change_of(*uses), atol=1e-5, rtol=1e-5)
    thin = join(JoinPlan(loras=uses, rank=RankRule(most=3), target=target), silent)
    assert (thin["name"], thin["rank"]) == ("one-2.safetensors", 3)


def test_embeddings_in_a_lora_stay_in_it(tmp_path) -> None:
    tensors = load_file(LORAS / "tiny-lora.safetensors")
    vectors = torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    source, target = tmp_path / "with.safetensors", tmp_path / "thin.safetensors"
    save_file({**tensors, "bundle_emb.word.string_to_param.*": vectors}, source)

    resize(ResizePlan(lora=lora_record(source), rank=RankRule(most=1), target=target), silent)

    assert torch.equal(read_lora(target).embeddings["word"], vectors)
