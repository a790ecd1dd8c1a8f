"""A plan that exists can be drawn: it checks itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import plan_of
from webui.modules.errors import RangeError, SizeError
from webui.modules.types import ModelKind, ModelRecord, SamplingPlan


@given(st.integers(-100, 4096), st.sampled_from(["width", "height"]))
def test_sides_are_positive_multiples_of_eight(pixels: int, side: str) -> None:
    if pixels > 0 and pixels % 8 == 0:
        assert getattr(plan_of(**{side: pixels}), side) == pixels
    else:
        with pytest.raises(SizeError, match=f"{side} is {pixels} pixels"):
            plan_of(**{side: pixels})


@pytest.mark.parametrize(
    "changes",
    [
        {"prompts": ("a", "b")},
        {"negative_prompts": ()},
        {"seeds": (1, 2)},
        {"variation_seeds": ()},
        {"batch_size": 0},
        {"prompts": (), "negative_prompts": (), "seeds": (), "variation_seeds": ()},
    ],
    ids=str,
)
def test_every_picture_has_its_texts_and_seeds(changes: dict) -> None:
    with pytest.raises(RangeError):
        plan_of(**changes)


@pytest.mark.parametrize("steps", [0, -1])
def test_there_is_at_least_one_step(steps: int) -> None:
    with pytest.raises(RangeError, match=f"steps is {steps}"):
        SamplingPlan(sampler="Euler", scheduler="karras", steps=steps, guidance=7.0)


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        plan_of().width = 8  # pyright: ignore[reportAttributeAccessIssue] - it is frozen, and that is the test


def test_a_model_is_called_as_in_a1111() -> None:
    record = ModelRecord(path=Path("a"), kind=ModelKind.CHECKPOINT, name="art/cat.v2.safetensors")
    hashed = ModelRecord(
        path=Path("a"), kind=record.kind, name=record.name, sha256="0123456789abcdef"
    )

    assert (record.stem, record.title) == ("cat.v2", "art/cat.v2.safetensors")
    assert hashed.title == "art/cat.v2.safetensors [0123456789]"
