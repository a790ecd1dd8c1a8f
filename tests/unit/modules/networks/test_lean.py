"""The network that is quicker to learn with computes what the usual one computes."""

import copy
from dataclasses import replace

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from webui.modules.device import choose
from webui.modules.networks.build import build_unet
from webui.modules.networks.convolution import convolved
from webui.modules.networks.lean import LeanConvolution, exchange, make_lean, save_memory
from webui.modules.weights.architecture import UNetShape

SHAPE = UNetShape(
    in_channels=4,
    out_channels=4,
    widths=(32, 64),
    blocks=1,
    depths=(1, 0),
    context=24,
    heads=(2, 2),
    groups=8,
    linear=False,
)

CLOSE = 1e-4
"""Winograd's sums round more than torch's."""


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    """A tiny network with random weights that stay as they are."""
    torch.manual_seed(0)
    network = build_unet(SHAPE).to_empty(device="cpu").requires_grad_(requires_grad=False).eval()
    for parameter in network.parameters():
        parameter.normal_(0, 0.1)
    return network


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    channels=st.integers(1, 6),
    out=st.integers(1, 6),
    height=st.integers(1, 28),
    width=st.integers(1, 28),
    biased=st.booleans(),
)
def test_a_frozen_convolution_equals_torchs_and_so_does_its_gradient(
    batch: int, channels: int, out: int, height: int, width: int, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(height * 100 + width)
    states = torch.randn(batch, channels, height, width, generator=generator, requires_grad=True)
    kernel = torch.randn(out, channels, 3, 3, generator=generator)
    bias = torch.randn(out, generator=generator) if biased else None

    ours = convolved(states, kernel, bias)
    usual = nn.functional.conv2d(states, kernel, bias, padding=1)
    change = torch.randn(usual.shape, generator=generator)
    ours_back, usual_back = (torch.autograd.grad(each, states, change)[0] for each in (ours, usual))

    assert _apart(ours, usual) <= CLOSE
    assert _apart(ours_back, usual_back) <= CLOSE


def test_a_lean_network_draws_to_the_bit_as_before_and_learns_the_same(
    unet: UNet2DConditionModel,
) -> None:
    lean = copy.deepcopy(unet)
    exchange(lean)
    saving = copy.deepcopy(lean)
    save_memory(saving)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 40, 32, generator=generator, requires_grad=True)
    text = torch.randn(2, 7, 24, generator=generator, requires_grad=True)
    times = torch.tensor([5, 700])
    change = torch.randn(latents.shape, generator=generator)

    with torch.no_grad():
        drawn = [network(latents, times, text).sample for network in (unet, lean)]
    usual, ours, saved = (_learned(each, latents, times, text, change) for each in
                          (unet, lean, saving))  # fmt: skip

    assert torch.equal(*drawn)
    for mine, true, twice in zip(ours, usual, saved, strict=True):
        assert _apart(mine, true) <= CLOSE
        assert torch.equal(mine, twice)


def test_a_lean_network_keeps_its_weights_and_their_names(unet: UNet2DConditionModel) -> None:
    lean = copy.deepcopy(unet)
    exchange(lean)

    assert list(lean.state_dict()) == list(unet.state_dict())
    assert any(isinstance(each, LeanConvolution) for each in lean.modules())


@pytest.mark.parametrize(
    ("widths", "precision", "frozen", "exchanged"),
    [
        ((256, 256), "exact", True, True),
        ((256, 256), "bf16", True, False),
        ((256, 256), "exact", False, False),
        ((32, 64), "exact", True, False),
    ],
)
def test_narrow_networks_and_weights_that_change_keep_the_usual_layers(
    widths: tuple[int, int], precision: str, frozen: bool, exchanged: bool
) -> None:
    network = build_unet(replace(SHAPE, widths=widths))

    make_lean(network, choose("cpu", precision), frozen=frozen)

    assert any(isinstance(each, LeanConvolution) for each in network.modules()) is exchanged


def _learned(
    network: nn.Module, latents: Tensor, times: Tensor, text: Tensor, change: Tensor
) -> list[Tensor]:
    """Return the answer and the gradients of latents and text."""
    answer = network(latents, times, text).sample
    return [answer, *torch.autograd.grad(answer, (latents, text), change)]


def _apart(mine: Tensor, true: Tensor) -> float:
    """Return the largest difference, as a share of the largest number."""
    mine, true = mine.detach(), true.detach()
    return float((mine - true).abs().max()) / max(1.0, float(true.abs().max()))
