"""What stands beside a model file, in the forms that other programs write."""

import json
from pathlib import Path

import pytest

from webui.library.sidecars import MAX_TEXT, beside, plain_text, read_sidecars
from webui.library.user_texts import save_texts
from webui.modules.errors import LimitError, ModelFileError, RangeError

SITE = {
    "id": 7,
    "name": "v2",
    "baseModel": "SD 1.5",
    "trainedWords": ["ink", "brush, soft", 3],
    "description": "<p>First <b>line</b></p><p>Second &amp; last<script>alert(1)</script></p>",
    "model": {"name": "Ink", "type": "LORA"},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ink.v2.safetensors"
    path.write_bytes(b"x")
    return path


def side(model: Path, ending: str, content: object) -> Path:
    path = model.with_name(f"ink.v2{ending}")
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_what_the_download_site_says_is_read_as_plain_text(model: Path) -> None:
    side(model, ".civitai.info", SITE)

    said = read_sidecars(model, beside(model))

    assert (said.title, said.base, said.trigger_words) == ("Ink v2", "SD 1.5", "ink, brush, soft")
    assert said.description == "First line\nSecond & lastalert(1)"


def test_the_owners_words_go_before_those_of_the_site(model: Path) -> None:
    side(model, ".civitai.info", SITE)
    side(model, ".txt", "from the text file")
    assert read_sidecars(model, beside(model)).description == "from the text file"
    side(model, ".json", {
        "description": "mine", "activation text": "call", "preferred weight": 0.6,
        "negative text": "blur", "sd version": "SD1",
    })  # fmt: skip

    said = read_sidecars(model, beside(model))

    assert (said.description, said.trigger_words, said.base) == ("mine", "call", "SD1")
    assert (said.weight, said.negative_words) == (0.6, "blur")


@pytest.mark.parametrize(
    "content",
    ["[", "[" * 100_000, "[]", '{"preferred weight": NaN}', '{"preferred weight": "1"}',
     '{"preferred weight": true}', '{"notes": 7}', '{"activation text": "\\ud800"}'],
)  # fmt: skip
def test_nonsense_beside_a_model_does_no_harm(content: str, model: Path) -> None:
    side(model, ".json", content)
    side(model, ".civitai.info", content)

    said = read_sidecars(model, beside(model))

    assert said.weight == 0
    assert said.notes == ""
    said.trigger_words.encode()


def test_a_page_of_tags_is_read_in_no_time() -> None:
    assert plain_text("<p>" * 20_000 + "&#65;<!-- <b> -->x") == "Ax"
    assert plain_text("<" * 20_000).strip("<") == ""


def test_notes_are_written_as_a1111_writes_them_and_the_rest_stays(model: Path) -> None:
    file = side(model, ".json", {"extra": [1, 2], "notes": "old", "vae": "nice.pt"})

    save_texts(model, {"notes": "新", "weight": 0.5, "trigger_words": "ink"})

    assert json.loads(file.read_text("utf-8")) == {
        "extra": [1, 2], "notes": "新", "vae": "nice.pt", "preferred weight": 0.5,
        "activation text": "ink",
    }  # fmt: skip
    assert read_sidecars(model, beside(model)).notes == "新"


def test_a_damaged_file_of_notes_is_not_written_over(model: Path) -> None:
    file = side(model, ".json", '{"notes": "half')

    with pytest.raises(ModelFileError, match="damaged"):
        save_texts(model, {"notes": "new"})
    assert file.read_text("utf-8") == '{"notes": "half'


def test_texts_have_bounds(model: Path) -> None:
    with pytest.raises(LimitError):
        save_texts(model, {"notes": "x" * (MAX_TEXT + 1)})
    with pytest.raises(RangeError):
        save_texts(model, {"weight": 1e9})
    assert not model.with_name("ink.v2.json").exists()
