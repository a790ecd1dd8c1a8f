"""Every plan that is written into a settings text is read out of it again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from PIL import Image

from tests.plans import plan_of, plans
from webui.library import infotext
from webui.modules.sampling.catalogue import find_sampler, find_scheduler, settle_scheduler
from webui.modules.types import (
    GenerationPlan,
    Hires,
    Inpainting,
    InputPicture,
    ModelKind,
    ModelRecord,
    Refiner,
    SamplingPlan,
    SoftInpainting,
    Start,
)

GIVEN: Final = InputPicture(path=Path("given.png"), sha256=64 * "0", width=64, height=64)
OTHER: Final = ModelRecord(
    path=Path("fine.ckpt"), kind=ModelKind.CHECKPOINT, name="fine.ckpt", sha256=64 * "a"
)

SAMPLING_OPTIONS: Final = {
    "eta_ancestral": "eta",
    "eta_ddim": "eta_ddim",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "rho": "rho",
    "beta_dist_alpha": "beta_alpha",
    "beta_dist_beta": "beta_beta",
    "always_discard_next_to_last_sigma": "discard_next_to_last_sigma",
    "sgm_noise_multiplier": "sgm_noise_multiplier",
    "enable_quantization": "quantize",
    "use_downcasted_alpha_bar": "downcast_levels",
    "uni_pc_order": "unipc_order",
    "s_min_uncond_all": "skip_uncond_every_step",
    "skip_early_cond": "skip_uncond_until",
    "pad_cond_uncond": "pad_with_empty",
    "pad_cond_uncond_v0": "pad_or_cut",
}
SAMPLING_FIELDS: Final = {
    "steps": "steps",
    "guidance": "guidance",
    "s_churn": "s_churn",
    "s_tmin": "s_tmin",
    "s_tmax": "s_tmax",
    "s_noise": "s_noise",
    "s_min_uncond": "skip_uncond_below",
}


def read_again(plan: GenerationPlan) -> dict[str, Any]:
    return infotext.request_fields(infotext.parse(infotext.write(plan, 0, version="atelier 1")))


def bare(text: str) -> list[str]:
    """White space at the ends of lines is not kept and means nothing."""
    return [line.strip() for line in text.strip().split("\n")]


def sampling_of(fields: dict[str, Any]) -> SamplingPlan:
    """Return the way to walk that request fields ask for, when all options are A1111's."""
    sampler, _ = find_sampler(fields["sampler"])
    options = fields["options"]
    told = {name: fields[key] for key, name in SAMPLING_FIELDS.items() if key in fields}
    told |= {name: options[key] for key, name in SAMPLING_OPTIONS.items() if key in options}
    return SamplingPlan(
        sampler=sampler.label,
        scheduler=settle_scheduler(sampler, find_scheduler(fields["scheduler"])).name,
        zero_terminal_snr=options.get("sd_noise_schedule") == "Zero Terminal SNR",
        **told,
    )


@given(plans())
@example(plan_of(prompts=("Negative prompt: a",), negative_prompts=("",)))
@example(plan_of(prompts=("",), negative_prompts=("Negative prompt: b",)))
def test_prompts_seeds_and_names_come_back(plan: GenerationPlan) -> None:
    fields = read_again(plan)

    assert bare(fields["prompt"]) == bare(plan.prompts[0])
    assert bare(fields["negative_prompt"]) == bare(plan.negative_prompts[0])
    assert fields["seed"] == plan.seeds[0]
    assert (fields["width"], fields["height"]) == (plan.width, plan.height)
    assert fields.get("vae", None) == (plan.vae and plan.vae.name)
    assert fields["checkpoint"].startswith(plan.checkpoint.stem)
    assert plan.checkpoint.shorthash in fields["checkpoint"]


@given(plans())
def test_what_is_read_asks_for_the_text_that_was_written(plan: GenerationPlan) -> None:
    """Two walks with one text are one walk: all that acts is in the text."""
    fields = read_again(plan)
    again = replace(plan, sampling=sampling_of(fields))
    if plan.hires:
        second = {"sampler", "scheduler", "steps"}
        kept = {name: getattr(plan.hires.sampling, name) for name in second}
        again = replace(again, hires=replace(plan.hires, sampling=replace(again.sampling, **kept)))

    assert infotext.write(again, 0, version="1") == infotext.write(plan, 0, version="1")


