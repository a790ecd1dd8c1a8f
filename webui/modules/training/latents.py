"""Each picture's latents, made once and kept on the disk of the run.

What is kept is what the autoencoder thinks possible, as mean and standard deviation, so that every
way of drawing from it stays open.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Autoencoder
from webui.modules.networks.predict import posterior
from webui.modules.training.buckets import Size
from webui.modules.training.pictures import Example, read_picture
from webui.modules.types import PIXELS_PER_LATENT
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors
from webui.modules.weights.write import write_safetensors

SHARD: Final = 64
"""Pictures whose latents share a file, and that are made anew after a stop."""

ROOM: Final = 256 * 1024 * 1024
"""Bytes of latents that a training remembers."""

Told = Callable[[int, int], None]
"""Hears how many of how many pictures are done; ends the work by raising."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latents:
    """What is kept of one picture.

    Attributes:
        mean: ``[4, height // 8, width // 8]``, unscaled.
        spread: Standard deviation of the same shape.
        mask: How much each cell counts, ``[1, height // 8, width // 8]``; None for all fully.
    """

    mean: Tensor
    spread: Tensor
    mask: Tensor | None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.nbytes for part in (self.mean, self.spread, self.mask) if part is not None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder:
    """An autoencoder, where it is, and what tells it from others."""

    vae: Autoencoder
    device: Device
    source: str

    @torch.no_grad()
    def encoded(self, name: str, pixels: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Return the tensors that are kept of one picture.

        Args:
            name: Of the picture.
            pixels: ``[3, height, width]``.
            mask: ``[1, height, width]``; None if all counts.
        """
        mean, spread = (part[0].cpu() for part in posterior(self.vae, pixels[None], self.device))
        found = {f"{name}.mean": mean, f"{name}.spread": spread}
        if mask is not None:
            cells = torch.nn.functional.avg_pool2d(mask[None], PIXELS_PER_LATENT)
            found[f"{name}.mask"] = cells[0]
        return found


class LatentCache:
    """Reads each picture's latents once, and remembers as many as a fixed room holds.

    A picture of 512 pixels takes 128 KiB. When the room is full, the rest stays on the disk: turns
    come in no order, so to drop one picture for another would save nothing.

    Args:
        run: Folder of the training.
        room: Bytes to remember in.
    """

    def __init__(self, run: Path, room: int = ROOM) -> None:
        self._run = run
        self._room = room
        self._known: dict[tuple[int, bool], Latents] = {}

    def read(self, place: int, *, mirrored: bool = False) -> Latents:
        """Return the latents of the picture at a place among the examples."""
        known = self._known.get((place, mirrored))
        if known is not None:
            return known
        found = self._from_disk(place, mirrored=mirrored)
        if found.size <= self._room:
            self._room -= found.size
            self._known[place, mirrored] = found
        return found

    def _from_disk(self, place: int, *, mirrored: bool) -> Latents:
        which = f"{place}.mirrored" if mirrored else f"{place}"
        with open_tensors(shard_file(self._run, place // SHARD)) as file:
            mask = file.read(f"{which}.mask") if f"{which}.mask" in file.names() else None
            return Latents(
                mean=file.read(f"{which}.mean"), spread=file.read(f"{which}.spread"), mask=mask
            )


def shard_file(run: Path, number: int) -> Path:
    """Return the file of some pictures' latents."""
    return run / "latents" / f"{number:05d}.safetensors"


def keep_latents(
    run: Path,
    pairs: Sequence[tuple[Example, Size]],
    encoder: Encoder,
    told: Told,
    *,
    mirrored: bool,
) -> None:
    """Make the latents of all pictures; those of an earlier start are kept if nothing changed.

    Args:
        run: Folder of the training.
        pairs: Pictures and the sizes to which they are brought.
        encoder: Makes latents.
        told: Hears of progress; what is done when it ends the work is kept.
        mirrored: Keep each picture's mirror image too.

    Raises:
        PictureError: If a picture cannot be read any more.
        StorageError: If the folder cannot be written to.
    """
    (run / "latents").mkdir(parents=True, exist_ok=True)
    for first in range(0, len(pairs), SHARD):
        shard = pairs[first : first + SHARD]
        path, key = shard_file(run, first // SHARD), _key(shard, encoder.source, mirrored=mirrored)
        if path.is_file() and read_header(path).metadata.get("key") == key:
            continue
        tensors: dict[str, Tensor] = {}
        for place, (example, size) in enumerate(shard, start=first):
            told(place, len(pairs))
            pixels, mask = prepared(example, size)
            tensors |= encoder.encoded(f"{place}", pixels, mask)
            if mirrored:
                flipped = None if mask is None else mask.flip(-1)
                tensors |= encoder.encoded(f"{place}.mirrored", pixels.flip(-1), flipped)
        write_safetensors(path, tensors, {"key": key})


def prepared(example: Example, size: Size) -> tuple[Tensor, Tensor | None]:
    """Return a picture as it is trained on: made to cover the size, its middle cut out.

    Args:
        example: The picture.
        size: Width and height in pixels, multiples of 8.

    Returns:
        Pixels ``[3, height, width]`` of -1 to 1, and how much each counts, ``[1, height, width]``
        of 0 to 1; None where all count fully.
    """
    picture, mask = read_picture(example)
    pixels = torch.tensor(np.array(_cut(picture, size), dtype=np.float32))
    pixels = pixels.permute(2, 0, 1) / 127.5 - 1
    if mask is None:
        return pixels, None
    counts = torch.tensor(np.array(_cut(mask, size), dtype=np.float32))
    return pixels, counts[None] / 255


def _cut(picture: Image.Image, size: Size) -> Image.Image:
    scale = max(size[0] / picture.width, size[1] / picture.height)
    width, height = (
        max(side, round(own * scale)) for side, own in zip(size, picture.size, strict=True)
    )
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return picture.crop((left, top, left + size[0], top + size[1]))


def _key(examples: Sequence[tuple[Example, Size]], source: str, *, mirrored: bool) -> str:
    told = [[example.digest, str(example.mask), *size] for example, size in examples]
    return hashlib.sha256(json.dumps([told, source, mirrored]).encode()).hexdigest()
