"""Pictures whose opposite edges join: every convolution sees the other edge beyond its own."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import nn


@contextmanager
def joined_edges(*networks: nn.Module) -> Generator[None]:
    """Let the convolutions of these networks pad round the edge, until the end of the block."""
    convolutions = [
        module
        for network in networks
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    before = [convolution.padding_mode for convolution in convolutions]
    try:
        for convolution in convolutions:
            convolution.padding_mode = "circular"
        yield
    finally:
        for convolution, mode in zip(convolutions, before, strict=True):
            convolution.padding_mode = mode  # pyright: ignore[reportAttributeAccessIssue] - read as any text
