"""A denoising network to learn with whose own weights stay as they are: quicker, and keeping less.

The layers compute what diffusers' layers compute. While nothing is learned they are those layers:
sample pictures during a training are drawn bit for bit as everywhere else.
"""

from typing import Any, Final, cast

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.autograd import Function

from webui.modules.device import Device
from webui.modules.networks.convolution import convolved

WIDE: Final = 256
"""Channels of the first level from which the lean layers are quicker: on one thread a step of a
LoRA on SD1.5's 320 took 0.85 of the usual time, on the starter's 32 it took 1.2 of it."""


def make_lean(unet: UNet2DConditionModel, device: Device, *, frozen: bool) -> None:
    """Exchange what can compute quicker or keep less on a CPU; elsewhere all stays as it is.

    Args:
        unet: It keeps its weights, and their names.
        device: Where it is.
        frozen: Its own weights stay as they are.
    """
    wide = cast("Any", unet).config.block_out_channels[0] >= WIDE
    if device.torch.type == "cpu" and frozen and device.exact and wide:
        exchange(unet)


def exchange(unet: UNet2DConditionModel) -> None:
    """Put the lean layers in the place of the usual ones."""
    for path, layer in list(cast("Any", unet).named_modules()):
        lean = _lean(layer)
        if lean is not None:
            owner, _, leaf = path.rpartition(".")
            unet.get_submodule(owner).register_module(leaf, lean)


def save_memory(unet: UNet2DConditionModel) -> None:
    """Compute parts of a network twice instead of remembering what they did.

    Residual blocks that are lean already stay as they are: to convolve again would cost much and
    save little.
    """
    unet.enable_gradient_checkpointing()
    for block in cast("list[Any]", [*unet.down_blocks, unet.mid_block, *unet.up_blocks]):
        if block is not None and all(isinstance(each, LeanResnet) for each in block.resnets):
            block.gradient_checkpointing = False


def _lean(layer: nn.Module) -> nn.Module | None:
    if isinstance(layer, nn.Conv2d):
        plain = (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        return LeanConvolution(layer) if plain else None
    if isinstance(layer, ResnetBlock2D):
        usual = layer.time_embedding_norm == "default" and not (layer.up or layer.down)
        return LeanResnet(layer) if usual else None
    return LeanGate(layer) if isinstance(layer, GEGLU) else None


class LeanConvolution(nn.Conv2d):
    """A 3 x 3 convolution that keeps nothing for its backward pass."""

    def __init__(self, like: nn.Conv2d) -> None:
        channels = (like.in_channels, like.out_channels)
        super().__init__(*channels, 3, padding=1, bias=like.bias is not None, device="meta")
        self.weight, self.bias = like.weight, like.bias

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return ``[batch, out, height, width]``."""
        if not torch.is_grad_enabled():
            return super().forward(input)
        return convolved(input, self.weight, self.bias)


class LeanResnet(nn.Module):
    """A residual block that keeps only what goes into its two normalisations."""

    def __init__(self, like: ResnetBlock2D) -> None:
        super().__init__()
        self.norm1, self.conv1, self.time_emb_proj = like.norm1, like.conv1, like.time_emb_proj
        self.norm2, self.conv2, self.conv_shortcut = like.norm2, like.conv2, like.conv_shortcut

    def forward(self, states: Tensor, temb: Tensor) -> Tensor:
        """Return ``[batch, out, height, width]`` for states and what is known of the time."""
        layers = cast("Any", self)
        time = layers.time_emb_proj(nn.functional.silu(temb))[:, :, None, None]
        hidden = layers.conv1(_normed(states, layers.norm1)) + time
        hidden = layers.conv2(_normed(hidden, layers.norm2))
        if layers.conv_shortcut is not None:
            states = layers.conv_shortcut(states)
        return states + hidden


class LeanGate(nn.Module):
    """A gated linear unit that keeps the projection alone, not what its gate lets through."""

    def __init__(self, like: GEGLU) -> None:
        super().__init__()
        self.proj = like.proj

    def forward(self, states: Tensor) -> Tensor:
        """Return ``[batch, tokens, inner]``."""
        both: Tensor = self.proj(states)
        if torch.is_grad_enabled():
            return cast("Tensor", _Gated.apply(both))
        value, gate = both.chunk(2, dim=-1)
        return value * nn.functional.gelu(gate)


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        value, gate = both.chunk(2, dim=-1)
        return nn.functional.gelu(gate).mul_(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (both,), (change,) = cast("tuple[Tensor]", ctx.saved_tensors), gradients
        value, gate = both.chunk(2, dim=-1)
        found = torch.empty_like(both)
        for_value, for_gate = found.chunk(2, dim=-1)
        torch.mul(nn.functional.gelu(gate), change, out=for_value)
        torch.ops.aten.gelu_backward.grad_input(value * change, gate, grad_input=for_gate)
        return found


def _normed(states: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Return the activation of what is normalised."""
    if torch.is_grad_enabled():
        return cast("Tensor", _NormedSilu.apply(states, norm))
    return nn.functional.silu(norm(states))


class _NormedSilu(Function):
    """The backward pass normalises again, which is cheaper than a trip to memory and back."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, norm: nn.GroupNorm) -> Tensor:
        states = states.contiguous()
        normal, mean, spread = torch.native_group_norm(states, *_how(states, norm))
        ctx.norm = norm
        ctx.save_for_backward(states, mean, spread)
        return nn.functional.silu(normal, inplace=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        states, mean, spread = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        how = _how(states, ctx.norm)
        normal = torch.native_group_norm(states, *how)[0]
        change = torch.ops.aten.silu_backward(gradients[0].contiguous(), normal)
        found = torch.ops.aten.native_group_norm_backward(
            change, states, mean, spread, how[0], *how[2:6], [True, False, False]
        )
        return found[0], None


def _how(states: Tensor, norm: nn.GroupNorm) -> tuple[Any, ...]:
    """Return weight, bias, batch, channels, cells, groups and the smallest spread of a norm."""
    batch, channels = states.shape[:2]
    cells = states[0, 0].numel()
    return norm.weight, norm.bias, batch, channels, cells, norm.num_groups, norm.eps
