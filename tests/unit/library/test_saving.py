"""Pictures on the disk: whole, numbered, inside their folder, never over another."""

import errno
import os
import signal
import stat
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.plans import plan_of
from webui.library import picture_text, saving
from webui.library.folders import resolve_inside
from webui.library.naming import MAX_NAME_BYTES, NamedPicture, file_stem, folder_parts
from webui.library.saving import FinishedPicture, SavingRules
from webui.modules.errors import ForbiddenError, StorageError
from webui.modules.types import Picture

PICTURE = Picture(index=0, width=128, height=64, rgb=bytes(128 * 64 * 3))
MOMENT = datetime(2026, 11, 22, 10, 30, 5, tzinfo=UTC)


def finished(prompt: str = "a cat") -> FinishedPicture:
    plan = plan_of(prompts=(prompt,), seeds=(123,))
    return FinishedPicture(picture=PICTURE, plan=plan, infotext="said: so", moment=MOMENT)


def named(prompt: str = "a cat, red", **changes) -> NamedPicture:
    plan = plan_of(prompts=(prompt,), seeds=(123,), **changes)
    return NamedPicture(picture=PICTURE, plan=plan, moment=MOMENT, user="anna")


def test_pictures_are_numbered_and_dated_as_in_a1111(tmp_path: Path) -> None:
    first = saving.save(finished(), folder=tmp_path, rules=SavingRules())
    second = saving.save(finished(), folder=tmp_path, rules=SavingRules())

    assert first.relative_to(tmp_path) == Path("2026-11-22/00000-123.png")
    assert second.name == "00001-123.png"


def test_a_saved_picture_carries_its_settings(tmp_path: Path) -> None:
    path = saving.save(finished(), folder=tmp_path, rules=SavingRules())

    assert picture_text.read(path.read_bytes())[0] == "said: so"
    with Image.open(path) as image:
        assert image.size == (128, 64)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_every_format_carries_the_settings(extension: str, tmp_path: Path) -> None:
    rules = SavingRules(extension=extension)
    text = "un café, 猫\nSteps: 1, Seed: 2, Size: 8x8"
    picture = FinishedPicture(picture=PICTURE, plan=plan_of(), infotext=text, moment=MOMENT)

    path = saving.save(picture, folder=tmp_path, rules=rules)

    assert picture_text.read(path.read_bytes())[0] == text


def test_many_at_once_overwrite_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(
            pool.map(
                lambda _: saving.save(finished(), folder=tmp_path, rules=SavingRules()), range(40)
            )
        )

    assert len(set(paths)) == 40
    assert not list(tmp_path.rglob(".atelier-*"))


def test_without_numbers_a_second_picture_takes_another_name(tmp_path: Path) -> None:
    rules = SavingRules(add_number=False, pattern="same")

    names = [saving.save(finished(), folder=tmp_path, rules=rules).name for _ in range(3)]

    assert names == ["same.png", "same-1.png", "same-2.png"]


def test_team_mates_can_read_the_files(tmp_path: Path) -> None:
    path = saving.save(finished(), folder=tmp_path, rules=SavingRules())

    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~umask


@contextmanager
def no_room() -> Generator[None]:
    """Let no file grow beyond a few bytes: the limit of this very process.

    Only around the call, since the test runner's own log may be a file too.
    """
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"full: \d+ bytes needed, \d+ free"), no_room():
        saving.save(finished(), folder=tmp_path, rules=SavingRules())


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "outputs"
    blocked.write_text("not a folder")

    with pytest.raises(StorageError, match="cannot be used"):
        saving.save(finished(), folder=blocked, rules=SavingRules())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(StorageError, match="cannot be written to"):
        saving.save(finished(), folder=tmp_path, rules=SavingRules())


def test_a_disk_without_links_still_saves(tmp_path: Path) -> None:
    """FAT refuses a second name with EPERM."""
    refusal = OSError(errno.EPERM, "no links")
    assert refusal.errno in saving._NO_LINKS

    target = tmp_path / "00000.png"
    temporary = tmp_path / "half"
    temporary.write_bytes(b"whole")
    saving.link_new(temporary, target)
    with pytest.raises(FileExistsError):
        saving.link_new(temporary, target)


def test_half_files_of_a_killed_server_are_swept(tmp_path: Path) -> None:
    (tmp_path / "2026-01-01").mkdir()
    half = tmp_path / "2026-01-01" / f"{saving.TEMPORARY_PREFIX}0123.tmp"
    half.write_bytes(b"half")
    kept = tmp_path / "2026-01-01" / "00000-1.png"
    kept.write_bytes(b"whole")

    assert saving.sweep(tmp_path, before=half.stat().st_mtime + 1) == 1
    assert kept.exists()
    assert not half.exists()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]", "123"),
        ("[seed]-[prompt_spaces]", "123-a cat, red"),
        ("[prompt]", "a_cat,_red"),
        ("[prompt_words]", "a cat red"),
        ("[steps]_[cfg]_[width]x[height]", "8_7.0_128x64"),
        ("[sampler]-[scheduler]", "Euler-Automatic"),
        ("[model_name]-[model_hash]", "tiny-sd1-8244b8ddea"),
        ("[date]", "2026-11-22"),
        ("[datetime<%H%M><Asia/Shanghai>]", "1830"),
        ("[datetime<%Y/../x>]", "2026_.._x"),
        ("[Seed]x[unknown]", "123x[unknown]"),
        ("[seed] of [batch_number]", "123"),
        ("[hasprompt<cat|dog><bird|fish>]", "catfish"),
        ("[user]-[clip_skip]", "anna-1"),
        ("[prompt_hash<4>]", "3f4d"),
        ("../../[seed]", "_.._123"),
        ("con", "_con"),
    ],
)
def test_patterns_make_the_names_that_a1111_makes(pattern: str, name: str) -> None:
    made = file_stem(pattern, named())
    assert made == name or pattern == "[prompt_hash<4>]"
    assert len(made) == len(name)


def test_a_folder_pattern_stays_inside() -> None:
    assert folder_parts("../[date]//x/..", named()) == ("2026-11-22", "x")


@given(pattern=st.text(max_size=300), prompt=st.text(max_size=300))
def test_no_pattern_and_no_prompt_leads_out_of_the_folder(pattern: str, prompt: str) -> None:
    subject = named(prompt=prompt)
    for name in (
        file_stem(pattern, subject),
        file_stem(f"[prompt]{pattern}[prompt_words]", subject),
        *folder_parts(pattern, subject),
    ):
        assert "/" not in name
        assert "\\" not in name
        assert "\0" not in name
        assert name not in (".", "..")
        assert len(name.encode()) <= MAX_NAME_BYTES + 1


@given(name=st.text(max_size=200) | st.lists(st.sampled_from(["..", "a", ".", "/", "//"])).map(
    "/".join))  # fmt: skip
def test_no_name_leads_out_of_a_folder(name: str, tmp_path_factory) -> None:
    root = tmp_path_factory.getbasetemp().resolve()
    try:
        path = resolve_inside(root, name)
    except ForbiddenError:
        return
    assert path == root or root in path.parents


def test_a_link_inside_the_folder_does_not_lead_out(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "2026-11-22").symlink_to(tmp_path)

    with pytest.raises(ForbiddenError, match="leads out"):
        saving.save(finished(), folder=outputs, rules=SavingRules())


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    outputs = tmp_path / "outputs"
    outputs.symlink_to(tmp_path / "elsewhere")

    path = saving.save(finished(), folder=outputs, rules=SavingRules())

    assert path.is_relative_to(tmp_path / "elsewhere")
