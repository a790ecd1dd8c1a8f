"""Explanations hold to their laws: nothing explains as nothing, and equals resemble each other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import ADD_ONS
from tests.unit.modules.layers.shelf import noisy, record_of, silent, varied
from webui.modules.device import choose
from webui.modules.errors import UnsupportedModelError
from webui.modules.layers.deltas import delta
from webui.modules.layers.explain import explain
from webui.modules.layers.explain_help import Help, read_png, token_table
from webui.modules.layers.explain_lora import block_of_name, effective_rank, spectrum
from webui.modules.layers.lora import read_lora
from webui.modules.networks.checkpoint import load_checkpoint
from webui.modules.text.tokens import token_ids
from webui.modules.types import ExplainPlan, ModelKind, ModelRecord

DEVICE = choose("cpu", "exact")
HAND = Help(tell=silent, load=lambda record: load_checkpoint(record, DEVICE), device=DEVICE)


def told(path: Path, kind: ModelKind, folder: Path, **held) -> dict[str, Any]:
    return dict(explain(ExplainPlan(model=record_of(path, kind), pictures=folder, **held), HAND))


def test_a_copied_word_is_named_first_and_its_length_is_told(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    token = token_ids("cat")[0]
    row = token_table(tiny)[token]
    save_file({"emb_params": torch.stack([row * 3, -row])}, tmp_path / "copy.safetensors")

    found = told(tmp_path / "copy.safetensors", ModelKind.EMBEDDING, tmp_path, checkpoint=tiny)

    first, other = found["vectors"]
    assert first["nearest"][0]["word"] == "cat"
    assert first["nearest"][0]["cosine"] == pytest.approx(1, abs=1e-5)
    assert len(first["nearest"]) == 8
    assert first["norm"] == pytest.approx(3 * float(row.norm()), rel=1e-5)
    assert other["nearest"][0]["word"] != "cat"
    assert found["vocabulary_norm"] > 0
    alone = told(tmp_path / "copy.safetensors", ModelKind.EMBEDDING, tmp_path)
    assert [each["nearest"] for each in alone["vectors"]] == [[], []]


def test_an_embedding_of_another_width_is_refused_in_words(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    save_file({"emb_params": torch.ones(1, 5)}, tmp_path / "wide.safetensors")

    with pytest.raises(UnsupportedModelError, match="vectors of 5 numbers"):
        told(tmp_path / "wide.safetensors", ModelKind.EMBEDDING, tmp_path, checkpoint=tiny)


def test_a_lora_of_zeros_explains_as_no_change(tiny: ModelRecord, tmp_path: Path) -> None:
    path = ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors"
    empty = {name: each * 0 if "up" in name else each for name, each in load_file(path).items()}
    save_file(empty, tmp_path / "zero.safetensors")

    zero = told(tmp_path / "zero.safetensors", ModelKind.LORA, tmp_path, checkpoint=tiny)
    full = told(path, ModelKind.LORA, tmp_path, checkpoint=tiny)

    assert {block["relative"] for block in zero["blocks"]} == {0}
    assert {block["rank"] for block in zero["blocks"]} == {0}
    assert zero["parameters"] == full["parameters"] > 0
    assert zero["measured"] == zero["layers"]
    assert all(block["relative"] > 0 for block in full["blocks"])
    named = [block["block"] for block in full["blocks"]]
    assert "TE00" in named
    assert "M00" in named
    assert named.index("TE00") < named.index("M00")


@pytest.mark.parametrize("name", ["lora", "locon", "loha", "lokr", "dora", "ia3"])
def test_size_and_rank_are_those_of_the_whole_change(
    tiny: ModelRecord, tmp_path: Path, name: str
) -> None:
    found = told(
        next((ADD_ONS / "models" / "Lora").glob(f"tiny-{name}.*")),
        ModelKind.LORA,
        tmp_path,
        checkpoint=tiny,
    )
    assert found["measured"] == found["layers"], found["notes"]
    assert set(found["methods"]) >= {{"locon": "lora"}.get(name, name)}
    for block in found["blocks"]:
        assert block["change"] > 0
        assert block["rank"] >= 1 - 1e-6


def test_a_low_rank_change_is_measured_without_building_it() -> None:
    random = torch.Generator().manual_seed(1)
    for kernel in ((), (3, 3)):
        parts = {
            "lora_up.weight": torch.randn(12, 3, *(1,) * len(kernel), generator=random),
            "lora_down.weight": torch.randn(3, 20, *kernel, generator=random),
            "alpha": torch.tensor(1.5),
        }
        whole = delta(parts, torch.zeros(12, 20, *kernel), strength=1.0).weight
        assert whole is not None
        energies = spectrum(parts, None)
        assert energies is not None
        assert float(energies.sum()) == pytest.approx(float(whole.square().sum()), rel=1e-5)
        rest = torch.linalg.svdvals(whole.flatten(1))[:3].square().double()
        assert torch.allclose(energies, rest, rtol=1e-4)
        assert 1 < effective_rank(energies) <= 3


def test_blocks_are_told_by_name_where_there_is_no_checkpoint(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    path = ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors"
    alone = told(path, ModelKind.LORA, tmp_path)

    assert {block["relative"] for block in alone["blocks"]} == {None}
    assert alone["measured"] == len(read_lora(path).layers)
    for name, block in (
        ("lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q", "IN02"),
        ("lora_unet_down_blocks_1_downsamplers_0_conv", "IN06"),
        ("unet.up_blocks.1.attentions.2.proj_in", "OUT05"),
        ("lora_unet_up_blocks_2_upsamplers_0_conv", "OUT08"),
        ("lora_unet_mid_block_attentions_0_proj_in", "M00"),
        ("lora_unet_output_blocks_4_1_proj_in", "OUT04"),
        ("lora_unet_time_embedding_linear_1", "BASE"),
        ("lora_te_text_model_encoder_layers_11_mlp_fc1", "TE11"),
        ("lora_te2_text_model_encoder_layers_3_mlp_fc1", "TE2-03"),
    ):
        assert block_of_name(name) == block


def test_a_hypernetwork_tells_its_layers_and_how_much_it_changes(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    folder = ADD_ONS / "models" / "hypernetworks"
    for path in sorted(folder.glob("*.pt")):
        found = told(path, ModelKind.HYPERNETWORK, tmp_path, checkpoint=tiny)
        assert found["parameters"] > 0
        for each in found["widths"]:
            assert each["layers"][0] == each["layers"][-1] == 1
            assert each["keys"] > 0
            assert each["values"] > 0
        assert "texts" in {each["read"] for each in found["widths"]}
    relu = told(folder / "tiny-hyper-relu.pt", ModelKind.HYPERNETWORK, tmp_path)
    assert {each["activation"] for each in relu["widths"]} == {"ReLU"}
    assert {each["read"] for each in relu["widths"]} == {"noise"}


def test_a_vae_shows_what_it_loses(tiny: ModelRecord, tmp_path: Path) -> None:
    path = ADD_ONS / "models" / "VAE" / "tiny-vae.safetensors"

    found = told(path, ModelKind.VAE, tmp_path / "pictures", checkpoint=tiny)

    before = read_png(tmp_path / "pictures" / f"{found['picture']}.png")
    for result, name in zip(found["results"], (path.name, tiny.name), strict=True):
        after = read_png(tmp_path / "pictures" / f"{result['result']}.png")
        assert result["name"] == name
        assert before.shape == after.shape == (3, 256, 256)
        assert float((before - after).abs().mean()) * 127.5 == pytest.approx(result["mean"], abs=1)
        assert result["psnr"] > 0
        assert read_png(tmp_path / "pictures" / f"{result['error']}.png").shape == before.shape


def test_a_checkpoint_resembles_itself_fully_and_a_changed_one_less(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    near = varied(tiny, tmp_path / "near.safetensors", noisy(1))
    far = varied(
        tiny,
        tmp_path / "far.safetensors",
        lambda name, each: -each if "output_blocks" in name else each,
    )

    found = told(
        tiny.path, ModelKind.CHECKPOINT, tmp_path, checkpoint=None, others=(far, near, tiny)
    )

    alike = {each["name"]: each for each in found["resembles"]}
    assert found["resembles"][0]["name"] == tiny.name
    assert set(alike[tiny.name]["blocks"]) == {1.0}
    assert alike[tiny.name]["equal"]
    assert 0.5 < alike[near.name]["cosine"] < 1
    assert not alike[near.name]["equal"]
    by_block = dict(zip(found["blocks"], alike[far.name]["blocks"], strict=True))
    assert by_block["OUT00"] == pytest.approx(-1)
    assert by_block["IN00"] == by_block["TEXT"] == 1
    assert all(part["numbers"] > 0 for part in found["parts"].values() if part["tensors"])
    assert sum(found["precision"].values()) == sum(
        part["numbers"] for part in found["parts"].values()
    )


def test_an_aesthetic_embedding_points_to_the_text_it_was_made_of(
    tiny: ModelRecord, tmp_path: Path
) -> None:
    base = load_checkpoint(tiny, DEVICE)
    width = base.architecture.text.width
    path, plain = tmp_path / "mood.safetensors", tmp_path / "plain.safetensors"
    save_file({"aesthetic": torch.ones(1, width)}, plain)
    save_file({"aesthetic": torch.ones(1, width), "projection": torch.eye(width)}, path)

    found = told(path, ModelKind.AESTHETIC, tmp_path, checkpoint=tiny, prompts=("a cat", "a dog"))
    blind = told(plain, ModelKind.AESTHETIC, tmp_path, checkpoint=tiny, prompts=("a cat",))

    assert [each["text"] for each in found["prompts"]] == ["a cat", "a dog"]
    assert all(-1 <= each["similarity"] <= 1 for each in found["prompts"])
    assert found["norm"] == pytest.approx(width**0.5)
    assert blind["prompts"] == []
    assert "CLIP's text projection" in blind["notes"][0]


def test_a_kind_without_explanation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="of the kind upscaler"):
        told(tmp_path / "x.pth", ModelKind.UPSCALER, tmp_path)
