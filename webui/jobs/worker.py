"""What runs inside the worker process: it owns the engine and lives as long as its server.

Three threads: the main one draws or does other works, one listens to the server, one tells that
the process is alive. Only here may a surprise be caught, because a surprise must cost one job
and not the server.
"""

import os
import queue
import signal
import threading
import time
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, assert_never

from webui.jobs import works
from webui.jobs.chain import Chain
from webui.jobs.messages import (
    Ask,
    Beat,
    Carried,
    Carry,
    Draw,
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
    ToWorker,
    Unusable,
    Wish,
)
from webui.jobs.pace import PreviewPace
from webui.jobs.plans import batch_count
from webui.jobs.teller import Dropped, Teller
from webui.jobs.views import Failure
from webui.modules.errors import OutOfMemoryError, WebuiError
from webui.modules.types import GenerationPlan, PauseWork, SkipBatch, Step, StopDrawing
from webui.settings import DeviceSettings, let_idle_threads_sleep, thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from webui.modules.pipeline.engine import Engine

    Build = Callable[[DeviceSettings], tuple[Engine, tuple[str, ...]]]

BEAT_SECONDS: Final = 2.0
"""How often the worker says that it is alive."""

ORPHANED: Final = 3
"""Exit code of a worker whose server is gone."""


def main(pipe: "Connection[FromWorker, ToWorker]", device: DeviceSettings) -> None:
    """Draw what comes through the pipe until the server closes it."""
    # Ctrl-C in a terminal reaches the whole group; the server decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Worker(pipe).run(device)


class Worker:
    """One engine and the pipe to the server.

    Args:
        pipe: To the server.
        carry_out: Does works that draw no pictures.
        build: Makes the engine and tells why it is as it is; None for torch's, which takes seconds.
    """

    def __init__(
        self,
        pipe: "Connection[FromWorker, ToWorker]",
        *,
        carry_out: works.CarryOut = works.carry_out,
        build: "Build | None" = None,
    ) -> None:
        self._pipe = pipe
        self._carry_out = carry_out
        self._build = build or build_engine
        self._sending = threading.Lock()
        self._orders: queue.SimpleQueue[Load | Draw | Carry] = queue.SimpleQueue()
        self._wishes: dict[str, Wish] = {}
        self._memory: tuple[tuple[str, int], ...] = ()
        self._faults: set[str] = set()

    def run(self, device: DeviceSettings) -> None:
        """Build the engine, then carry out one order after the other."""
        for task in (self._listen, self._beat):
            threading.Thread(target=task, name=task.__name__, daemon=True).start()
        try:
            engine, notes = self._build(device)
        except Exception as problem:  # noqa: BLE001 - whatever is wrong with torch, the page tells it
            self._say(Unusable(failure=failure_of(problem)))
            return
        self._say(Ready(notes=notes))
        while True:
            order = self._orders.get()
            match order:
                case Load():
                    self._load(engine, order)
                case Draw():
                    self._draw(engine, order)
                case Carry():
                    self._carry(engine, order)
            self._memory = tuple(engine.memory().items())

    # -------------------------------------------------------------------- main thread

    def _load(self, engine: "Engine", order: Load) -> None:
        try:
            engine.load(order.checkpoint)
        except Exception as problem:  # noqa: BLE001 - a broken first checkpoint must not end the worker
            self._say(Failed(job_id="", failure=failure_of(problem), details=_details(problem)))
        else:
            self._say(Ended(job_id=""))

    def _draw(self, engine: "Engine", order: Draw) -> None:
        observer = _Observer(self, order)
        try:
            notes = self._draw_plans(engine, order, observer)
            self._tell_faults(engine)
        except Dropped:
            self._say(Ended(job_id=order.job_id))
        except Exception as problem:  # noqa: BLE001 - a surprise costs this job, not the next one
            failed = Failed(
                job_id=order.job_id, failure=failure_of(problem), details=_details(problem)
            )
            self._say(failed)
        else:
            interrupted = observer.interrupted
            self._say(Ended(job_id=order.job_id, interrupted=interrupted, notes=notes))
        self._wishes.pop(order.job_id, None)

    def _tell_faults(self, engine: "Engine") -> None:
        for extension, reason in engine.faults().items():
            if extension not in self._faults:
                self._faults.add(extension)
                self._say(Faulty(extension=extension, reason=reason))

    def _draw_plans(self, engine: "Engine", order: Draw, observer: "_Observer") -> tuple[str, ...]:
        """Draw one plan after the other; return what the person should know of it.

        One plan of several that cannot be drawn leaves a gap, so that a large sheet is not lost.
        """
        notes: list[str] = []
        failures = 0
        with engine.sharing(), Chain() as chain:
            for place, plan in enumerate(order.plans):
                try:
                    drawn = engine.draw(chain.next(plan) if order.chained else plan, observer)
                    for picture in drawn:
                        self._say(Drawn(job_id=order.job_id, plan=place, picture=picture))
                        notes += [note for note in picture.notes if note not in notes]
                        if order.chained:
                            chain.add(picture)
                except WebuiError as problem:
                    failures += 1
                    if order.chained or failures == len(order.plans):
                        raise
                    notes.append(f"{place + 1} of {len(order.plans)} was left out: {problem}")
                observer.next_plan(plan)
                if observer.stopped:
                    break
        return tuple(notes)

    def _carry(self, engine: "Engine", order: Carry) -> None:
        job_id = order.job_id

        def say(number: int, total: int, text: str) -> None:
            self._say(Told(job_id=job_id, number=number, total=total, text=text))

        tell = Teller(say, lambda: self._wishes.pop(job_id, None))
        try:
            result = self._carry_out(order.work, engine, tell)
        except Dropped:
            self._say(Ended(job_id=job_id))
        except PauseWork:
            self._say(Paused(job_id=job_id))
        except StopDrawing:
            self._say(Carried(job_id=job_id, result={}, interrupted=True))
        except Exception as problem:  # noqa: BLE001 - a surprise costs this work, not the next job
            details = _details(problem)
            self._say(Failed(job_id=job_id, failure=failure_of(problem), details=details))
        else:
            self._say(Carried(job_id=job_id, result=result, interrupted=tell.interrupted))
        self._wishes.pop(job_id, None)

    def step_taken(self, order: Draw, step: Step) -> Wish | None:
        """Tell the server about a step and return what the person wants, if anything."""
        self._say(
            Stepped(
                job_id=order.job_id,
                number=step.number,
                total=step.total,
                batch=step.batch,
                batches=step.batches,
            )
        )
        return self._wishes.pop(order.job_id, None)

    def show(self, order: Draw, png: bytes) -> None:
        """Send a preview to the server."""
        self._say(Previewed(job_id=order.job_id, png=png))

    # ------------------------------------------------------------------ other threads

    def _listen(self) -> None:
        try:
            while True:
                message = self._pipe.recv()
                match message:
                    case Ask(job_id=job_id, wish=wish):
                        self._wishes[job_id] = wish
                    case Load() | Draw() | Carry():
                        self._orders.put(message)
                    case _:
                        assert_never(message)
        except (EOFError, OSError):
            os._exit(ORPHANED)

    def _beat(self) -> None:
        while True:
            self._say(Beat(memory=self._memory))
            time.sleep(BEAT_SECONDS)

    def _say(self, message: FromWorker) -> None:
        try:
            with self._sending:
                self._pipe.send(message)
        except OSError:
            os._exit(ORPHANED)


