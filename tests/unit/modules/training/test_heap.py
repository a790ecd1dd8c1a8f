"""Memory that is given back is there again for the next step, and goes back in the end."""

import resource
import sys

import pytest
import torch

from webui.modules.training.heap import kept_heap

SIDE = 4096
"""Of a tensor of 64 MiB."""


def page_faults() -> int:
    """Return how often the system has handed out a page to this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(SIDE, SIDE).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="only there is such an allocator")
def test_a_tensor_takes_the_memory_of_the_one_before_until_the_block_ends() -> None:
    with kept_heap():
        within = min(page_faults() for _ in range(4))
    after = page_faults()

    assert within * 4 < after
