"""The networks as functions of tensors: the device's number format inside, float32 outside."""

from typing import Final

import torch
from torch import Tensor

from webui.modules.device import Device
from webui.modules.networks.checkpoint import Autoencoder, Checkpoint


class UNetPredictor:
    """The denoising network as a function: noisy latents, timesteps and text to a prediction."""

    def __init__(self, checkpoint: Checkpoint, device: Device) -> None:
        self._unet = checkpoint.unet
        self._device = device

    def __call__(self, latents: Tensor, times: Tensor, text: Tensor) -> Tensor:
        """Return the prediction.

        Args:
            latents: ``[batch, 4, height, width]``, scaled to unit variance.
            times: ``[batch]``, timesteps that may lie between two trained ones.
            text: ``[batch, tokens, width]``.
        """
        order = torch.channels_last if self._device.channels_last else torch.contiguous_format
        sample = latents.to(self._device.unet).contiguous(memory_format=order)
        answer = self._unet(sample, times, text.to(self._device.unet), return_dict=False)[0]
        return answer.to(torch.float32)


class TextPredictor:
    """The text encoder as a function: tokens to the output of one of its layers."""

    def __init__(self, checkpoint: Checkpoint, device: Device) -> None:
        self._text = checkpoint.text
        self._device = device

    def __call__(self, tokens: Tensor, skip: int) -> Tensor:
        """Return ``[texts, 77, width]`` in float32, always through the final normalisation.

        Args:
            tokens: ``[texts, 77]``.
            skip: Which layer, counted from the end; 1 is the last.
        """
        output = self._text(input_ids=tokens.to(self._device.torch), output_hidden_states=skip > 1)
        if skip <= 1:
            return output.last_hidden_state.to(torch.float32)
        return self._text.final_layer_norm(output.hidden_states[-skip]).to(torch.float32)


TILE: Final = 64
"""Latent cells on a side of one tile: 512 pixels."""

OVERLAP: Final = 16
"""Latent cells that neighbouring tiles share and blend over."""

WHOLE: Final = 128 * 128
"""Latent cells up to which a picture is decoded in one piece: 1024 x 1024 pixels."""


def decode(vae: Autoencoder, latents: Tensor, device: Device) -> Tensor:
    """Return the picture of unscaled latents.

    Args:
        vae: The autoencoder.
        latents: ``[batch, 4, height, width]``.
        device: Where and in which format.

    Returns:
        ``[batch, 3, 8 * height, 8 * width]``, float32, about -1 to 1. Large pictures are decoded in
        overlapping tiles whose edges are blended, so that memory does not grow with the picture.
    """
    if latents.shape[-1] * latents.shape[-2] <= WHOLE:
        return _decode_piece(vae, latents, device)
    return _decode_tiled(vae, latents, device)


def _decode_piece(vae: Autoencoder, latents: Tensor, device: Device) -> Tensor:
    order = torch.channels_last if device.channels_last else torch.contiguous_format
    sample = latents.to(device.vae).contiguous(memory_format=order)
    decoded: Tensor = vae.decode(sample, return_dict=False)[0]  # pyright: ignore[reportArgumentType] - any float tensor will do
    return decoded.to(torch.float32)


def _decode_tiled(vae: Autoencoder, latents: Tensor, device: Device) -> Tensor:
    batch, _, height, width = latents.shape
    total = torch.zeros(batch, 3, height * 8, width * 8)
    weight = torch.zeros(1, 1, height * 8, width * 8)
    for top in _tops(height):
        for left in _tops(width):
            piece = latents[:, :, top : top + TILE, left : left + TILE]
            picture = _decode_piece(vae, piece, device).cpu()
            mask = _ramp(picture.shape[-2])[:, None] * _ramp(picture.shape[-1])[None]
            rows = slice(top * 8, top * 8 + picture.shape[-2])
            columns = slice(left * 8, left * 8 + picture.shape[-1])
            total[:, :, rows, columns] += picture * mask
            weight[:, :, rows, columns] += mask
    return total / weight


def _tops(length: int) -> list[int]:
    """Return where tiles begin so that they cover the length and the last ends with it."""
    last = max(0, length - TILE)
    return [*range(0, last, TILE - OVERLAP), last]


def _ramp(pixels: int) -> Tensor:
    """Return weights that fall off towards both ends of a tile."""
    blend = OVERLAP * 8
    place = torch.arange(pixels, dtype=torch.float32) + 0.5
    return torch.minimum(place, pixels - place).clamp(max=blend) / blend
