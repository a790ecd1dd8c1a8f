"""Wishes for pictures: submit, follow, stop, collect."""

from collections.abc import AsyncIterator

from webui.jobs.views import JobView
from webui.library.history import PictureView
from webui.services.requests import GenerationRequest


class Drawing:
    """Everything that can be done with picture jobs; each person reaches their own."""

    def submit(self, request: GenerationRequest, *, owner: str, key: str = "") -> JobView:
        """Settle the request and put it into the queue; the same key twice is one job."""
        raise NotImplementedError

    def view(self, job_id: str, *, owner: str) -> JobView:
        """Return the job as it is now; UnknownJobError if it is not this person's."""
        raise NotImplementedError

    def active(self, *, owner: str) -> list[JobView]:
        """Return this person's running and waiting jobs, oldest first."""
        raise NotImplementedError

    def recent(self, *, owner: str, limit: int = 20) -> list[JobView]:
        """Return this person's last jobs, newest first."""
        raise NotImplementedError

    def wait(self, job_id: str, *, owner: str, timeout: float | None = None) -> JobView:
        """Block until the job has ended or the time is up; returns the job as it is then."""
        raise NotImplementedError

    def follow(self, job_id: str, *, owner: str) -> AsyncIterator[JobView]:
        """Yield the job at once and after each change, until it has ended."""
        raise NotImplementedError

    def preview(self, job_id: str, *, owner: str) -> bytes | None:
        """Return the latest preview as PNG; None while there is none."""
        raise NotImplementedError

    def interrupt(self, job_id: str, *, owner: str) -> None:
        """End the job now and keep what is drawn so far."""
        raise NotImplementedError

    def skip(self, job_id: str, *, owner: str) -> None:
        """End this batch now and go on with the next."""
        raise NotImplementedError

    def cancel(self, job_id: str, *, owner: str) -> None:
        """Drop the job, waiting or running."""
        raise NotImplementedError

    def pictures(self, job_id: str, *, owner: str) -> list[PictureView]:
        """Return the finished pictures of a job, saved or not, in drawing order."""
        raise NotImplementedError
