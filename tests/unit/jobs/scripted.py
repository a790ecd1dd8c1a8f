"""Worker processes that follow a script: what the supervisor must survive, without torch."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from webui.jobs.messages import Ask, Beat, Draw, Drawn, Ended, Failed, Load, Ready, Stepped, Wish
from webui.jobs.messages import Unusable as CannotDraw
from webui.jobs.views import Failure
from webui.modules.types import Picture


def orders(pipe) -> Iterator[Draw]:
    """Get ready, then yield what is to be drawn until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(Ready(notes=("scripted",)))
    with suppress(EOFError, OSError):
        while True:
            message = pipe.recv()
            if isinstance(message, Load):
                pipe.send(Ended(job_id=""))
            elif isinstance(message, Draw):
                yield message


def draw(pipe, order: Draw, *, steps: int = 2, pause: float = 0.0) -> None:
    """Draw grey pictures; stop at a step when asked."""
    size, count = order.plans[0].batch_size, len(order.plans[0].seeds)
    for batch in range(-(-count // size)):
        for number in range(1, steps + 1):
            time.sleep(pause)
            pipe.send(
                Stepped(
                    job_id=order.job_id,
                    number=number,
                    total=steps,
                    batch=batch,
                    batches=-(-count // size),
                )
            )
            asked = pipe.recv() if pipe.poll() else None
            if isinstance(asked, Ask) and asked.wish is not Wish.SKIP:
                pipe.send(Ended(job_id=order.job_id, interrupted=True))
                return
            if isinstance(asked, Ask):
                break
        for index in range(batch * size, min(count, (batch + 1) * size)):
            picture = Picture(index=index, width=8, height=8, rgb=bytes(192))
            pipe.send(Drawn(job_id=order.job_id, picture=picture))
    pipe.send(Ended(job_id=order.job_id))


def well(pipe, _device) -> None:
    """Draw everything."""
    for order in orders(pipe):
        draw(pipe, order)


def slow(pipe, _device) -> None:
    """Draw everything, a hundredth of a second a step."""
    for order in orders(pipe):
        draw(pipe, order, steps=50, pause=0.01)


def dies_of_bad_prompts(pipe, _device) -> None:
    """Be killed by each job whose prompt is "bad", after its first batch."""
    for order in orders(pipe):
        if order.plans[0].prompts[0] == "bad":
            picture = Picture(index=0, width=8, height=8, rgb=bytes(192))
            pipe.send(Drawn(job_id=order.job_id, picture=picture))
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        draw(pipe, order)


def hangs_once(pipe, _device) -> None:
    """Say nothing any more unless the file named by the prompt says that this was so before."""
    for order in orders(pipe):
        marker = Path(order.plans[0].prompts[0])
        if not marker.exists():
            marker.touch()
            time.sleep(3600)
        draw(pipe, order)


def fails_bad_prompts(pipe, _device) -> None:
    """Fail each job whose prompt is "bad"."""
    failure = Failure(code="device.memory", message="too large", hint="smaller", value="9")
    for order in orders(pipe):
        if order.plans[0].prompts[0] == "bad":
            pipe.send(Failed(job_id=order.job_id, failure=failure, details="a traceback"))
        else:
            draw(pipe, order)


def unusable(pipe, _device) -> None:
    """Have no engine."""
    pipe.send(Beat())
    failure = Failure(code="device.unavailable", message="no CUDA here", hint="use cpu")
    pipe.send(CannotDraw(failure=failure))
    with suppress(EOFError):
        pipe.recv()
