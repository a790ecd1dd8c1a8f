"""A training beside drawing: it can be stopped at any moment, and leaves no trace in pictures."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.plans import plan_of as drawing_of
from tests.trainings import BASE, carry_out, plan_of
from webui.jobs.trainings import carry_out_training
from webui.modules.training import state
from webui.modules.training.journal import read
from webui.modules.training.plan import WatchPlan
from webui.modules.types import PauseWork, SamplingPlan, StopDrawing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from webui.modules.pipeline.engine import Engine
    from webui.modules.training.plan import TrainingPlan
    from webui.modules.types import GenerationPlan

pytestmark = [
    # The checks of shapes stand between torch's inference mode and the generators that draw, so
    # here, and only here, a picture of a painter that learns carries gradients along.
    pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning"),
]

DRAWING = drawing_of(
    checkpoint=BASE, width=64, height=64,
    sampling=SamplingPlan(sampler="Euler a", scheduler="automatic", steps=2, guidance=3.0),
)  # fmt: skip

WATCHED = WatchPlan(save_every=1, sample_every=2, sample=DRAWING, measure_every=2)

PHASES = {
    "caching": (0, "latents"),
    "a step": (3, "training"),
    "measuring": (2, "measuring"),
    "sampling": (2, "drawing samples"),
}
"""When each phase is told of, and how it begins."""


def trained(folder: Path, **watch: Any) -> TrainingPlan:
    return plan_of(folder, "hypernetwork", watch=replace(WATCHED, **watch))


def wishing(phase: str, wish: type[Exception]) -> Callable[[int, int, str], None]:
    """Return what hears of progress and raises a wish once, when a phase has come."""
    step, begins = PHASES[phase]
    raised: list[str] = []

    def tell(number: int, _total: int, text: str) -> None:
        if not raised and number == step and text.startswith(begins):
            raised.append(text)
            raise wish

    return tell


def quiet(_number: int, _total: int, _text: str) -> None:
    """Hear of progress and wish for nothing."""


def drawn(engine: Engine, plan: GenerationPlan = DRAWING) -> bytes:
    (picture,) = engine.draw(plan, lambda _step: None)
    return picture.rgb


def painters() -> int:
    """Count the denoising networks in memory."""
    gc.collect()
    return sum(type(each).__name__ == "UNet2DConditionModel" for each in gc.get_objects())


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the file of the same training that nobody disturbed or looked at."""
    watch = WatchPlan(save_every=0, sample_every=0, measure_every=0)
    return carry_out(plan_of(tmp_path_factory.mktemp("calm"), "hypernetwork", watch=watch))


@pytest.mark.parametrize("phase", PHASES)
def test_paused_in_any_phase_it_lets_go_of_all_and_ends_with_the_same_bytes(
    phase: str, tmp_path: Path, engine: Engine, calm: bytes
) -> None:
    plan = trained(tmp_path)
    before = drawn(engine)

    with pytest.raises(PauseWork):
        carry_out_training(plan, engine, wishing(phase, PauseWork))

    reached = state.saved(plan.run)
    assert (0 if reached is None else reached.step) == PHASES[phase][0]
    assert drawn(engine) == before
    carry_out_training(plan, engine, quiet)
    assert plan.out.read_bytes() == calm
    assert drawn(engine) == before


def test_stopped_it_keeps_what_it_has_learned_and_lets_go_of_all(
    tmp_path: Path, engine: Engine, calm: bytes
) -> None:
    plan, many = trained(tmp_path), painters()

    result = carry_out_training(plan, engine, wishing("sampling", StopDrawing))

    assert result["step"] == PHASES["sampling"][0]
    assert painters() <= many
    assert plan.out.read_bytes() != calm


def test_stopped_before_its_first_step_it_leaves_no_file(tmp_path: Path, engine: Engine) -> None:
    plan = trained(tmp_path)

    with pytest.raises(StopDrawing):
        carry_out_training(plan, engine, wishing("caching", StopDrawing))

    assert not plan.out.exists()
    assert state.saved(plan.run) is None


def test_the_wall_is_drawn_on_the_way_and_changes_nothing(
    tmp_path: Path, engine: Engine, calm: bytes
) -> None:
    plan = trained(tmp_path)

    carry_out_training(plan, engine, quiet)

    walls = [line["samples"] for line in read(plan.run) if "samples" in line]
    assert [names[0] for names in walls] == [f"samples/{step:06d}-0.png" for step in (0, 2, 4)]
    assert all((plan.run / name).is_file() for names in walls for name in names)
    assert plan.out.read_bytes() == calm
