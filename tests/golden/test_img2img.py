"""The same pictures and masks, sent to A1111 and to us, end in the same pictures."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import pytest
from PIL import Image

from tests.golden.test_pictures import TOLERANCE, furthest
from webui.api.a1111 import picture_request_of
from webui.api.schemas import Img2ImgBody
from webui.app import Inventory, inventory
from webui.library import infotext
from webui.library.inputs import Inputs
from webui.modules.pipeline.engine import Engine
from webui.modules.types import GenerationPlan
from webui.services.resolve import resolve
from webui.settings import load

HERE: Final = Path(__file__).parent
CASES: Final[list[dict[str, Any]]] = json.loads((HERE / "img2img.json").read_text("utf-8"))["cases"]

SENSITIVE: Final = {"img2img-colorcorr": 6}
"""One level of this picture's histogram falls on exactly 197.0, where a single pixel decides to
which side all 121 of its pixels go. The rule itself gives equal pixels for equal input.
"""

LEFT_BEHIND: Final = {"inpaint-no-overlay": (1001,)}
"""A1111 encodes with whatever its random generator was left with by the job before, usually the
last seed. Here it is the job's own first seed, which is the same in all cases but this: the job
before ended with seed 1001.
"""

WE_ALSO_SAY: Final = {
    "img2img-resize-1": "Resize mode: Crop and resize, ",
    "img2img-resize-3": "Resize mode: Just resize (latent upscale), ",
    "img2img-fixsteps": "All steps: True, ",
    "img2img-colorcorr": "Color correction: True, ",
    "inpaint-no-overlay": "Overlay: False, ",
}
"""What changes the picture and what A1111 leaves out of the text."""


@pytest.fixture(scope="module")
def stock(tiny_home: Path) -> Inventory:
    return inventory(load({}, environment={}, home=tiny_home))


def plan_of(case: dict[str, Any], stock: Inventory, folder: Path) -> GenerationPlan:
    """Settle a request as the route would, with the files of ``inputs`` put in."""
    body = dict(case["request"])
    body["init_images"] = [encoded(name) for name in body["init_images"]]
    if "mask" in body:
        body["mask"] = encoded(body["mask"])
    request = picture_request_of(Img2ImgBody(**body), Inputs(folder))
    options = stock.options.current()
    return resolve(request, options=options, house=stock.house, random=SystemRandom())


def encoded(name: str) -> str:
    return base64.b64encode((HERE / "inputs" / name.removeprefix("@")).read_bytes()).decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_picture_is_a1111s(
    case: dict[str, Any], stock: Inventory, engine: Engine, tmp_path: Path
) -> None:
    plan = plan_of(case, stock, tmp_path)
    assert plan.start is not None
    left = LEFT_BEHIND.get(case["id"], ())

    drawn = list(engine.draw(replace(plan, start=replace(plan.start, first_seeds=left)), _watch))

    assert len(drawn) == len(case["infotexts"])
    for picture in drawn:
        expected = Image.open(HERE / "pictures" / f"{case['id']}-{picture.index}.png")
        assert (picture.width, picture.height) == expected.size
        assert furthest(picture, expected) <= SENSITIVE.get(case["id"], TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_text_is_a1111s(case: dict[str, Any], stock: Inventory, tmp_path: Path) -> None:
    plan = plan_of(case, stock, tmp_path)

    for index, expected in enumerate(case["infotexts"]):
        written = infotext.write(plan, index, version="1.10.1")
        assert written.replace(WE_ALSO_SAY.get(case["id"], "\0"), "") == expected


def _watch(_step: object) -> None:
    """Let the drawing go on."""
