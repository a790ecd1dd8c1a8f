"""Processes that train together: one sees each picture. The command's test runs two of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from webui.modules.training.company import ALONE, Company, joined


@given(count=st.integers(0, 40), size=st.integers(1, 8))
def test_every_picture_of_a_group_is_one_processs(count: int, size: int) -> None:
    shares = [Company(rank, size).share(range(count)) for rank in range(size)]

    assert sorted(place for share in shares for place in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_without_a_launcher_there_is_nobody_else() -> None:
    weight = nn.Parameter(nn.Linear(2, 2).weight.detach())
    done: list[int] = []

    with joined() as company:
        company.add_up([weight])
        company.led(lambda: done.append(1))
        assert (company, company.leads, company.total(2.5)) == (ALONE, True, 2.5)

    assert (weight.grad, done) == (None, [1])
    with pytest.raises(ZeroDivisionError):
        ALONE.led(lambda: done.append(1 // 0))
