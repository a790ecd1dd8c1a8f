"""The engine with the tiny checkpoint: what is drawn, what a stop leaves, what a job leaves."""

from __future__ import annotations

import hashlib
import io
import math
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from tests.plans import plan_of
from webui.modules.device import choose
from webui.modules.errors import ModelFileError, NumericsError
from webui.modules.pipeline.engine import Engine
from webui.modules.sampling.catalogue import SAMPLERS, SCHEDULERS, settle_scheduler
from webui.modules.types import (
    GenerationPlan,
    ModelKind,
    ModelRecord,
    NoiseRules,
    Picture,
    SamplingPlan,
    SkipBatch,
    Step,
    StopDrawing,
)
from webui.modules.weights.architecture import VAE

if TYPE_CHECKING:
    from pathlib import Path

    from webui.modules.networks.checkpoint import Checkpoint

ROUNDING: Final = 1
"""Of 255; a batch adds up in another order than a single picture."""


def plan_with(tiny: ModelRecord, *, steps: int = 3, seeds: Any = (7,), **changes: Any) -> Any:
    """Return a small plan for the tiny checkpoint."""
    count = len(seeds)
    sampling = SamplingPlan(sampler="Euler a", scheduler="automatic", steps=steps, guidance=7.0)
    fitting = {
        "checkpoint": tiny,
        "prompts": ("a red cat",) * count,
        "negative_prompts": ("blurry",) * count,
        "seeds": tuple(seeds),
        "variation_seeds": tuple(range(count)),
        "sampling": sampling,
        "width": 64,
        "height": 64,
    }
    return plan_of(**{**fitting, **changes})


def draw(engine: Engine, plan: GenerationPlan) -> list[Picture]:
    return list(engine.draw(plan, lambda _step: None))


def furthest(one: Picture, other: Picture) -> int:
    first, second = (np.frombuffer(picture.rgb, np.uint8).astype(int) for picture in (one, other))
    return int(np.abs(first - second).max())


# ---------------------------------------------------------------------------- the same again


def test_equal_plans_give_equal_pixels(engine: Engine, tiny: ModelRecord) -> None:
    plan = plan_with(tiny, seeds=(1, 2), batch_size=2)

    assert draw(engine, plan) == draw(engine, plan)


def test_a_fresh_engine_draws_the_same(engine: Engine, tiny: ModelRecord) -> None:
    assert draw(Engine(choose("cpu", "exact")), plan_with(tiny)) == draw(engine, plan_with(tiny))


def test_another_seed_or_prompt_gives_another_picture(engine: Engine, tiny: ModelRecord) -> None:
    (picture,) = draw(engine, plan_with(tiny))

    for other in (plan_with(tiny, seeds=(8,)), plan_with(tiny, prompts=("a blue house",))):
        assert furthest(draw(engine, other)[0], picture) > 20


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M SDE", "UniPC"])
def test_each_picture_of_a_batch_is_the_single_one_of_its_seed(
    sampler: str, engine: Engine, tiny: ModelRecord
) -> None:
    sampling = SamplingPlan(sampler=sampler, scheduler="automatic", steps=3, guidance=7.0)
    plan = plan_with(tiny, seeds=(5, 6, 7), batch_size=3, sampling=sampling)

    together = draw(engine, plan)

    for place, picture in enumerate(together):
        (single,) = draw(engine, plan_with(tiny, seeds=(5 + place,), sampling=sampling))
        assert picture.index == place
        assert furthest(picture, single) <= ROUNDING


def test_batches_of_any_size_draw_the_same_pictures(engine: Engine, tiny: ModelRecord) -> None:
    whole = draw(
        engine, plan_with(tiny, seeds=(5, 6, 7), batch_size=2, noise=NoiseRules(source="NV"))
    )
    single = draw(
        engine, plan_with(tiny, seeds=(5, 6, 7), batch_size=1, noise=NoiseRules(source="NV"))
    )

    assert [picture.index for picture in whole] == [0, 1, 2]
    assert all(furthest(*pair) <= ROUNDING for pair in zip(whole, single, strict=True))


# ------------------------------------------------------------------------- watching and stopping


