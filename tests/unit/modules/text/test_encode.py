"""What cross-attention reads is what A1111 computes, to a ten-thousandth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from tests.golden.reference import ANSWERS, tensor
from webui.modules.networks.predict import TextPredictor
from webui.modules.text.encode import TextEncoder, emphasise
from webui.modules.text.prompt import Clock
from webui.modules.types import TextRules

if TYPE_CHECKING:
    from webui.modules.pipeline.engine import Engine
    from webui.modules.types import Emphasis, ModelRecord

TOLERANCE = 1e-4
"""Largest difference of any number; the numbers themselves are about 1."""


@pytest.fixture
def layer(engine: Engine, tiny: ModelRecord) -> TextPredictor:
    return TextPredictor(engine.load(tiny), engine.device)


@pytest.mark.parametrize("case", ANSWERS["conds"], ids=lambda case: case["key"])
def test_encoded_texts_are_a1111s(case: dict, layer: TextPredictor) -> None:
    rules = TextRules(clip_skip=case["clip_skip"], emphasis=case["emphasis"])

    found = TextEncoder(layer, rules).encode([case["text"]])

    torch.testing.assert_close(found, tensor(case["key"]), rtol=0, atol=TOLERANCE)


def test_a_shorter_text_is_filled_up_with_empty_chunks(layer: TextPredictor) -> None:
    encoder = TextEncoder(layer, TextRules(emphasis="No norm"))

    both = encoder.encode(["a cat", "a cat BREAK a dog"])

    torch.testing.assert_close(both[0, :77], encoder.encode(["a cat"])[0])
    torch.testing.assert_close(both[0, 77:], encoder.encode([""])[0])


def test_a_batch_is_told_each_picture_its_own_text(layer: TextPredictor) -> None:
    encoder = TextEncoder(layer, TextRules())

    told = encoder.condition(["a cat", "a dog AND fog:0.5"], ["", "blur"], Clock(steps=4))

    assert [len(picture.parts) for picture in told.wanted] == [1, 2]
    assert told.wanted[1].weights == (1.0, 0.5)
    assert torch.equal(told.unwanted[0].at(0), told.empty)
    assert torch.equal(told.wanted[0].parts[0].at(3), encoder.encode(["a cat"])[0])


@pytest.mark.parametrize("emphasis", ["Ignore", "None"])
def test_emphasis_can_be_turned_off(emphasis: Emphasis) -> None:
    states = torch.randn(1, 77, 8, generator=torch.Generator().manual_seed(1))

    assert torch.equal(emphasise(states, torch.full((1, 77), 3.0), emphasis), states)


def test_emphasis_keeps_the_mean_unless_told_not_to() -> None:
    states = torch.rand(1, 77, 8, generator=torch.Generator().manual_seed(1)) + 1
    weights = torch.ones(1, 77).index_fill(1, torch.arange(5), 1.5)

    assert emphasise(states, weights, "Original").mean() == pytest.approx(float(states.mean()))
    assert emphasise(states, weights, "No norm").mean() > states.mean()
