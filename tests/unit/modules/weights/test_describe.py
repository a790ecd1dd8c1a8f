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
LORA: Final = "lora_unet_mid_block_attentions_0_proj_in."

FILES: Final[tuple[tuple[ModelKind, str, dict[str, tuple[int, ...]]], ...]] = (
    (ModelKind.CHECKPOINT, "sd1", {UNET + "input_blocks.0.0.weight": (8, 4, 3, 3)}),
    (ModelKind.CHECKPOINT, "sd1-inpainting", {UNET + "input_blocks.0.0.weight": (8, 9, 3, 3)}),
    (ModelKind.CHECKPOINT, "sd1-instruct", {UNET + "input_blocks.0.0.weight": (8, 8, 3, 3)}),
    (
        ModelKind.CHECKPOINT,
        "sd2",
        {UNET + "out.0.bias": (1,), "cond_stage_model.model.ln_final.bias": (1,)},
    ),
    (
        ModelKind.CHECKPOINT,
        "sdxl",
        {UNET + "out.0.bias": (1,), "conditioner.embedders.1.model.ln_final.bias": (1,)},
    ),
    (ModelKind.CHECKPOINT, "sd3", {UNET + "joint_blocks.0.x_block.attn.qkv.bias": (1,)}),
    (ModelKind.CHECKPOINT, "flux", {UNET + "double_blocks.0.img_attn.qkv.bias": (1,)}),
    (ModelKind.VAE, "", {"decoder.mid.block_1.norm1.bias": (1,)}),
    (ModelKind.VAE, "", {"decoder.mid_block.resnets.0.norm1.bias": (1,)}),
    (ModelKind.LORA, "lora", {LORA + "lora_down.weight": (4, 8)}),
    (ModelKind.LORA, "locon", {LORA + "lora_down.weight": (4, 8, 3, 3)}),
    (ModelKind.LORA, "locon", {LORA + "lora_mid.weight": (4, 4), LORA + "lora_up.weight": (4, 4)}),
    (ModelKind.LORA, "loha", {LORA + "hada_w1_a": (4, 8)}),
    (ModelKind.LORA, "lokr", {LORA + "lokr_w1": (4, 8)}),
    (ModelKind.LORA, "ia3", {LORA + "on_input": (1,)}),
    (ModelKind.LORA, "dora", {LORA + "lora_down.weight": (4, 8), LORA + "dora_scale": (8,)}),
    (ModelKind.EMBEDDING, "", {"emb_params": (2, 768)}),
    (ModelKind.EMBEDDING, "", {"anything": (3, 768)}),
    (ModelKind.HYPERNETWORK, "", {"768.0.linear.0.weight": (8, 8)}),
    (ModelKind.CONTROLNET, "", {"control_model.input_hint_block.0.bias": (1,)}),
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
