"""Upscaling networks of our own: ESRGAN, Real-ESRGAN and its small sister, from safe files."""

from pathlib import Path

import torch
from torch import Tensor, nn

from webui.modules.device import Device
from webui.modules.errors import UnsupportedModelError
from webui.modules.networks.fill import Part, fill
from webui.modules.weights.header import read_header
from webui.modules.weights.read import open_tensors
from webui.modules.weights.upscaler import (
    COLOURS,
    UpscalerShape,
    upscaler_names,
    upscaler_prefix,
    upscaler_shape,
)

SLOPE = 0.2
"""Of the leaky rectifiers."""

SHARE = 0.2
"""Of what a block adds to what it is given (arXiv:1809.00219, section 3.1)."""


class Upscaler:
    """A network that enlarges pictures, as a function."""

    def __init__(self, network: nn.Module, scale: int, device: Device) -> None:
        self._network = network
        self._device = device
        self.scale = scale

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Return pictures ``scale`` times larger.

        Args:
            pictures: ``[batch, 3, height, width]`` of 0 to 1.

        Returns:
            Float32 on the CPU, about 0 to 1.
        """
        order = torch.channels_last if self._device.channels_last else torch.contiguous_format
        sample = pictures.to(self._device.torch, self._device.vae).contiguous(memory_format=order)
        larger: Tensor = self._network(sample)
        return larger.to("cpu", torch.float32)


def load_upscaler(path: Path, device: Device) -> Upscaler:
    """Read an upscaling network.

    Raises:
        ModelFileError: If the file is missing, cut off or lacks tensors.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
        UnsupportedModelError: If it is no upscaler of a make that we know.
    """
    shape = upscaler_shape(read_header(path).tensors)
    if shape is None:
        message = f"{path.name} is no upscaler that this program knows"
        hint = "Choose an ESRGAN or Real-ESRGAN file."
        raise UnsupportedModelError(message, hint=hint, value=path.name)
    with open_tensors(path) as file:
        part = Part(file, upscaler_prefix(file.names()), upscaler_names, path.name)
        network = fill(build_upscaler(shape), part, device.vae, device)
    return Upscaler(network, shape.scale, device)


def build_upscaler(shape: UpscalerShape) -> nn.Module:
    """Return an empty network."""
    with torch.device("meta"):
        return Esrgan(shape) if shape.make == "esrgan" else Compact(shape)


class Esrgan(nn.Module):
    """Residual blocks of dense blocks at the small size, then doublings."""

    def __init__(self, shape: UpscalerShape) -> None:
        super().__init__()
        self._folding = shape.folding
        self._scale = shape.scale
        self.first = _conv(shape.channels, shape.width)
        self.blocks = nn.ModuleList(_Residual(shape) for _ in range(shape.blocks))
        self.trunk = _conv(shape.width, shape.width)
        self.ups = nn.ModuleList(_conv(shape.width, shape.width) for _ in range(shape.doublings))
        self.high = _conv(shape.width, shape.width)
        self.last = _conv(shape.width, COLOURS)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return ``[batch, 3, scale * height, scale * width]``."""
        height, width = pictures.shape[-2:]
        states = self.first(_folded(pictures, self._folding))
        inner = states
        for block in self.blocks:
            inner = block(inner)
        states = states + self.trunk(inner)
        for doubling in self.ups:
            states = _leaky(doubling(nn.functional.interpolate(states, scale_factor=2.0)))
        larger: Tensor = self.last(_leaky(self.high(states)))
        return larger[..., : height * self._scale, : width * self._scale]


class _Residual(nn.ModuleList):
    """Three dense blocks, each of five convolutions that see all before them."""

    def __init__(self, shape: UpscalerShape) -> None:
        width, growth = shape.width, shape.growth
        super().__init__(
            nn.ModuleList(
                _conv(width + layer * growth, width if layer == _LAST else growth)
                for layer in range(_LAST + 1)
            )
            for _ in range(3)
        )

    def forward(self, states: Tensor) -> Tensor:
        inner = states
        for dense in self:
            inner = inner + SHARE * self._dense(dense, inner)
        return states + SHARE * inner

    @staticmethod
    def _dense(layers: nn.Module, states: Tensor) -> Tensor:
        seen = [states]
        *inner, last = layers.children()
        for layer in inner:
            seen.append(_leaky(layer(torch.cat(seen, dim=1))))
        answer: Tensor = last(torch.cat(seen, dim=1))
        return answer


_LAST = 4
"""The fifth convolution of a dense block leads back to the block's width."""


class Compact(nn.Module):
    """Plain convolutions at the small size; the last gives all pixels of the large one at once."""

    def __init__(self, shape: UpscalerShape) -> None:
        super().__init__()
        self._scale = shape.scale
        layers: list[nn.Module] = [_conv(shape.channels, shape.width), nn.PReLU(shape.width)]
        for _ in range(shape.blocks):
            layers += [_conv(shape.width, shape.width), nn.PReLU(shape.width)]
        self.body = nn.Sequential(*layers, _conv(shape.width, COLOURS * shape.scale**2))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return ``[batch, 3, scale * height, scale * width]``: repeated pixels, corrected."""
        details = nn.functional.pixel_shuffle(self.body(pictures), self._scale)
        return details + nn.functional.interpolate(pictures, scale_factor=float(self._scale))


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)


def _leaky(states: Tensor) -> Tensor:
    return nn.functional.leaky_relu(states, SLOPE)


def _folded(pictures: Tensor, folding: int) -> Tensor:
    """Put neighbouring pixels into channels; a picture is first mirrored to fill the last ones."""
    if folding == 1:
        return pictures
    height, width = pictures.shape[-2:]
    missing = (0, -width % folding, 0, -height % folding)
    return nn.functional.pixel_unshuffle(
        nn.functional.pad(pictures, missing, mode="reflect"), folding
    )
