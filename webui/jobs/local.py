"""Jobs carried out on this machine: one supervised child process that may die at any time.

The supervisor is one thread of the server. It takes jobs from the queue, hands them to the child
and listens. A child that dies or falls silent is replaced, and its job is begun again.
"""

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import Final

from webui.jobs import worker
from webui.jobs.bell import Bell
from webui.jobs.child import Child, Run, Task, started
from webui.jobs.executor import Compose, Deliver, Delivery, WorkerView
from webui.jobs.ledger import Ledger
from webui.jobs.messages import (
    Ask,
    Beat,
    Carried,
    Drawn,
    Ended,
    Failed,
    Faulty,
    FromWorker,
    Load,
    Paused,
    Previewed,
    Ready,
    Stepped,
    Told,
    Unusable,
    Wish,
)
from webui.jobs.orders import order_of, taken_up
from webui.jobs.plans import Sheet
from webui.jobs.queue import Queue
from webui.jobs.rows import Job
from webui.jobs.turns import Turns
from webui.jobs.views import Failure, Progress
from webui.jobs.works import noted
from webui.modules.errors import WebuiError
from webui.modules.types import ModelRecord
from webui.settings import DeviceSettings

VOUCH_SECONDS: Final = 15.0
"""How often the queue is told that a running job is alive."""

LOOK_SECONDS: Final = 1.0
"""How long the supervisor sleeps at most when nothing happens."""

GLANCE_SECONDS: Final = 0.25
"""How often a long work that tells much makes the supervisor look who else waits."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between two starts of a child that never gets ready."""

STOPPED: Final = "the server was stopped"

_OfTask = Stepped | Previewed | Drawn | Told | Carried | Paused | Ended | Failed

log = logging.getLogger(__name__)


