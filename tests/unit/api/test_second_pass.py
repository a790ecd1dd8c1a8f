"""Hires fix and the refiner in A1111's fields: what a client says, and what an infotext adds."""

from typing import Any

from webui.api.a1111 import request_of
from webui.api.schemas import Txt2ImgBody
from webui.services.requests import GenerationRequest, HiresRequest, RefinerRequest

TEXT = (
    "a cat\nSteps: 9, Sampler: Euler, CFG scale: 7.0, Seed: 1, Size: 64x64, Denoising strength: "
    "0.4, Hires upscale: 1.5, Hires steps: 4, Hires upscaler: Lanczos"
)


def asked(**fields: Any) -> GenerationRequest:
    return request_of(Txt2ImgBody(**fields))


def test_a_plain_wish_has_one_pass() -> None:
    assert asked(hr_scale=3, denoising_strength=0.2).hires is None
    assert asked().refiner is None


def test_fields_become_a_second_pass() -> None:
    found = asked(
        enable_hr=True, hr_upscaler="Lanczos", hr_resize_x=96, hr_sampler_name="DDIM", hr_prompt="x"
    ).hires

    assert found == HiresRequest(
        scale=2.0,
        resize=(96, 0),
        upscaler="Lanczos",
        denoising=0.75,
        sampler="DDIM",
        prompt="x",
    )
    assert asked(enable_hr=True, denoising_strength=None).hires == HiresRequest(denoising=0.75)


def test_an_infotext_brings_its_second_pass() -> None:
    found = asked(infotext=TEXT).hires

    assert found is not None
    assert (found.scale, found.steps, found.upscaler, found.denoising) == (1.5, 4, "Lanczos", 0.4)


def test_what_the_client_says_goes_before_the_infotext() -> None:
    assert asked(infotext=TEXT, enable_hr=False).hires is None

    found = asked(infotext=TEXT, hr_scale=3.0, denoising_strength=0.9).hires

    assert found is not None
    assert (found.scale, found.denoising, found.upscaler) == (3.0, 0.9, "Lanczos")


def test_old_clients_name_the_first_size_and_mean_the_other_as_the_last() -> None:
    old = asked(enable_hr=True, width=192, height=128, firstphase_width=96, firstphase_height=64)
    new = asked(enable_hr=True, width=192, firstphase_width=96, firstphase_height=64, hr_scale=4)

    assert (old.width, old.height) == (96, 64)
    assert old.hires is not None
    assert old.hires.resize == (192, 128)
    assert new.hires is not None
    assert (new.hires.scale, new.hires.resize) == (4, (0, 0))


def test_a_refiner_without_a_moment_takes_over_at_once() -> None:
    assert asked(refiner_checkpoint="b").refiner == RefinerRequest(checkpoint="b", switch_at=0.0)
    assert asked(refiner_checkpoint="b", refiner_switch_at=0.7).refiner == RefinerRequest(
        checkpoint="b", switch_at=0.7
    )
    told = f"{TEXT}, Refiner: b [0123456789], Refiner switch at: 0.6"
    assert asked(infotext=told).refiner == RefinerRequest(
        checkpoint="b [0123456789]", switch_at=0.6
    )
