"""Scripts drawn by the real worker: all pictures and a grid, in one job, whatever happens."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from tests.integration.conftest import PATIENCE, SMALL, running, until, worker_of
from tests.tiny import furnish
from webui.jobs.views import JobState, JobView
from webui.library import infotext
from webui.services.requests import GenerationRequest, StartRequest, TilesRequest
from webui.services.script_requests import (
    AxisRequest,
    ListRequest,
    LoopbackRequest,
    PlotRequest,
    ScriptRequest,
    UpscaleRequest,
)
from webui.services.studio import Studio

WISH = GenerationRequest(prompt="a cat", width=64, height=64, steps=2, seed=1, sampler="Euler a")
PLOT = PlotRequest(
    x=AxisRequest(type="Steps", values="1-3"), y=AxisRequest(type="Prompt S/R", values="cat, dog")
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(furnish(tmp_path_factory.mktemp("sheets"))) as program:
        address = f"http://127.0.0.1:{program.port}"
        with httpx.Client(base_url=address, timeout=PATIENCE) as client:
            yield client


def drawn(studio: Studio, script: ScriptRequest, wish: GenerationRequest = WISH) -> JobView:
    job = studio.drawing.submit_script(wish, script, owner="local")
    return studio.drawing.wait(job.id, owner="local", timeout=PATIENCE)


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def png(color: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, format="PNG")
    return buffer.getvalue()


def test_a_plot_is_one_job_with_all_its_pictures_and_a_grid(studio: Studio) -> None:
    view = drawn(studio, PLOT)

    assert view.state is JobState.DONE
    pictures, grids = studio.drawing.results(view.id, owner="local")
    steps = [infotext.parse(picture.infotext)["Steps"] for picture in pictures]
    assert sorted(steps) == ["1", "1", "2", "2", "3", "3"]
    assert {picture.seed for picture in pictures} == {1}
    (grid,) = grids
    assert grid.width > 3 * 64
    assert grid.height > 2 * 64
    assert infotext.parse(grid.infotext)["Script"] == "X/Y/Z plot"
    assert "txt2img-grids" in grid.path.as_posix()
    listed = studio.gallery.search(owner="local", limit=50)
    assert {grid.id, *(picture.id for picture in pictures)} <= {each.id for each in listed}


def test_a_cell_of_a_plot_is_the_picture_that_its_settings_give_alone(studio: Studio) -> None:
    view = drawn(studio, PLOT)
    pictures, _ = studio.drawing.results(view.id, owner="local")
    third = next(
        picture
        for picture in pictures
        if infotext.parse(picture.infotext)["Steps"] == "3" and "dog" in picture.infotext
    )

    alone = studio.drawing.submit(
        GenerationRequest(prompt="a dog", width=64, height=64, steps=3, seed=1, sampler="Euler a"),
        owner="local",
    )
    studio.drawing.wait(alone.id, owner="local", timeout=PATIENCE)

    (same,) = studio.drawing.pictures(alone.id, owner="local")
    assert pixels(same.path) == pixels(third.path)


def test_one_line_that_cannot_be_drawn_leaves_a_gap_and_a_note(studio: Studio) -> None:
    lines = "a cat\n--prompt a dog --sampler_name UniPC --steps 1\na hen"

    view = drawn(studio, ListRequest(lines=lines))

    assert view.state is JobState.DONE
    assert len(view.pictures) == 2
    assert any("2 of 3 was left out" in note for note in view.notes)


def test_a_loop_draws_on_from_its_own_pictures(studio: Studio) -> None:
    kept = studio.inputs.keep(png((200, 30, 30)))
    wish = GenerationRequest(
        prompt="a cat", width=64, height=64, steps=4, seed=5, sampler="Euler",
        start=StartRequest(pictures=(kept,), denoising=0.5),
    )  # fmt: skip

    view = drawn(studio, LoopbackRequest(loops=3, final_denoising=0.5), wish)

    pictures, _ = studio.drawing.results(view.id, owner="local")
    assert [picture.seed for picture in pictures] == [5, 6, 7]
    again = studio.inputs.keep(pictures[0].path.read_bytes())
    second = GenerationRequest(
        prompt="a cat", width=64, height=64, steps=4, seed=6, sampler="Euler",
        start=StartRequest(pictures=(again,), denoising=0.5),
    )  # fmt: skip
    alone = studio.drawing.submit(second, owner="local")
    studio.drawing.wait(alone.id, owner="local", timeout=PATIENCE)
    (same,) = studio.drawing.pictures(alone.id, owner="local")
    assert pixels(same.path) == pixels(pictures[1].path)


def test_a_plot_whose_worker_is_killed_goes_on_where_it_was(studio: Studio) -> None:
    slow = PlotRequest(x=AxisRequest(type="Seed", values="1-6"))
    wish = GenerationRequest(prompt="a cat", width=64, height=64, steps=12, sampler="Euler a")
    job = studio.drawing.submit_script(wish, slow, owner="local")
    until(lambda: len(studio.drawing.view(job.id, owner="local").pictures) >= 2)

    worker_of(psutil.Process()).kill()

    view = studio.drawing.wait(job.id, owner="local", timeout=PATIENCE)
    assert view.state is JobState.DONE
    pictures, grids = studio.drawing.results(view.id, owner="local")
    assert [picture.seed for picture in pictures] == [1, 2, 3, 4, 5, 6]
    assert len(grids) == 1


@pytest.mark.parametrize("way", ["sdapi", "atelier"])
def test_a_plot_can_be_asked_for_over_http(way: str, server: httpx.Client) -> None:
    if way == "sdapi":
        arguments = [4, "1-2", [], 0, "", [], 0, "", []]
        body: dict[str, Any] = {
            "prompt": "a cat", "width": 64, "height": 64, "seed": 1, "sampler_name": "Euler a",
            "script_name": "X/Y/Z plot", "script_args": arguments,
        }  # fmt: skip
        answer = server.post("/sdapi/v1/txt2img", json=body).json()
        info = json.loads(answer["info"])
        assert info["index_of_first_image"] == 1
        assert info["all_seeds"] == [1, 1]
        assert len(answer["images"]) == 3
        grid = Image.open(io.BytesIO(base64.b64decode(answer["images"][0])))
        assert grid.width == 2 * 64
        assert grid.height > 64
        return
    script = {"kind": "plot", "x": {"type": "Steps", "values": "1-2"}}
    told = server.post("/atelier/v1/sheets", json={"request": SMALL, "script": script})
    assert told.status_code == 202
    job = told.json()["id"]
    until(lambda: server.get(f"/atelier/v1/jobs/{job}").json()["state"] == "done")
    assert len(server.get(f"/atelier/v1/jobs/{job}/pictures").json()) == 3


def test_a_picture_is_given_once_and_named_by_its_hash(server: httpx.Client) -> None:
    image = base64.b64encode(png((0, 90, 0))).decode()
    kept = server.post("/atelier/v1/inputs", json={"image": image}).json()
    assert "/" not in kept["path"]
    wish = {**SMALL, "steps": 2, "start": {"pictures": [kept]}}

    job = server.post("/atelier/v1/jobs", json=wish).json()["id"]

    until(lambda: server.get(f"/atelier/v1/jobs/{job}").json()["state"] == "done")


@pytest.mark.parametrize("sha256", ["0" * 64, "../../../../etc/passwd", ""])
def test_a_picture_that_was_never_given_is_refused(sha256: str, server: httpx.Client) -> None:
    picture = {"path": "/etc/passwd", "sha256": sha256, "width": 1, "height": 1}

    answer = server.post("/atelier/v1/jobs", json={**SMALL, "start": {"pictures": [picture]}})

    assert 400 <= answer.status_code < 500
    assert answer.json()["error"] == "request.picture"


def test_a_large_picture_is_drawn_piece_by_piece(studio: Studio) -> None:
    kept = studio.inputs.keep(png((30, 120, 200)))
    wish = GenerationRequest(
        prompt="a cat", width=64, height=64, steps=4, seed=5, sampler="Euler", batch_size=2,
        start=StartRequest(pictures=(kept,), denoising=0.3),
    )  # fmt: skip

    view = drawn(studio, UpscaleRequest(tiles=TilesRequest(upscaler="Nearest", overlap=16)), wish)

    assert view.state is JobState.DONE
    (picture,) = studio.drawing.pictures(view.id, owner="local")
    assert (picture.width, picture.height) == (128, 128)
    with Image.open(picture.path) as image:
        assert image.size == (128, 128)