def _no_grid(_job: Job, _sheet: Sheet) -> Mapping[int, str]:
    return {}


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What the supervisor reaches into, and how patient it is.

    Attributes:
        deliver: Keeps finished pictures.
        compose: Makes the grid of a finished sheet.
        bell: Rung at each change.
        selected: The checkpoint to have in memory while nobody waits.
        previews: Whether anybody wants to see pictures grow.
        run: What the child does.
        silence: Seconds after which a silent child is taken to hang.
        turns: How long a long work keeps the child while others wait.
        look_again: Looks for new model files; called after each work.
        switch_off: Told which extension has failed, and why.
    """

    deliver: Deliver
    compose: Compose = _no_grid
    bell: Bell
    selected: Callable[[], ModelRecord | None] = lambda: None
    previews: Callable[[], bool] = lambda: True
    run: Run = worker.main
    silence: float = 60.0
    turns: Turns = field(default_factory=Turns)
    look_again: Callable[[], None] = _nothing
    switch_off: Callable[[str, str], None] = lambda _name, _reason: None


class LocalExecutor:
    """Carries out the queue's jobs in one child process."""

    def __init__(self, queue: Queue, device: DeviceSettings, around: Surroundings) -> None:
        self._queue = queue
        self._device = device
        self._around = around
        self._bell = around.bell
        self._saver = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saver")
        self._lock = threading.RLock()
        self._woken, self._waker = multiprocessing.Pipe(duplex=False)
        self._child: Child | None = None
        self._view = WorkerView()
        self._ledger = Ledger(around.bell)
        self._early_wishes: dict[str, Wish] = {}
        self._taken_up: dict[str, int] = {}
        self._wants_selected = True
        self._leaving = threading.Event()
        self._next_vouch = self._next_look = 0.0
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    # --------------------------------------------------------------- from any thread

    def wake(self) -> None:
        """Look into the queue: there is a new job."""
        with self._lock:
            if not self._waker.closed:
                self._waker.send(None)

    def prepare(self) -> None:
        """Bring the selected checkpoint into memory as soon as nobody waits."""
        self._wants_selected = True
        self.wake()

    def ask(self, job_id: str, wish: Wish) -> None:
        """Stop a running job in one of three ways; a paused work is interrupted when it goes on."""
        with self._lock:
            task = self._task(job_id)
            if task is not None and self._child is not None:
                task.asked = wish
                self._child.tell(Ask(job_id=job_id, wish=wish))
            elif wish is Wish.INTERRUPT:
                self._early_wishes[job_id] = wish

    def progress(self, job_id: str) -> Progress | None:
        """Return how far a running job is; None if it does not run."""
        task = self._task(job_id)
        return None if task is None else task.progress

    def preview(self, job_id: str) -> bytes | None:
        """Return the latest preview of a running job as PNG; None while there is none."""
        task = self._task(job_id)
        return None if task is None else task.preview

    def worker(self) -> WorkerView:
        """Return how the worker is."""
        return self._view

    def stop(self, *, patience: float) -> None:
        """End the worker; a job that does not end within ``patience`` seconds is put back."""
        self._leaving.set()
        with self._lock:
            task = None if self._child is None else self._child.task
            if task is not None and task.job.yields and task.asked is None:
                self.ask(task.job.id, Wish.PAUSE)
        self.wake()
        self._thread.join(patience)
        with self._lock:
            if self._child is not None:
                task, self._child.task = self._child.task, None
                if task is not None:
                    self._ledger.later(lambda: self._give_back(task, STOPPED, counted=False))
                self._child.process.kill()
        self._thread.join()
        self._saver.shutdown()
        with self._lock:
            self._waker.close()
            self._woken.close()

    def _task(self, job_id: str) -> Task | None:
        child = self._child
        task = None if child is None else child.task
        return task if task is not None and task.job.id == job_id else None

    # ------------------------------------------------------------------ the supervisor

    def _supervise(self) -> None:
        pause = 0.0
        while not self._leaving.is_set():
            child = started(self._around.run, self._device)
            self._view = WorkerView(starts=self._view.starts + 1)
            self._wants_selected = True
            with self._lock:
                self._child = child
            reason = self._attend(child)
            self._bury(child, reason)
            pause = 0.0 if child.ready else min(LONGEST_PAUSE, pause * 2 + 1)
            self._leaving.wait(pause)

    def _attend(self, child: Child) -> str:
        """Work with this child until it is gone; return why, as half a sentence."""
        while not (self._leaving.is_set() and child.task is None):
            try:
                self._ledger.settle()
                self._vouch(child)
                self._make_way(child)
                self._feed(child)
            except WebuiError as problem:
                log.warning("%s", problem)
            wait([child.pipe, child.process.sentinel, self._woken], timeout=LOOK_SECONDS)
            while self._woken.poll():
                self._woken.recv()
                self._next_look = 0.0
            try:
                while child.pipe.poll():
                    self._hear(child, child.pipe.recv())
                    child.last_heard = time.monotonic()
            except (EOFError, OSError):
                child.process.join()
                return f"the process that drew has ended (exit code {child.process.exitcode})"
            if time.monotonic() - child.last_heard > self._around.silence:
                return f"the process that drew said nothing for {self._around.silence:.0f} seconds"
        return STOPPED

    def _bury(self, child: Child, reason: str) -> None:
        with self._lock:
            self._child = None
            task, child.task = child.task, None
            child.end()
        if task is not None:
            log.warning("job %s: %s", task.job.id, reason)
            self._ledger.later(lambda: self._give_back(task, reason))
        elif not self._leaving.is_set():
            log.warning("%s", reason)
        self._view = replace(self._view, phase="starting", memory=())
        self._bell.ring()

    def _vouch(self, child: Child) -> None:
        now = time.monotonic()
        if child.task is not None and now >= self._next_vouch:
            self._next_vouch = now + VOUCH_SECONDS
            self._queue.vouch(child.task.job.id)

    def _make_way(self, child: Child) -> None:
        """Ask a long work to let others have the worker when its turn is over."""
        now, task = time.monotonic(), child.task
        if task is None or not task.job.yields or task.asked is not None or now < self._next_look:
            return
        self._next_look = now + GLANCE_SECONDS
        waiting = self._queue.waiting(behind=task.job.owner)
        if self._around.turns.over(now - task.began, waiting):
            self.ask(task.job.id, Wish.PAUSE)

    # ------------------------------------------------------------------ what is to do

    def _feed(self, child: Child) -> None:
        """Hand the next job to a child that has nothing to do."""
        if not child.ready or child.task is not None or self._leaving.is_set():
            return
        job = self._queue.claim()
        if job is not None:
            failure = self._view.failure or self._begin(child, job)
            if failure is not None:
                self._ledger.later(lambda: self._queue.fail(job.id, failure))
                self.wake()
        elif self._wants_selected and self._view.failure is None:
            self._wants_selected = False
            selected = self._around.selected()
            if selected is not None and selected != child.holds:
                child.loading, child.holds = True, selected
                child.tell(Load(checkpoint=selected))
                self._view = replace(self._view, phase="loading")

    def _begin(self, child: Child, job: Job) -> Failure | None:
        try:
            task = taken_up(job)
        except WebuiError as problem:
            return worker.failure_of(problem)
        if task.work is None:
            if not task.pieces:
                self._end_of_nothing(task)
                return None
            at_hand = child.holds == task.pieces[0].whole.checkpoint and not child.loading
            task.progress = replace(task.progress, phase="drawing" if at_hand else "loading")
        with self._lock:
            child.task = task
            child.tell(order_of(task, previews=self._around.previews()))
            if early := self._early_wishes.pop(job.id, None):
                self.ask(job.id, early)
        self._view = replace(self._view, phase=task.progress.phase)
        self._bell.ring()
        return None

    def _end_of_nothing(self, task: Task) -> None:
        """Finish a job of which every picture is kept already."""
        if isinstance(task.plan, Sheet):
            self._saver.submit(self._compose, task.job, task.plan).exception()
        self._ledger.later(lambda: self._queue.finish(task.job.id))
        self.wake()

    # ------------------------------------------------------------ what the child says

    def _hear(self, child: Child, message: FromWorker) -> None:
        match message:
            case Beat(memory=memory):
                self._view = replace(self._view, memory=memory)
            case Faulty(extension=extension, reason=reason):
                self._around.switch_off(extension, reason)
            case Ready(notes=notes):
                child.ready = True
                for note in notes:
                    log.info("%s", note)
                self._view = replace(self._view, phase="idle", notes=notes)
            case Unusable(failure=failure):
                log.error("there is no engine: %s", failure.message)
                child.ready = True
                self._view = replace(self._view, phase="unusable", failure=failure)
            case Ended(job_id="") | Failed(job_id=""):
                self._loaded(child, message)
            case _:
                task = self._task(message.job_id)
                if task is not None:
                    self._hear_of(child, task, message)
                    self._bell.ring(task.job.id)

    def _loaded(self, child: Child, message: Ended | Failed) -> None:
        child.loading = False
        if isinstance(message, Failed):
            child.holds = None
            log.warning("the checkpoint is not loaded: %s", message.failure.message)
        if child.task is None:
            self._view = replace(self._view, phase="idle")
        self._bell.ring()

    def _hear_of(self, child: Child, task: Task, message: _OfTask) -> None:
        version = task.progress.preview_version
        match message:
            case Stepped():
                progress = task.pace.after(message, now=time.monotonic())
                task.progress = replace(progress, preview_version=version)
                self._view = replace(self._view, phase="drawing")
            case Told(number=number, total=total, text=text):
                task.progress = task.pace.after_part(number, total, text, now=time.monotonic())
                task.taken_up = task.taken_up or number
            case Previewed(png=png):
                task.preview = png
                task.progress = replace(task.progress, preview_version=version + 1)
            case Drawn(plan=place, picture=picture):
                piece = task.pieces[place]
                index = piece.skipped + picture.index
                delivery = Delivery(
                    job=task.job,
                    plan=piece.whole,
                    index=index,
                    number=piece.first + index,
                    picture=picture,
                )
                if delivery.number not in task.job.done and task.asked is not Wish.CANCEL:
                    task.deliveries.append(self._saver.submit(self._keep, delivery))
            case Carried() | Paused():
                self._end_work(child, task, message)
            case Ended() | Failed():
                self._end(child, task, message)

    def _keep(self, delivery: Delivery) -> str:
        picture_id = self._around.deliver(delivery)
        self._queue.add_picture(delivery.job.id, delivery.number, picture_id)
        self._bell.ring(delivery.job.id)
        return picture_id

    def _compose(self, job: Job, sheet: Sheet) -> str:
        """Make the grid from the pictures that are kept by now."""
        made = self._around.compose(job, sheet)
        for number, picture_id in made.items():
            self._queue.add_picture(job.id, number, picture_id)
        return ""

    # ---------------------------------------------------------------- the end of a job

    def _end(self, child: Child, task: Task, message: Ended | Failed) -> None:
        task.progress = replace(task.progress, phase="saving")
        self._bell.ring(task.job.id)
        if isinstance(task.plan, Sheet) and isinstance(message, Ended):
            task.deliveries.append(self._saver.submit(self._compose, task.job, task.plan))
        failure = self._failure(task, message)
        job_id = task.job.id
        if failure is not None:
            self._ledger.later(lambda: self._queue.fail(job_id, failure))
        elif isinstance(message, Ended) and message.interrupted:
            notes = ("Stopped before its end.", *message.notes)
            self._ledger.later(lambda: self._queue.finish(job_id, notes=notes))
        else:
            notes = message.notes if isinstance(message, Ended) else ()
            self._ledger.later(lambda: self._queue.finish(job_id, notes=notes))
        drawn = task.pieces[-1].whole.checkpoint if task.pieces and failure is None else None
        self._set_down(child, holds=drawn)

    def _end_work(self, child: Child, task: Task, message: Carried | Paused) -> None:
        job_id = task.job.id
        if isinstance(message, Paused):
            if task.asked is Wish.INTERRUPT:
                self._early_wishes[job_id] = Wish.INTERRUPT
            progress = task.progress
            self._ledger.later(lambda: self._queue.pause(job_id, progress))
        else:
            problem = self._saver.submit(self._around.look_again).exception()
            if problem is not None:
                log.warning("job %s: the folders were not looked at", job_id, exc_info=problem)
            told = ("Stopped before its end.",) if message.interrupted else ()
            notes = (*told, *noted(message.result))
            result = message.result
            self._ledger.later(lambda: self._queue.finish(job_id, notes=notes, result=result))
        self._set_down(child, holds=None)

    def _set_down(self, child: Child, *, holds: ModelRecord | None) -> None:
        """Let a child have nothing to do."""
        with self._lock:
            child.task, child.holds = None, holds
        self._view = replace(self._view, phase="idle")

    def _failure(self, task: Task, message: Ended | Failed) -> Failure | None:
        """Wait until all pictures are kept, and return what went wrong first."""
        unkept = [problem for kept in task.deliveries if (problem := kept.exception())]
        if isinstance(message, Failed):
            log.error("job %s failed: %s", task.job.id, message.details or message.failure.message)
            return message.failure
        if unkept:
            log.error("job %s: a picture is not kept", task.job.id, exc_info=unkept[0])
            return worker.failure_of(unkept[0])
        return None

    def _give_back(self, task: Task, reason: str, *, counted: bool = True) -> None:
        for kept in task.deliveries:
            kept.exception()
        job_id = task.job.id
        before = self._taken_up.get(job_id, 1)
        self._taken_up[job_id] = max(before, task.taken_up)
        got_on = task.taken_up > before
        self._queue.give_back(job_id, reason=reason, counted=counted, got_on=got_on)
