"""A second pass on the command line."""

from typing import Any

import pytest

from webui.modules.errors import RangeError
from webui.services.headless_hires import with_second_pass
from webui.services.requests import GenerationRequest, HiresRequest

PLAIN = GenerationRequest(prompt="a cat")
TOLD = GenerationRequest(hires=HiresRequest(resize=(96, 96), denoising=0.4, upscaler="Lanczos"))


def test_nothing_said_is_nothing_changed() -> None:
    start: dict[str, Any] = {"denoising": 0.5}

    assert with_second_pass(PLAIN, {}, start, pictured=False) == PLAIN
    assert start == {"denoising": 0.5}


def test_what_is_said_becomes_a_second_pass_with_the_denoising_strength() -> None:
    start: dict[str, Any] = {"denoising": 0.5}

    found = with_second_pass(PLAIN, {"scale": 1.5, "steps": 3}, start, pictured=False)

    assert found.hires == HiresRequest(scale=1.5, steps=3, denoising=0.5)
    assert start == {}


def test_what_is_said_goes_before_a_settings_text() -> None:
    found = with_second_pass(TOLD, {"scale": 3.0}, {}, pictured=False)

    assert found.hires == HiresRequest(scale=3.0, denoising=0.4, upscaler="Lanczos")


def test_a_picture_to_start_from_is_not_drawn_on() -> None:
    start: dict[str, Any] = {"denoising": 0.5}

    assert with_second_pass(TOLD, {}, start, pictured=True).hires is None
    assert start == {"denoising": 0.5}
    with pytest.raises(RangeError, match="--hires-scale"):
        with_second_pass(PLAIN, {"scale": 2.0}, start, pictured=True)
