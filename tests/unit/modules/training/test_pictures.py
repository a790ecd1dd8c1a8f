"""Pictures as people have them: turned, transparent, grey, broken, doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.trainings import pictures, plan_of
from webui.modules.errors import PictureError
from webui.modules.training.buckets import Order, size_for
from webui.modules.training.captions import prompt
from webui.modules.training.chance import chance
from webui.modules.training.latents import prepared
from webui.modules.training.pictures import Example, look_over, read_picture
from webui.modules.training.plan import CorrectionPlan, DataPlan

if TYPE_CHECKING:
    from pathlib import Path


def one(folder: Path, **changes: object) -> Example:
    return look_over(DataPlan(folder=folder, resolution=64, **changes)).examples[0]  # pyright: ignore[reportArgumentType] - fields by name


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)

    example = one(tmp_path)

    assert example.size == (20, 40)
    assert read_picture(example)[0].size == (20, 40)


def test_what_is_transparent_counts_as_little_as_it_covers(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 16, 32))
    picture.save(tmp_path / "a.png")

    shown, mask = read_picture(one(tmp_path))

    assert shown.getpixel((0, 0)) == (0, 0, 255)
    assert shown.getpixel((31, 0)) == (255, 255, 255)
    assert mask is not None
    assert (mask.getpixel((0, 0)), mask.getpixel((31, 0))) == (255, 0)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "I;16", "1"])
def test_every_kind_of_picture_is_read(mode: str, tmp_path: Path) -> None:
    name = "a.tif" if mode == "CMYK" else "a.png"
    Image.new(mode, (32, 24)).save(tmp_path / name)

    shown, mask = read_picture(one(tmp_path))

    assert (shown.mode, shown.size, mask) == ("RGB", (32, 24), None)


def test_trouble_is_told_file_by_file_and_the_rest_is_used(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    Image.new("RGB", (4, 4)).save(tmp_path / "dot.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    (tmp_path / "twin.png").write_bytes((tmp_path / "0.png").read_bytes())

    found = look_over(DataPlan(folder=tmp_path, resolution=64))

    told = {(trouble.file, trouble.code) for trouble in found.troubles}
    assert told == {
        ("dot.png", "too_small"),
        ("broken.png", "unreadable"),
        ("text.jpg", "unreadable"),
        ("twin.png", "double"),
        ("twin.png", "no_caption"),
    }
    assert [example.path.name for example in found.examples] == ["0.png", "1.png", "twin.png"]


def test_a_caption_is_read_whatever_program_wrote_it(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "图片 ü.png")
    (tmp_path / "图片 ü.txt").write_bytes("\ufeffa red\r\nhouse, 夜\r\n".encode())

    assert one(tmp_path).caption == "a red house, 夜"


def test_a_file_name_stands_for_a_missing_caption(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "003 a red house.png")

    assert one(tmp_path).caption == "a red house"


def test_a_very_long_caption_is_told_and_cut(tmp_path: Path) -> None:
    pictures(tmp_path, 1)
    (tmp_path / "0.txt").write_text("word " * 5000, encoding="utf-8")

    found = look_over(DataPlan(folder=tmp_path, resolution=64))

    assert [trouble.code for trouble in found.troubles] == ["long_caption"]
    assert len(found.examples[0].caption) <= 20_000


def test_a_folder_of_nothing_usable_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")

    with pytest.raises(PictureError, match=r"a\.png cannot be read"):
        look_over(DataPlan(folder=tmp_path))


@given(width=st.integers(16, 4000), height=st.integers(16, 4000), step=st.sampled_from([8, 32, 64]))
def test_a_bucket_keeps_the_area_and_near_enough_the_proportions(
    width: int, height: int, step: int
) -> None:
    found = size_for((width, height), 512, step)

    assert all(side % step == 0 for side in found)
    assert 0.5 * 512**2 <= found[0] * found[1] <= 512**2
    assert size_for((height, width), 512, step) in {found, found[::-1]}
    assert size_for((300, 300), 512, step) == (512, 512)


def test_a_picture_is_made_to_cover_its_size_and_cut_in_the_middle(tmp_path: Path) -> None:
    picture = Image.new("RGB", (96, 32), "red")
    picture.paste("blue", (32, 0, 64, 32))
    picture.save(tmp_path / "a.png")

    pixels, mask = prepared(one(tmp_path), (64, 64))

    assert mask is None
    assert pixels.shape == (3, 64, 64)
    assert pixels[2, 32, 32] == 1
    assert pixels[0, 32, 32] == -1


def test_every_round_shows_every_picture_as_often_as_the_plan_says(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, batch_size=2, correction=CorrectionPlan(accumulate=1))
    found = look_over(plan.data).examples
    pairs = [(example, size_for(example.size, 64, 32)) for example in found]
    order = Order(pairs, range(4), plan)

    seen = [turn for step in range(6) for turn in order.turns(step)]

    assert order.groups_per_round == 2
    assert sorted(turn.example for turn in seen) == sorted([0, 1, 2, 3] * 3)
    assert [turn.number for turn in seen] == list(range(12))
    assert all(
        len({pairs[turn.example][1] for turn in order.turns(step)}) == 1 for step in range(6)
    )


def test_captions_go_through_the_template() -> None:
    plan = DataPlan(
        folder=None, template=("art of [name], [filewords]",), trigger="xyz"  # pyright: ignore[reportArgumentType] - captions need no folder
    )  # fmt: skip

    assert (
        prompt("a cat, red", "mine", plan, chance(0, "turn", 0).choices)
        == "xyz, art of mine, a cat, red"
    )


@given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=6), st.integers(0, 999))
def test_shuffling_loses_no_tag_and_keeps_the_first(tags: list[str], seed: int) -> None:
    plan = DataPlan(folder=None, shuffle_tags=True, keep_tags=1)  # pyright: ignore[reportArgumentType] - captions need no folder

    said = prompt(", ".join(tags), "mine", plan, chance(seed, "turn", 0).choices)

    found = said.split(", ") if said else []
    assert sorted(found) == sorted(tags)
    assert found[:1] == tags[:1]


def test_captions_are_dropped_as_often_as_the_plan_says() -> None:
    plan = DataPlan(folder=None, drop_captions=0.25)  # pyright: ignore[reportArgumentType] - captions need no folder
    random = chance(0, "turn", 0).choices

    dropped = sum(prompt("a cat", "mine", plan, random) == "" for _ in range(2000))

    assert 440 < dropped < 560
