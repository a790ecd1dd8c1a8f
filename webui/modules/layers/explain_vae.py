"""A VAE explained: a picture goes through it and back, and what is lost is shown."""

import math
from typing import Final

import torch
from torch import Tensor

from webui.modules.layers.explain_help import Explained, Help, keep_picture, read_png
from webui.modules.networks.checkpoint import Autoencoder, load_vae
from webui.modules.networks.predict import decode, encode
from webui.modules.types import PIXELS_PER_LATENT, ExplainPlan

SIDE: Final = 256
"""Side of the picture that is drawn in code, and longest side of a given one."""

AMPLIFIED: Final = 4.0
"""So much is the error picture brightened."""


def explain_vae(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain a VAE.

    Returns:
        ``picture``, the name of what was put in, and ``results``: for this file, and for the
        checkpoint's own VAE if there is a checkpoint, the names of the pictures ``result`` and
        ``error`` (brightened ``amplified`` times), the ``mean`` error in steps of 0 to 255, and the
        ``psnr`` in dB.

    Raises:
        ModelError: If a file is damaged.
        StorageError: If a picture cannot be read or written.
    """
    picture = drawn_picture() if plan.picture is None else _fitted(read_png(plan.picture))
    hand.tell(0, 2, plan.model.name)
    vaes = {"this": (plan.model.name, load_vae(plan.model.path, hand.device))}
    results = [_tried(plan, hand, picture, *vaes["this"])]
    if plan.checkpoint is not None:
        hand.tell(1, 2, plan.checkpoint.name)
        own = hand.load(plan.checkpoint).vae
        results.append(_tried(plan, hand, picture, plan.checkpoint.name, own))
    return {
        "picture": keep_picture(plan.pictures, picture),
        "amplified": AMPLIFIED,
        "results": results,
    }


def _tried(
    plan: ExplainPlan, hand: Help, picture: Tensor, name: str, vae: Autoencoder
) -> Explained:
    cells = (1, 4, *(side // PIXELS_PER_LATENT for side in picture.shape[1:]))
    latents = encode(vae, picture[None], torch.zeros(cells), hand.device)
    result = decode(vae, latents, hand.device)[0].cpu().clamp(-1, 1)
    error = (result - picture).abs()
    square = float(error.square().mean())
    return {
        "name": name,
        "mean": float(error.mean()) * 127.5,
        "psnr": 10 * math.log10(4 / square) if square else None,
        "result": keep_picture(plan.pictures, result),
        "error": keep_picture(plan.pictures, error * AMPLIFIED - 1),
    }


def drawn_picture() -> Tensor:
    """Return a picture with what autoencoders find hard: edges, fine lines, colours, gradients."""
    place = torch.arange(SIDE) / SIDE
    down, across = place[:, None].expand(SIDE, SIDE), place[None].expand(SIDE, SIDE)
    picture = torch.stack([across, down, 1 - across]) * 1.6 - 0.8
    half = SIDE // 2
    checks = ((down * 32).floor() + (across * 32).floor()) % 2
    picture[:, :half, half:] = checks[:half, half:] * 2 - 1
    rings = torch.sin(((across - 0.25) ** 2 + (down - 0.75) ** 2).sqrt() * 240)
    picture[:, half:, :half] = rings[half:, :half]
    disc = (across - 0.75) ** 2 + (down - 0.75) ** 2 < 0.03  # noqa: PLR2004 - the square of its radius
    colour = torch.tensor([0.9, -0.6, -0.8])[:, None, None].expand_as(picture)
    return torch.where(disc, colour, picture)


def _fitted(picture: Tensor) -> Tensor:
    """Bring a picture to whole latent cells and at most the test picture's size."""
    longest = max(picture.shape[1:])
    factor = min(1.0, SIDE / longest)
    size = [
        max(PIXELS_PER_LATENT, round(side * factor / PIXELS_PER_LATENT) * PIXELS_PER_LATENT)
        for side in picture.shape[1:]
    ]
    return torch.nn.functional.interpolate(
        picture[None], size=size, mode="bilinear", antialias=True
    )[0]
