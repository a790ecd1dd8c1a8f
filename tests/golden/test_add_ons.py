"""Add-ons act here as they act in A1111: LoRA files, hypernetworks, embeddings and VAE files."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from tests.golden.test_img2img import plan_of as pictured_plan_of
from tests.golden.test_pictures import HERE, TOLERANCE, furthest, plan_of
from tests.tiny import add_to, furnish
from webui.app import Inventory, inventory
from webui.library import infotext
from webui.modules.pipeline.engine import Engine
from webui.settings import load

CASES: Final[list[dict[str, Any]]] = json.loads((HERE / "add_ons.json").read_text("utf-8"))["cases"]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home: Path = add_to(furnish(tmp_path_factory.mktemp("dressed")))
    return inventory(load({}, environment={}, home=home))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_picture_is_a1111s(
    case: dict[str, Any], stock: Inventory, engine: Engine, tmp_path: Path
) -> None:
    pictured = case["endpoint"].endswith("img2img")
    plan = pictured_plan_of(case, stock, tmp_path) if pictured else plan_of(case, stock)

    drawn = list(engine.draw(plan, lambda _: None))

    assert len(drawn) == len(case["infotexts"])
    for picture in drawn:
        assert picture.notes == ()
        expected = Image.open(HERE / "pictures" / f"{case['id']}-{picture.index}.png")
        assert furthest(picture, expected) <= TOLERANCE
        text = infotext.write(plan, picture.index, version="1.10.1")
        assert text == case["infotexts"][picture.index]
