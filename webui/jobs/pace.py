"""How fast a job goes: its share that is done, and when it will end."""

from dataclasses import dataclass, field, replace

from webui.jobs.messages import Stepped
from webui.jobs.views import Progress


@dataclass(kw_only=True, slots=True)
class Pace:
    """Measures the steps of one job.

    Attributes:
        batches: Batches of the whole job.
        batches_before: Batches that were done when this attempt began.
    """

    batches: int
    batches_before: int = 0
    _first: tuple[float, float] | None = field(default=None, init=False)

    def after(self, step: Stepped, *, now: float) -> Progress:
        """Return the progress after this step.

        Args:
            step: What the worker tells; its batches are those of this attempt.
            now: Monotonic time in seconds.
        """
        batch = self.batches_before + step.batch
        done = batch + step.number / step.total
        if self._first is None:
            self._first = (done, now)
        done_since, began = done - self._first[0], self._first[1]
        left = self.batches - done
        return Progress(
            step=step.number,
            steps=step.total,
            batch=batch,
            batches=self.batches,
            fraction=min(1.0, done / self.batches),
            eta_seconds=(now - began) / done_since * left if done_since > 0 else None,
            phase="drawing",
        )

    def after_part(self, number: int, total: int, text: str, *, now: float) -> Progress:
        """Return the progress after a part of a work that draws no pictures.

        Args:
            number: Parts done.
            total: Parts of the whole work.
            text: What the work is at.
            now: Monotonic time in seconds.
        """
        step = Stepped(job_id="", number=number, total=max(total, 1), batch=0, batches=1)
        return replace(self.after(step, now=now), phase="working", text=text)


@dataclass(kw_only=True, slots=True)
class PreviewPace:
    """Decides when a preview is worth its time.

    Attributes:
        interval: Seconds between two previews at least.
        share: Part of the time that previews may take.
    """

    interval: float = 0.5
    share: float = 0.03
    _next: float = field(default=0.0, init=False)

    def begin(self, *, now: float) -> None:
        """Count from here."""
        self._next = now + self.interval

    def due(self, *, now: float) -> bool:
        """Tell whether the next preview may be made."""
        return now >= self._next

    def made(self, *, began: float, now: float) -> None:
        """Put the next preview off by as much as this one cost."""
        self._next = now + max(self.interval, (now - began) / self.share)
