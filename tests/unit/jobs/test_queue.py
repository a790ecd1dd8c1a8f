"""The queue: fair turns, one job per key, nothing lost, and an end for jobs that kill workers."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from webui.jobs.queue import LEASE_SECONDS, MAX_ATTEMPTS, NewJob, Queue
from webui.jobs.views import Failure, JobState
from webui.modules.errors import QueueFullError, StorageError, UnknownJobError

PEOPLE = st.sampled_from(["anna", "bob", "carl"])


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def wish(owner: str = "anna", key: str = "") -> NewJob:
    return NewJob(kind="generate", owner=owner, request="{}", plan="{}", key=key)


def new_queue(path: Path, clock: Clock | None = None, limit: int = 100) -> Queue:
    return Queue(path / "jobs.sqlite3", limit_per_owner=limit, clock=clock or Clock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path, clock) -> Iterator[Queue]:
    queue = new_queue(tmp_path, clock)
    yield queue
    queue.close()


def begin(queue: Queue) -> str:
    job = queue.claim()
    assert job is not None
    return job.id


def test_two_people_take_turns_however_much_one_has_queued(queue) -> None:
    for _ in range(4):
        queue.add(wish("anna"))
    for _ in range(2):
        queue.add(wish("bob"))

    owners = [job.owner for job in iter(queue.claim, None)]

    assert owners == ["anna", "bob", "anna", "bob", "anna", "anna"]


def test_a_newcomer_does_not_wait_behind_everybody(queue) -> None:
    for _ in range(50):
        queue.add(wish("anna"))
    begin(queue)

    mine = queue.add(wish("bob"))

    assert queue.view(mine, owner="bob").position == 0
    assert begin(queue) == mine


@given(owners=st.lists(PEOPLE, max_size=20), claimed=st.integers(0, 5))
def test_the_position_shown_is_the_turn_taken(tmp_path_factory, owners, claimed) -> None:
    queue = new_queue(tmp_path_factory.mktemp("queue"))
    for owner in owners:
        queue.add(wish(owner))
    for _ in range(claimed):
        queue.claim()

    promised = queue.order()

    assert [job.id for job in iter(queue.claim, None)] == promised
    queue.close()


def test_the_same_key_twice_is_one_job_and_only_for_its_owner(queue) -> None:
    first = queue.add(wish("anna", "k"))

    assert queue.add(wish("anna", "k")) == first
    assert queue.add(wish("bob", "k")) != first
    assert queue.find_key("anna", "k") == first
    assert queue.find_key("anna", "other") is None
    assert queue.add(wish("anna")) != queue.add(wish("anna"))


def test_a_person_cannot_fill_the_queue(tmp_path) -> None:
    queue = new_queue(tmp_path, limit=2)
    queue.add(wish("anna", "k"))
    queue.add(wish("anna"))

    with pytest.raises(QueueFullError, match="2 of your jobs"):
        queue.add(wish("anna"))

    assert queue.add(wish("anna", "k"))
    assert queue.add(wish("bob"))
    queue.finish(begin(queue))
    assert queue.add(wish("anna"))
    queue.close()


def test_nobody_sees_anothers_job(queue) -> None:
    job_id = queue.add(wish("anna"))

    with pytest.raises(UnknownJobError):
        queue.view(job_id, owner="bob")
    with pytest.raises(UnknownJobError):
        queue.view("nothing", owner="bob")
    assert queue.active(owner="bob") == queue.recent(owner="bob", limit=5) == []


def test_a_restart_begins_the_running_job_again_and_keeps_its_pictures(tmp_path) -> None:
    queue = new_queue(tmp_path)
    first, second = queue.add(wish()), queue.add(wish())
    begin(queue)
    queue.add_picture(first, 0, "picture")
    queue.close()

    queue = new_queue(tmp_path)
    queue.recover()

    assert queue.notices == ()
    assert [view.id for view in queue.active(owner="anna")] == [first, second]
    again = queue.claim()
    assert again is not None
    assert (again.id, again.attempts, again.done) == (first, 2, {0})
    assert queue.view(first, owner="anna").pictures == ("picture",)
    queue.close()


def test_a_job_that_never_ends_is_given_up_and_the_next_one_runs(queue) -> None:
    poison, good = queue.add(wish()), queue.add(wish())
    for _ in range(MAX_ATTEMPTS):
        assert begin(queue) == poison
        queue.give_back(poison, reason="its worker was killed")

    view = queue.view(poison, owner="anna")

    assert view.state is JobState.FAILED
    assert view.failure is not None
    assert view.failure.code == "job.worker_died"
    assert "3 times" in view.failure.message
    assert "its worker was killed" in view.failure.message
    assert begin(queue) == good


def test_being_stopped_by_us_costs_no_attempt(queue) -> None:
    job_id = queue.add(wish())
    for _ in range(MAX_ATTEMPTS + 1):
        begin(queue)
        queue.give_back(job_id, reason="the server stops", counted=False)

    assert queue.view(job_id, owner="anna").state is JobState.QUEUED
    assert queue.view(job_id, owner="anna").attempts == 0


def test_a_silent_workers_job_is_begun_again_and_a_vouched_one_is_not(queue, clock) -> None:
    job_id = queue.add(wish())
    begin(queue)
    clock.now += LEASE_SECONDS - 1
    queue.vouch(job_id)
    clock.now += LEASE_SECONDS - 1
    assert queue.claim() is None

    clock.now += 2

    assert begin(queue) == job_id


def test_what_has_ended_stays_as_it_ended(queue) -> None:
    dropped = queue.add(wish())
    begin(queue)
    assert queue.cancel(dropped) is True

    queue.finish(dropped)
    queue.fail(dropped, Failure(code="x", message="x", hint="x"))
    queue.give_back(dropped, reason="x")

    assert queue.view(dropped, owner="anna").state is JobState.CANCELLED
    assert queue.cancel(queue.add(wish())) is False
    assert queue.claim() is None


def test_old_jobs_are_forgotten_and_waiting_ones_never(queue, clock) -> None:
    old, waiting = queue.add(wish()), queue.add(wish())
    queue.finish(begin(queue))
    clock.now += 40 * 24 * 3600

    queue.recover()

    assert [view.id for view in queue.recent(owner="anna", limit=9)] == [waiting]
    assert old != waiting


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 5000, b"not a database at all" * 99, None], ids=str
)
def test_a_damaged_file_is_kept_aside_and_told(tmp_path, damage) -> None:
    queue = new_queue(tmp_path)
    for _ in range(99):
        queue.add(wish())
    queue.close()
    path = tmp_path / "jobs.sqlite3"
    if damage is None:
        good = path.read_bytes()
        damage = good[:4096] + bytes(len(good) - 4096)
    path.write_bytes(damage)

    queue = new_queue(tmp_path)

    assert queue.add(wish())
    if damage:
        assert "jobs.sqlite3.bad-1" in queue.notices[0]
        assert (tmp_path / "jobs.sqlite3.bad-1").read_bytes() == damage
    queue.close()


def test_a_file_of_a_newer_program_is_left_alone(tmp_path) -> None:
    new_queue(tmp_path).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(StorageError, match="newer version"):
        new_queue(tmp_path)

    assert not list(tmp_path.glob("*.bad-*"))


class QueueLife(RuleBasedStateMachine):
    """Whatever people and workers do, every job is in one place and ends once."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue(Path(":memory:"), limit_per_owner=50, clock=Clock())
        self.ended: dict[str, JobState] = {}
        self.owner: dict[str, str] = {}

    @rule(target=jobs, owner=PEOPLE)
    def add(self, owner):
        job_id = self.queue.add(wish(owner))
        self.owner[job_id] = owner
        return job_id

    @rule()
    def claim(self):
        self.queue.claim()

    @rule(job=jobs)
    def finish(self, job):
        self.queue.finish(job)

    @rule(job=jobs)
    def fail(self, job):
        self.queue.fail(job, Failure(code="x", message="x", hint="x"))

    @rule(job=jobs)
    def cancel(self, job):
        self.queue.cancel(job)

    @rule(job=jobs, counted=st.booleans())
    def give_back(self, job, counted):
        self.queue.give_back(job, reason="x", counted=counted)

    @rule()
    def restart(self):
        self.queue.recover()

    @invariant()
    def ended_jobs_stay_ended(self):
        for job_id, owner in self.owner.items():
            view = self.queue.view(job_id, owner=owner)
            assert 0 <= view.attempts <= MAX_ATTEMPTS
            assert (view.ended is not None) == view.state.ended
            assert (view.failure is not None) == (view.state is JobState.FAILED)
            assert self.ended.get(job_id, view.state) is view.state
            if view.state.ended:
                self.ended[job_id] = view.state

    def teardown(self):
        self.queue.close()


TestQueueLife = QueueLife.TestCase
