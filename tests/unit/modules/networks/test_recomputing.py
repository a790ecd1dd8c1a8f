"""Attention that forgets answers and learns as torch's own does."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from webui.modules.networks import recomputing
from webui.modules.networks.attention import sdpa
from webui.modules.networks.recomputing import forgetting, recomputed

CLOSE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
"""How far a result may be from the one in 64 bits, as a share of the largest of all."""


def inputs(
    batch: int, heads: int, tokens: int, keys: int, width: int, dtype: torch.dtype
) -> list[Tensor]:
    generator = torch.Generator().manual_seed(tokens * 1000 + keys)
    sizes = [(batch, heads, count, width) for count in (tokens, keys, keys, tokens)]
    return [torch.randn(size, generator=generator).to(dtype) for size in sizes]


def with_gradients(function: Callable[..., Tensor], parts: list[Tensor]) -> list[Tensor]:
    """Return the output, and the gradients of queries, keys and values."""
    *leaves, change = parts
    leaves = [each.detach().requires_grad_() for each in leaves]
    output = function(*leaves)
    return [output.detach(), *torch.autograd.grad(output, leaves, change)]


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    heads=st.integers(1, 3),
    tokens=st.integers(1, 600),
    keys=st.integers(1, 1100),
    width=st.sampled_from([1, 5, 40]),
    dtype=st.sampled_from(list(CLOSE)),
)
def test_it_equals_torchs_attention_and_its_gradients(
    batch: int, heads: int, tokens: int, keys: int, width: int, dtype: torch.dtype
) -> None:
    parts = inputs(batch, heads, tokens, keys, width, dtype)

    ours = with_gradients(recomputed, parts)
    exact = with_gradients(sdpa, [each.double() for each in parts])

    # A single key takes all attention: what scores learn is then zero, or rounding alone.
    largest = max(1.0, *(float(each.abs().max()) for each in exact))
    for mine, true in zip(ours, exact, strict=True):
        assert mine.dtype == dtype
        assert float((mine.double() - true).abs().max()) <= CLOSE[dtype] * largest


def test_scores_too_large_for_an_exponential_do_no_harm() -> None:
    parts = [each * 40 for each in inputs(1, 2, 300, 700, 8, torch.float32)]

    ours, exact = (with_gradients(each, parts) for each in (recomputed, sdpa))

    for mine, true in zip(ours, exact, strict=True):
        assert bool(mine.isfinite().all())
        torch.testing.assert_close(mine, true, rtol=1e-3, atol=1e-3 * float(true.abs().max()))


def test_the_same_twice_is_the_same_to_the_bit_on_one_thread() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = inputs(2, 3, 520, 530, 8, torch.float32)
        first, second = (with_gradients(recomputed, parts) for _ in range(2))
    finally:
        torch.set_num_threads(threads)

    assert all(map(torch.equal, first, second))


def test_it_is_used_only_where_something_large_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputing, "LARGE", 100)
    asked: list[int] = []

    def usual(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        asked.append(query.shape[2] * key.shape[2])
        return sdpa(query, key, value)

    attention = forgetting(usual)
    large, small = inputs(1, 1, 10, 10, 4, torch.float32), inputs(1, 1, 3, 3, 4, torch.float32)

    attention(*large[:3])  # nothing is learned
    with_gradients(attention, small)
    with_gradients(attention, large)

    assert asked == [100, 9]
