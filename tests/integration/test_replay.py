"""A picture drawn again: the receipt says that it is the same, or what explains the difference."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from tests.integration.conftest import PATIENCE, SMALL
from webui.cli import main
from webui.modules.errors import InfotextError, UnknownJobError, UnknownPictureError
from webui.services.receipts import Receipt
from webui.services.replay import difference_of, receipt, replay
from webui.services.requests import GenerationRequest
from webui.services.studio import Studio

ANNA: Final = "anna"
WISH: Final[dict[str, Any]] = dict(SMALL)


@pytest.fixture(scope="module")
def original(studio: Studio) -> bytes:
    """Return the file of a picture that was drawn here."""
    job = studio.drawing.submit(GenerationRequest(**WISH, steps=4), owner=ANNA)
    studio.drawing.wait(job.id, owner=ANNA, timeout=PATIENCE)
    return studio.drawing.pictures(job.id, owner=ANNA)[0].path.read_bytes()


def text_of(studio: Studio, picture: bytes) -> str:
    return studio.gallery.read_texts(picture)[0]


def drawn_again(studio: Studio, *, text: str = "", picture: bytes | None = None) -> Receipt:
    job = replay(studio, text=text, picture=picture, owner=ANNA)
    studio.drawing.wait(job.id, owner=ANNA, timeout=PATIENCE)
    return receipt(studio, job.id, owner=ANNA)


def sentences(found: Receipt) -> str:
    return " ".join(reason.sentence for reason in found.reasons)


def test_a_picture_of_ours_comes_out_identical(studio: Studio, original: bytes) -> None:
    found = drawn_again(studio, picture=original)

    assert (found.verdict, found.furthest, found.reasons) == ("identical", 0, ())


def test_what_the_owner_set_meanwhile_changes_nothing(studio: Studio, original: bytes) -> None:
    studio.options.update({"CLIP_stop_at_last_layers": 2, "eta_ancestral": 0.3})
    try:
        found = drawn_again(studio, picture=original)
    finally:
        studio.options.update({"CLIP_stop_at_last_layers": 1, "eta_ancestral": 1.0})

    assert found.verdict == "identical"


def test_a_last_bit_is_rounding(studio: Studio, original: bytes) -> None:
    image = Image.open(io.BytesIO(original))
    image.load()
    red = image.getpixel((3, 3))[0]  # pyright: ignore[reportOptionalSubscript, reportIndexIssue] - RGB
    image.putpixel((3, 3), (red + (1 if red < 255 else -1), *image.getpixel((3, 3))[1:]))  # pyright: ignore[reportOptionalSubscript, reportIndexIssue] - RGB
    buffer = io.BytesIO()
    image.save(buffer, "PNG")

    found = drawn_again(studio, text=text_of(studio, original), picture=buffer.getvalue())

    assert found.sentence == "within rounding (max 1 of 255)"


def test_a_missing_checkpoint_is_named(studio: Studio, original: bytes) -> None:
    text = text_of(studio, original).replace("Model hash: 8244b8ddea", "Model hash: 0123456789")
    text = text.replace("Model: tiny-sd1", "Model: gone")

    found = drawn_again(studio, text=text, picture=original)

    assert found.verdict == "identical"
    only_text = drawn_again(studio, text=text)
    assert only_text.verdict == "drawn"
    said = "The checkpoint gone [0123456789] is not here; tiny-sd1 [8244b8ddea] was used instead."
    assert said in sentences(only_text)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Seed: 1,", "Seed: 2, VAE: fine.pt,", "The VAE fine.pt is not here; its own was used"),
        ("Seed: 1,", "Seed: 2, FreeU B1: 1.1,", "FreeU B1 is not known here and was left out: 1.1"),
        ("RNG: CPU,", "Seed: 2,", "came from a graphics card"),
        ("Version: atelier", "Denoising strength: 0.5, Version: f2.0.1, X", "from another picture"),
        ("Version: atelier", "Version: ComfyUI, X", "Another program or release drew it: ComfyUI"),
    ],
)
def test_what_explains_a_difference_is_said(
    studio: Studio, original: bytes, before: str, after: str, said: str
) -> None:
    text = text_of(studio, original).replace(before, after)

    found = drawn_again(studio, text=text)

    assert said in sentences(found)


def test_a_photograph_of_the_picture_is_not_the_picture(studio: Studio, original: bytes) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(original)).convert("RGB").save(buffer, "JPEG", quality=60)

    found = drawn_again(studio, text=text_of(studio, original), picture=buffer.getvalue())

    assert found.verdict == "different"
    assert "The original is a JPEG file" in sentences(found)


def test_another_size_cannot_be_compared(studio: Studio, original: bytes) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")

    found = drawn_again(studio, text=text_of(studio, original), picture=buffer.getvalue())

    assert (found.verdict, found.furthest) == ("different", None)
    assert "the original has 32x32 pixels, this one 64x64" in sentences(found)


def test_the_difference_can_be_looked_at(studio: Studio, original: bytes) -> None:
    job = replay(studio, text="", picture=original, owner=ANNA)
    studio.drawing.wait(job.id, owner=ANNA, timeout=PATIENCE)

    png = difference_of(studio, job.id, owner=ANNA)

    assert png
    assert Image.open(io.BytesIO(png)).convert("L").getextrema() == (0, 0)


def test_a_text_without_settings_is_refused(studio: Studio) -> None:
    with pytest.raises(InfotextError, match="holds no settings"):
        replay(studio, text="a cat", picture=None, owner=ANNA)


def test_a_receipt_is_its_owners(studio: Studio, original: bytes) -> None:
    job = replay(studio, text="", picture=original, owner=ANNA)

    with pytest.raises(UnknownJobError):
        receipt(studio, job.id, owner="berta")


def test_a_drawing_that_is_no_replay_has_no_receipt(studio: Studio) -> None:
    job = studio.drawing.submit(GenerationRequest(**WISH, steps=1), owner=ANNA)

    with pytest.raises(UnknownPictureError, match="draws no picture again"):
        receipt(studio, job.id, owner=ANNA)


def test_the_command_line_gives_a_receipt_too(
    tiny_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], original: bytes
) -> None:
    given = tmp_path / "given.png"
    given.write_bytes(original)
    flags = ["--data-dir", str(tiny_home), "--precision", "exact", "--out", str(tmp_path)]

    assert main(["generate", *flags, "--infotext", str(given)]) == 0

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    receipt_there = told["receipt"]  # another number of threads may move the last bit
    assert receipt_there["verdict"] in ("identical", "within rounding")
    assert receipt_there["reasons"] == []
