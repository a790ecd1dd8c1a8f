"""The learning rate at every step: A1111's schedule syntax, and the usual shapes. No torch."""

import math
from dataclasses import dataclass
from typing import Final

from webui.modules.errors import RangeError
from webui.modules.training.plan import CorrectionPlan, RateShape

HINT: Final = (
    "Write a number such as 1e-4, or rates with the step until which each holds: 5e-3:100, 1e-3"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A rate and the step until which it holds."""

    rate: float
    until: int


def read_schedule(text: str, steps: int) -> tuple[Held, ...]:
    """Return the rates of a schedule such as ``0.005:100, 1e-3:1000, 1e-5``.

    A1111's rules: a pair whose step is 0 or less than 0 but -1 is passed over, -1 or nothing means
    to the end, and reading stops at the first pair that reaches the end.

    Args:
        text: Rates and steps.
        steps: Of the whole training.

    Raises:
        RangeError: If nothing of it is a rate, or one is negative or no number.
    """
    held: list[Held] = []
    for pair in text.split(","):
        fields = pair.strip().split(":")
        if not fields[0]:
            continue
        try:
            rate = float(fields[0])
            until = int(fields[1]) if len(fields) == 2 else -1  # noqa: PLR2004 - rate and step
        except ValueError as error:
            message = f"the learning rate {text[:80]!r} cannot be read"
            raise RangeError(message, hint=HINT, value=text[:80]) from error
        if not math.isfinite(rate) or rate < 0:
            message = f"the learning rate {fields[0][:40]} is no usable number"
            raise RangeError(message, hint=HINT, value=fields[0][:40])
        if until == -1 or until >= steps:
            held.append(Held(rate, steps))
            break
        if until > 0:
            held.append(Held(rate, until))
    if not held:
        message = f"the learning rate {text[:80]!r} names no rate"
        raise RangeError(message, hint=HINT, value=text[:80])
    return tuple(held)


def last_step(plan: CorrectionPlan, steps: int) -> int:
    """Return how many steps there are: a schedule that ends earlier ends the training."""
    return read_schedule(plan.rate, steps)[-1].until


def rate_at(plan: CorrectionPlan, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Args:
        plan: How what is learned is corrected.
        step: Counted from 0.
        steps: Of the whole training.
    """
    schedule = read_schedule(plan.rate, steps)
    rate = next((held.rate for held in schedule if step < held.until), schedule[-1].rate)
    if step < plan.warm_up:
        return rate * (step + 1) / plan.warm_up
    passed = (step - plan.warm_up) / max(1, steps - plan.warm_up)
    return rate * _share(plan.shape, passed, plan.restarts)


def _share(shape: RateShape, passed: float, restarts: int) -> float:
    """Return what is left of the rate when this share of the steps has passed."""
    if shape == "linear":
        return 1 - passed
    if shape == "cosine":
        return (1 + math.cos(math.pi * passed)) / 2
    if shape == "restarts":
        return (1 + math.cos(math.pi * (passed * max(1, restarts) % 1))) / 2
    return 1.0
