"""Plans in the queue: they come back as they went in, and a broken job goes on where it was."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.jobs.plans import decode, encode, rest_of
from webui.modules.errors import JobError
from webui.modules.types import (
    GenerationPlan,
    InputPicture,
    ModelKind,
    ModelRecord,
    SamplingPlan,
    Start,
)


def plan_for(pictures: int, batch_size: int) -> GenerationPlan:
    return GenerationPlan(
        checkpoint=ModelRecord(path=Path("/模型/a b.ckpt"), kind=ModelKind.CHECKPOINT, name="a b"),
        prompts=tuple(f"prompt {number}" for number in range(pictures)),
        negative_prompts=("",) * pictures,
        seeds=tuple(range(pictures)),
        variation_seeds=(0,) * pictures,
        width=64,
        height=64,
        batch_size=batch_size,
        sampling=SamplingPlan(sampler="Euler", scheduler="karras", steps=2, guidance=7.0),
    )


def test_a_plan_comes_back_equal() -> None:
    plan = plan_for(3, 2)

    assert decode(encode(plan)) == plan
    assert '"s_tmax": Infinity' in encode(plan)


def test_a_plan_of_another_version_is_told() -> None:
    with pytest.raises(JobError, match="another version"):
        decode('{"checkpoint": 1}')


@given(pictures=st.integers(1, 12), batch_size=st.integers(1, 5), done=st.sets(st.integers(0, 12)))
def test_what_is_left_starts_at_a_whole_batch_that_is_not_done(pictures, batch_size, done) -> None:
    plan = plan_for(pictures, batch_size)

    rest, start = rest_of(plan, done)

    assert start % batch_size == 0 or start == pictures
    assert done >= set(range(start))
    if rest is None:
        assert start == pictures
    else:
        assert rest.seeds == plan.seeds[start:]
        assert not done >= set(range(start, min(start + batch_size, pictures)))


def test_what_is_left_of_a_job_with_pictures_is_encoded_as_the_whole_job_is() -> None:
    picture = InputPicture(path=Path("a.png"), sha256="0" * 64, width=64, height=64)
    plan = replace(plan_for(6, 2), start=Start(pictures=(picture, picture)))

    rest, _ = rest_of(plan, {0, 1})
    assert rest is not None
    assert rest.start is not None
    assert rest.start.pictures == (picture, picture)
    assert rest.start.first_seeds == (0, 1)
    last, _ = rest_of(rest, {0, 1})

    assert last is not None
    assert last.start == rest.start
    assert rest_of(plan, set())[0] == plan
    assert decode(encode(rest)) == rest
