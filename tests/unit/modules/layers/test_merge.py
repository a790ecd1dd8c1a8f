"""Merged checkpoints: the ends are the sources to the last bit, and A1111's rules hold."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests.tiny import ADD_ONS
from tests.unit.modules.layers.shelf import UNET, noisy, record_of, silent, varied
from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers.blocks import BLOCKS
from webui.modules.layers.merge import merge
from webui.modules.types import MergePlan, ModelKind, ModelRecord, StopDrawing

VAE_FILE = ADD_ONS / "models" / "VAE" / "tiny-vae.safetensors"
FIRST = f"{UNET}input_blocks.0.0.weight"


def cut(name: str, tensor: Tensor) -> Tensor | None:
    """Make tensors small and few: merging knows no networks, so any will do."""
    if any(part in name for part in (".attn", ".ff.", ".layers.", ".up.", ".down.", "_layers.")):
        return None
    return tensor[tuple(slice(0, 4) for _ in tensor.shape)].contiguous()


@pytest.fixture(scope="module")
def a(tiny: ModelRecord, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    return varied(tiny, tmp_path_factory.mktemp("shelf") / "a.safetensors", cut)


@pytest.fixture(scope="module")
def b(a: ModelRecord, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    return varied(a, tmp_path_factory.mktemp("shelf") / "b.safetensors", noisy(1))


@pytest.fixture(scope="module")
def c(a: ModelRecord, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    return varied(a, tmp_path_factory.mktemp("shelf") / "c.safetensors", noisy(2))


def merged(folder: Path, **plan: Any) -> dict[str, Tensor]:
    result = merge(MergePlan(target=folder / "merged.safetensors", **plan), silent)
    return load_file(folder / str(result["name"]))


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert set(one) == set(other)
    unequal = [
        name
        for name, tensor in one.items()
        if tensor.dtype != other[name].dtype
        or not torch.equal(tensor.view(torch.uint8), other[name].view(torch.uint8))
    ]
    assert unequal == []


def test_none_of_b_is_a_and_all_of_b_is_b(tmp_path, a, b) -> None:
    a_file, b_file = load_file(a.path), load_file(b.path)

    assert_equal(merged(tmp_path, first=a, second=b, share=0.0), a_file)

    all_of_b = merged(tmp_path, first=a, second=b, share=1.0)
    unmixed = {name: a_file[name] for name in a_file if "model" not in name}
    assert_equal(all_of_b, b_file | unmixed)


def test_no_interpolation_writes_a_anew(tmp_path, a) -> None:
    assert_equal(merged(tmp_path, first=a, method="no interpolation"), load_file(a.path))


def test_no_difference_is_a(tmp_path, a, b) -> None:
    plan = {"first": a, "second": b, "third": b, "method": "add difference"}

    assert_equal(merged(tmp_path, **plan, share=0.7), load_file(a.path))


def test_both_ways_follow_their_formulas(tmp_path, a, b, c) -> None:
    x, y, z = (
        {name: tensor.double() for name, tensor in load_file(record.path).items()}
        for record in (a, b, c)
    )
    summed = merged(tmp_path, first=a, second=b, share=0.3, precision="fp32")
    added = merged(
        tmp_path, first=a, second=b, third=c, method="add difference", share=0.4,
        precision="fp32",
    )  # fmt: skip

    for name in (name for name in x if "model" in name and not name.endswith("position_ids")):
        torch.testing.assert_close(
            summed[name].double(), 0.7 * x[name] + 0.3 * y[name], atol=1e-6, rtol=1e-6
        )
        torch.testing.assert_close(
            added[name].double(), x[name] + 0.4 * (y[name] - z[name]), atol=1e-6, rtol=1e-6
        )


def test_equal_numbers_for_all_blocks_are_one_number(tmp_path, a, b) -> None:
    plain = merged(tmp_path, first=a, second=b, share=0.35)

    assert_equal(merged(tmp_path, first=a, second=b, blocks=(0.35,) * 26), plain)


@pytest.mark.parametrize(
    ("block", "inside"),
    [("IN05", f"{UNET}input_blocks.5."), ("M00", f"{UNET}middle_block."),
     ("OUT11", f"{UNET}output_blocks.11."), ("BASE", "cond_stage_model.")],
)  # fmt: skip
def test_a_block_is_mixed_alone(tmp_path, a, b, block, inside) -> None:
    blocks = tuple(float(name == block) for name in BLOCKS)
    before = load_file(a.path)

    after = merged(tmp_path, first=a, second=b, blocks=blocks)

    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith(inside) for name in changed)
    others = (f"{UNET}input", f"{UNET}middle", f"{UNET}output")
    assert all(name.startswith(inside) or not name.startswith(others) for name in changed)


def test_a_keeps_its_own_and_what_others_lack_changes_nothing(tmp_path, a, b, c) -> None:
    gone = f"{UNET}out.2.bias"
    lacking = varied(
        b, tmp_path / "lacking.safetensors", lambda name, each: None if name == gone else each
    )
    more = varied(a, tmp_path / "more.safetensors", lambda _, each: each)
    before = load_file(a.path)

    summed = merged(tmp_path, first=more, second=lacking, share=0.5)
    added = merged(tmp_path, first=a, second=b, third=lacking, method="add difference", share=1.0)
    swapped = merged(tmp_path, first=lacking, second=c, share=0.5)

    for untouched in (gone, "alphas_cumprod", "betas"):
        assert torch.equal(summed[untouched], before[untouched])
    assert torch.equal(added[gone], before[gone])
    assert gone not in swapped


def test_a_checkpoint_for_inpainting_keeps_its_other_channels(tmp_path, a, b) -> None:
    def widen(name: str, tensor: Tensor) -> Tensor:
        return torch.cat([tensor, 0.5 * tensor, tensor[:, :1]], 1) if name == FIRST else tensor

    painter = varied(a, tmp_path / "painter.safetensors", widen)
    plain, other = load_file(a.path)[FIRST].float(), load_file(b.path)[FIRST].float()

    first = merged(tmp_path, first=painter, second=b, share=0.5)[FIRST]

    assert first.shape[1] == 9
    torch.testing.assert_close(first[:, :4].float(), (plain + other) / 2, atol=1e-3, rtol=1e-3)
    assert torch.equal(first[:, 4:], load_file(painter.path)[FIRST][:, 4:])
    with pytest.raises(UnsupportedModelError, match=r"input_blocks\.0\.0\.weight has the shape"):
        merged(tmp_path, first=b, second=painter, share=0.5)


def test_a_vae_is_baked_in(tmp_path, a, b) -> None:
    path = tmp_path / "vae.safetensors"
    vae = varied(record_of(VAE_FILE), path, cut)
    record = replace(vae, kind=ModelKind.VAE)

    result = merged(tmp_path, first=a, second=b, share=0.5, vae=record, precision="fp32")

    for name, tensor in load_file(path).items():
        assert torch.equal(result[f"first_stage_model.{name}"], tensor.float())
    lora = record_of(ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors", ModelKind.LORA)
    with pytest.raises(ModelFileError, match="holds no VAE"):
        merged(tmp_path, first=a, vae=lora, method="no interpolation")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "fp32"])
def test_a_number_format_is_that_of_the_networks_and_not_of_the_schedule(
    tmp_path, a, precision
) -> None:
    wanted = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}[precision]

    result = merged(tmp_path, first=a, method="no interpolation", precision=precision)

    types = {name: tensor.dtype for name, tensor in result.items()}
    whole = {name for name in types if name.endswith("position_ids")}
    schedule = {name for name in types if "model" not in name}
    assert {types[name] for name in whole} == {torch.int64}
    assert {types[name] for name in schedule} == {torch.float32}
    assert {types[name] for name in set(types) - whole - schedule} == {wanted}


def test_too_large_numbers_for_16_bits_are_told(tmp_path, a) -> None:
    name = f"{UNET}out.2.bias"
    large = varied(
        a, tmp_path / "l.safetensors", lambda own, each: each.float() + 1e6 * (own == name)
    )
    plan = MergePlan(
        first=large, method="no interpolation", precision="fp16", target=tmp_path / "m.safetensors"
    )

    assert merge(plan, silent)["notes"] == [
        "1 tensors hold numbers too large for fp16; use bf16 or fp32"
    ]


def test_patterns_leave_tensors_out(tmp_path, a) -> None:
    plan = {"first": a, "method": "no interpolation"}

    result = merged(tmp_path, **plan, discard=("first_stage_model.*", "*.position_ids"))

    left = {name for name in load_file(a.path) if name not in result}
    assert left
    assert all(name.startswith("first_stage") or name.endswith("_ids") for name in left)
    with pytest.raises(UnsupportedModelError, match="leave no tensor"):
        merged(tmp_path, **plan, discard=("*",))


def test_the_file_says_how_it_was_made_and_no_file_is_written_over(tmp_path, a, b) -> None:
    told = varied(
        b, tmp_path / "told.safetensors", lambda _, each: each,
        sd_merge_models='{"grandmother": {"name": "g"}}', author="someone",
    )  # fmt: skip
    target = tmp_path / "child.safetensors"
    plan = MergePlan(first=a, second=told, share=0.25, config=a.config, target=target)

    names = [merge(plan, silent)["name"] for _ in range(2)]

    assert names == ["child.safetensors", "child-2.safetensors"]
    assert a.config is not None
    assert (tmp_path / "child-2.yaml").read_bytes() == a.config.read_bytes()
    with safe_open(target, framework="pt") as file:
        texts = file.metadata()
    recipe, models = json.loads(texts["sd_merge_recipe"]), json.loads(texts["sd_merge_models"])
    assert texts["author"] == "someone"
    assert (recipe["interp_method"], recipe["multiplier"]) == ("Weighted sum", 0.25)
    assert recipe["secondary_model_hash"] == "t" * 64
    assert set(models) == {"grandmother", a.sha256 or a.name, "t" * 64}
    quiet = merge(MergePlan(first=a, method="no interpolation", texts=False, target=target), silent)
    with safe_open(tmp_path / str(quiet["name"]), framework="pt") as file:
        assert file.metadata() is None


def test_stopping_leaves_nothing_behind(tmp_path, a, b) -> None:
    def stop(number: int, _total: int, _text: str) -> None:
        if number == 100:
            raise StopDrawing

    with pytest.raises(StopDrawing):
        merge(MergePlan(first=a, second=b, target=tmp_path / "m.safetensors"), stop)

    assert list(tmp_path.iterdir()) == []