def test_every_step_of_every_batch_is_told(engine: Engine, tiny: ModelRecord) -> None:
    told: list[Step] = []

    pictures = list(engine.draw(plan_with(tiny, seeds=(1, 2, 3), batch_size=2), told.append))

    assert [(step.batch, step.number) for step in told] == [
        (batch, number) for batch in (0, 1) for number in (1, 2, 3)
    ]
    assert {(step.total, step.batches) for step in told} == {(3, 2)}
    assert all(picture.finished for picture in pictures)


def test_a_preview_is_a_small_picture(engine: Engine, tiny: ModelRecord) -> None:
    previews: list[bytes] = []

    list(engine.draw(plan_with(tiny), lambda step: previews.append(step.preview())))

    sizes = {Image.open(io.BytesIO(preview)).size for preview in previews}
    assert len(previews) == 3
    assert sizes == {(32, 32)}


def test_stopping_keeps_what_is_there_by_then(engine: Engine, tiny: ModelRecord) -> None:
    def stop(step: Step) -> None:
        if (step.batch, step.number) == (1, 2):
            raise StopDrawing

    first, second = engine.draw(plan_with(tiny, seeds=(1, 2, 3)), stop)

    assert (first.finished, second.finished) == (True, False)
    assert (first.index, second.index) == (0, 1)
    assert len(set(second.rgb)) > 50


def test_skipping_goes_on_with_the_next_batch(engine: Engine, tiny: ModelRecord) -> None:
    def skip(step: Step) -> None:
        if step.batch == 0:
            raise SkipBatch

    pictures = list(engine.draw(plan_with(tiny, seeds=(1, 2)), skip))

    assert [picture.finished for picture in pictures] == [False, True]
    assert pictures[1].rgb == draw(engine, plan_with(tiny, seeds=(2,)))[0].rgb


def test_pictures_come_as_soon_as_they_are_drawn(engine: Engine, tiny: ModelRecord) -> None:
    told: list[Step] = []

    next(iter(engine.draw(plan_with(tiny, seeds=(1, 2)), told.append)))

    assert {step.batch for step in told} == {0}


# ------------------------------------------------------------------- what a job leaves behind


def fingerprint(loaded: Checkpoint) -> str:
    """Return a hash of every bit of the networks and of how they pad."""
    digest = hashlib.sha256()
    for network in (loaded.unet, loaded.vae, loaded.text):
        for name, tensor in network.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                digest.update(f"{module.padding_mode}{module.padding}".encode())
    return digest.hexdigest()


def after_two_steps(step: Step) -> None:
    if step.number == 2:
        raise StopDrawing


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.label)
def test_a_job_leaves_the_networks_bit_for_bit_as_they_were(
    sampler: Any, engine: Engine, tiny: ModelRecord
) -> None:
    before = fingerprint(engine.load(tiny))
    sampling = SamplingPlan(
        sampler=sampler.label,
        scheduler=settle_scheduler(sampler, None).name,
        steps=4,
        guidance=7.0,
        s_churn=3.0,
    )
    plan = plan_with(tiny, sampling=sampling, tiling=True)

    (picture,) = engine.draw(plan, after_two_steps)

    assert not picture.finished
    assert fingerprint(engine.load(tiny)) == before


def test_a_failed_job_leaves_them_so_too(engine: Engine, tiny: ModelRecord) -> None:
    before = fingerprint(engine.load(tiny))

    def fail(_step: Step) -> None:
        message = "the page has gone"
        raise ConnectionError(message)

    with pytest.raises(ConnectionError):
        list(engine.draw(plan_with(tiny, tiling=True), fail))

    assert fingerprint(engine.load(tiny)) == before


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler.label)
def test_every_schedule_draws_a_picture(scheduler: Any, engine: Engine, tiny: ModelRecord) -> None:
    sampling = SamplingPlan(sampler="Euler", scheduler=scheduler.name, steps=3, guidance=7.0)

    (picture,) = draw(engine, plan_with(tiny, sampling=sampling))

    assert picture.finished
    assert len(set(picture.rgb)) > 50


