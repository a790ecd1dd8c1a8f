"""The same requests for hires fix, sent to A1111 and to us, end in the same pictures and texts."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from tests.golden.test_pictures import plan_of
from tests.tiny import add_to, furnish
from webui.app import Inventory, inventory
from webui.library import infotext
from webui.modules.pipeline.engine import Engine
from webui.modules.types import Step
from webui.settings import load

HERE: Final = Path(__file__).parent
CASES: Final[list[dict[str, Any]]] = json.loads((HERE / "hires.json").read_text("utf-8"))["cases"]

TOLERANCE: Final = 1
"""Of 255; one thread or two make as much of a difference in A1111 itself."""

ROUNDED_TWICE: Final = {"hires-resize": 3}
"""How many values may be two apart. Enlarged as pixels, the small picture is cut off to 8 bits
half-way, so that the last bit of a sum in the first pass is a whole step for the second; with
A1111's own small latents put in, the second pass ends within 5e-5 of its latents."""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home = add_to(furnish(tmp_path_factory.mktemp("hires")))
    return inventory(load({}, environment={}, home=home))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_picture_is_a1111s(case: dict[str, Any], stock: Inventory, engine: Engine) -> None:
    plan = plan_of(case, stock)
    steps: list[Step] = []

    drawn = list(engine.draw(plan, steps.append))

    assert [infotext.write(plan, picture.index, version="1.10.1") for picture in drawn] == case[
        "infotexts"
    ]
    assert steps[-1].number == steps[-1].total
    for picture in drawn:
        expected = Image.open(HERE / "pictures" / f"{case['id']}-{picture.index}.png")
        theirs = np.asarray(expected.convert("RGB")).astype(int)
        assert (picture.height, picture.width) == theirs.shape[:2]
        assert plan.hires is not None
        assert plan.hires.width == picture.width
        apart = np.abs(np.frombuffer(picture.rgb, np.uint8).reshape(theirs.shape) - theirs)
        further = int((apart > TOLERANCE).sum())
        assert further <= ROUNDED_TWICE.get(case["id"], 0)
        assert apart.max() <= TOLERANCE + 1
