"""Works that draw no pictures: carried out, stopped, paused for others, and begun again."""

import time

import pytest

from tests.unit.jobs.counting import GOAL, counting, work_for
from tests.unit.jobs.test_local import Shop, shop
from tests.unit.jobs.test_queue import Clock, begin, new_queue, wish
from webui.jobs import works
from webui.jobs.messages import Wish
from webui.jobs.orders import WORK
from webui.jobs.queue import MAX_ATTEMPTS, RENEWED_SECONDS, NewJob, Queue
from webui.jobs.turns import Turns, Waiting
from webui.jobs.views import JobState, Progress
from webui.modules.errors import JobError

AT_ONCE = Turns(least=0.0, whole=0.0)


def submit(here: Shop, file, how: str = "", *, owner: str = "anna", yields: bool = False) -> str:
    plan = works.encode(work_for(file, how))
    job = NewJob(kind=WORK, owner=owner, request="{}", plan=plan, yields=yields)
    job_id = here.queue.add(job)
    here.executor.wake()
    return job_id


def counted(here: Shop, job_id: str, *, beyond: int = 0) -> None:
    here.until(lambda: bool((p := here.executor.progress(job_id)) and p.step > beyond))


def test_a_work_tells_how_far_it_is_and_what_came_of_it(tmp_path) -> None:
    looked = []
    with shop(tmp_path, counting, look_again=lambda: looked.append(True)) as here:
        job_id = submit(here, tmp_path / "count")
        counted(here, job_id, beyond=30)
        progress = here.executor.progress(job_id)
        view = here.ended(job_id)

        assert progress is not None
        assert (progress.phase, progress.text, progress.steps) == ("working", "counting", GOAL)
        assert 0.3 < progress.fraction <= 1
        assert 0 < (progress.eta_seconds or 0) < 60
        assert (view.state, view.result) == (JobState.DONE, {"reached": GOAL, "begun": 0})
        assert looked == [True]


def test_a_work_whose_worker_is_killed_is_carried_out_again(tmp_path) -> None:
    with shop(tmp_path, counting) as here:
        view = here.ended(submit(here, tmp_path / "count", "dies"))

        assert (view.state, view.attempts) == (JobState.DONE, 2)
        assert view.result == {"reached": GOAL, "begun": 10}
        assert here.executor.worker().starts == 2


def test_a_work_that_fails_says_why_and_the_next_one_runs(tmp_path) -> None:
    with shop(tmp_path, counting) as here:
        bad, good = submit(here, tmp_path / "a", "fails"), submit(here, tmp_path / "b")
        failure = here.ended(bad).failure

        assert failure is not None
        assert (failure.code, failure.message, failure.value) == (
            "model.file",
            "it is cut off",
            "a.pt",
        )
        assert here.ended(good).state is JobState.DONE


@pytest.mark.parametrize(("how", "result"), [("saves", True), ("", False)])
def test_an_interrupted_work_keeps_what_it_has_saved(tmp_path, how, result) -> None:
    with shop(tmp_path, counting) as here:
        job_id = submit(here, tmp_path / "count", how)
        counted(here, job_id)

        here.executor.ask(job_id, Wish.INTERRUPT)
        view = here.ended(job_id)

        assert view.state is JobState.DONE
        assert view.notes[0] == "Stopped before its end."
        assert ("reached" in view.result) is result
        assert ("saved" in view.notes) is result


def test_a_cancelled_work_is_dropped_and_the_next_one_runs(tmp_path) -> None:
    with shop(tmp_path, counting) as here:
        bad, good = submit(here, tmp_path / "a"), submit(here, tmp_path / "b")
        counted(here, bad)

        here.queue.cancel(bad)
        here.executor.ask(bad, Wish.CANCEL)

        assert here.ended(good).state is JobState.DONE
        view = here.view(bad)
        assert (view.state, view.result) == (JobState.CANCELLED, {})


def test_a_long_work_lets_others_go_first_and_goes_on_where_it_was(tmp_path) -> None:
    with shop(tmp_path, counting, turns=AT_ONCE) as here:
        long = submit(here, tmp_path / "long", yields=True)
        counted(here, long)
        shorts = [submit(here, tmp_path / f"short{number}") for number in range(2)]

        here.until(lambda: here.view(long).progress.phase == "paused")
        paused = here.view(long)
        ended = [here.ended(job_id) for job_id in (*shorts, long)]

        assert paused.state is JobState.QUEUED
        assert 0 < paused.progress.fraction < 1
        assert [view.state for view in ended] == [JobState.DONE] * 3
        assert max(view.ended or 0 for view in ended[:2]) < (ended[2].started or 0)
        assert ended[2].result["begun"] == paused.progress.step
        assert ended[2].attempts == 1
        assert here.executor.worker().starts == 1


def test_two_peoples_long_works_take_turns(tmp_path) -> None:
    with shop(tmp_path, counting, turns=Turns(least=0, whole=0.3)) as here:
        hers = submit(here, tmp_path / "a", yields=True)
        counted(here, hers)
        his = submit(here, tmp_path / "b", yields=True, owner="bob")

        here.until(lambda: here.view(hers).progress.phase == "paused")
        here.until(lambda: here.queue.view(his, owner="bob").progress.phase == "paused")

        assert here.ended(hers).state is JobState.DONE


def test_a_paused_work_can_be_ended_with_what_it_has(tmp_path) -> None:
    with shop(tmp_path, counting, turns=AT_ONCE) as here:
        long = submit(here, tmp_path / "long", "saves", yields=True)
        counted(here, long)
        short = submit(here, tmp_path / "short")
        here.until(lambda: here.view(long).progress.phase == "paused")

        here.executor.ask(long, Wish.INTERRUPT)

        assert here.ended(short).state is JobState.DONE
        result = here.ended(long).result
        assert result["notes"] == ["saved"]
        assert result["reached"] == int(str(result["begun"])) + 1


