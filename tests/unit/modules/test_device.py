"""Where the networks run is chosen once, and a wish that cannot be met is answered."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from webui.modules.device import Device, choose
from webui.modules.errors import DeviceUnavailableError


def test_exact_is_32_bits_everywhere() -> None:
    device = choose("cpu", "exact")

    assert (device.unet, device.text, device.vae) == (torch.float32,) * 3
    assert device.exact
    assert not device.channels_last


def test_sixteen_bits_on_a_cpu_leave_the_text_encoder_whole() -> None:
    device = choose("cpu", "bf16")

    assert (device.unet, device.text, device.vae) == (torch.bfloat16, torch.float32, torch.bfloat16)
    assert device.attention == "chunked"
    assert not device.exact


def test_what_was_chosen_is_explained() -> None:
    assert all(note for note in choose("cpu").notes)
    assert choose("cpu", "exact").notes == ("32-bit numbers, as asked",)


@pytest.mark.parametrize(
    "wish",
    [
        {"device": "tpu"},
        {"device": "cuda:99"},
        {"device": ""},
        {"device": "cpu", "precision": "fp16"},
        {"device": "cpu", "precision": "int3"},
        {"device": "cpu", "attention": "flash"},
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_met_is_refused_by_name(wish: dict[str, Any]) -> None:
    with pytest.raises(DeviceUnavailableError) as refused:
        choose(**wish)

    assert repr(list(wish.values())[-1]) in str(refused.value) or "16-bit" in str(refused.value)
    assert refused.value.hint


def test_xformers_on_a_cpu_is_answered_with_another_way_and_the_reason() -> None:
    device = choose("cpu", "exact", "xformers")

    assert device.attention == "sdpa"
    assert any("no kernels for this device" in note for note in device.notes)


@pytest.mark.gpu
def test_a_graphics_card_draws_in_sixteen_bits() -> None:
    device = choose("cuda:0")

    assert isinstance(device, Device)
    assert device.unet == torch.float16
    assert device.vae == torch.float32
