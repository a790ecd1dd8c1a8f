"""The history: found again by any word, by its owner alone."""

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.plans import plan_of
from webui.library.history import History, NewPicture, PictureView
from webui.modules.errors import StorageError, UnknownPictureError


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "a.sqlite3", data_dir=tmp_path, thumbnails=tmp_path / "thumbnails")


def added(history: History, folder: Path, text: str = "a cat", **changes) -> PictureView:
    path = folder / f"{time.monotonic_ns()}.png"
    Image.new("RGB", (640, 320)).save(path)
    values: dict[str, Any] = {
        "owner": "anna",
        "job_id": "job",
        "index": 0,
        "position": 0,
        "width": 640,
        "height": 320,
        "plan": plan_of(),
    }
    return history.add(NewPicture(path=path, infotext=text, **{**values, **changes}))


def test_pictures_come_newest_first_page_by_page(history: History, tmp_path: Path) -> None:
    ids = [added(history, tmp_path).id for _ in range(5)]

    first = history.search(owner="anna", limit=2)
    second = history.search(owner="anna", limit=9, before=first[-1].id)

    assert [view.id for view in [*first, *second]] == ids[::-1]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("cat", True),
        ("CAT red", True),
        ("red cat", True),
        ("at", True),
        ("dog", False),
        ("cat dog", False),
        ("红色", True),
        ("红", True),
        ("一只红色的猫", True),
        ("黑", False),
        ('"', False),
        ("100%", True),
        ("0%", True),
        ("_", False),
        ("Euler a", True),
        ("NOT cat", False),
    ],
)
def test_pictures_are_found_by_words_in_any_script(
    words: str, found: bool, history: History, tmp_path: Path
) -> None:
    added(history, tmp_path, "a red cat, 一只红色的猫, 100% wool\nSampler: Euler a")

    assert bool(history.search(owner="anna", text=words)) is found


def test_nobody_sees_the_pictures_of_others(history: History, tmp_path: Path) -> None:
    theirs = added(history, tmp_path, owner="anna")

    assert history.search(owner="ben") == []
    assert history.of_job("job", owner="ben") == []
    for look in (history.get, history.plan, history.thumbnail):
        with pytest.raises(UnknownPictureError):
            look(theirs.id, owner="ben")


def test_ids_cannot_be_guessed(history: History, tmp_path: Path) -> None:
    ids = {added(history, tmp_path).id for _ in range(20)}

    assert len(ids) == 20
    assert all(len(bytes.fromhex(picture_id)) == 16 for picture_id in ids)


def test_the_plan_comes_back_equal(history: History, tmp_path: Path) -> None:
    plan = plan_of()

    assert history.plan(added(history, tmp_path, plan=plan).id, owner="anna") == plan


def test_a_thumbnail_is_small_and_made_once(history: History, tmp_path: Path) -> None:
    view = added(history, tmp_path)

    path = history.thumbnail(view.id, owner="anna")
    view.path.unlink()

    assert history.thumbnail(view.id, owner="anna") == path
    with Image.open(path) as image:
        assert (image.format, image.size) == ("WEBP", (256, 128))


def test_a_deleted_file_is_told_by_name(history: History, tmp_path: Path) -> None:
    view = added(history, tmp_path)
    view.path.unlink()

    with pytest.raises(UnknownPictureError, match=view.path.name):
        history.thumbnail(view.id, owner="anna")


def test_pictures_nobody_asked_to_save_are_not_listed_and_go_after_a_while(
    history: History, tmp_path: Path
) -> None:
    kept, passing = added(history, tmp_path), added(history, tmp_path, listed=False, index=0)

    assert [view.id for view in history.search(owner="anna")] == [kept.id]
    assert len(history.of_job("job", owner="anna")) == 2
    assert history.drop_unlisted(before=time.time() + 1) == 1
    assert not passing.path.exists()
    assert kept.path.exists()


def test_the_data_folder_can_be_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    view = added(History(old / "a.sqlite3", data_dir=old, thumbnails=old / "t"), old)

    old.rename(new)
    moved = History(new / "a.sqlite3", data_dir=new, thumbnails=new / "t")

    assert moved.get(view.id, owner="anna").path == new / view.path.name


def test_many_pictures_are_searched_at_once(history: History, tmp_path: Path) -> None:
    plan = plan_of()
    for number in range(80):
        history.add(
            NewPicture(
                path=tmp_path / "x.png",
                plan=plan,
                index=0,
                infotext=f"a cat number {number}",
                owner="anna",
                job_id="job",
                width=64,
                height=64,
                position=number,
            )
        )
    started = time.perf_counter()

    assert len(history.search(owner="anna", text="cat number", limit=50)) == 50
    assert time.perf_counter() - started < 0.3


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    from webui.library.database import prepare

    prepare(tmp_path / "a.sqlite3", table="pictures", versions=["SELECT 1"] * 99)

    with pytest.raises(StorageError, match="newer version"):
        History(tmp_path / "a.sqlite3", data_dir=tmp_path, thumbnails=tmp_path)
