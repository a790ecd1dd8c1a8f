"""Weights from an open file into an empty network, each cast as it is read."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from webui.modules.device import Device
from webui.modules.errors import ModelFileError
from webui.modules.weights.read import TensorReader

Renaming = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns our network's name for each name in the file."""

Network = TypeVar("Network", bound=nn.Module)

_NOT_WEIGHTS: Final = ("loss.", "model_ema.")


class Part:
    """One network's tensors inside an open file, under our names."""

    def __init__(self, file: TensorReader, prefix: str, rename: Renaming, source: str) -> None:
        self._file = file
        inside = [name[len(prefix) :] for name in file.names() if name.startswith(prefix)]
        theirs = [name for name in inside if not name.startswith(_NOT_WEIGHTS)]
        self._names = {ours: prefix + name for name, ours in rename(theirs).items()}
        self._source = source

    def read(self, name: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Return one tensor; a 1 x 1 convolution may stand for a linear layer and vice versa.

        Raises:
            ModelFileError: If it is missing or of another shape.
        """
        if name not in self._names:
            message = f"{self._source} has no tensor for {name}"
            raise ModelFileError(message, hint="The file is incomplete.", value=self._source)
        tensor = self._file.read(self._names[name]).to(dtype)
        if tensor.numel() != shape.numel() or tensor.shape[:1] != shape[:1]:
            message = f"{self._source}: {name} is {tuple(tensor.shape)}, not {tuple(shape)}"
            hint = "Does the .yaml beside it fit the file?"
            raise ModelFileError(message, hint=hint, value=self._source)
        return tensor.reshape(shape)


def fill(network: Network, part: Part, dtype: torch.dtype, device: Device) -> Network:
    """Return the network with its weights, on its device, frozen, ready to compute.

    Raises:
        ModelFileError: If a tensor is missing or of another shape.
    """
    for name, parameter in list(network.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        weights = nn.Parameter(part.read(name, parameter.shape, dtype), requires_grad=False)
        network.get_submodule(owner).register_parameter(leaf, weights)
    for name, buffer in list(network.named_buffers()):
        # The only buffers of our networks are the text encoder's position numbers.
        owner, _, leaf = name.rpartition(".")
        numbers = torch.arange(buffer.shape[-1]).expand(buffer.shape).clone()
        network.get_submodule(owner).register_buffer(leaf, numbers, persistent=False)
    nn.Module.to(network, device.torch)
    if device.channels_last:
        nn.Module.to(network, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing in torch's types
    return network.eval()
