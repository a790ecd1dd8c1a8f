"""Jobs drawn by the real worker from a tiny real checkpoint."""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tests.integration.conftest import PATIENCE, exact, until, worker_of
from tests.tiny import furnish
from webui import app
from webui.jobs.views import JobState, JobView
from webui.library import infotext, picture_text
from webui.modules.errors import UnknownJobError, WebuiError
from webui.services import headless
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio

WISH = GenerationRequest(prompt="a cat", width=64, height=64, steps=4, seed=1, sampler="Euler a")
LONG = replace(WISH, steps=150)


def drawn(studio: Studio, wish: GenerationRequest, owner: str = "local") -> JobView:
    job = studio.drawing.submit(wish, owner=owner)
    return studio.drawing.wait(job.id, owner=owner, timeout=PATIENCE)


def begun(studio: Studio, wish: GenerationRequest, *, steps: int) -> str:
    job_id = studio.drawing.submit(wish, owner="local").id
    until(lambda: studio.drawing.view(job_id, owner="local").progress.step >= steps)
    return job_id


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def pixels_of(studio: Studio, view: JobView, owner: str = "local") -> list[bytes]:
    return [pixels(picture.path) for picture in studio.drawing.pictures(view.id, owner=owner)]


def test_a_wish_becomes_a_saved_picture_that_tells_how_it_was_made(studio) -> None:
    view = drawn(studio, replace(WISH, batch_size=2, batch_count=2))

    assert view.state is JobState.DONE
    pictures = studio.drawing.pictures(view.id, owner="local")
    assert tuple(picture.id for picture in pictures) == view.pictures
    assert [picture.seed for picture in pictures] == [1, 2, 3, 4]
    text, _ = picture_text.read(pictures[2].path.read_bytes())
    assert infotext.parse(text)["Seed"] == "3"
    assert pictures[0].path.is_relative_to(studio.settings.folders.outputs)
    assert studio.gallery.search(owner="local", text="cat")[0].id == view.pictures[-1]


def test_the_command_line_draws_the_same_pixels_as_the_queue(studio, tmp_path) -> None:
    view = drawn(studio, WISH)
    stock = app.inventory(studio.settings)

    printed = list(
        headless.draw(
            [WISH],
            options=stock.options.current(),
            house=stock.house,
            device=studio.settings.device,
            out=tmp_path,
        )
    )

    assert [pixels(Path(one.path)) for one in printed] == pixels_of(studio, view)
    assert printed[0].seed == 1


def test_a_picture_that_nobody_wants_saved_is_in_no_folder_of_outputs(studio) -> None:
    before = {picture.id for picture in studio.gallery.search(owner="local")}

    view = drawn(studio, replace(WISH, save=False))

    (picture,) = studio.drawing.pictures(view.id, owner="local")
    assert picture.path.is_file()
    assert not picture.path.is_relative_to(studio.settings.folders.outputs)
    assert {picture.id for picture in studio.gallery.search(owner="local")} == before


def test_interrupt_ends_the_job_within_a_step_and_keeps_the_picture(studio) -> None:
    job_id = begun(studio, replace(LONG, batch_count=50), steps=3)

    studio.drawing.interrupt(job_id, owner="local")
    view = studio.drawing.wait(job_id, owner="local", timeout=PATIENCE)

    assert view.state is JobState.DONE
    assert len(view.pictures) == 1
    assert view.notes


def test_skip_goes_on_with_the_next_batch(studio) -> None:
    job_id = begun(studio, replace(LONG, batch_count=2), steps=3)

    studio.drawing.skip(job_id, owner="local")
    until(lambda: studio.drawing.view(job_id, owner="local").progress.batch == 1)
    studio.drawing.skip(job_id, owner="local")

    assert studio.drawing.wait(job_id, owner="local", timeout=PATIENCE).state is JobState.DONE


def test_cancel_drops_the_job_and_the_worker_takes_the_next_one(studio) -> None:
    job_id = begun(studio, replace(LONG, batch_count=50), steps=3)

    studio.drawing.cancel(job_id, owner="local")
    assert studio.drawing.view(job_id, owner="local").state is JobState.CANCELLED
    began = time.monotonic()

    assert drawn(studio, WISH).state is JobState.DONE
    assert time.monotonic() - began < PATIENCE / 4
    assert studio.drawing.pictures(job_id, owner="local") == []
    assert studio.worker().starts == 1


def test_a_cancelled_job_leaves_no_trace_in_the_next_picture(studio) -> None:
    first = pixels_of(studio, drawn(studio, WISH))
    job_id = begun(studio, replace(LONG, prompt="a dog", steps=50), steps=3)
    studio.drawing.cancel(job_id, owner="local")

    assert pixels_of(studio, drawn(studio, WISH)) == first


