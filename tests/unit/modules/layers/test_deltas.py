"""Every method of the LoRA family gives what its own library gives.

``lycoris.safetensors`` holds small layers, the parts that LyCORIS 4.1.3 made for them, and what its
forward then answers in float32.
"""

from pathlib import Path
from typing import Final

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from webui.modules.errors import ModelFileError
from webui.modules.layers.deltas import delta

ANSWERS: Final = load_file(Path(__file__).with_name("lycoris.safetensors"))
CASES: Final = sorted({name.split("|")[0] for name in ANSWERS})
PART: Final = "|part|"


def parts_of(case: str) -> dict[str, Tensor]:
    begin = case + PART
    return {
        name.removeprefix(begin): part for name, part in ANSWERS.items() if name.startswith(begin)
    }


@pytest.mark.parametrize("case", CASES)
def test_the_change_is_that_of_the_library(case: str) -> None:
    weight, bias, given, answer = (
        ANSWERS[f"{case}|{what}"] for what in ("weight", "bias", "input", "output")
    )

    change = delta(parts_of(case), weight, strength=1.0)

    assert change.weight is not None
    changed = weight + change.weight
    bias = bias if change.bias is None else bias + change.bias
    if weight.dim() == 2:
        ours = functional.linear(given, changed, bias)
    else:
        ours = functional.conv2d(given, changed, bias, padding=weight.shape[-1] // 2)
    assert float((ours - answer).abs().max() / answer.abs().max()) <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_the_change_grows_with_the_strength(case: str) -> None:
    weight, parts = ANSWERS[f"{case}|weight"], parts_of(case)

    whole, half = (delta(parts, weight, strength=strength).weight for strength in (1.0, 0.5))

    assert whole is not None
    assert half is not None
    assert torch.allclose(whole / 2, half, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_parts_of_another_layer_are_refused(case: str) -> None:
    weight = torch.zeros(7, 5)

    with pytest.raises(ModelFileError, match="does not fit"):
        delta(parts_of(case), weight, strength=1.0)


def test_unknown_parts_are_named() -> None:
    with pytest.raises(ModelFileError, match="no_such_part"):
        delta({"no_such_part": torch.zeros(1)}, torch.zeros(2, 2), strength=1.0)
