"""How what is learned is corrected from its gradients, by optimisers from their libraries."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from webui.modules.errors import UnknownNameError
from webui.modules.training.plan import CorrectionPlan


def _adamw(groups: Sequence[dict[str, Any]], plan: CorrectionPlan) -> Optimizer:
    return torch.optim.AdamW(groups, lr=1.0, weight_decay=plan.weight_decay)


def _adafactor(groups: Sequence[dict[str, Any]], plan: CorrectionPlan) -> Optimizer:
    return torch.optim.Adafactor(groups, lr=1.0, weight_decay=plan.weight_decay)


def _sgd(groups: Sequence[dict[str, Any]], plan: CorrectionPlan) -> Optimizer:
    return torch.optim.SGD(groups, lr=1.0, weight_decay=plan.weight_decay, momentum=0.9)


OPTIMISERS: Final[Mapping[str, Callable[[Sequence[dict[str, Any]], CorrectionPlan], Optimizer]]] = {
    "AdamW": _adamw,
    "Adafactor": _adafactor,
    "SGD": _sgd,
}
"""Names that people know, and what they stand for."""


class Corrector:
    """Corrects what is learned, and keeps its running average if the plan wants one.

    Args:
        parameters: What is learned, by name; float32.
        factors: Factor on the learning rate of each.
        plan: How.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        factors: Mapping[str, float],
        plan: CorrectionPlan,
    ) -> None:
        if plan.optimiser not in OPTIMISERS:
            message = f"there is no optimiser {plan.optimiser[:80]!r}"
            hint = f"There are: {', '.join(OPTIMISERS)}."
            raise UnknownNameError(message, hint=hint, value=plan.optimiser[:80])
        self.parameters = parameters
        self._plan = plan
        groups: list[dict[str, Any]] = [
            {"params": [each for name, each in parameters.items() if factors[name] == factor],
             "factor": factor}
            for factor in dict.fromkeys(factors.values())
        ]  # fmt: skip
        self._optimiser = OPTIMISERS[plan.optimiser](groups, plan)
        self._order: list[nn.Parameter] = [each for group in groups for each in group["params"]]
        self.average = (
            {name: each.detach().clone() for name, each in parameters.items()}
            if plan.average
            else {}
        )

    def shorten(self) -> float:
        """Shorten the gradients to the plan's limit; return how long they were."""
        return float(nn.utils.clip_grad_norm_(self._order, self._plan.clip or float("inf")))

    def correct(self, rate: float) -> None:
        """Take one step against the gradients, which are then forgotten."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimiser.step()
        self._optimiser.zero_grad()
        for name, kept in self.average.items():
            kept.lerp_(self.parameters[name].detach(), 1 - self._plan.average)

    @contextmanager
    def averaged(self) -> Generator[None]:
        """Put the running average in the place of the last values until the end of the block."""
        own = {name: self.parameters[name].data for name in self.average}
        for name, kept in self.average.items():
            self.parameters[name].data = kept
        try:
            yield
        finally:
            for name, data in own.items():
                self.parameters[name].data = data

    @property
    def finished(self) -> Mapping[str, Tensor]:
        """What is saved: the running average if there is one, else the last values."""
        last = {name: each.detach() for name, each in self.parameters.items()}
        return self.average or last

    def state(self) -> dict[str, Tensor]:
        """Return everything that the next correction depends on, by flat names."""
        places = {id(each): str(place) for place, each in enumerate(self._order)}
        found = {f"learned.{name}": each.detach() for name, each in self.parameters.items()}
        found |= {f"average.{name}": kept for name, kept in self.average.items()}
        for each, values in self._optimiser.state.items():
            for key, value in values.items():
                if value is not None:
                    found[f"optimiser.{places[id(each)]}.{key}"] = torch.as_tensor(value)
        return found

    @torch.no_grad()
    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state that ``state`` returned.

        Raises:
            KeyError: If it is of another training.
        """
        for name, each in self.parameters.items():
            each.copy_(state[f"learned.{name}"])
        for name, kept in self.average.items():
            kept.copy_(state[f"average.{name}"])
        for name, value in state.items():
            head, _, rest = name.partition(".")
            if head == "optimiser":
                place, _, key = rest.partition(".")
                each = self._order[int(place)]
                self._optimiser.state[each][key] = value.clone()
