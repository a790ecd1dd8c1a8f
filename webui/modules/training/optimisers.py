"""How what is learned is corrected from its gradients, by optimisers from their libraries."""

import importlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from pytorch_optimizer import Lion, Prodigy
from torch import Tensor, nn
from torch.optim import Optimizer

from webui.modules.errors import UnknownNameError, UnsupportedError
from webui.modules.training.plan import CorrectionPlan

Groups = list[dict[str, Any]]
"""Parameters that share a rate, as torch's optimisers take them."""


def _adamw(groups: Groups, plan: CorrectionPlan) -> Optimizer:
    # Fused: one pass over the numbers instead of ten, three to four times as fast on a CPU.
    return torch.optim.AdamW(groups, lr=1.0, weight_decay=plan.weight_decay, fused=True)


def _adafactor(groups: Groups, plan: CorrectionPlan) -> Optimizer:
    return torch.optim.Adafactor(groups, lr=1.0, weight_decay=plan.weight_decay)


def _lion(groups: Groups, plan: CorrectionPlan) -> Optimizer:
    return Lion(groups, lr=1.0, weight_decay=plan.weight_decay)


def _prodigy(groups: Groups, plan: CorrectionPlan) -> Optimizer:
    return Prodigy(groups, lr=1.0, weight_decay=plan.weight_decay, safeguard_warmup=True)


def _adamw_8bit(groups: Groups, plan: CorrectionPlan) -> Optimizer:
    """Keep AdamW's memory in 8 bits; an extra, and only on CUDA (not run by our tests)."""
    try:
        library: Any = importlib.import_module("bitsandbytes")
    except ImportError as error:
        message = "the optimiser AdamW8bit needs the package bitsandbytes, which is not installed"
        raise UnsupportedError(message, hint="Use AdamW, or Adafactor to save memory.") from error
    return library.optim.AdamW8bit(groups, lr=1.0, weight_decay=plan.weight_decay)


OPTIMISERS: Final[Mapping[str, Callable[[Groups, CorrectionPlan], Optimizer]]] = {
    "AdamW": _adamw,
    "Adafactor": _adafactor,
    "Lion": _lion,
    "Prodigy": _prodigy,
    "AdamW8bit": _adamw_8bit,
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
        groups: Groups = [
            {"params": [each for name, each in parameters.items() if factors[name] == factor],
             "factor": factor}
            for factor in dict.fromkeys(factors.values())
        ]  # fmt: skip
        self._optimiser = OPTIMISERS[plan.optimiser](groups, plan)
        self._begun = [dict(group) for group in self._optimiser.param_groups]
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
        for place, (group, begun) in enumerate(
            zip(self._optimiser.param_groups, self._begun, strict=True)
        ):
            for key in group.keys() - {"params", "lr"}:
                # Some keep what they find out, such as a distance, beside their settings.
                value = group[key]
                if isinstance(value, Tensor | float | int) and value is not begun.get(key):
                    found[f"group.{place}.{key}"] = torch.as_tensor(value, dtype=torch.float64)
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
            place, _, key = rest.partition(".")
            if head == "optimiser":
                learned = self._order[int(place)]
                # torch keeps counters on the CPU, except for its fused kernels.
                beside = key != "step" or bool(self._optimiser.defaults.get("fused"))
                device = learned.device if beside else value.device
                self._optimiser.state[learned][key] = value.to(device, copy=True)
            elif head == "group":
                self._optimiser.param_groups[int(place)][key] = _as_before(value)


def _as_before(value: Tensor) -> Tensor | float | int:
    """Return a number of a group as its optimiser keeps it."""
    if value.dim():
        return value.float()
    number = float(value)
    return int(number) if number.is_integer() else number
