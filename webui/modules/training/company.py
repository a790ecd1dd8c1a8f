"""Several processes that train one thing together, each on its share of every group of pictures.

They are started by torch's own launcher (``python -m torch.distributed.run``). Each correction sees
the gradients of the whole group, so any number of processes corrects as one alone would; only the
order in which sums are rounded differs. What is learned lives beside the painter's layers, not in a
module of its own, so gradients are added up here instead of by DistributedDataParallel.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from webui.modules.types import StopDrawing

Item = TypeVar("Item")

SENT_AT_ONCE: Final = 2**22
"""Small gradients are sent in parcels of about so many numbers: each sending costs a wait."""


@dataclass(frozen=True, slots=True)
class Company:
    """How many processes there are, and which one this is; the first one writes and tells."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and tells of progress."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share of what all do together."""
        return items[self.rank :: self.size]

    def add_up(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; what none has touched has none."""
        if self.size == 1:
            return
        gradients: list[Tensor] = []
        waiting = 0
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
            waiting += parameter.numel()
            if waiting >= SENT_AT_ONCE:
                _add_up(gradients)
                gradients, waiting = [], 0
        _add_up(gradients)

    def total(self, number: float) -> float:
        """Return the sum of a number over all processes."""
        if self.size == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64)
        distributed.all_reduce(told)  # pyright: ignore[reportUnknownMemberType] - untyped
        return float(told)

    def led(self, act: Callable[[], None]) -> None:
        """Let the first process act alone while the others wait.

        Raises:
            StopDrawing: In the others, if the first one was stopped by any exception.
        """
        problem: BaseException | None = None
        if self.leads:
            try:
                act()
            except BaseException as raised:  # noqa: BLE001 - passed on below, when all know of it
                problem = raised
        if self.size > 1:
            stopped: Tensor = torch.tensor(int(problem is not None))
            distributed.broadcast(stopped, src=0)
            if stopped and not self.leads:
                raise StopDrawing
        if problem is not None:
            raise problem


def _add_up(gradients: Sequence[Tensor]) -> None:
    """Put the sum over all processes in the place of each gradient."""
    if gradients:
        parcel = parameters_to_vector(gradients)
        distributed.all_reduce(parcel)  # pyright: ignore[reportUnknownMemberType] - untyped
        vector_to_parameters(parcel, gradients)


ALONE: Final = Company()
"""One process, as nearly always."""


@contextmanager
def joined() -> Generator[Company]:
    """Join the others that torch's launcher has started, until the end of the block.

    Without a launcher there is nobody else.
    """
    if not distributed.is_available() or not distributed.is_torchelastic_launched():
        yield ALONE
        return
    if distributed.is_initialized():  # joined further out already
        yield Company(distributed.get_rank(), distributed.get_world_size())
        return
    distributed.init_process_group()
    try:
        yield Company(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
