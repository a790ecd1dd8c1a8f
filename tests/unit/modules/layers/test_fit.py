"""What fits a checkpoint is told from names and shapes, and is what is then laid on."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import ADD_ONS
from webui.app import Inventory, inventory
from webui.modules.layers.lora import Networks, read_lora
from webui.modules.pipeline.engine import Engine
from webui.modules.types import ModelRecord
from webui.settings import load

FILES = sorted(path for path in ADD_ONS.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def stock(tiny_home: Path) -> Inventory:
    return inventory(load({}, environment={}, home=tiny_home))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_made_for_the_checkpoint_fit_wholly(path: Path, stock: Inventory) -> None:
    found = stock.models.inspect(path, checkpoint="tiny-sd1")

    assert found.error is None
    assert found.applies == 1.0
    assert found.verdict.endswith("Fits tiny-sd1.")


def test_a_file_of_another_family_does_not_fit_and_says_why(
    tmp_path: Path, stock: Inventory
) -> None:
    layer = "lora_unet_down_blocks_0_attentions_0_proj_in"
    wide = {
        f"{layer}.lora_up.weight": torch.zeros(640, 4),
        f"{layer}.lora_down.weight": torch.zeros(4, 640),
    }
    save_file(wide, tmp_path / "wide.safetensors")
    save_file({"emb_params": torch.zeros(2, 1280)}, tmp_path / "sdxl.safetensors")

    for name, why in (("wide", "1 layers of another size"), ("sdxl", "1280")):
        found = stock.models.inspect(tmp_path / f"{name}.safetensors", checkpoint="tiny-sd1")
        assert found.applies == 0.0
        assert "Does not fit tiny-sd1" in found.verdict
        assert why in found.verdict
        assert "another kind of checkpoint" in found.hint


def test_a_file_that_fits_partly_says_how_much(tmp_path: Path, stock: Inventory) -> None:
    right = "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors = {
        f"{right}.lora_up.weight": torch.zeros(32, 4),
        f"{right}.lora_down.weight": torch.zeros(4, 32),
        "lora_unet_elsewhere.lora_up.weight": torch.zeros(32, 4),
        "lora_unet_elsewhere.lora_down.weight": torch.zeros(4, 32),
    }
    save_file(tensors, tmp_path / "half.safetensors")

    found = stock.models.inspect(tmp_path / "half.safetensors", checkpoint="tiny-sd1")

    assert found.applies == 0.5
    assert "partly: 1 layers that this checkpoint has not" in found.verdict


def test_what_fits_is_what_can_be_laid_on(engine: Engine, tiny: ModelRecord) -> None:
    """The count from names and shapes is the count of the networks themselves."""
    checkpoint = engine.load(tiny)
    networks = Networks(checkpoint.unet, checkpoint.text, checkpoint.architecture.unet)

    for path in sorted((ADD_ONS / "models" / "Lora").iterdir()):
        lora = read_lora(path)
        assert networks.fits(lora) == (len(lora.layers), ())
