"""Pictures made larger, in pixels: by the plain ways, or by a network and Lanczos at the end."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from PIL import Image

from webui.modules.device import Device
from webui.modules.networks.upscaler import Upscaler, load_upscaler
from webui.modules.pipeline.pieces import enlarged_in_pieces
from webui.modules.types import PIXELS_PER_LATENT, Hires, Tiles

Enlarger = Callable[[Image.Image, float], Image.Image]
"""Returns a picture enlarged about so many times; a network has its own idea of how many."""

TRIES: Final = 3
"""How often a network is applied at most until the wanted size is reached."""

LANCZOS: Final = Image.Resampling.LANCZOS


def enlarger(way: Hires | Tiles, device: Device) -> Enlarger | None:
    """Return how pixels are enlarged; None is Lanczos in one step.

    Raises:
        ModelError: If the upscaling network cannot be used.
    """
    if way.upscaler_model is None:
        return {"Lanczos": lanczos, "Nearest": nearest}.get(way.upscaler)
    network = load_upscaler(way.upscaler_model.path, device)

    def by_network(picture: Image.Image, _factor: float) -> Image.Image:
        return enlarged_in_pieces(
            picture,
            lambda piece: _once(piece, network),
            side=way.tile,
            overlap=way.tile_overlap,
        )

    return by_network


def upscale(picture: Image.Image, width: int, height: int, enlarge: Enlarger | None) -> Image.Image:
    """Return a picture of exactly this size.

    As in A1111, an enlarger first brings it to whole latent cells, and Lanczos to the last pixel.

    Args:
        picture: RGB.
        width: Pixels.
        height: Pixels.
        enlarge: How; None is Lanczos in one step.
    """
    factor = max(width / picture.width, height / picture.height)
    if enlarge is not None and factor > 1:
        picture = _to_whole_cells(picture, factor, enlarge)
    return _sized(picture, width, height)


def lanczos(picture: Image.Image, factor: float) -> Image.Image:
    """Enlarge smoothly."""
    return picture.resize(_scaled(picture, factor), LANCZOS)


def nearest(picture: Image.Image, factor: float) -> Image.Image:
    """Enlarge by repeating pixels."""
    return picture.resize(_scaled(picture, factor), Image.Resampling.NEAREST)


def _once(picture: Image.Image, network: Upscaler) -> Image.Image:
    """Enlarge a picture by a network, from 8 bits to 8 bits.

    The network is given blue first and red last. Those who trained it had it the other way round,
    but A1111 does so, and its pictures are what people know these networks by.
    """
    colours = np.asarray(picture.convert("RGB"))[:, :, ::-1].astype(np.float64) / 255
    pictures = torch.tensor(colours.transpose(2, 0, 1)[None], dtype=torch.float32)
    larger = network(pictures)[0].clamp(0, 1).numpy().transpose(1, 2, 0)
    return Image.fromarray((255.0 * larger).round().astype(np.uint8)[:, :, ::-1])


def _to_whole_cells(picture: Image.Image, factor: float, enlarge: Enlarger) -> Image.Image:
    """Enlarge until the picture is large enough, then bring it to multiples of 8 pixels."""
    width, height = (
        int(side * factor // PIXELS_PER_LATENT * PIXELS_PER_LATENT) for side in picture.size
    )
    for _ in range(TRIES):
        if picture.width >= width and picture.height >= height:
            break
        before, picture = picture.size, enlarge(picture, factor)
        if picture.size == before:
            break
    return _sized(picture, width, height)


def _sized(picture: Image.Image, width: int, height: int) -> Image.Image:
    return picture if picture.size == (width, height) else picture.resize((width, height), LANCZOS)


def _scaled(picture: Image.Image, factor: float) -> tuple[int, int]:
    return int(picture.width * factor), int(picture.height * factor)
