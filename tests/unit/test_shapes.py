"""The shape checks that all other tests of the engine rely on do bite."""

from __future__ import annotations

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from tests.shapes import check_shapes


@jaxtyped(typechecker=check_shapes)
def joined(
    first: Float[Tensor, "batch width"], second: Float[Tensor, "batch width"] | None
) -> Float[Tensor, "batch width"]:
    return first if second is None else first + second[:1]


def test_right_shapes_pass() -> None:
    assert joined(torch.ones(2, 3), None).shape == (2, 3)
    assert joined(torch.ones(2, 3), torch.ones(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("second", [torch.ones(2, 4), torch.ones(1, 3), torch.ones(2, 3).int()])
def test_a_wrong_axis_or_dtype_is_refused(second: Tensor) -> None:
    with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
        joined(torch.ones(2, 3), second)
