"""Whether a file fits, and which checkpoint it would fit instead."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import ADD_ONS, NAME
from webui.library.index import ModelIndex
from webui.modules.types import ModelKind
from webui.services.browsing import Search
from webui.services.catalogue import Catalogue
from webui.services.models import Models, model_folders
from webui.settings import load

TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    """Give a data dir with the tiny checkpoint, one that reads wider words, and two embeddings."""
    shutil.copytree(tiny_home, tmp_path, dirs_exist_ok=True)
    checkpoints = tmp_path / "models" / "Stable-diffusion"
    tensors = load_file(checkpoints / NAME)
    tensors[TABLE] = torch.zeros(8, 77)
    save_file(tensors, checkpoints / "wide.safetensors")
    shutil.copy(checkpoints / "tiny-sd1.yaml", checkpoints / "wide.yaml")
    embeddings = tmp_path / "embeddings"
    embeddings.mkdir()
    shutil.copy(ADD_ONS / "embeddings" / "tiny-emb-st.safetensors", embeddings)
    save_file({"emb_params": torch.zeros(1, 5)}, embeddings / "odd.safetensors")
    return tmp_path


@pytest.fixture
def models(home: Path) -> Models:
    folders = load({}, environment={}, home=home).folders
    return Models(ModelIndex(folders.database, model_folders(folders)))


def test_the_cure_is_the_checkpoint_that_takes_all_of_it(models: Models, home: Path) -> None:
    path = home / "embeddings" / "tiny-emb-st.safetensors"

    fitting = models.inspect(path, checkpoint="tiny-sd1")
    unfit = models.inspect(path, checkpoint="wide")
    hopeless = models.inspect(home / "embeddings" / "odd.safetensors", checkpoint="wide")

    assert (fitting.applies, unfit.applies, hopeless.applies) == (1.0, 0.0, 0.0)
    assert "Choose a checkpoint that it fits: tiny-sd1." in unfit.hint
    assert "none of those here" in hopeless.hint


def test_only_what_fits_is_found(models: Models, home: Path) -> None:
    catalogue = Catalogue(load({}, environment={}, home=home), models)

    def found(base: str) -> list[str]:
        page = catalogue.search(Search(kind=ModelKind.EMBEDDING, fits=base, limit=10))
        return [card.record.stem for card in page.cards]

    assert found("tiny-sd1") == ["tiny-emb-st"]
    assert found("wide") == []
    card = catalogue.card(ModelKind.EMBEDDING, "tiny-emb-st.safetensors")
    assert catalogue.cures(card) == ["tiny-sd1"]
