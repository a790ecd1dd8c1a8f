"""What pictures take from each other: the last used results, and never more than there is room."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import plans
from webui.modules.pipeline.memory import NOWHERE, Mark, Memory, way_of
from webui.modules.types import GenerationPlan

MARK = Mark(encoder="a", words=(), all="a")
FLOAT = 4


@given(
    keys=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), max_size=40),
    room=st.integers(0, 12),
)
def test_it_never_holds_more_than_its_room_and_gives_back_what_was_put(
    keys: list[tuple[int, int]], room: int
) -> None:
    memory = Memory(room * FLOAT)

    for key, size in keys:
        memory.put(key, torch.full((size,), float(key)))
    held = {key: memory.get(key) for key, _ in keys}

    kept = [found for found in held.values() if found is not None]
    assert sum(found.numel() for found in kept) <= room
    assert all((found == key).all() for key, found in held.items() if found is not None)
    if keys and keys[-1][1] <= room:
        assert held[keys[-1][0]] is not None


def test_what_was_used_last_stays() -> None:
    memory = Memory(2 * FLOAT)
    memory.put("a", torch.zeros(1))
    memory.put("b", torch.zeros(1))
    memory.get("a")
    memory.put("c", torch.zeros(1))

    assert memory.get("a") is not None
    assert memory.get("b") is None
    memory.forget()
    assert memory.get("a") is None


def test_what_cannot_be_shared_is_not_kept() -> None:
    memory = Memory(100)
    memory.put(NOWHERE, torch.zeros(1))

    assert memory.get(NOWHERE) is None


@given(plan=plans())
def test_a_walk_that_uses_a_vae_or_a_second_checkpoint_is_shared_with_nobody(
    plan: GenerationPlan,
) -> None:
    way = way_of(plan, slice(0, 1), MARK, "first")

    assert (way is NOWHERE) is (plan.start is not None or plan.refiner is not None)
    assert hash(way) == hash(way_of(plan, slice(0, 1), MARK, "first"))
