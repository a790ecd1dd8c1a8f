"""Learning rates: A1111's schedules as A1111 reads them, and the usual shapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import RangeError
from webui.modules.training.plan import CorrectionPlan
from webui.modules.training.rates import Held, last_step, rate_at, read_schedule


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("0.005", 1000, [(0.005, 1000)]),
        ("0.005:100, 1e-3:1000, 1e-5", 5000, [(0.005, 100), (0.001, 1000), (1e-5, 5000)]),
        ("0.005:100, 1e-3:1000, 1e-5", 500, [(0.005, 100), (0.001, 500)]),
        ("0.005:100,1e-3:1000", 5000, [(0.005, 100), (0.001, 1000)]),
        ("0.005:100, 1e-3:-1", 5000, [(0.005, 100), (0.001, 5000)]),
        ("0.1:10:20", 50, [(0.1, 50)]),
        ("1e-3:50,", 80, [(0.001, 50)]),
        ("0.1:0, 0.2", 80, [(0.2, 80)]),
    ],
)
def test_a_schedule_is_read_as_a1111_reads_it(
    text: str, steps: int, expected: list[tuple[float, int]]
) -> None:
    assert read_schedule(text, steps) == tuple(Held(*pair) for pair in expected)


@pytest.mark.parametrize("text", ["", "abc", ",", "nan", "-1", "1e-3:x", "inf"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(RangeError, match="learning rate"):
        read_schedule(text, 100)


def test_a_schedule_that_ends_early_ends_the_training() -> None:
    assert last_step(CorrectionPlan(rate="0.005:100,1e-3:1000"), 5000) == 1000


@given(
    step=st.integers(0, 99),
    shape=st.sampled_from(["constant", "linear", "cosine", "restarts"]),
    warm_up=st.integers(0, 20),
)
def test_a_rate_never_leaves_its_bounds(step: int, shape: str, warm_up: int) -> None:
    plan = CorrectionPlan(rate="0.5", shape=shape, warm_up=warm_up, restarts=3)  # pyright: ignore[reportArgumentType] - sampled from the type's own values

    assert 0 <= rate_at(plan, step, 100) <= 0.5


def test_the_shapes_begin_and_end_where_they_should() -> None:
    def rates(**fields: object) -> list[float]:
        plan = CorrectionPlan(rate="1", **fields)  # pyright: ignore[reportArgumentType] - fields by name
        return [round(rate_at(plan, step, 100), 3) for step in (0, 50, 99)]

    assert rates() == [1, 1, 1]
    assert rates(shape="linear") == [1, 0.5, 0.01]
    assert rates(shape="cosine") == [1, 0.5, 0]
    assert rates(shape="restarts", restarts=2) == [1, 1, 0.001]
    assert rates(warm_up=4)[0] == 0.25
