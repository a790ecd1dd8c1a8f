"""The same requests, sent to A1111 and to us, end in the same infotext."""

import json
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import pytest

from tests.tiny import furnish
from webui.api.a1111 import request_of
from webui.api.schemas import Txt2ImgBody
from webui.app import Inventory, inventory
from webui.library import infotext
from webui.services.resolve import resolve
from webui.settings import load

GOLDEN: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "golden" / "infotexts.json").read_text(encoding="utf-8")
)

RANDOM: Final = SystemRandom()

WE_ALSO_SAY: Final = {
    "churn-euler": "Sigma churn: 10.0, Sigma tmin: 0.1, Sigma tmax: 8.0, Sigma noise: 1.003, ",
    "churn-heun": "Sigma churn: 10.0, Sigma tmin: 0.1, Sigma tmax: 8.0, Sigma noise: 1.003, ",
    "unipc-vary_coeff": "UniPC variant: vary_coeff, ",
    "unipc-time_quadratic": "UniPC skip type: time_quadratic, ",
    "unipc-order2": "UniPC order: 2, ",
    "unipc-nolower": "UniPC lower order final: False, ",
    "old-karras": "Schedule min sigma: 0.1, Schedule max sigma: 10.0, ",
    "quantize": "Quantize sigmas: True, ",
}
"""What changes the picture and what A1111 leaves out of the text."""


NOT_WRITTEN: Final = {
    "old-scheduling": "a way of counting that changes nothing in its prompt",
    "prompt-newlines": "spaces at the beginning of a line",
    "snoise-euler-a": "a noise factor for a sampler that has none",
}
"""What reading a text cannot bring back, and need not."""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home = furnish(tmp_path_factory.mktemp("golden"))
    return inventory(load({}, environment={}, home=home))


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])
def test_the_text_is_a1111s(case: dict[str, Any], stock: Inventory) -> None:
    request = request_of(Txt2ImgBody(**case["request"]))
    options = stock.options.current()
    plan = resolve(request, options=options, house=stock.house, random=RANDOM)

    for index, expected in enumerate(case["infotexts"]):
        written = infotext.write(plan, index, version="1.10.1")
        assert written.replace(WE_ALSO_SAY.get(case["id"], "\0"), "") == expected


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])
def test_the_text_asks_for_the_same_plan_again(case: dict[str, Any], stock: Inventory) -> None:
    options = stock.options.current()
    request = request_of(Txt2ImgBody(**case["request"]))
    plan = resolve(request, options=options, house=stock.house, random=RANDOM)
    text = infotext.write(plan, 0, version="atelier")

    again = request_of(Txt2ImgBody(infotext=text))

    pasted = resolve(again, options=options, house=stock.house, random=RANDOM)
    if case["id"] not in NOT_WRITTEN:
        assert infotext.write(pasted, 0, version="atelier") == text
        assert (pasted.sampling, pasted.text) == (plan.sampling, plan.text)


@pytest.mark.parametrize(("text", "expected"), GOLDEN["parse"], ids=lambda part: str(part)[:30])
def test_texts_are_read_as_a1111_reads_them(text: str, expected: dict[str, Any]) -> None:
    assert infotext.parse(text) == expected


@pytest.mark.parametrize(("plain", "quoted"), GOLDEN["quote"])
def test_values_are_quoted_as_a1111_quotes_them(plain: str, quoted: str) -> None:
    assert infotext.quote(plain) == quoted
    assert infotext.unquote(quoted) == plain
