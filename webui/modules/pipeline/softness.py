"""How soft inpainting finds out what really changed: A1111's built-in script of that name."""

from typing import Final

import numpy as np
from torch import Tensor

from webui.modules.sampling.blending import Kept
from webui.modules.types import SoftInpainting

REACH: Final = 2
"""Cells to each side that a cell is compared with."""

SPREAD: Final = 1.5
"""Of the bell curve by which neighbours count."""

_ALMOST_ONE: Final = 1.00001


def changed(kept: Kept, latents: Tensor, soft: SoftInpainting) -> list[np.ndarray]:
    """Return for each picture how much each cell has changed, ``[height, width]`` of 0 to 1.

    Args:
        kept: The original and its mask.
        latents: What was drawn, ``[batch, 4, height, width]``.
        soft: The script's settings.
    """
    distances = (latents - kept.original).square().sum(dim=1).sqrt().float().cpu().numpy()
    masks = kept.change[:, 0].float().clamp(0, 1).cpu().numpy()
    return [_share(distance, mask, soft) for distance, mask in zip(distances, masks, strict=True)]


def _share(distance: np.ndarray, mask: np.ndarray, soft: SoftInpainting) -> np.ndarray:
    smooth = weighted_middle(distance, 0.9, 1.0)
    smooth = weighted_middle(smooth, 0.25, 0.75)
    guarded = 1 - mask ** (soft.preservation / 2)
    guarded = 0.5 * (1 - soft.mask_influence) + guarded * soft.mask_influence
    half_way = soft.difference_threshold * (guarded / (_ALMOST_ONE - guarded))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.nan_to_num(smooth / half_way, nan=0.0, posinf=np.inf)
        untouched = 1 / (1 + relative**soft.difference_contrast)
    return 1 - untouched**3 * (untouched * (6 * untouched - 15) + 10)


def weighted_middle(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return for each cell the mean of its neighbours between two quantiles.

    Neighbours count by a bell curve; at least one unit of weight is averaged.

    Args:
        image: ``[height, width]``.
        low: Lower quantile, 0 to 1.
        high: Upper quantile, 0 to 1.
    """
    width = 2 * REACH + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, REACH), (width, width))
    inside = np.lib.stride_tricks.sliding_window_view(
        np.pad(np.ones_like(image, dtype=np.float64), REACH), (width, width)
    )
    values = windows.reshape(*image.shape, -1)
    weights = (inside * _bell()).reshape(*image.shape, -1)
    order = np.argsort(values, axis=-1, kind="stable")
    values = np.take_along_axis(values, order, axis=-1).astype(np.float64)
    weights = np.take_along_axis(weights, order, axis=-1)
    ends = np.cumsum(weights, axis=-1)
    total = ends[..., -1:]
    start, end = _at_least_one(total * low, total * high, total)
    overlap = np.minimum(end, ends) - np.maximum(start, ends - weights)
    overlap = np.clip(overlap, 0, None)
    return ((values * overlap).sum(-1) / overlap.sum(-1)).astype(image.dtype)


def _at_least_one(
    start: np.ndarray, end: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Widen a stretch of weights to one unit, inside the total."""
    middle = (start + end) / 2
    narrow = end - start < 1
    over = middle + 0.5 > total
    begin = np.where(narrow, np.where(over, total - 1, middle - 0.5), start)
    finish = np.where(narrow, np.where(over, total, middle + 0.5), end)
    under = narrow & (begin < 0)
    return np.where(under, 0.0, begin), np.where(under, 1.0, finish)


def _bell() -> np.ndarray:
    """Return the weights of the neighbours, tapered to zero just beyond their reach."""
    steps = np.arange(-REACH, REACH + 1, dtype=np.float64)
    squares = steps[:, None] ** 2 + steps[None] ** 2
    floor = np.exp(-((REACH + 1.0) ** 2) / SPREAD**2)
    return np.clip((np.exp(-squares / SPREAD**2) - floor) / (1 - floor), 0, None)