def test_a_tiled_picture_joins_at_its_edges(engine: Engine, tiny: ModelRecord) -> None:
    """The step over the edge is no larger than steps between neighbours elsewhere."""
    plan = plan_with(tiny, steps=8, width=128, height=128, tiling=True)

    (picture,) = draw(engine, plan)

    rows = np.frombuffer(picture.rgb, np.uint8).reshape(128, 128, 3).astype(float)
    across = np.abs(rows[0] - rows[-1]).mean()
    inside = np.abs(np.diff(rows, axis=0)).mean()
    assert across < 2 * inside


# --------------------------------------------------------------------- other files, other makes


def test_a_diffusers_folder_draws_the_same_picture(
    engine: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    (expected,) = draw(engine, plan_with(tiny))
    loaded = engine.load(tiny)
    for part, network in (
        ("unet", loaded.unet),
        ("vae", loaded.vae),
        ("text_encoder", loaded.text),
    ):
        network.save_pretrained(tmp_path / part)
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).save_pretrained(tmp_path / "scheduler")
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    folder = replace(tiny, path=tmp_path, name=tmp_path.name, config=None)

    (found,) = draw(Engine(choose("cpu", "exact")), plan_with(folder))

    assert furthest(found, expected) <= ROUNDING


def test_a_ckpt_draws_the_same_picture(engine: Engine, tiny: ModelRecord, tmp_path: Path) -> None:
    (expected,) = draw(engine, plan_with(tiny))
    path = tmp_path / "tiny.ckpt"
    torch.save({"state_dict": load_file(tiny.path), "global_step": 1}, path)

    (found,) = draw(Engine(choose("cpu", "exact")), plan_with(replace(tiny, path=path)))

    assert found == expected


def test_a_vae_of_its_own_file_is_used(engine: Engine, tiny: ModelRecord, tmp_path: Path) -> None:
    (expected,) = draw(engine, plan_with(tiny))
    inside = {key: value for key, value in load_file(tiny.path).items() if key.startswith(VAE)}
    name = f"{VAE}decoder.conv_out.bias"
    drawn: list[Picture] = []
    for shift in (0.0, 0.5):
        path = tmp_path / f"{shift}.safetensors"
        save_file({**inside, name: inside[name] + shift}, path)
        vae = ModelRecord(path=path, kind=ModelKind.VAE, name=path.name)
        drawn += draw(engine, plan_with(tiny, vae=vae))

    assert drawn[0] == expected
    assert np.mean(list(drawn[1].rgb)) > np.mean(list(expected.rgb)) + 10


@pytest.mark.parametrize("attention", ["chunked", "sdpa"])
@pytest.mark.parametrize("precision", ["exact", "bf16"])
def test_every_way_to_compute_draws_nearly_the_same(
    attention: str, precision: str, engine: Engine, tiny: ModelRecord
) -> None:
    (expected,) = draw(engine, plan_with(tiny))

    (found,) = draw(Engine(choose("cpu", precision, attention)), plan_with(tiny))

    ours, theirs = (np.frombuffer(picture.rgb, np.uint8) for picture in (found, expected))
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1 if precision == "exact" else difference.mean() < 4


def test_a_checkpoint_that_is_replaced_is_read_again(
    engine: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copyfile(tiny.path, path)
    own = Engine(choose("cpu", "exact"))
    first = replace(tiny, path=path, sha256="a" * 64)
    before = own.load(first)

    assert own.load(first) is before
    assert own.load(replace(first, sha256="b" * 64)) is not before

    path.unlink()
    with pytest.raises(ModelFileError, match=r"model\.safetensors is no longer there"):
        draw(own, plan_with(first))


def test_a_network_that_gives_no_numbers_is_said(tiny: ModelRecord, tmp_path: Path) -> None:
    weights = load_file(tiny.path)
    weights["model.diffusion_model.out.2.bias"].fill_(math.nan)
    path = tmp_path / "broken.safetensors"
    save_file(weights, path)

    with pytest.raises(NumericsError, match="not-a-number"):
        draw(Engine(choose("cpu", "exact")), plan_with(replace(tiny, path=path)))
