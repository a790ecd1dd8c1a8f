"""The one loop of every training: noise, predict, compare, correct.

A picture is noised to some level; the painter draws its guess; the guess is compared with the
truth; and something is corrected. Only what is corrected differs from kind to kind.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from webui.modules.errors import NumericsError
from webui.modules.networks.offload import remembering
from webui.modules.training.buckets import Order, Turn
from webui.modules.training.chance import layers_by_chance
from webui.modules.training.company import ALONE, Company
from webui.modules.training.optimisers import Corrector
from webui.modules.training.plan import TrainingPlan
from webui.modules.training.rates import rate_at

Sample = TypeVar("Sample")


class Course(Protocol[Sample]):
    """What is shown to the painter, and how its guesses are judged."""

    def noise(self, turns: Sequence[Turn]) -> Sample:
        """Bring the pictures of these turns to noise levels."""
        ...

    def predict(self, sample: Sample) -> Tensor:
        """Return the painter's guesses."""
        ...

    def compare(self, guess: Tensor, sample: Sample) -> Tensor:
        """Return how wrong each guess is, ``[batch]``."""
        ...

    def measured(self, places: Sequence[int]) -> list[Sample]:
        """Return samples that never change, to measure with."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What one step was like.

    Attributes:
        step: Steps done, this one included.
        loss: How wrong the guesses were, on average.
        rate: Learning rate.
        length: Of the gradients together.
        waited: Seconds until the pictures were there, noise and all.
    """

    step: int
    loss: float
    rate: float
    length: float
    waited: float


def train_step(
    step: int,
    course: Course[Sample],
    corrector: Corrector,
    order: Order,
    plan: TrainingPlan,
    company: Company = ALONE,
) -> Lesson:
    """Take one step.

    Args:
        step: Counted from 0.
        course: What is shown.
        corrector: What is corrected.
        order: Whose turn it is.
        plan: The training.
        company: Who trains along.

    Raises:
        NumericsError: If a guess or a gradient is no number; nothing is corrected then.
    """
    group = order.turns(step)
    turns, total, waited = company.share(group), 0.0, 0.0
    with layers_by_chance(plan.seed, step), remembering(apart=plan.correction.offload):
        for first in range(0, len(turns), plan.batch_size):
            together = turns[first : first + plan.batch_size]

            # 1. Noise: every picture is brought to a noise level of its own.
            began = time.perf_counter()
            sample = course.noise(together)
            waited += time.perf_counter() - began

            # 2. Predict: the painter draws its guess from the noise and the text.
            guess = course.predict(sample)

            # 3. Compare: how far is the guess from the truth?
            loss = course.compare(guess, sample).sum() / len(group)
            loss.backward()  # pyright: ignore[reportUnknownMemberType] - untyped in torch
            total += float(loss.detach())

    # 4. Correct: what is learned moves against its share of the error.
    rate = rate_at(plan.correction, step, plan.steps)
    company.add_up(corrector.parameters.values())
    length, total = corrector.shorten(), company.total(total)
    if not math.isfinite(total) or not math.isfinite(length):
        message = f"the loss of step {step + 1} is no number; the last saved state is untouched"
        hint = "Lower the learning rate, then go on from the last saved state."
        raise NumericsError(message, hint=hint, value=step + 1)
    corrector.correct(rate)
    return Lesson(step=step + 1, loss=total, rate=rate, length=length, waited=waited)


@torch.no_grad()
def measure(course: Course[Sample], samples: Sequence[Sample], told: Callable[[], None]) -> float:
    """Return how wrong the guesses are on average for samples that never change.

    Args:
        course: What they are of.
        samples: From ``course.measured``.
        told: Called after each; ends the work by raising.
    """
    wrong = 0.0
    for sample in samples:
        wrong += float(course.compare(course.predict(sample), sample).mean())
        told()
    return wrong / len(samples)
