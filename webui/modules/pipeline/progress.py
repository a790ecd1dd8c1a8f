"""How far a batch is, told to whoever watches, and what it looked like when it was stopped."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor

from webui.modules.pipeline.preview import preview_png
from webui.modules.types import Observer, SkipBatch, Step, StopDrawing


class Progress:
    """Counts the steps of one batch over all its walks.

    Attributes:
        stopped: Why the batch ended before its last step; None while nobody asked for that.
    """

    def __init__(self, observe: Observer, *, total: int, batch: int, batches: int) -> None:
        self.stopped: SkipBatch | StopDrawing | None = None
        self._observe = observe
        self._total = total
        self._batch = batch
        self._batches = batches
        self._before = 0
        self._taken = 0
        self._guess = torch.empty(0)

    @property
    def latents(self) -> Tensor:
        """Where the last walk ended: at its end, or at the guess when it was stopped."""
        return self._guess

    @contextmanager
    def walk(self, start: Tensor) -> Generator[Callable[[Tensor], None]]:
        """Begin one more walk; what it yields takes the walk's end."""
        self._before += self._taken
        self._taken = 0
        self._guess = start
        try:
            yield self._end
        except (SkipBatch, StopDrawing) as stop:
            self.stopped = stop

    def skipped(self, latents: Tensor, steps: int) -> Tensor:
        """Tell of a walk whose end is known already, as of its last step; return that end."""
        with self.walk(latents) as ended:
            self.step(steps - 1, latents)
            ended(latents)
        return self.latents

    def step(self, number: int, guess: Tensor) -> None:
        """Tell of a step of the walk, counted from 0, and of the guess at the picture so far."""
        self._guess = guess
        self._taken = number + 1
        self._observe(
            Step(
                number=self._before + self._taken,
                total=max(self._total, self._before + self._taken),
                batch=self._batch,
                batches=self._batches,
                preview=lambda: preview_png(guess),
            )
        )

    def _end(self, latents: Tensor) -> None:
        self._guess = latents
