"""The engine with the tiny checkpoint and a picture to start from."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.plans import plan_of
from webui.jobs.plans import rest_of
from webui.library.inputs import Inputs
from webui.modules.errors import PictureError, RangeError, UnsupportedError
from webui.modules.sampling.catalogue import SAMPLERS, settle_scheduler
from webui.modules.types import (
    Inpainting,
    ModelRecord,
    NoiseRules,
    Picture,
    SamplingPlan,
    SkipBatch,
    SoftInpainting,
    Start,
    Step,
    StopDrawing,
)

if TYPE_CHECKING:
    from pathlib import Path

    from webui.modules.pipeline.engine import Engine

FIRST: Final = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


def colours(width: int = 64, height: int = 64, seed: int = 0) -> Image.Image:
    """Return a picture with much to see."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def file_of(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def half(width: int = 64, height: int = 64) -> bytes:
    """Return a mask whose right half is white."""
    mask = Image.new("L", (width, height))
    mask.paste(255, (width // 2, 0, width, height))
    return file_of(mask)


def starting(tiny: ModelRecord, start: Start, **changes: Any) -> Any:
    count = len(changes.get("seeds", (7,)))
    sampling = SamplingPlan(sampler="Euler", scheduler="automatic", steps=3, guidance=7.0)
    plain = {
        "checkpoint": tiny,
        "prompts": ("a red cat",) * count,
        "negative_prompts": ("",) * count,
        "seeds": (7,),
        "variation_seeds": (1,) * count,
        "width": 64,
        "height": 64,
        "sampling": sampling,
        "start": start,
    }
    return plan_of(**{**plain, **changes})


def pixels(picture: Picture) -> np.ndarray:
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


def drawn(engine: Engine, plan: Any) -> list[np.ndarray]:
    return [pixels(picture) for picture in engine.draw(plan, lambda _: None)]


# --------------------------------------------------------------------------- how much changes


def test_more_denoising_leads_further_away(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),))
    far: list[float] = []
    whole = SamplingPlan(sampler="Euler", scheduler="automatic", steps=10, guidance=7.0)
    for denoising in (0.0, 0.4, 1.0):
        plan = starting(tiny, replace(start, denoising=denoising), sampling=whole)
        (picture,) = drawn(engine, plan)
        far.append(float(np.abs(picture.astype(int) - np.asarray(colours(), int)).mean()))

    assert far[0] < far[1] < far[2]


@pytest.mark.parametrize("sampler", [sampler.label for sampler in SAMPLERS])
@pytest.mark.parametrize(("steps", "denoising"), [(1, 1.0), (4, 0.0)])
def test_every_sampler_draws_at_the_ends_of_its_range_or_says_why_not(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, sampler: str, steps: int, denoising: float
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=denoising)
    found = next(each for each in SAMPLERS if each.label == sampler)
    sampling = SamplingPlan(
        sampler=sampler,
        scheduler=settle_scheduler(found, None).name,
        steps=steps,
        guidance=3.0,
        unipc_order=1,
    )
    plan = starting(tiny, start, sampling=sampling)
    if sampler == "UniPC" and int(min(denoising, 0.999) * steps) == 0:
        with pytest.raises(RangeError, match=r"UniPC|order|step"):
            drawn(engine, plan)
        return

    (picture,) = drawn(engine, plan)

    assert picture.shape == (64, 64, 3)


def test_all_steps_of_nothing_give_the_picture_itself(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=0.0, every_step=True)
    plan = starting(tiny, start)
    again = replace(plan, seeds=(8,), start=replace(start, first_seeds=(7,)))

    assert (drawn(engine, plan)[0] == drawn(engine, again)[0]).all()


def test_extra_noise_and_a_noise_multiplier_change_the_picture(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=0.6)
    changes = ({}, {"extra_noise": 0.2}, {"noise_multiplier": 0.8}, {"color_correction": True})
    found = {drawn(engine, starting(tiny, replace(start, **each)))[0].tobytes() for each in changes}

    assert len(found) == len(changes)


def test_variation_and_kept_noise_act_as_they_do_on_words(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),))
    rules = (NoiseRules(), NoiseRules(variation=0.5), NoiseRules(resize_from=(128, 64)))
    found = {drawn(engine, starting(tiny, start, noise=rule))[0].tobytes() for rule in rules}

    assert len(found) == len(rules)


# ------------------------------------------------------------------------------------ batches