@given(plans())
def test_a_picture_to_start_from_is_asked_for_in_the_same_way(plan: GenerationPlan) -> None:
    fields = read_again(plan)

    assert ("start" in fields) == (plan.start is not None)
    if plan.start is None:
        return
    start, options = fields["start"], fields["options"]
    assert start["denoising"] == plan.start.denoising
    assert start.get("noise_multiplier", 1.0) == plan.start.noise_multiplier
    assert start.get("resize", "Just resize") == plan.start.resize
    if plan.checkpoint.family == "sd1-instruct":
        assert start["image_guidance"] == plan.start.image_guidance
    assert options.get("img2img_fix_steps", False) == plan.start.every_step
    assert options.get("img2img_extra_noise", 0) == plan.start.extra_noise
    assert options.get("img2img_color_correction", False) == plan.start.color_correction
    assert options.get("img2img_background_color", "#ffffff") == plan.start.background
    assert options.get("token_merging_ratio_img2img", 0) == plan.token_merging
    masked = plan.start.inpainting
    assert ("masked" in start) == (masked is not None)
    if masked:
        same = ("invert", "blur", "content", "only_masked", "rounded", "soft")
        assert {name: start["masked"][name] for name in same} == {
            name: getattr(masked, name) for name in same
        }
        assert start["masked"]["padding"] == (masked.padding if masked.only_masked else 32)
        assert options.get("overlay_inpaint", True) == masked.overlay


@given(plans())
def test_a_second_pass_is_asked_for_in_the_same_way(plan: GenerationPlan) -> None:
    fields = read_again(plan)

    assert ("hires" in fields) == (plan.hires is not None)
    if plan.hires is None:
        return
    hires, wanted = fields["hires"], plan.hires
    first, second = plan.sampling, wanted.sampling
    assert hires["resize"] == wanted.resize
    assert hires["denoising"] == wanted.denoising
    assert hires["upscaler"] == wanted.upscaler
    assert (hires.get("scale", 0.0), hires.get("steps", first.steps)) == (
        wanted.scale,
        second.steps,
    )
    assert (hires["sampler"] or first.sampler) == second.sampler
    sampler, _ = find_sampler(second.sampler)
    scheduler = find_scheduler(hires["scheduler"] or first.scheduler)
    assert settle_scheduler(sampler, scheduler).name == second.scheduler
    assert bare(hires["prompt"] or plan.prompts[0]) == bare(wanted.prompts[0])
    assert bare(hires["negative_prompt"] or plan.negative_prompts[0]) == bare(
        wanted.negative_prompts[0]
    )
    named = wanted.checkpoint
    assert (hires["checkpoint"] or "").startswith(named.stem if named else "")
    assert fields["options"].get("token_merging_ratio_hr", 0) == wanted.token_merging
    assert fields["options"].get("img2img_extra_noise", 0) == wanted.extra_noise


@given(plans())
def test_a_refiner_is_asked_for_in_the_same_way(plan: GenerationPlan) -> None:
    fields = read_again(plan)

    assert ("refiner" in fields) == (plan.refiner is not None)
    if plan.refiner:
        options = fields["options"]
        assert fields["refiner"]["checkpoint"].startswith(plan.refiner.checkpoint.stem)
        assert fields["refiner"]["switch_at"] == plan.refiner.switch_at
        assert options["refiner_switch_by_sample_steps"] == plan.refiner.by_steps
        assert options.get("hires_fix_refiner_pass", "second pass") == plan.refiner.during


# ------------------------------------------------------------------------ A1111's very words


def test_a_masked_picture_reads_as_in_a1111() -> None:
    masked = Inpainting(mask=GIVEN, only_masked=True, padding=0, content="fill", invert=True)
    plan = plan_of(start=Start(pictures=(GIVEN,), denoising=0.75, inpainting=masked))

    assert infotext.write(plan, 0, version="1.10.1").endswith(
        "Model: tiny-sd1, Denoising strength: 0.75, RNG: CPU, Mask mode: Inpaint not masked, "
        "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 0, Masked content: fill, "
        "Version: 1.10.1"
    )


