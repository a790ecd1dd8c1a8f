"""An embedding in a picture is called by the name in its data, whatever the file is called."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny import NAME, furnish
from webui.app import Inventory, inventory
from webui.modules.layers.stack import Wardrobe
from webui.modules.pipeline.engine import Engine
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.embedding_card import EmbeddingCard, card_picture
from webui.services.embeddings import sorted_embeddings
from webui.services.requests import GenerationRequest
from webui.services.resolve import resolve
from webui.settings import load

VECTORS = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home = furnish(tmp_path_factory.mktemp("home"))
    (home / "embeddings").mkdir()
    content = card_picture(
        EmbeddingCard(name="zorblax", terms={"*": VECTORS}), Image.new("RGB", (64, 64))
    )
    for name in ("download (3).png", "zorblax.preview.png"):
        Path(home / "embeddings" / name).write_bytes(content)
    return inventory(load({}, environment={}, home=home))


def test_the_prompt_calls_it_by_the_name_in_the_data(
    stock: Inventory, engine: Engine, tiny: ModelRecord
) -> None:
    request = replace(GenerationRequest(seed=5, prompt="a zorblax on a hill"))
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    plan = resolve(request, options=stock.options.current(), house=stock.house, random=chance)

    (use,) = plan.layers
    checkpoint = engine.load(tiny)
    with Wardrobe().laid_on(checkpoint, [use], engine.device) as laid:
        rows = checkpoint.text.get_input_embeddings()(torch.tensor([[49408, 49409]]))[0]
        assert laid.notes == ()
        assert laid.words.named_in("a zorblax on a hill") == ["zorblax"]

    assert use.name == "zorblax"
    assert torch.allclose(rows, torch.from_numpy(VECTORS), atol=1e-6)


def test_it_is_listed_once_by_that_name(stock: Inventory) -> None:
    loaded, skipped = sorted_embeddings(stock.models, NAME)

    assert list(loaded) == ["zorblax"]
    assert (loaded["zorblax"]["shape"], loaded["zorblax"]["vectors"]) == (64, 2)
    assert skipped == {}
    assert [card.word for card in stock.models.add_ons(ModelKind.EMBEDDING)] == ["zorblax"]
