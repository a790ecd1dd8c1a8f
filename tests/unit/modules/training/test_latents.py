"""Latents are read from the disk once, as far as there is room to remember them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from webui.modules.errors import WebuiError
from webui.modules.training.latents import LatentCache, shard_file
from webui.modules.weights.write import write_safetensors

if TYPE_CHECKING:
    from pathlib import Path


def shard(run: Path, count: int) -> None:
    """Write latents of 2 KiB a picture: each one's own number everywhere."""
    shard_file(run, 0).parent.mkdir(parents=True)
    whole = {
        f"{place}.{part}": torch.full((4, 8, 8), float(place))
        for place in range(count)
        for part in ("mean", "spread")
    }
    write_safetensors(shard_file(run, 0), whole, {})


def test_what_is_remembered_is_not_read_again(tmp_path: Path) -> None:
    shard(tmp_path, 3)
    cache = LatentCache(tmp_path)
    first = cache.read(2)
    shard_file(tmp_path, 0).unlink()

    assert cache.read(2) is first
    assert first.mean.unique().tolist() == [2.0]
    with pytest.raises(WebuiError):
        cache.read(1)


def test_what_finds_no_room_is_read_each_time_and_is_the_same(tmp_path: Path) -> None:
    shard(tmp_path, 3)
    cache = LatentCache(tmp_path, room=2 * 2048)

    kept, another = cache.read(0), cache.read(1)
    cache.read(2)

    assert (cache.read(0) is kept, cache.read(1) is another) == (True, True)
    assert cache.read(2) is not cache.read(2)
    assert torch.equal(cache.read(2).mean, torch.full((4, 8, 8), 2.0))
