"""A picture's own prompt as its caption: what is seen stays, how it was drawn goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from webui.extensions.prompt_captions import worker
from webui.hooks.spec import Uncaptioned
from webui.jobs.captions import propose_captions
from webui.modules.errors import UnsupportedError
from webui.modules.training.plan import CaptionPlan

if TYPE_CHECKING:
    from pathlib import Path

END = "\nNegative prompt: blurry, (ugly:1.4)\nSteps: 20, Sampler: Euler a, Seed: 1"


@pytest.mark.parametrize(
    ("texts", "caption"),
    [
        ({"parameters": f"a cat{END}"}, "a cat"),
        ({"parameters": f"a ((red:1.1)) [cat],, (by night:1.3), {END}"}, "a red cat, by night"),
        ({"parameters": f"<lora:ink:0.8>a cat <hypernet:x:1>{END}"}, "a cat"),
        ({"parameters": f"one\ntwo \\(2\\), 夜{END}"}, "one two (2), 夜"),
        ({"UserComment": "a dog\nSteps: 4, Sampler: DDIM"}, "a dog"),
        ({"Comment": "taken in spring"}, ""),
        ({"parameters": "Negative prompt: x\nSteps: 3"}, ""),
        ({}, ""),
    ],
)
def test_the_prompt_is_what_was_seen(texts: dict[str, str], caption: str) -> None:
    shown = Uncaptioned(name="a.png", texts=texts, image=Image.new("RGB", (8, 8)))

    assert worker.caption(shown) == caption


def test_photographs_tell_it_in_their_exif_and_broken_files_are_passed_over(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + f"a dog, 夜{END}".encode("utf-16-be")
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    told: list[int] = []

    plan = CaptionPlan(folder=tmp_path, by="prompt_captions")
    found = propose_captions(plan, lambda number, _total, _text: told.append(number))

    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "a dog, 夜"
    assert (found["written"], found["left"], told) == (1, 1, [0, 1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.txt", "broken.png"]


def test_who_proposes_none_or_is_not_here_is_refused(tmp_path: Path) -> None:
    for name in ("aesthetic_gradients", "nobody"):
        with pytest.raises(UnsupportedError, match=name):
            propose_captions(CaptionPlan(folder=tmp_path, by=name), lambda *_: None)
