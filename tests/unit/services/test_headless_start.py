"""Pictures to start from on a command line."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.library.inputs import Inputs
from webui.modules.errors import PictureError, RangeError, StorageError, WebuiError
from webui.services.headless_start import Given, starts


def found(folder: Path, **said: Any) -> list[tuple[Path, Any]]:
    fields: dict[str, Any] = {"start": {}, "mask": {}, **said}
    return list(starts(Given(**fields), Inputs(folder / "inputs")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg"):
        Image.new("RGB", (12, 8), "red").save(tmp_path / name)
    (tmp_path / "a.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / "masks").mkdir()
    Image.new("L", (12, 8), 255).save(tmp_path / "masks" / "a.png")
    return tmp_path


def test_without_a_picture_there_is_no_start(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_picture_with_a_mask_and_what_is_said_of_both(folder: Path) -> None:
    ((path, start),) = found(
        folder,
        pictures=folder / "b.png",
        masks=folder / "masks" / "a.png",
        start={"denoising": 0.5, "resize": 2},
        mask={"blur": 7, "content": 0, "only_masked": True, "padding": 3, "invert": True},
    )

    assert path == folder / "b.png"
    assert (start.denoising, start.resize) == (0.5, "Resize and fill")
    masked = start.masked
    assert (masked.blur, masked.content, masked.padding) == ((7, 7), "fill", 3)
    assert masked.only_masked
    assert masked.invert


def test_a_folder_is_one_start_each_by_name(folder: Path) -> None:
    assert [path.name for path, _ in found(folder, pictures=folder)] == ["a.jpg", "b.png"]


def test_a_folder_of_masks_goes_by_name(folder: Path) -> None:
    ((_, start),) = found(folder, pictures=folder / "a.jpg", masks=folder / "masks")
    assert start.masked.mask.path.is_file()

    with pytest.raises(StorageError, match=r"no mask for b\.png"):
        found(folder, pictures=folder / "b.png", masks=folder / "masks")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"start": {"denoising": 0.5}}, RangeError, "--denoising-strength"),
        ({"mask": {"blur": 2}}, RangeError, "--mask-blur"),
        ({"masks": Path("m.png")}, RangeError, "--mask"),
        ({"pictures": "b.png", "mask": {"blur": 2}}, RangeError, "--mask-blur"),
        ({"pictures": "b.png", "start": {"resize": 4}}, RangeError, "--resize-mode is 4"),
        ({"pictures": "none.png"}, StorageError, "none.png"),
        ({"pictures": "a.txt"}, PictureError, "a.txt"),
        ({"pictures": "masks/empty"}, StorageError, "has no pictures"),
    ],
)
def test_what_does_not_fit_is_told(
    folder: Path, said: dict[str, Any], kind: type[WebuiError], words: str
) -> None:
    (folder / "masks" / "empty").mkdir()
    if "pictures" in said:
        said = {**said, "pictures": folder / said["pictures"]}

    with pytest.raises(kind) as refused:
        found(folder, **said)
    assert words in str(refused.value)
