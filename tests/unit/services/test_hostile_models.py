"""A folder full of files made to do harm: each gets one clear word, soon; sound ones work."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.tiny import ADD_ONS
from tests.unit.modules.weights import hostile
from webui.app import inventory
from webui.modules.types import ModelKind
from webui.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    from webui.services.models import Models

PATIENCE: Final = 4.0
"""Seconds of computing for one file on a busy machine; an idle one needs less than two."""

LAYER: Final = "lora_unet_mid_block_attentions_0_proj_in"
PARTS: Final = {f"{LAYER}.lora_up.weight": (96, 4), f"{LAYER}.lora_down.weight": (4, 96)}

NAMES: Final = (
    "ünïcødé 名前 🎨",
    "..hidden",
    "..%2f..%2fetc%2fpasswd",
    "C:\\windows\\con",
    "a\nb\tc",
    "<img src=x onerror=alert(1)>",
    "' OR 1=1; --",
    "x" * 200,
    "trailing dot.",
    "-rf",
)
"""Names that are lawful here and that some program somewhere reads as more than a name."""


def hostile_files(marker: Path) -> dict[str, bytes]:
    """Return the content of files of every kind of malice, by what they are."""
    pickles = hostile.harmful_pickles(f"touch {marker}", str(marker))
    spoiled = {
        **hostile.endless_pickles(),
        **hostile.spoiled_archives(),
        **hostile.spoiled_safetensors(),
        **{f"wants {how}": hostile.zipped(pickle) for how, pickle in pickles.items()},
        **{f"wants {how} of old": hostile.legacy(pickle) for how, pickle in pickles.items()},
        "nothing": b"",
        "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
        "a name twice": hostile.safetensors(
            b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
            b' "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
            b"abcd",
        ),
    }
    return {f"{what}.safetensors": content for what, content in spoiled.items()}


def odd_things(folder: Path) -> None:
    """Put things into a folder that are called like model files and are none."""
    (folder / "a folder.safetensors").mkdir()
    (folder / "circle.safetensors").symlink_to(folder / "circle.safetensors")
    (folder / "nowhere.safetensors").symlink_to(folder / "gone")
    (folder / "endless").symlink_to(folder)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.safetensors")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hostile")
    folder = home / "models" / "Lora"
    folder.mkdir(parents=True)
    for name, content in hostile_files(home / "it-was-run").items():
        (folder / name).write_bytes(content)
    odd_things(folder)
    for name in NAMES:
        save_file(
            {part: torch.zeros(shape) for part, shape in PARTS.items()},
            folder / f"{name}.safetensors",
        )
    shutil.copy(ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors", folder)
    return home


@pytest.fixture(scope="module")
def models(home: Path) -> Models:
    return inventory(load({}, environment={}, home=home)).models


def inspected(models: Models, path: Path) -> Any:
    began = time.process_time()
    found = models.inspect(path)
    assert time.process_time() - began < PATIENCE
    return found


def test_each_gets_one_clear_word(models: Models, home: Path) -> None:
    folder = home / "models" / "Lora"
    odd = ("a folder", "circle", "nowhere", "pipe")
    names = [*hostile_files(home), *(f"{name}.safetensors" for name in odd)]

    for name in names:
        if not (folder / name).is_symlink() and not (folder / name).exists():
            continue  # this system has no such thing
        found = inspected(models, folder / name)
        assert found.error is not None, name
        assert found.error["code"].startswith("model."), name
        assert name in found.error["message"], name
        assert found.hint, name

    assert not (home / "it-was-run").exists()


def test_the_scan_of_the_others_goes_on(models: Models, home: Path) -> None:
    began = time.process_time()
    cards = {card.record.path.name: card for card in models.add_ons(ModelKind.LORA)}

    assert time.process_time() - began < 30
    assert cards["tiny-lora.safetensors"].problem is None
    for name in hostile_files(home):
        problem = cards[name].problem
        assert problem is not None, name
        assert problem.message, name
        assert problem.hint, name
    assert not (home / "it-was-run").exists()


def test_no_name_is_more_than_a_name(models: Models, home: Path) -> None:
    folder = home / "models" / "Lora"
    listed = {card.record.path.name for card in models.add_ons(ModelKind.LORA)}

    for name in NAMES:
        found = inspected(models, folder / f"{name}.safetensors")
        assert found.error is None
        assert found.family == "lora"
        assert f"{name}.safetensors" in listed


def test_paths_that_no_system_has_are_refused(models: Models, home: Path) -> None:
    for name in ("nul\0byte.safetensors", "x" * 5000, "\udcff.safetensors", "."):
        found = inspected(models, home / name)
        assert found.error is not None
        assert found.hint


# --------------------------------------------------------------------------- not-a-number


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("ending", ["safetensors", "pt", "old.pt"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sound_file_whose_numbers_are_none_says_so(
    dtype: torch.dtype, ending: str, value: float, models: Models, tmp_path: Path
) -> None:
    tensors = {part: torch.zeros(shape, dtype=dtype) for part, shape in PARTS.items()}
    tensors[f"{LAYER}.lora_up.weight"][3, 1] = value
    path = tmp_path / f"spoiled.{ending}"
    if ending == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=ending == "pt")

    found = inspected(models, path)

    assert found.error is None
    assert found.family == "lora"
    assert "A sound file, but 1 of 2 tensors hold not-a-number" in found.verdict
    assert f"{LAYER}.lora_up.weight" in found.verdict
    assert found.hint


def test_large_and_small_numbers_are_numbers(models: Models, tmp_path: Path) -> None:
    edge = torch.finfo(torch.float16)
    ends = torch.tensor([[edge.max, edge.min, edge.tiny, -0.0]] * 4, dtype=torch.float16)
    path = tmp_path / "edges.safetensors"
    save_file({f"{LAYER}.lora_up.weight": ends, f"{LAYER}.lora_down.weight": ends.clone()}, path)

    assert inspected(models, path).verdict == "Kind: lora of the family lora."


# --------------------------------------------------------------------------- pictures


def test_previews_among_embeddings_are_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / "embeddings"
    shutil.copytree(ADD_ONS / "embeddings", folder)
    picture = Image.fromarray(np.full((16, 16, 3), 200, np.uint8))
    for name in ("tiny-emb-pt.png", "tiny-emb-st.preview.png", "lonely.webp"):
        picture.save(folder / name)
    models = inventory(load({}, environment={}, home=tmp_path)).models

    cards = models.add_ons(ModelKind.EMBEDDING)

    assert {card.record.path.suffix for card in cards} == {".bin", ".pt", ".safetensors"}
    assert all(card.problem is None for card in cards)
    told = models.inspect(folder / "lonely.webp")
    assert told.verdict == "A picture that carries no embedding."
