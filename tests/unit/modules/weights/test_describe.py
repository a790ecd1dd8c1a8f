"""What a file is, told from the names of its tensors alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
import torch
from safetensors.torch import save_file

from webui.modules.types import ModelKind
from webui.modules.weights.describe import describe

if TYPE_CHECKING:
    from pathlib import Path

UNET: Final = "model.diffusion_model."
FIRST: Final = UNET + "input_blocks.0.0.weight"
READER: Final = "attn2.to_k.weight"
LORA: Final = "lora_unet_mid_block_attentions_0_proj_in."
PEFT: Final = "base_model.model.mid_block.attentions.0.proj_in."
LOW: Final = {"lora_down.weight": (4, 8), "lora_up.weight": (8, 4)}


def layer(parts: dict[str, tuple[int, ...]], name: str = LORA) -> dict[str, tuple[int, ...]]:
    return {name + part: shape for part, shape in parts.items()}


FILES: Final[tuple[tuple[ModelKind, str, dict[str, tuple[int, ...]]], ...]] = (
    (ModelKind.CHECKPOINT, "sd1", {FIRST: (8, 4, 3, 3)}),
    (ModelKind.CHECKPOINT, "sd1-inpainting", {FIRST: (8, 9, 3, 3)}),
    (ModelKind.CHECKPOINT, "sd1-instruct", {FIRST: (8, 8, 3, 3)}),
    (ModelKind.CHECKPOINT, "sd1-v", {FIRST: (8, 4, 3, 3), "v_pred": (0,)}),
    (
        ModelKind.CHECKPOINT,
        "sd2",
        {UNET + "out.0.bias": (1,), "cond_stage_model.model.ln_final.bias": (1,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sd2-depth",
        {FIRST: (8, 5, 3, 3), "cond_stage_model.model.ln_final.bias": (1,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl",
        {UNET + "out.0.bias": (1,), "conditioner.embedders.1.model.ln_final.bias": (1,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl-inpainting",
        {FIRST: (8, 9, 3, 3), "conditioner.embedders.1.model.ln_final.bias": (1,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl-refiner",
        {FIRST: (8, 4, 3, 3), "conditioner.embedders.0.model.ln_final.weight": (1280,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sd2",
        {FIRST: (8, 4, 3, 3), "conditioner.embedders.0.model.ln_final.weight": (1024,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl",
        {FIRST: (8, 4, 3, 3), UNET + "input_blocks.4.1." + READER: (8, 2048)},
    ),
    (ModelKind.CHECKPOINT, "sd3", {UNET + "joint_blocks.0.x_block.attn.qkv.bias": (1,)}),
    (ModelKind.CHECKPOINT, "sd3", {"joint_blocks.0.x_block.attn.qkv.bias": (1,)}),
    (ModelKind.CHECKPOINT, "sd3", {"transformer_blocks.0.norm1_context.linear.bias": (1,)}),
    (ModelKind.CHECKPOINT, "flux", {UNET + "double_blocks.0.img_attn.qkv.bias": (1,)}),
    (ModelKind.CHECKPOINT, "flux", {"double_blocks.0.img_attn.qkv.bias": (1,)}),
    (ModelKind.CHECKPOINT, "flux", {"single_transformer_blocks.0.attn.to_q.weight": (1, 1)}),
    (ModelKind.CHECKPOINT, "", {UNET + "clip_txt_mapper.weight": (1, 1)}),
    (
        ModelKind.CHECKPOINT,
        "sd1-unet",
        {"conv_in.weight": (8, 4, 3, 3), "time_embedding.linear_1.weight": (8, 8)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl-unet",
        {
            "input_blocks.0.0.weight": (8, 4, 3, 3),
            "time_embed.0.weight": (8, 8),
            "middle_block.1.transformer_blocks.0." + READER: (8, 2048),
        },
    ),
    (ModelKind.VAE, "", {"decoder.mid.block_1.norm1.bias": (1,)}),
    (ModelKind.VAE, "", {"first_stage_model.decoder.mid.block_1.norm1.bias": (1,)}),
    (ModelKind.VAE, "", {"decoder.mid_block.resnets.0.norm1.bias": (1,)}),
    (ModelKind.LORA, "lora", layer(LOW)),
    (ModelKind.LORA, "lora", layer({"lora_A.weight": (4, 8), "lora_B.weight": (8, 4)}, PEFT)),
    (ModelKind.LORA, "lora", {"bundle_emb.cat.string_to_param.*": (2, 768)}),
    (ModelKind.LORA, "locon", layer({"lora_down.weight": (4, 8, 3, 3)})),
    (ModelKind.LORA, "locon", layer({"lora_up.weight": (8, 4, 3, 3)})),
    (ModelKind.LORA, "locon", layer({**LOW, "lora_mid.weight": (4, 4, 3, 3)})),
    (ModelKind.LORA, "lora", layer({"lora_down.weight": (4, 8, 1, 1)})),
    (ModelKind.LORA, "loha", layer({"hada_w1_a": (4, 8)})),
    (ModelKind.LORA, "lokr", layer({"lokr_w1": (4, 8)})),
    (ModelKind.LORA, "lokr", layer({"lokr_w1_a": (4, 8)})),
    (ModelKind.LORA, "ia3", layer({"weight": (8,), "on_input": ()})),
    (ModelKind.LORA, "ia3", layer({"ia3_l": (8, 1)}, PEFT)),
    (ModelKind.LORA, "oft", layer({"oft_blocks": (2, 4, 4)})),
    (ModelKind.LORA, "oft", layer({"oft_diag": (2, 4, 4)})),
    (ModelKind.LORA, "oft", layer({"oft_R.weight": (2, 6)}, PEFT)),
    (ModelKind.LORA, "boft", layer({"oft_blocks": (3, 2, 4, 4)})),
    (ModelKind.LORA, "boft", layer({"boft_R": (1, 2, 4, 4), "boft_s": (8, 1)}, PEFT)),
    (ModelKind.LORA, "glora", layer({"a1.weight": (4, 8), "b1.weight": (4, 8)})),
    (ModelKind.LORA, "full", layer({"diff": (8, 8)})),
    (ModelKind.LORA, "full", layer({"diff_b": (8,)})),
    (ModelKind.LORA, "lora", {**layer(LOW), "lora_unet_conv_in.diff": (8, 4, 3, 3)}),
    (ModelKind.LORA, "norm", layer({"w_norm": (8,), "b_norm": (8,)})),
    (ModelKind.LORA, "dora", layer({**LOW, "dora_scale": (8, 1)})),
    (ModelKind.LORA, "dora", layer({"hada_w1_a": (4, 8), "dora_scale": (8, 1)})),
    (ModelKind.LORA, "dora", layer({"lora_magnitude_vector": (8,)}, PEFT)),
    (ModelKind.EMBEDDING, "sd1", {"emb_params": (2, 768)}),
    (ModelKind.EMBEDDING, "sd2", {"emb_params": (2, 1024)}),
    (ModelKind.EMBEDDING, "sdxl", {"clip_l": (2, 768), "clip_g": (2, 1280)}),
    (
        ModelKind.EMBEDDING,
        "sdxl",
        {"clip_l": (2, 768), "clip_g": (2, 1280), "clip_l_out": (2, 768), "clip_g_out": (2, 1280)},
    ),
    (ModelKind.EMBEDDING, "sd1", {"<cat>": (768,)}),
    (ModelKind.EMBEDDING, "sd1", {"<cat>": (768,), "<dog>": (768,)}),
    (ModelKind.EMBEDDING, "sd1", {"anything": (3, 768)}),
    (ModelKind.AESTHETIC, "sd1", {"aesthetic": (1, 768)}),
    (ModelKind.AESTHETIC, "sd1", {"emb": (768,)}),
    (ModelKind.AESTHETIC, "sd1", {"aesthetic": (1, 768), "projection": (768, 768)}),
    (ModelKind.UNKNOWN, "", {"text_projection.weight": (768, 768)}),
    (ModelKind.EMBEDDING, "sd1", {"emb": (3, 768)}),
    (ModelKind.HYPERNETWORK, "", {"320.0.linear.0.weight": (8, 8)}),
    (ModelKind.HYPERNETWORK, "sd1", {"768.0.linear.0.weight": (8, 8), "320.1.linear1.bias": (8,)}),
    (ModelKind.HYPERNETWORK, "sd2", {"1024.0.linear.0.weight": (8, 8)}),
    (ModelKind.CONTROLNET, "", {"control_model.input_hint_block.0.bias": (1,)}),
    (ModelKind.CONTROLNET, "sd1", {"control_model.input_blocks.1.1." + READER: (8, 768)}),
    (
        ModelKind.CONTROLNET,
        "sdxl",
        {"controlnet_down_blocks.0.bias": (1,), "mid_block.attentions.0." + READER: (8, 2048)},
    ),
    (ModelKind.CONTROLNET, "t2i-adapter", {"adapter.body.0.resnets.0.block1.weight": (1, 1)}),
    (ModelKind.CONTROLNET, "t2i-adapter", {"body.0.block1.weight": (1, 1)}),
    (ModelKind.CONTROLNET, "lllite", {"lllite_unet_input_blocks_4_1_proj_in.down.0.weight": (1,)}),
    (
        ModelKind.CONTROLNET,
        "control-lora",
        {"lora_controlnet": (0,), "input_blocks.1.1.proj_in.up": (1, 1)},
    ),
    (
        ModelKind.UPSCALER,
        "compact-4x",
        {
            "body.0.weight": (8, 3, 3, 3),
            "body.1.weight": (8,),
            "body.2.weight": (8, 8, 3, 3),
            "body.3.weight": (8,),
            "body.4.weight": (48, 8, 3, 3),
        },
    ),
    (ModelKind.UNKNOWN, "", {"who.knows": (1, 2, 3, 4)}),
    (ModelKind.UNKNOWN, "", {"linear.weight": (1, 768), "linear.bias": (1,)}),
    (ModelKind.UNKNOWN, "", {"0.weight": (8, 768), "2.weight": (1, 8)}),
    (
        ModelKind.UNKNOWN,
        "",
        {"text_encoders.clip_l.transformer.text_model.final_layer_norm.bias": (8,)},
    ),
    (ModelKind.UNKNOWN, "", {"ip_adapter.1.to_k_ip.weight": (8, 8), "image_proj.norm.bias": (8,)}),
)


@pytest.mark.parametrize(("kind", "family", "shapes"), FILES)
def test_names_and_shapes_tell_the_kind(
    kind: ModelKind, family: str, shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "nameless.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path, {"by": "us"})

    facts = describe(path)

    assert (facts.kind, facts.family) == (kind, family)
    assert facts.tensors == len(shapes)
    assert facts.metadata == {"by": "us"}


def test_an_embedding_of_textual_inversion_is_told_from_its_pickle(tmp_path: Path) -> None:
    path = tmp_path / "style.pt"
    torch.save({"string_to_param": {"*": torch.zeros(2, 768)}, "name": "style", "step": 5}, path)

    assert describe(path).kind is ModelKind.EMBEDDING
    assert describe(path).family == "sd1"


@pytest.mark.parametrize("shape", [(768,), (1, 768)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_an_aesthetic_embedding_is_a_bare_tensor(
    shape: tuple[int, ...], dtype: torch.dtype, tmp_path: Path
) -> None:
    torch.save(torch.zeros(shape, dtype=dtype), tmp_path / "fantasy.pt")

    facts = describe(tmp_path / "fantasy.pt")

    assert (facts.kind, facts.family) == (ModelKind.AESTHETIC, "sd1")


SAID: Final[tuple[tuple[ModelKind, str, dict[str, tuple[int, ...]], dict[str, str]], ...]] = (
    (
        ModelKind.CHECKPOINT,
        "sd2-v",
        {FIRST: (8, 4, 3, 3), "cond_stage_model.model.ln_final.bias": (1,)},
        {"modelspec.architecture": "stable-diffusion-v2-768-v"},
    ),
    (
        ModelKind.CHECKPOINT,
        "sd1-inpainting-v",
        {FIRST: (8, 9, 3, 3)},
        {"modelspec.prediction_type": "v"},
    ),
    (ModelKind.CHECKPOINT, "sd1", {FIRST: (8, 4, 3, 3)}, {"modelspec.prediction_type": "epsilon"}),
    (ModelKind.LORA, "dylora", layer(LOW), {"ss_network_args": '{"algo": "dylora", "unit": 4}'}),
    (ModelKind.LORA, "dylora", layer(LOW), {"ss_network_module": "networks.dylora"}),
    (ModelKind.LORA, "loha", layer({"hada_w1_a": (4, 8)}), {"ss_network_module": "networks.lora"}),
    (ModelKind.AESTHETIC, "sd1", {"x": (1, 768)}, {"atelier.kind": "aesthetic"}),
    (ModelKind.EMBEDDING, "sd1", {"emb_params": (1, 768)}, {"atelier.kind": "aesthetic"}),
    (ModelKind.VAE, "", {"decoder.mid.block_1.norm1.bias": (1,)}, {"atelier.kind": "aesthetic"}),
)
"""Where tensors could be two things, the file's own words may decide; never against tensors."""


@pytest.mark.parametrize(("kind", "family", "shapes", "said"), SAID)
def test_a_files_words_only_refine_what_its_tensors_tell(
    kind: ModelKind,
    family: str,
    shapes: dict[str, tuple[int, ...]],
    said: dict[str, str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "lora.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path, said)

    facts = describe(path)

    assert (facts.kind, facts.family) == (kind, family)