def test_a_second_pass_reads_as_in_a1111() -> None:
    sampling = replace(plan_of().sampling, sampler="Euler a", scheduler="karras", steps=12)
    hires = Hires(
        width=256,
        height=128,
        denoising=0.6,
        sampling=sampling,
        prompts=("a dog, sitting",),
        negative_prompts=("",),
        checkpoint=OTHER,
    )
    plan = plan_of(hires=hires, refiner=Refiner(checkpoint=OTHER, switch_at=0.8))

    assert infotext.write(plan, 0, version="1.10.1").endswith(
        "Model: tiny-sd1, Denoising strength: 0.6, RNG: CPU, Hires checkpoint: fine [aaaaaaaaaa], "
        'Hires sampler: Euler a, Hires prompt: "a dog, sitting", Hires schedule type: Karras, '
        "Hires upscale: 2.0, Hires steps: 12, Hires upscaler: Latent, "
        "Refiner: fine [aaaaaaaaaa], Refiner switch at: 0.8, Version: 1.10.1"
    )


def test_soft_inpainting_is_said_before_the_mask() -> None:
    masked = Inpainting(mask=GIVEN, soft=SoftInpainting(), rounded=False)
    plan = plan_of(start=Start(pictures=(GIVEN,), inpainting=masked))

    text = infotext.write(plan, 0, version="1")

    assert "Soft inpainting enabled: True, Soft inpainting schedule bias: 1.0" in text
    assert text.index("Soft inpainting difference contrast: 2.0") < text.index("Mask blur: 4")
    assert asdict(SoftInpainting()) == asdict(read_again(plan)["start"]["masked"]["soft"])


# -------------------------------------------------------------------------- texts of the past


@pytest.mark.parametrize(
    ("told", "size", "final"),
    [
        ("Size: 1024x768, First pass size: 512x384", (512, 384), (1024, 768)),
        ("Size: 1024x1024, First pass size: 0x0", (512, 512), (1024, 1024)),
        ("Size: 768x512, First pass size: 0x0", (640, 448), (768, 512)),
    ],
)
def test_a_first_pass_of_before_1_0_is_a_second_pass_today(
    told: str, size: tuple[int, int], final: tuple[int, int]
) -> None:
    fields = infotext.request_fields(
        infotext.parse(f"a\nSteps: 20, Seed: 1, {told}, Denoising strength: 0.7")
    )

    assert (fields["width"], fields["height"]) == size
    assert fields["hires"]["resize"] == final
    assert fields["hires"]["denoising"] == 0.7


def test_add_on_networks_of_the_past_become_tags() -> None:
    text = (
        "a cat\nSteps: 20, Seed: 1, AddNet Enabled: True, AddNet Module 1: LoRA, "
        "AddNet Model 1: ink(0123456789ab), AddNet Weight A 1: 0.7, AddNet Weight B 1: 0.7"
    )

    assert infotext.parse(text)["Prompt"] == "a cat\n<lora:ink:0.7>"


def test_the_words_for_the_same_as_before_ask_for_nothing() -> None:
    text = (
        "a\nSteps: 9, Seed: 1, Denoising strength: 0.5, Hires upscale: 2, Hires sampler: Use same "
        "sampler, Hires checkpoint: Use same checkpoint, Hires schedule type: Use same scheduler"
    )

    hires = infotext.request_fields(infotext.parse(text))["hires"]

    assert (hires["sampler"], hires["scheduler"], hires["checkpoint"]) == (None, None, None)
    assert "upscaler" not in hires


def test_the_picture_it_began_with_is_marked_as_a1111_marks_it(tmp_path: Path) -> None:
    """``save_init_img`` writes the MD5 of the plain pixels."""
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    image.save(tmp_path / "given.png")
    given = replace(GIVEN, path=tmp_path / "given.png")
    plan = plan_of(start=Start(pictures=(given,)))

    text = infotext.write(plan, 0, version="1", hash_start=True)

    mark = hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()
    assert f"Init image hash: {mark}, RNG: CPU" in text
