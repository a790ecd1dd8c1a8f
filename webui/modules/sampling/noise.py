"""Random numbers: one stream per picture, the same whatever the batch, from three kinds of source.

"CPU" is torch's own generator, "GPU" the graphics card's, and "NV" computes in software what CUDA's
generator gives (Philox, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from webui.modules.types import PIXELS_PER_LATENT, NoiseRules, NoiseSource


class Stream(Protocol):
    """One picture's endless supply of normal random numbers."""

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return the next numbers, float32 on the CPU."""
        ...


class TorchStream:
    """Torch's generator of a device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)
        self._device = device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return the next numbers, float32 on the CPU."""
        return torch.randn(tuple(shape), generator=self._generator, device=self._device).cpu()


class PhiloxStream:
    """CUDA's generator in software: each call is one kernel launch with its own offset."""

    def __init__(self, seed: int) -> None:
        self._key = np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], dtype=np.uint32)
        self._offset = 0

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return the next numbers, float32 on the CPU."""
        count = math.prod(shape)
        counter = np.zeros((4, count), dtype=np.uint32)
        counter[0] = self._offset
        counter[2] = np.arange(count, dtype=np.uint32)
        self._offset += 1
        first, second, _, _ = philox(counter, self._key)
        return torch.tensor(_box_muller(first, second)).reshape(tuple(shape))


_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL: Final = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint32)
_ROUNDS: Final = 10
_HALF: Final = np.uint64(32)


def philox(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Scramble counters with ten rounds of Philox 4x32.

    Args:
        counter: ``[4, count]`` of 32-bit words.
        key: Two 32-bit words.

    Returns:
        ``[4, count]`` of 32-bit words that look random.
    """
    words = counter.astype(np.uint32)
    for number in range(_ROUNDS):
        bump = (key.astype(np.uint64) + np.uint64(number) * _WEYL.astype(np.uint64)).astype(
            np.uint32
        )
        low = words[0].astype(np.uint64) * _MULTIPLIERS[0]
        high = words[2].astype(np.uint64) * _MULTIPLIERS[1]
        words = np.stack(
            [
                (high >> _HALF).astype(np.uint32) ^ words[1] ^ bump[0],
                high.astype(np.uint32),
                (low >> _HALF).astype(np.uint32) ^ words[3] ^ bump[1],
                low.astype(np.uint32),
            ]
        )
    return words


_UNIT: Final = float(np.float32(2.3283064e-10))
_UNIT_TURN: Final = float(np.float32(2.3283064e-10 * 6.2831855))
"""CUDA's constants, 2 to the -32 and that times two pi, as it rounds them to 32 bits."""


