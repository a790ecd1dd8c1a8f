"""Add-ons act here as they act in A1111: LoRA files, hypernetworks, embeddings and VAE files."""

import json
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import pytest
from PIL import Image

from tests.golden.test_pictures import HERE, TOLERANCE, furthest
from tests.tiny import add_to, furnish
from webui.api.a1111 import request_of
from webui.api.schemas import Txt2ImgBody
from webui.app import Inventory, inventory
from webui.library import infotext
from webui.modules.pipeline.engine import Engine
from webui.services.resolve import resolve
from webui.settings import load

CASES: Final[list[dict[str, Any]]] = [
    case
    for case in json.loads((HERE / "add_ons.json").read_text("utf-8"))["cases"]
    if case["endpoint"].endswith("txt2img")
]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home: Path = add_to(furnish(tmp_path_factory.mktemp("dressed")))
    return inventory(load({}, environment={}, home=home))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_picture_is_a1111s(case: dict[str, Any], stock: Inventory, engine: Engine) -> None:
    request = request_of(Txt2ImgBody(**case["request"]))
    options = stock.options.current()
    plan = resolve(request, options=options, house=stock.house, random=SystemRandom())

    drawn = list(engine.draw(plan, lambda _: None))

    assert len(drawn) == len(case["infotexts"])
    for picture in drawn:
        assert picture.notes == ()
        expected = Image.open(HERE / "pictures" / f"{case['id']}-{picture.index}.png")
        assert furthest(picture, expected) <= TOLERANCE
        text = infotext.write(plan, picture.index, version="1.10.1")
        assert text == case["infotexts"][picture.index]
