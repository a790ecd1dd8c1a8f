"""Merged tokens: the paper's authors' numbers, and what merging may never change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.modules.networks.reference import ENLARGING
from webui.modules.networks.token_merging import Merging, merged_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from webui.modules.pipeline.engine import Engine
    from webui.modules.types import ModelRecord


def tokens(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(2, rows * columns, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns", "ratio"), [(8, 8, 0.5), (7, 9, 0.3), (4, 6, 0.9)])
def test_tokens_are_merged_as_tomesd_does(rows: int, columns: int, ratio: float) -> None:
    merging = Merging.of(tokens(rows, columns, rows), ratio, rows=rows, columns=columns)

    found = merging.unmerge(merging.merge(tokens(rows, columns, columns)))

    expected = ENLARGING[f"tokens {rows}x{columns} {ratio}"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


@given(
    rows=st.integers(2, 9),
    columns=st.integers(2, 9),
    ratio=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
def test_shapes_come_back_and_what_is_kept_is_untouched(
    rows: int, columns: int, ratio: float, seed: int
) -> None:
    given_tokens = tokens(rows, columns, seed)
    merging = Merging.of(given_tokens, ratio, rows=rows, columns=columns)

    fewer = merging.merge(given_tokens)
    back = merging.unmerge(fewer)

    merged = min(int(rows * columns * ratio), rows * columns - len(merging.targets))
    assert fewer.shape == (2, rows * columns - merged, 8)
    assert back.shape == given_tokens.shape
    for picture in range(2):
        kept = merging.kept[picture]
        assert torch.equal(back[picture, kept], given_tokens[picture, kept])


@given(rows=st.integers(2, 9), columns=st.integers(2, 9), seed=st.integers(0, 99))
def test_nothing_merged_is_nothing_changed(rows: int, columns: int, seed: int) -> None:
    given_tokens = tokens(rows, columns, seed)
    merging = Merging.of(given_tokens, 0.0, rows=rows, columns=columns)

    assert torch.equal(merging.unmerge(merging.merge(given_tokens)), given_tokens)


def answer(engine: Engine, tiny: ModelRecord) -> Tensor:
    unet = engine.load(tiny).unet
    numbers = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 8, 8, generator=numbers)
    text = torch.randn(1, 77, unet.config["cross_attention_dim"], generator=numbers)
    with torch.inference_mode():
        return unet(latents, torch.tensor([500]), text, return_dict=False)[0]


def test_the_network_answers_with_merged_tokens_and_then_as_before(
    engine: Engine, tiny: ModelRecord
) -> None:
    unet = engine.load(tiny).unet
    before = answer(engine, tiny)

    with merged_tokens(unet, 0.5, rows=8, columns=8):
        merged = answer(engine, tiny)
        assert torch.equal(answer(engine, tiny), merged)

    assert not torch.equal(merged, before)
    assert (merged - before).abs().max() < before.abs().max()
    assert torch.equal(answer(engine, tiny), before)


def test_tokens_of_another_grid_are_left_alone(engine: Engine, tiny: ModelRecord) -> None:
    before = answer(engine, tiny)

    with merged_tokens(engine.load(tiny).unet, 0.5, rows=16, columns=16):
        assert torch.equal(answer(engine, tiny), before)
