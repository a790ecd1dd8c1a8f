"""Hires fix, the refiner and merged tokens with the tiny checkpoint: what is drawn and left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.integration.test_engine_drawing import draw, fingerprint, furthest, plan_with
from webui.modules.device import choose
from webui.modules.errors import ModelFileError
from webui.modules.networks.upscaler import build_upscaler
from webui.modules.pipeline.engine import Engine
from webui.modules.types import (
    Hires,
    ModelKind,
    ModelRecord,
    Refiner,
    SamplingPlan,
    SkipBatch,
    Step,
    StopDrawing,
)
from webui.modules.weights.describe import UNET
from webui.modules.weights.upscaler import UpscalerShape

if TYPE_CHECKING:
    from pathlib import Path

    from webui.modules.types import GenerationPlan

STEPS: Final = 4


def sampled(sampler: str = "Euler", steps: int = STEPS) -> SamplingPlan:
    return SamplingPlan(sampler=sampler, scheduler="automatic", steps=steps, guidance=7.0)


def enlarged_plan(tiny: ModelRecord, *, hires: Any = None, **changes: Any) -> GenerationPlan:
    """Return a plan of 64 x 64 pixels, drawn on at 96 x 128."""
    sampling: Any = changes.pop("sampling", sampled())
    plan = plan_with(tiny, sampling=sampling, **changes)
    wanted: dict[str, Any] = {
        "width": 96,
        "height": 128,
        "scale": 0.0,
        "resize": (96, 128),
        "sampling": sampled(),
        "prompts": plan.prompts,
        "negative_prompts": plan.negative_prompts,
    }
    return replace(plan, hires=Hires(**{**wanted, **(hires or {})}))


@pytest.fixture(scope="module")
def other(tiny: ModelRecord, tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    """A second checkpoint that draws something else."""
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    numbers = torch.Generator().manual_seed(3)
    changed = {
        name: each + 0.05 * torch.randn(each.shape, generator=numbers)
        if name.startswith(UNET)
        else each
        for name, each in load_file(tiny.path).items()
    }
    save_file(changed, path)
    return replace(tiny, path=path, name=path.name)


def stop_at(number: int, signal: type[Exception] = StopDrawing) -> Any:
    def observe(step: Step) -> None:
        if step.number == number:
            raise signal

    return observe


# -------------------------------------------------------------------------------- hires fix


@pytest.mark.parametrize("upscaler", ["Latent (bicubic antialiased)", "Lanczos", "None"])
def test_a_second_pass_draws_the_larger_picture(
    upscaler: str, engine: Engine, tiny: ModelRecord
) -> None:
    steps: list[Step] = []
    plan = enlarged_plan(tiny, hires={"upscaler": upscaler}, seeds=(1, 2), batch_size=2)

    pictures = list(engine.draw(plan, steps.append))

    assert [(picture.width, picture.height) for picture in pictures] == [(96, 128)] * 2
    assert all(picture.finished for picture in pictures)
    assert [(step.number, step.total) for step in steps] == [
        (number, 2 * STEPS) for number in range(1, 2 * STEPS + 1)
    ]
    assert draw(engine, plan) == pictures


@pytest.mark.parametrize("signal", [StopDrawing, SkipBatch])
def test_a_stop_in_the_first_pass_leaves_the_small_picture(
    signal: type[Exception], engine: Engine, tiny: ModelRecord
) -> None:
    plan = enlarged_plan(tiny)

    (picture,) = engine.draw(plan, stop_at(2, signal))
    (alone,) = engine.draw(replace(plan, hires=None), stop_at(2, signal))

    assert picture == alone
    assert not picture.finished


def test_a_stop_in_the_second_pass_leaves_the_large_picture_as_far_as_it_is(
    engine: Engine, tiny: ModelRecord
) -> None:
    (picture,) = engine.draw(enlarged_plan(tiny), stop_at(STEPS + 2))

    assert (picture.width, picture.height, picture.finished) == (96, 128, False)


@pytest.mark.parametrize("upscaler", ["Latent", "Nearest"])
def test_no_denoising_only_enlarges(upscaler: str, engine: Engine, tiny: ModelRecord) -> None:
    steps: list[Step] = []
    plan = enlarged_plan(tiny, hires={"upscaler": upscaler, "denoising": 0.0})

    (picture,) = engine.draw(plan, steps.append)

    assert (picture.width, picture.height, picture.finished) == (96, 128, True)
    assert len(steps) == STEPS


def test_prompts_that_change_go_by_the_second_pass_from_one_to_two(
    engine: Engine, tiny: ModelRecord
) -> None:
    edited = ("a [cat:dog:1.0]",)
    plan = enlarged_plan(tiny, prompts=edited, hires={"prompts": edited})

    plain = enlarged_plan(tiny, prompts=("a cat",), hires={"prompts": ("a dog",)})

    assert draw(engine, plan) == draw(engine, plain)


@pytest.mark.parametrize("sampler", ["DPM++ 2M SDE", "DDIM", "UniPC", "DPM fast", "LCM", "PLMS"])
def test_the_second_pass_may_have_a_sampler_of_its_own(
    sampler: str, engine: Engine, tiny: ModelRecord
) -> None:
    plan = enlarged_plan(tiny, hires={"sampling": sampled(sampler, steps=6)})

    (picture,) = draw(engine, plan)

    assert len(set(picture.rgb)) > 50


def test_extra_noise_stays_in_the_picture(engine: Engine, tiny: ModelRecord) -> None:
    plain, noisy = (
        draw(engine, enlarged_plan(tiny, hires={"extra_noise": extra})) for extra in (0.0, 0.5)
    )

    assert plain != noisy


def test_the_second_pass_may_have_a_checkpoint_of_its_own(
    engine: Engine, tiny: ModelRecord, other: ModelRecord
) -> None:
    before = fingerprint(engine.load(tiny))
    plan = enlarged_plan(tiny, seeds=(1, 2), tiling=True)
    mixed = enlarged_plan(tiny, seeds=(1, 2), tiling=True, hires={"checkpoint": other})

    same, changed = draw(engine, plan), draw(engine, mixed)

    assert all(furthest(one, two) > 10 for one, two in zip(same, changed, strict=True))
    assert draw(engine, mixed) == changed
    assert fingerprint(engine.load(tiny)) == before


class Crowded(Engine):
    """An engine whose memory never holds two checkpoints."""

    def _has_room(self) -> bool:
        return False


def test_where_two_checkpoints_do_not_fit_one_is_laid_aside(
    engine: Engine, tiny: ModelRecord, other: ModelRecord
) -> None:
    refiner = Refiner(checkpoint=other, switch_at=0.5, during="both passes")
    plan = replace(
        enlarged_plan(tiny, seeds=(1, 2), hires={"upscaler": "Lanczos"}), refiner=refiner
    )
    crowded = Crowded(choose("cpu", "exact"))
    kept: list[int] = []

    pictures = list(crowded.draw(plan, lambda _: kept.append(len(crowded._checkpoints))))

    assert set(kept) == {1}
    assert pictures == draw(engine, plan)


# ------------------------------------------------------------------------ upscaling networks


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> ModelRecord:
    shape = UpscalerShape(make="compact", scale=2, channels=3, width=4, blocks=1)
    numbers = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(each.shape, generator=numbers) * 0.1
        for name, each in build_upscaler(shape).named_parameters()
    }
    path = tmp_path_factory.mktemp("upscaler") / "small.safetensors"
    save_file(weights, path)
    return ModelRecord(path=path, kind=ModelKind.UPSCALER, name=path.name)


def test_a_network_enlarges_the_picture_before_the_second_pass(
    engine: Engine, tiny: ModelRecord, network: ModelRecord
) -> None:
    with_network = {"upscaler": "small", "upscaler_model": network}

    (found,) = draw(engine, enlarged_plan(tiny, hires=with_network))
    (plain,) = draw(engine, enlarged_plan(tiny, hires={"upscaler": "Lanczos"}))

    assert (found.width, found.height) == (96, 128)
    assert found != plain


def test_a_damaged_network_is_refused_before_anything_is_drawn(
    engine: Engine, tiny: ModelRecord, network: ModelRecord, tmp_path: Path
) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(network.path.read_bytes()[:-100])
    cut = replace(network, path=path, name=path.name)
    steps: list[Step] = []

    with pytest.raises(ModelFileError, match=r"cut\.safetensors"):
        list(
            engine.draw(
                enlarged_plan(tiny, hires={"upscaler": "cut", "upscaler_model": cut}), steps.append
            )
        )

    assert steps == []


# -------------------------------------------------------------------------------- the refiner


def test_a_refiner_with_the_same_weights_changes_nothing(
    engine: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    path = tmp_path / "twin.safetensors"
    save_file(load_file(tiny.path), path)
    twin = replace(tiny, path=path, name=path.name)
    plan = plan_with(tiny, steps=6)

    assert draw(engine, replace(plan, refiner=Refiner(checkpoint=twin, switch_at=0.5))) == draw(
        engine, plan
    )


def test_a_refiner_draws_all_of_it_or_nothing_or_the_end(
    engine: Engine, tiny: ModelRecord, other: ModelRecord
) -> None:
    plan = plan_with(tiny, steps=6, seeds=(1, 2))
    at = {
        share: draw(engine, replace(plan, refiner=Refiner(checkpoint=other, switch_at=share)))
        for share in (0.0, 0.5, 1.0)
    }

    assert at[0.0] == draw(engine, replace(plan, checkpoint=other))
    assert at[1.0] == draw(engine, plan)
    assert at[0.5] != at[0.0]
    assert at[0.5] != at[1.0]


@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "DPM++ SDE"])
def test_a_refiner_may_take_over_by_counted_steps(
    sampler: str, engine: Engine, tiny: ModelRecord, other: ModelRecord
) -> None:
    """Half of eight steps leaves four to the refiner, so that a moment earlier changes nothing."""
    plan = plan_with(tiny, sampling=sampled(sampler, steps=8))
    refiner = Refiner(checkpoint=other, switch_at=0.5, by_steps=True)

    at_half, shortly_before, earlier = (
        draw(engine, replace(plan, refiner=replace(refiner, switch_at=share)))
        for share in (0.5, 0.45, 0.2)
    )

    # A sampler that asks twice a step has a call, and so a moment to take over, in between.
    assert at_half == shortly_before or sampler == "DPM++ SDE"
    assert at_half != earlier


def test_a_refiner_keeps_to_its_pass(engine: Engine, tiny: ModelRecord, other: ModelRecord) -> None:
    plain = enlarged_plan(tiny)

    def refined(during: Any) -> Any:
        refiner = Refiner(checkpoint=other, switch_at=0.0, during=during)
        return draw(engine, replace(plain, refiner=refiner))

    assert refined("second pass") == draw(engine, enlarged_plan(tiny, hires={"checkpoint": other}))
    assert refined("both passes") == draw(engine, replace(plain, checkpoint=other))
    assert refined("first pass") == draw(engine, enlarged_plan(other, hires={"checkpoint": tiny}))


# ------------------------------------------------------------------------------ merged tokens


def test_merged_tokens_draw_nearly_the_same_picture_and_always_the_same(
    engine: Engine, tiny: ModelRecord
) -> None:
    before = fingerprint(engine.load(tiny))
    plan = plan_with(tiny, width=128, height=96)
    merging = replace(plan, token_merging=0.3)

    (exact,), (merged,) = draw(engine, plan), draw(engine, merging)

    assert draw(engine, merging) == [merged]
    assert furthest(exact, merged) > 0
    ours, theirs = (np.frombuffer(each.rgb, np.uint8).astype(int) for each in (exact, merged))
    assert np.abs(ours - theirs).mean() < 40
    assert fingerprint(engine.load(tiny)) == before


def test_each_pass_merges_its_own_share(engine: Engine, tiny: ModelRecord) -> None:
    plain = enlarged_plan(tiny)
    first = replace(plain, token_merging=0.5)
    second = enlarged_plan(tiny, hires={"token_merging": 0.5})

    pictures = [draw(engine, plan)[0].rgb for plan in (plain, first, second)]

    assert len(set(pictures)) == 3
