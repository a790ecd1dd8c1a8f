"""What lies in main memory while a graphics card learns: networks at rest, and what they remember.

On a CPU there is only one memory: the same code runs, and changes nothing.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from torch import nn

from webui.modules.device import Device

MAIN = torch.device("cpu")
"""Main memory."""


def rest(network: nn.Module, device: Device) -> None:
    """Keep a network in main memory; each layer comes to the device while it computes.

    Only for networks through which no gradient goes: a layer's weights have left by then.

    Args:
        network: It stays usable as before, only slower.
        device: Where it computes.
    """

    def come(layer: nn.Module, _given: object) -> None:
        layer.to(device.torch)

    def go(layer: nn.Module, _given: object, _found: object) -> None:
        layer.to(MAIN)

    for layer in network.modules():
        if next(layer.parameters(recurse=False), None) is not None:
            layer.to(MAIN)
            layer.register_forward_pre_hook(come)
            layer.register_forward_hook(go)


def remembering(*, apart: bool) -> AbstractContextManager[object]:
    """Return a block in which what the backward pass will need waits in main memory.

    Args:
        apart: Whether it does; otherwise it stays where it is.
    """
    if not apart:
        return nullcontext()
    pinned = torch.cuda.is_available()  # such memory travels faster
    return cast("AbstractContextManager[object]", torch.autograd.graph.save_on_cpu(pinned))