def test_a_place_in_a_batch_is_drawn_as_if_alone(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    pictures = tuple(inputs.keep(file_of(colours(seed=seed))) for seed in (1, 2))
    plan = starting(tiny, Start(pictures=pictures), seeds=(7, 8, 9, 10), batch_size=2)

    together = drawn(engine, plan)

    assert len(together) == 4
    alone = starting(tiny, Start(pictures=pictures[:1], first_seeds=(7,)), seeds=(9,))
    assert np.abs(together[2].astype(int) - drawn(engine, alone)[0]).max() <= 1


def test_a_job_that_was_broken_off_ends_with_the_same_pictures(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    pictures = tuple(inputs.keep(file_of(colours(seed=seed))) for seed in (1, 2))
    mask = Inpainting(mask=inputs.keep_mask(half()), content="latent noise")
    plan = starting(
        tiny, Start(pictures=pictures, inpainting=mask), seeds=(7, 8, 9, 10), batch_size=2
    )

    rest, first = rest_of(plan, {0, 1, 3})

    assert rest is not None
    assert first == 2
    whole = drawn(engine, plan)
    assert all((a == b).all() for a, b in zip(whole[2:], drawn(engine, rest), strict=True))


@pytest.mark.parametrize(("signal", "count"), [(SkipBatch, 2), (StopDrawing, 1)])
def test_what_is_stopped_is_finished_as_far_as_it_was(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, signal: type[Exception], count: int
) -> None:
    mask = Inpainting(mask=inputs.keep_mask(half()), blur=(0, 0))
    start = Start(pictures=(inputs.keep(file_of(colours())),), inpainting=mask)

    def stop(step: Step) -> None:
        if step.batch == 0:
            raise signal

    found = list(engine.draw(starting(tiny, start, seeds=(7, 8)), stop))

    assert [picture.finished for picture in found] == [False, True][:count]
    for picture in found:
        assert (pixels(picture)[:, :32] == np.asarray(colours())[:, :32]).all()


def test_steps_are_counted_as_far_as_they_are_taken(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=0.5)
    steps: list[Step] = []
    whole = SamplingPlan(sampler="Euler", scheduler="automatic", steps=8, guidance=1.0)

    list(engine.draw(starting(tiny, start, sampling=whole), steps.append))

    assert [step.number for step in steps] == [1, 2, 3, 4, 5]
    assert {step.total for step in steps} == {5}


# -------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("content", ["fill", "original", "latent noise", "latent nothing"])
@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM"])
def test_what_is_not_masked_stays_to_the_last_bit(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, content: Any, sampler: str, *,
    only_masked: bool,
) -> None:  # fmt: skip
    mask = Inpainting(
        mask=inputs.keep_mask(half(96, 80)), blur=(0, 0), content=content, only_masked=only_masked
    )
    start = Start(pictures=(inputs.keep(file_of(colours(96, 80))),), inpainting=mask)
    whole = SamplingPlan(sampler=sampler, scheduler="automatic", steps=4, guidance=7.0)
    plan = starting(tiny, start, width=96, height=80, sampling=whole)

    (picture,) = drawn(engine, plan)

    original = np.asarray(colours(96, 80))
    assert (picture[:, :48] == original[:, :48]).all()
    assert (picture[:, 48:] != original[:, 48:]).any()


def test_drawing_only_the_masked_part_keeps_the_size_of_the_picture(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    white = Image.new("L", (150, 90))
    white.paste(255, (20, 20, 40, 50))
    mask = Inpainting(mask=inputs.keep_mask(file_of(white)), only_masked=True, padding=8)
    start = Start(pictures=(inputs.keep(file_of(colours(150, 90))),), inpainting=mask)

    (picture,) = drawn(engine, starting(tiny, start))
    bare = replace(start, inpainting=replace(mask, overlay=False))

    assert picture.shape == (90, 150, 3)
    assert (picture[:, 80:] == np.asarray(colours(150, 90))[:, 80:]).all()
    assert drawn(engine, starting(tiny, bare))[0].shape == (64, 64, 3)


def test_a_blank_mask_draws_the_whole_picture_and_says_so(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    blank = inputs.keep_mask(file_of(Image.new("L", (64, 64))))
    start = Start(pictures=(inputs.keep(file_of(colours())),))
    masked = replace(start, inpainting=Inpainting(mask=blank, only_masked=True))

    (picture,) = engine.draw(starting(tiny, masked), lambda _: None)

    assert "blank" in picture.notes[0]
    assert (pixels(picture) == drawn(engine, starting(tiny, start))[0]).all()


@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("resize", ["Just resize", "Crop and resize", "Resize and fill",
                                    "Just resize (latent upscale)"])  # fmt: skip
def test_a_mask_may_have_another_size_than_the_picture(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, resize: Any, *, only_masked: bool
) -> None:
    mask = Inpainting(mask=inputs.keep_mask(half(30, 200)), only_masked=only_masked, content="fill")
    start = Start(
        pictures=(inputs.keep(file_of(colours(120, 80))),), resize=resize, inpainting=mask
    )

    (picture,) = drawn(engine, starting(tiny, start))

    assert picture.shape == ((80, 120, 3) if only_masked else (64, 64, 3))


def test_soft_inpainting_keeps_what_lies_far_from_the_mask(
    engine: Engine, tiny: ModelRecord, inputs: Inputs
) -> None:
    mask = Inpainting(mask=inputs.keep_mask(half(192, 64)), soft=SoftInpainting())
    start = Start(pictures=(inputs.keep(file_of(colours(192, 64))),), inpainting=mask)
    plan = starting(tiny, start, width=192)

    (soft,) = drawn(engine, plan)
    (hard,) = drawn(engine, starting(tiny, replace(start, inpainting=replace(mask, soft=None)),
                                     width=192))  # fmt: skip

    far = np.abs(soft[:, :32].astype(int) - np.asarray(colours(192, 64))[:, :32])
    assert far.max() <= 1
    assert (soft[:, 96:] != hard[:, 96:]).any()


def test_a_picture_that_is_gone_is_told(engine: Engine, tiny: ModelRecord, inputs: Inputs) -> None:
    picture = inputs.keep(file_of(colours()))
    picture.path.unlink()

    with pytest.raises(PictureError, match="no longer there"):
        drawn(engine, starting(tiny, Start(pictures=(picture,))))


# --------------------------------------------------- checkpoints that see a picture besides


def widened(tiny: ModelRecord, folder: Path, channels: int, scale: float) -> ModelRecord:
    """Return the tiny checkpoint with more input channels, whose weights are this large."""
    tensors = load_file(tiny.path)
    first = tensors[FIRST]
    extra = torch.randn(
        first.shape[0], channels - 4, *first.shape[2:], generator=torch.Generator().manual_seed(0)
    )
    tensors[FIRST] = torch.cat([first, (extra * scale).to(first.dtype)], dim=1).contiguous()
    path = folder / f"wide-{channels}-{scale}.safetensors"
    save_file(tensors, path)
    return replace(tiny, path=path, name=path.name)


@pytest.mark.parametrize("channels", [8, 9])
def test_channels_that_count_for_nothing_change_nothing(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, tmp_path: Path, channels: int
) -> None:
    start = Start(pictures=(inputs.keep(file_of(colours())),), image_guidance=1.0)

    wide = drawn(engine, starting(widened(tiny, tmp_path, channels, 0.0), start))
    plain = drawn(engine, starting(tiny, start))

    # The first convolution adds up in another order, which eight more layers let grow.
    assert np.abs(wide[0].astype(int) - plain[0]).max() <= 4


def test_a_checkpoint_for_inpainting_sees_the_mask_as_far_as_it_is_told(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, tmp_path: Path
) -> None:
    record = widened(tiny, tmp_path, 9, 0.2)
    mask = Inpainting(mask=inputs.keep_mask(half()))
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=1.0)
    starts = (
        start,
        replace(start, inpainting=mask),
        replace(start, inpainting=replace(mask, weight=0.0)),
        None,
    )
    found = {drawn(engine, starting(record, each))[0].tobytes() for each in starts}  # pyright: ignore[reportArgumentType] - None draws from words

    assert len(found) == len(starts)


def test_a_checkpoint_that_edits_keeps_to_the_picture_as_far_as_it_is_told(
    engine: Engine, tiny: ModelRecord, inputs: Inputs, tmp_path: Path
) -> None:
    record = widened(tiny, tmp_path, 8, 0.2)
    start = Start(pictures=(inputs.keep(file_of(colours())),), denoising=1.0)
    found = {
        drawn(engine, starting(record, replace(start, image_guidance=scale)))[0].tobytes()
        for scale in (1.0, 1.5, 3.0)
    }

    assert len(found) == 3
    with pytest.raises(UnsupportedError, match="AND"):
        drawn(engine, starting(record, start, prompts=("a cat AND a dog",)))
    with pytest.raises(UnsupportedError, match="none was given"):
        drawn(engine, replace(starting(record, start), start=None))
