"""Samplers and schedules are found under every name that A1111 gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import UnknownNameError
from webui.modules.sampling.catalogue import (
    SAMPLERS,
    SCHEDULERS,
    Sampler,
    Scheduler,
    find_sampler,
    find_scheduler,
    settle_scheduler,
)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.label)
def test_a_sampler_is_found_by_label_and_alias_in_any_case(sampler: Sampler) -> None:
    for name in (sampler.label, *sampler.aliases):
        assert find_sampler(name.upper()) == (sampler, None)
        assert find_sampler(f" {name} ") == (sampler, None)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler.label)
def test_a_schedule_is_found_by_name_label_and_alias(scheduler: Scheduler) -> None:
    for name in (scheduler.name, scheduler.label, *scheduler.aliases):
        assert find_scheduler(name) == scheduler


@given(st.sampled_from(SAMPLERS), st.sampled_from(SCHEDULERS))
def test_old_texts_name_both_in_one(sampler: Sampler, scheduler: Scheduler) -> None:
    assert find_sampler(f"{sampler.label} {scheduler.label}") == (sampler, scheduler)


@pytest.mark.parametrize("name", ["", "Euler b", "Karras", "Euler aKarras", "DPM++ 2M Unknown"])
def test_an_unknown_sampler_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UnknownNameError) as refused:
        find_sampler(name)

    assert repr(name) in str(refused.value)
    assert "DPM++ 2M" in refused.value.hint


def test_a_sampler_with_its_own_schedule_takes_no_other() -> None:
    for sampler in SAMPLERS:
        settled = settle_scheduler(sampler, find_scheduler("karras"))
        assert settled.name == ("automatic" if sampler.own_schedule else "karras")


def test_automatic_is_the_samplers_default() -> None:
    for sampler in SAMPLERS:
        settled = settle_scheduler(sampler, None)
        assert settled.name == ("automatic" if sampler.own_schedule else sampler.scheduler)
