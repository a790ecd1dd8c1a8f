"""What the networks run on: chosen by what the machine is, and said in a sentence."""

import pytest
import torch
from torch import nn

from webui.modules.device import SMALL, bf16_is_fast, choose
from webui.modules.errors import DeviceUnavailableError

INTEL = "vendor_id : GenuineIntel\nflags : avx512f avx512_bf16"
AMD = "vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16"


@pytest.mark.parametrize(
    ("machine", "processor", "amx", "fast"),
    [
        ("x86_64", AMD, False, True),
        ("x86_64", INTEL, True, True),
        ("x86_64", INTEL, False, False),
        ("x86_64", "vendor_id : GenuineIntel\nflags : avx2", False, False),
        ("aarch64", "Features : fp asimd bf16", False, True),
        ("aarch64", "Features : fp asimd", False, False),
    ],
)
def test_bfloat16_is_chosen_only_where_it_is_faster(
    machine: str, processor: str, amx: bool, fast: bool
) -> None:
    """Instructions for it are not enough: without AMX Intel's are slower than 32 bits."""
    assert bf16_is_fast(machine=machine, processor=processor, amx=amx) is fast


def test_exact_is_32_bits_everywhere() -> None:
    """A1111's pictures can only be repeated in its own numbers."""
    device = choose("cpu", "exact")

    assert (device.unet, device.text, device.vae) == (torch.float32,) * 3
    assert device.exact


def test_bfloat16_is_used_when_asked_for() -> None:
    """The person may know better than we do."""
    assert choose("cpu", "bf16").unet == torch.bfloat16


@pytest.mark.parametrize(
    ("device", "precision", "attention", "value"),
    [
        ("cpu", "fp16", "auto", "fp16"),
        ("cpu", "double", "auto", "double"),
        ("cuda:7", "auto", "auto", "cuda:7"),
        ("toaster", "auto", "auto", "toaster"),
        ("cpu", "auto", "magic", "magic"),
    ],
)
def test_a_wish_that_cannot_be_met_is_named(
    device: str, precision: str, attention: str, value: str
) -> None:
    """Which value, and what to use instead."""
    with pytest.raises(DeviceUnavailableError) as caught:
        choose(device, precision, attention)

    assert caught.value.value == value
    assert caught.value.hint


def test_xformers_on_a_cpu_gives_way_and_says_why() -> None:
    """It has no kernels there; the picture is drawn all the same."""
    device = choose("cpu", "exact", "xformers")

    assert device.attention == "sdpa"
    assert any("xformers" in note for note in device.notes)


@pytest.mark.parametrize(
    ("weights", "by_size", "expected"), [(SMALL - 1, True, 1), (SMALL, True, 2), (9, False, 2)]
)
def test_a_small_network_computes_on_one_thread_unless_somebody_asked_for_more(
    weights: int, by_size: bool, expected: int
) -> None:
    device = choose("cpu", threads=2, one_thread_for_small=by_size)
    with torch.device("meta"):
        network = nn.Linear(weights, 1, bias=False)

    with device.threads_for(network):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2, "what comes after has all of them again"