def test_two_people_take_turns_and_see_only_their_own(studio) -> None:
    began: list[tuple[float, str]] = []
    jobs = {
        owner: [studio.drawing.submit(WISH, owner=owner).id for _ in range(3)]
        for owner in ("anna", "bob")
    }
    for owner, ids in jobs.items():
        for job_id in ids:
            view = studio.drawing.wait(job_id, owner=owner, timeout=PATIENCE)
            began.append((view.started or 0, owner))
    order = [owner for _, owner in sorted(began)]

    assert order in (["anna", "bob"] * 3, ["bob", "anna"] * 3)
    look: list[Callable[[], object]] = [
        lambda: studio.drawing.view(jobs["anna"][0], owner="bob"),
        lambda: studio.drawing.preview(jobs["anna"][0], owner="bob"),
        lambda: studio.drawing.pictures(jobs["anna"][0], owner="bob"),
        lambda: studio.drawing.interrupt(jobs["anna"][0], owner="bob"),
        lambda: studio.drawing.skip(jobs["anna"][0], owner="bob"),
        lambda: studio.drawing.cancel(jobs["anna"][0], owner="bob"),
    ]
    for glance in look:
        with pytest.raises(UnknownJobError):
            glance()


def test_a_followed_job_shows_itself_growing_and_its_preview(studio) -> None:
    async def follow() -> tuple[list[JobView], list[bytes]]:
        job = await asyncio.to_thread(studio.drawing.submit, LONG, owner="local")
        views: list[JobView] = []
        previews: list[bytes] = []
        async for view in studio.drawing.follow(job.id, owner="local"):
            views.append(view)
            if preview := studio.drawing.preview(job.id, owner="local"):
                previews.append(preview)
        return views, previews

    views, previews = asyncio.run(follow())

    assert views[-1].state is JobState.DONE
    fractions = [view.progress.fraction for view in views]
    assert fractions == sorted(fractions)
    assert len(views) > 20
    assert previews[0].startswith(b"\x89PNG")


def test_who_paints_slowly_sees_a_followed_job_less_often_but_its_end_at_once(studio) -> None:
    async def follow() -> tuple[list[JobView], list[float]]:
        job = await asyncio.to_thread(studio.drawing.submit, LONG, owner="local")
        views: list[JobView] = []
        moments: list[float] = []
        async for view in studio.drawing.follow(job.id, owner="local", pace=0.2):
            views.append(view)
            moments.append(time.monotonic())
        return views, moments

    views, moments = asyncio.run(follow())

    between = [after - before for before, after in pairwise(moments)]
    same = [before.state is after.state for before, after in pairwise(views)]
    assert all(gap >= 0.2 for gap, still in zip(between, same, strict=True) if still)
    assert views[-1].state is JobState.DONE
    assert len(views) > 3


def test_a_hundred_clients_at_once_each_get_their_own_pixels(studio) -> None:
    seeds = [seed % 5 for seed in range(100)]

    def one(seed: int) -> JobView:
        return drawn(studio, replace(WISH, steps=1, seed=seed), owner=f"client{seed}")

    with ThreadPoolExecutor(max_workers=20) as clients:
        views = list(clients.map(one, seeds))

    assert {view.state for view in views} == {JobState.DONE}
    files = {
        seed: {pixels_of(studio, view, f"client{seed}")[0] for view in views[seed::5]}
        for seed in range(5)
    }
    assert [len(different) for different in files.values()] == [1] * 5
    assert len(set().union(*files.values())) == 5


def test_a_killed_worker_costs_seconds_and_no_picture(studio) -> None:
    whole = pixels_of(studio, drawn(studio, replace(WISH, steps=60, batch_count=3)))
    job = studio.drawing.submit(replace(WISH, steps=60, batch_count=3), owner="local")
    until(lambda: studio.drawing.view(job.id, owner="local").progress.batch == 1)

    worker_of(psutil.Process()).kill()
    view = studio.drawing.wait(job.id, owner="local", timeout=PATIENCE)

    assert view.state is JobState.DONE
    assert view.attempts == 2
    assert pixels_of(studio, view) == whole
    assert studio.worker().starts == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this person may write anywhere")
def test_a_read_only_folder_fails_the_job_and_the_next_one_runs(studio) -> None:
    outputs = studio.settings.folders.outputs
    outputs.chmod(0o500)
    try:
        failed = drawn(studio, WISH)
    finally:
        outputs.chmod(0o700)

    assert failed.failure is not None
    assert failed.failure.code == "storage"
    assert drawn(studio, WISH).state is JobState.DONE


def test_an_outputs_folder_that_is_a_file_fails_the_job_and_the_next_one_runs(tmp_path) -> None:
    home = furnish(tmp_path)
    (home / "outputs").write_text("in the way", encoding="utf-8")
    with app.opened(exact(home)) as studio:
        failed = drawn(studio, WISH)
        (home / "outputs").unlink()

        assert failed.failure is not None
        assert failed.failure.code == "storage"
        assert str(home / "outputs") in failed.failure.message
        assert drawn(studio, WISH).state is JobState.DONE


def test_without_a_checkpoint_the_wish_is_refused_until_one_is_there(tmp_path) -> None:
    with app.opened(exact(tmp_path)) as studio:
        with pytest.raises(WebuiError, match="no checkpoint") as told:
            studio.drawing.submit(WISH, owner="local")
        assert "models/Stable-diffusion" in told.value.hint

        furnish(tmp_path)

        assert drawn(studio, WISH).state is JobState.DONE
