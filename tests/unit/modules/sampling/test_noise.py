"""Noise: A1111's bits from each source, and each picture's own whatever the batch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import torch
import torchsde
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.reference import ANSWERS, tensor
from webui.modules.sampling.noise import (
    BatchNoise,
    BrownianPath,
    PhiloxStream,
    TorchStream,
    philox,
    slerp,
    stream,
)
from webui.modules.types import NoiseRules

if TYPE_CHECKING:
    from webui.modules.types import NoiseSource

CPU: Final = torch.device("cpu")
SHAPE: Final = (4, 8, 8)


def rules_of(case: dict) -> NoiseRules:
    width, height = case.get("seed_resize_from_w", 0), case.get("seed_resize_from_h", 0)
    return NoiseRules(
        source=case["source"],
        variation=case.get("subseed_strength", 0.0),
        resize_from=(width, height),
        seed_delta=case["ensd"],
    )


@pytest.mark.parametrize("case", ANSWERS["rng"], ids=lambda case: case["key"])
def test_noise_is_a1111s_bit_for_bit(case: dict) -> None:
    """The first noise was asked for twice, as hires fix does; a mix of two noises may round."""
    seeds = case["seeds"]
    shape: tuple[int, int, int] = tuple(case["shape"])
    noise = BatchNoise(rules_of(case), seeds, case.get("subseeds", seeds), shape, CPU)
    again, following = tensor(f"{case['key']}_next")
    rounding = 1e-6 if noise_is_mixed(case) else 0.0

    for found, expected in (
        (noise.first(), tensor(f"{case['key']}_first")),
        (noise.first(), again),
        (noise.next(), following),
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=rounding)


def noise_is_mixed(case: dict) -> bool:
    return case.get("subseed_strength", 0.0) > 0


def test_software_philox_is_cudas() -> None:
    """Both arrays were printed by ``torch.randn`` on a graphics card."""
    assert torch.equal(PhiloxStream(0).normal((20,)), tensor("philox_seed0_20"))
    assert torch.equal(PhiloxStream(123).normal((2, 3)), tensor("philox_seed123_2x3"))


def test_philox_gives_the_papers_known_answers() -> None:
    """Salmon et al. 2011, the known-answer tests of Random123 for philox4x32 with ten rounds."""
    ones = 0xFFFFFFFF
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    counters = np.array([[0, ones, word] for word in pi], dtype=np.uint32)
    keys = [(0, 0), (ones, ones), (0xA4093822, 0x299F31D0)]
    answers = [
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ]
    for column, (key, answer) in enumerate(zip(keys, answers, strict=True)):
        words = philox(counters[:, column : column + 1], np.array(key, dtype=np.uint32))
        assert tuple(words[:, 0]) == answer


@given(
    source=st.sampled_from(["CPU", "NV"]),
    seed=st.integers(0, 2**40),
    count=st.integers(1, 5),
    variation=st.sampled_from([0.0, 0.3]),
)
def test_picture_k_of_a_batch_has_the_noise_of_its_own_seed(
    source: NoiseSource, seed: int, count: int, variation: float
) -> None:
    rules = NoiseRules(source=source, variation=variation)
    seeds = range(seed, seed + count)
    batch = BatchNoise(rules, seeds, seeds, SHAPE, CPU)
    first, following = batch.first(), batch.next()

    for place, own in enumerate(seeds):
        single = BatchNoise(rules, [own], [own], SHAPE, CPU)
        assert torch.equal(single.first()[0], first[place])
        assert torch.equal(single.next()[0], following[place])


@given(st.integers(0, 2**62), st.sampled_from(["CPU", "NV"]))
def test_a_seed_always_gives_the_same_and_another_seed_another(
    seed: int, source: NoiseSource
) -> None:
    once, again, other = (stream(source, number, CPU) for number in (seed, seed, seed + 1))

    drawn = once.normal(SHAPE)

    assert torch.equal(drawn, again.normal(SHAPE))
    assert not torch.equal(drawn, other.normal(SHAPE))
    assert not torch.equal(drawn, once.normal(SHAPE))


@given(st.integers(0, 2**31), st.floats(0.01, 0.99))
def test_a_variation_lies_between_two_noises_and_is_as_long(seed: int, share: float) -> None:
    low, high = (TorchStream(number, CPU).normal(SHAPE) for number in (seed, seed + 1))

    between = slerp(share, low, high)

    assert torch.allclose(slerp(0.0, low, high), low, atol=1e-5)
    assert torch.allclose(slerp(1.0, low, high), high, atol=1e-5)
    assert 0.7 < float(between.std()) < 1.3


# ----------------------------------------------------------------------------- Brownian paths

LOW, HIGH = 0.03, 14.6
LEVELS = st.floats(LOW, HIGH).map(lambda level: round(level, 5))


def path(seed: int) -> BrownianPath:
    return BrownianPath(seed, LOW, HIGH, (2, 3), lambda number: TorchStream(number, CPU))


@given(seed=st.integers(0, 2**32), levels=st.lists(LEVELS, min_size=3, max_size=6, unique=True))
def test_a_path_is_the_same_in_whatever_order_it_is_asked(seed: int, levels: list[float]) -> None:
    asked, other = path(seed), path(seed)
    pairs = [(min(pair), max(pair)) for pair in pairwise(levels)]

    there = [asked.increment(*pair) for pair in pairs]
    back = [other.increment(*pair) for pair in reversed(pairs)]

    for one, same in zip(there, reversed(back), strict=True):
        torch.testing.assert_close(one, same, rtol=0, atol=1e-6)


@given(seed=st.integers(0, 2**32), levels=st.lists(LEVELS, min_size=3, max_size=3, unique=True))
def test_ways_add_up(seed: int, levels: list[float]) -> None:
    start, middle, end = sorted(levels)
    walked = path(seed)

    whole = walked.increment(start, end)
    halves = walked.increment(start, middle) + walked.increment(middle, end)

    torch.testing.assert_close(whole, halves, rtol=0, atol=1e-5)


@given(seed=st.integers(0, 2**32), levels=st.lists(LEVELS, min_size=2, max_size=2, unique=True))
def test_a_path_is_that_of_torchsde(seed: int, levels: list[float]) -> None:
    """A1111 draws the noise of its SDE samplers with this library."""
    start, end = sorted(levels)
    theirs = torchsde.BrownianTree(t0=LOW, t1=HIGH, w0=torch.zeros(2, 3), entropy=seed)

    expected = theirs(start, end)

    torch.testing.assert_close(path(seed).increment(start, end), expected, rtol=0, atol=1e-5)


def test_brownian_noise_has_standard_deviation_one() -> None:
    noise = BatchNoise(NoiseRules(), [1, 2], [1, 2], (4, 32, 32), CPU).brownian(LOW, HIGH)

    falling = noise(torch.tensor(5.0), torch.tensor(3.0))
    rising = noise(torch.tensor(3.0), torch.tensor(5.0))

    assert float(falling.std()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(falling, -rising)