def _box_muller(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Turn two words into one normal number."""
    radius = np.sqrt(-2.0 * np.log(first * _UNIT + _UNIT / 2))
    return (radius * np.sin(second * _UNIT_TURN + _UNIT_TURN / 2)).astype(np.float32)


def stream(source: NoiseSource, seed: int, device: torch.device) -> Stream:
    """Return the stream of this seed; "GPU" on a device without a generator is the CPU's."""
    if source == "NV":
        return PhiloxStream(seed)
    on_card = source == "GPU" and device.type == "cuda"
    return TorchStream(seed, device if on_card else torch.device("cpu"))


class BatchNoise:
    """The noise of a batch of pictures, each from its own seed."""

    def __init__(
        self,
        rules: NoiseRules,
        seeds: Sequence[int],
        variation_seeds: Sequence[int],
        shape: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        self._rules = rules
        self._seeds = seeds
        self._variation_seeds = variation_seeds
        self._shape = shape
        self._device = device
        self._streams = [self._stream(seed) for seed in seeds]

    def _stream(self, seed: int) -> Stream:
        return stream(self._rules.source, seed, self._device)

    def first(self) -> Tensor:
        """Return the noise that the pictures begin with, ``[batch, 4, height, width]``."""
        noise = torch.stack([self._first_of(place) for place in range(len(self._seeds))])
        if delta := self._rules.seed_delta:
            self._streams = [self._stream(seed + delta) for seed in self._seeds]
        return noise.to(self._device)

    def next(self) -> Tensor:
        """Return fresh noise of the same shape."""
        return torch.stack([each.normal(self._shape) for each in self._streams]).to(self._device)

    def _first_of(self, place: int) -> Tensor:
        """Mix in the variation seed's noise, and keep that of another size if asked."""
        channels = self._shape[0]
        other_width, other_height = (side // PIXELS_PER_LATENT for side in self._rules.resize_from)
        resized = other_width > 0 and other_height > 0
        other = (channels, other_height, other_width)
        wanted = other if resized else self._shape
        whole = wanted == self._shape
        begin = self._streams[place] if whole else self._stream(self._seeds[place])
        noise = begin.normal(wanted)
        if self._rules.variation:
            varied = self._stream(self._variation_seeds[place]).normal(wanted)
            noise = slerp(self._rules.variation, noise, varied)
        if whole:
            return noise
        return _paste(noise, onto=self._streams[place].normal(self._shape))

    def brownian(self, low: float, high: float) -> "Brownian":
        """Return Brownian noise between two sigmas, one path per picture."""
        paths = [BrownianPath(seed, low, high, self._shape, self._stream) for seed in self._seeds]
        return Brownian(paths, self._device)


def _paste(noise: Tensor, *, onto: Tensor) -> Tensor:
    """Put the smaller noise into the middle of the larger, or cut out its middle."""
    result = onto.clone()
    places: list[tuple[slice, slice]] = []
    for target, source in zip(onto.shape[1:], noise.shape[1:], strict=True):
        shift = (target - source) // 2
        size = source if shift >= 0 else source + 2 * shift
        at, start = max(shift, 0), max(-shift, 0)
        places.append((slice(at, at + size), slice(start, start + size)))
    (rows, from_rows), (columns, from_columns) = places
    result[:, rows, columns] = noise[:, from_rows, from_columns]
    return result


NEARLY_EQUAL: Final = 0.9995
"""Mean cosine above which two noises are blended in a straight line."""


def slerp(share: float, low: Tensor, high: Tensor) -> Tensor:
    """Turn ``low`` towards ``high`` on the sphere; lengths are taken along the second axis.

    Above a cosine of 0.9995 A1111 blends linearly with the shares exchanged, and so do we.
    """
    low_unit = low / low.pow(2).sum(1, keepdim=True).sqrt()
    high_unit = high / high.pow(2).sum(1, keepdim=True).sqrt()
    cosine = (low_unit * high_unit).sum(1)
    if cosine.mean() > NEARLY_EQUAL:
        return low * share + high * (1 - share)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    low_part = (torch.sin((1.0 - share) * angle) / sine).unsqueeze(1) * low
    return low_part + (torch.sin(share * angle) / sine).unsqueeze(1) * high


_DIGITS: Final = 6
"""Times are rounded so; the tree ends where two times are equal."""

_POOL: Final = 24


class BrownianPath:
    """A Brownian motion that is the same however it is asked.

    The midpoint of each interval is drawn from a seed of its own, so that any point of the path
    follows from the seed alone. It is the tree of torchsde 0.2.6 (Li et al. 2020, arXiv:2001.01328,
    section 4), whose numbers A1111's SDE samplers draw.
    """

    def __init__(
        self,
        seed: int,
        start: float,
        end: float,
        shape: Sequence[int],
        streams: Callable[[int], Stream],
    ) -> None:
        self._seed = seed
        self._start, self._end = round(start, _DIGITS), round(end, _DIGITS)
        self._shape = shape
        self._streams = streams
        root = np.random.SeedSequence(entropy=seed, pool_size=_POOL)
        self._whole = self._normal(int(root.generate_state(3)[0])) * math.sqrt(end - start)
        self._known: dict[float, Tensor] = {}

    def increment(self, start: float, end: float) -> Tensor:
        """Return how far the motion goes from one time to a later one, float32."""
        begin, finish = self._at(start), self._at(end)
        self._known = {round(start, _DIGITS): begin, round(end, _DIGITS): finish}
        return (finish - begin).to(torch.float32)

    def _at(self, time: float) -> Tensor:
        """Walk down the tree of midpoints to ``time``; float64."""
        time = min(max(round(time, _DIGITS), self._start), self._end)
        if time in self._known:
            return self._known[time]
        start, end, key, depth = self._start, self._end, 0, 0
        passed, within = torch.zeros_like(self._whole), self._whole
        while start < time < end:
            middle = round(0.5 * (start + end), _DIGITS)
            left = self._left(within, (middle - start, end - middle), (key, depth))
            if time < middle:
                end, within, key = middle, left, 2 * key
            else:
                start, passed, within, key = middle, passed + left, within - left, 2 * key + 1
            depth += 1
        return passed + within if time >= end else passed

    def _left(self, within: Tensor, widths: tuple[float, float], place: tuple[int, int]) -> Tensor:
        """Draw the motion over the left half, given the motion over both (a Brownian bridge)."""
        left, right = widths
        seeds = np.random.SeedSequence(entropy=self._seed, spawn_key=place, pool_size=_POOL)
        noise = self._normal(int(seeds.generate_state(4)[0]))
        return left * within / (left + right) + math.sqrt(left * right / (left + right)) * noise

    def _normal(self, seed: int) -> Tensor:
        return self._streams(seed).normal(self._shape).to(torch.float64)


class Brownian:
    """Brownian noise for a batch, scaled to standard deviation 1 over any interval."""

    def __init__(self, paths: Sequence[BrownianPath], device: torch.device) -> None:
        self._paths = paths
        self._device = device

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Return the noise between two levels; falling levels give it with the sign turned."""
        here, there = float(sigma), float(sigma_next)
        low, high, sign = (here, there, 1) if here < there else (there, here, -1)
        moved = torch.stack([path.increment(low, high) for path in self._paths])
        scaled = sign * moved / (sigma_next - sigma).abs().sqrt().cpu()
        return scaled.to(self._device)