def test_stopping_the_server_lets_a_long_work_save_its_state(tmp_path) -> None:
    here = Shop(tmp_path, counting)
    long = submit(here, tmp_path / "long", yields=True)
    counted(here, long)
    here.executor.stop(patience=30)

    view = here.view(long)
    here.queue.close()

    assert (view.state, view.progress.phase) == (JobState.QUEUED, "paused")
    assert (tmp_path / "long").read_text() == str(view.progress.step)


# ------------------------------------------------------------------------- the queue's part


def long_work(owner: str = "anna") -> NewJob:
    return NewJob(kind=WORK, owner=owner, request="{}", plan="{}", yields=True)


def test_ones_own_pictures_go_before_ones_long_work_and_positions_say_so(tmp_path) -> None:
    queue = new_queue(tmp_path)
    long, first, second = queue.add(long_work()), queue.add(wish()), queue.add(wish())
    his = queue.add(wish("bob"))

    promised = queue.order()

    assert promised == [first, his, second, long]
    assert [job.id for job in iter(queue.claim, None)] == promised
    queue.close()


def test_only_what_ends_soon_and_others_long_works_are_waited_for(tmp_path) -> None:
    queue = new_queue(tmp_path)
    queue.add(long_work())
    assert queue.waiting(behind="anna") == Waiting(short=0, long=0)
    assert queue.waiting(behind="bob") == Waiting(short=0, long=1)

    queue.add(wish())
    assert queue.waiting(behind="anna") == Waiting(short=1, long=0)
    queue.close()


@pytest.mark.parametrize(
    ("held", "short", "long", "over"),
    [(9, 1, 0, False), (10, 1, 0, True), (99, 0, 1, False), (100, 0, 1, True), (999, 0, 0, False)],
)
def test_a_turn_has_a_least_length(held, short, long, over) -> None:
    turns = Turns(least=10, whole=100)

    assert turns.over(held, Waiting(short=short, long=long)) is over


def test_a_long_work_survives_more_breaks_than_a_short_job_may_have(tmp_path) -> None:
    clock = Clock()
    queue = new_queue(tmp_path, clock)
    job_id = queue.add(long_work())
    for _ in range(2 * MAX_ATTEMPTS):
        begin(queue)
        clock.now += RENEWED_SECONDS + 60
        queue.vouch(job_id)
        queue.give_back(job_id, reason="a power cut")

    assert queue.view(job_id, owner="anna").state is JobState.QUEUED

    for _ in range(MAX_ATTEMPTS - 1):
        begin(queue)
        queue.give_back(job_id, reason="killed at once")
    assert queue.view(job_id, owner="anna").state is JobState.FAILED
    queue.close()


def test_a_long_work_that_gets_on_may_be_killed_again_and_again(tmp_path) -> None:
    with shop(tmp_path, counting) as here:
        view = here.ended(submit(here, tmp_path / "count", "dies often", yields=True))

        assert (view.state, view.result) == (JobState.DONE, {"reached": GOAL, "begun": 90})
        assert here.executor.worker().starts == 6


def test_pausing_costs_no_attempt_and_is_told(tmp_path) -> None:
    queue = new_queue(tmp_path)
    job_id = queue.add(long_work())
    for _ in range(MAX_ATTEMPTS + 1):
        begin(queue)
        queue.pause(job_id, Progress(step=3, steps=10, fraction=0.3, text="x", eta_seconds=5))

    view = queue.view(job_id, owner="anna")

    assert (view.state, view.attempts) == (JobState.QUEUED, 0)
    assert (view.progress.phase, view.progress.step) == ("paused", 3)
    assert view.progress.eta_seconds is None
    queue.close()


def test_a_queue_of_the_last_version_is_brought_up_to_date(tmp_path) -> None:
    import sqlite3

    from webui.jobs.database import MIGRATIONS

    with sqlite3.connect(tmp_path / "jobs.sqlite3") as database:
        database.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1;")
        database.execute(
            "INSERT INTO jobs (id, kind, owner, state, request, plan, notes, created)"
            " VALUES ('old', 'generate', 'anna', 'queued', '{}', '{}', '[]', 1)"
        )
    database.close()

    queue = Queue(tmp_path / "jobs.sqlite3", limit_per_owner=9)
    view = queue.view("old", owner="anna")

    assert (view.yields, view.result, view.progress) == (False, {}, Progress())
    assert begin(queue) == "old"
    queue.close()


def test_a_work_reads_back_as_it_was_written(tmp_path) -> None:
    work = work_for(tmp_path / "ä b.safetensors")

    assert works.decode(works.encode(work)) == work


@pytest.mark.parametrize(
    "text", ["", "[]", '{"work": "Nothing", "plan": {}}', '{"work": "ConvertPlan"}']
)
def test_a_work_of_another_version_is_refused_in_words(text) -> None:
    with pytest.raises(JobError, match="another version"):
        works.decode(text)


def test_time_is_not_wasted_on_telling(tmp_path) -> None:
    from webui.jobs.teller import Teller

    said = []
    tell = Teller(lambda *told: said.append(told), lambda: None)
    began = time.monotonic()
    for number in range(1, 10_001):
        tell(number, 10_000, "x")

    assert said[0] == (1, 10_000, "x")
    assert said[-1] == (10_000, 10_000, "x")
    assert len(said) < 10 + 10 * (time.monotonic() - began) / 0.1
