"""The supervisor: whatever happens to the worker process, the queue goes on."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from tests.plans import plan_of
from tests.unit.jobs import scripted
from webui.jobs.bell import Bell
from webui.jobs.executor import Delivery
from webui.jobs.local import LocalExecutor, Surroundings
from webui.jobs.messages import Wish
from webui.jobs.plans import encode
from webui.jobs.queue import NewJob, Queue
from webui.jobs.views import JobState, JobView
from webui.modules.errors import StorageError
from webui.settings import DeviceSettings

WHOLE_TEST = 60.0


class Shop:
    """A queue, a supervisor and the pictures that it delivered."""

    def __init__(self, folder, run, *, silence=60.0, deliver=None, **around) -> None:
        self.queue = Queue(folder / "jobs.sqlite3", limit_per_owner=100)
        self.queue.recover()
        self.bell = Bell()
        self.delivered: list[tuple[str, int]] = []
        self.executor = LocalExecutor(
            self.queue,
            DeviceSettings(),
            Surroundings(
                deliver=deliver or self.keep, bell=self.bell, run=run, silence=silence, **around
            ),
        )

    def keep(self, delivery: Delivery) -> str:
        self.delivered.append((delivery.job.id, delivery.number))
        return f"picture-{delivery.number}"

    def submit(self, prompt: str = "good", *, pictures: int = 1, batch_size: int = 1) -> str:
        plan = plan_of(
            prompts=(prompt,) * pictures,
            negative_prompts=("",) * pictures,
            seeds=tuple(range(pictures)),
            variation_seeds=(0,) * pictures,
            batch_size=batch_size,
        )
        job = NewJob(kind="generate", owner="anna", request="{}", plan=encode(plan))
        job_id = self.queue.add(job)
        self.executor.wake()
        return job_id

    def view(self, job_id: str) -> JobView:
        return self.queue.view(job_id, owner="anna")

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + WHOLE_TEST
        while not happened():
            rings = self.bell.rings
            if happened():
                return
            assert time.monotonic() < end, "it never happened"
            self.bell.wait(rings, timeout=0.05)

    def ended(self, job_id: str) -> JobView:
        self.until(lambda: self.view(job_id).state.ended)
        return self.view(job_id)


@contextmanager
def shop(folder, run, **more) -> Generator[Shop]:
    opened = Shop(folder, run, **more)
    try:
        yield opened
    finally:
        opened.executor.stop(patience=0)
        opened.queue.close()


def test_a_job_is_drawn_and_its_pictures_stand_in_order(tmp_path) -> None:
    with shop(tmp_path, scripted.well) as here:
        view = here.ended(here.submit(pictures=3))

        assert view.state is JobState.DONE
        assert view.pictures == ("picture-0", "picture-1", "picture-2")
        assert view.attempts == 1
        assert here.executor.worker().notes == ("scripted",)


def test_a_killed_worker_costs_its_job_three_attempts_and_the_others_nothing(tmp_path) -> None:
    with shop(tmp_path, scripted.dies_of_bad_prompts) as here:
        bad, good = here.submit("bad", pictures=2, batch_size=2), here.submit()

        assert here.ended(good).state is JobState.DONE
        view = here.ended(bad)

        assert view.state is JobState.FAILED
        assert view.failure is not None
        assert view.failure.code == "job.worker_died"
        assert "exit code -9" in view.failure.message
        assert here.executor.worker().starts == 4
        assert view.pictures == ("picture-0",)
        assert here.delivered.count((bad, 0)) == 1


def test_a_worker_that_falls_silent_is_replaced_and_its_job_begun_again(tmp_path) -> None:
    with shop(tmp_path, scripted.hangs_once, silence=5.0) as here:
        view = here.ended(here.submit(str(tmp_path / "marker")))

        assert view.state is JobState.DONE
        assert view.attempts == 2
        assert here.executor.worker().starts == 2


def test_a_failure_is_told_with_its_hint_and_the_next_job_runs(tmp_path) -> None:
    with shop(tmp_path, scripted.fails_bad_prompts) as here:
        bad, good = here.submit("bad"), here.submit()

        failure = here.ended(bad).failure

        assert failure is not None
        assert (failure.code, failure.hint, failure.value) == ("device.memory", "smaller", "9")
        assert here.ended(good).state is JobState.DONE
        assert here.executor.worker().starts == 1


def test_without_an_engine_every_job_says_why(tmp_path) -> None:
    with shop(tmp_path, scripted.unusable) as here:
        for job_id in (here.submit(), here.submit()):
            failure = here.ended(job_id).failure
            assert failure is not None
            assert failure.message == "no CUDA here"

        assert here.executor.worker().phase == "unusable"


def test_a_full_disk_fails_the_job_and_the_next_one_runs(tmp_path) -> None:
    full = threading.Event()
    full.set()

    def deliver(_delivery: Delivery) -> str:
        if full.is_set():
            message = "the disk is full"
            raise StorageError(message, hint="Make room.")
        return "picture"

    with shop(tmp_path, scripted.well, deliver=deliver) as here:
        failure = here.ended(here.submit()).failure
        assert failure is not None
        assert (failure.code, failure.message) == ("storage", "the disk is full")

        full.clear()

        assert here.ended(here.submit()).pictures == ("picture",)


@pytest.mark.parametrize(
    ("wish", "state", "pictures"),
    [(Wish.INTERRUPT, JobState.DONE, 0), (Wish.SKIP, JobState.DONE, 2)],
)
def test_a_wish_acts_within_a_step(tmp_path, wish, state, pictures) -> None:
    with shop(tmp_path, scripted.slow) as here:
        job_id = here.submit(pictures=2)
        here.until(lambda: bool((p := here.executor.progress(job_id)) and p.step >= 3))

        asked_at = here.executor.progress(job_id)
        here.executor.ask(job_id, wish)
        view = here.ended(job_id)

        assert asked_at is not None
        assert view.state is state
        assert len(view.pictures) == pictures


def test_a_cancelled_job_is_dropped_and_the_next_one_runs(tmp_path) -> None:
    with shop(tmp_path, scripted.slow) as here:
        job_id, good = here.submit(pictures=9), here.submit()
        here.until(lambda: here.executor.progress(job_id) is not None)

        here.queue.cancel(job_id)
        here.executor.ask(job_id, Wish.CANCEL)

        assert here.ended(good).state is JobState.DONE
        assert here.view(job_id).state is JobState.CANCELLED
        assert here.view(job_id).pictures == ()


def test_progress_rises_and_tells_the_time_left(tmp_path) -> None:
    with shop(tmp_path, scripted.slow) as here:
        job_id = here.submit(pictures=2)
        seen = []
        while not here.view(job_id).state.ended:
            if progress := here.executor.progress(job_id):
                seen.append(progress)
            here.bell.wait(here.bell.rings, timeout=0.01)

        fractions = [progress.fraction for progress in seen]
        assert fractions == sorted(fractions)
        middle = [progress for progress in seen if 0.2 < progress.fraction < 0.8]
        assert all(0 < (progress.eta_seconds or 0) < 10 for progress in middle)
        assert {progress.batches for progress in seen} == {2}


def test_stopping_puts_the_running_job_back_for_the_next_start(tmp_path) -> None:
    with shop(tmp_path, scripted.slow) as here:
        job_id = here.submit(pictures=3)
        here.until(lambda: len(here.view(job_id).pictures) == 1)

    with shop(tmp_path, scripted.well) as here:
        view = here.ended(job_id)

        assert view.state is JobState.DONE
        assert view.attempts == 1
        assert len(view.pictures) == 3
        assert (job_id, 0) not in here.delivered


def test_stopping_waits_for_a_job_that_is_nearly_done(tmp_path) -> None:
    here = Shop(tmp_path, scripted.slow)
    job_id = here.submit()
    here.until(lambda: here.executor.progress(job_id) is not None)

    here.executor.stop(patience=WHOLE_TEST)

    assert here.view(job_id).state is JobState.DONE
    here.queue.close()