class _Observer:
    """Stands beside the sampling loop: tells progress, shows previews, stops the job."""

    def __init__(self, worker: Worker, order: Draw) -> None:
        self._worker = worker
        self._order = order
        self._pace = PreviewPace()
        self._pace.begin(now=time.monotonic())
        self._batches = sum(map(batch_count, order.plans))
        self._before = 0
        self.interrupted = False
        self.stopped = False

    def next_plan(self, done: GenerationPlan) -> None:
        """Count the batches of the next plan behind those of this one."""
        self._before += batch_count(done)

    def __call__(self, step: Step) -> None:
        """Tell of a step, and raise what a person wishes."""
        step = replace(step, batch=self._before + step.batch, batches=self._batches)
        match self._worker.step_taken(self._order, step):
            case Wish.CANCEL:
                raise Dropped
            case Wish.INTERRUPT:
                self.interrupted = self.stopped = True
                raise StopDrawing
            case Wish.SKIP:
                self.interrupted = True
                raise SkipBatch
            case Wish.PAUSE | None:
                pass  # pictures are short enough to be waited for
        began = time.monotonic()
        if self._order.previews and step.number < step.total and self._pace.due(now=began):
            self._worker.show(self._order, step.preview())
            self._pace.made(began=began, now=time.monotonic())


def failure_of(problem: BaseException) -> Failure:
    """Put any error into the words that people and programs are told."""
    if isinstance(problem, MemoryError):
        message, hint = "the job does not fit into memory", "Use a smaller size or batch."
        return Failure(code=OutOfMemoryError.code, message=message, hint=hint)
    if isinstance(problem, WebuiError):
        return Failure(
            code=problem.code, message=str(problem), hint=problem.hint, value=problem.value
        )
    return Failure(
        code=WebuiError.code,
        message=f"something unforeseen went wrong: {type(problem).__name__}: {problem}"[:500],
        hint="The log file in the data dir tells where; please report it.",
    )


def _details(problem: BaseException) -> str:
    foreseen = isinstance(problem, WebuiError)
    return "" if foreseen else "".join(traceback.format_exception(problem))


def build_engine(device: DeviceSettings) -> "tuple[Engine, tuple[str, ...]]":
    """Import torch, which takes seconds, and return the engine and why it is as it is."""
    let_idle_threads_sleep()
    from webui.hooks.isolate import IsolatedSteps
    from webui.modules.device import choose
    from webui.modules.pipeline.engine import Engine

    chosen = choose(
        device=device.device,
        precision=device.precision,
        attention=device.attention,
        threads=thread_count(device),
        one_thread_for_small=not device.threads,
    )
    return Engine(chosen, IsolatedSteps()), chosen.notes
