"""The model index: what lies in the folders is there, whatever it is."""

import json
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from webui.library.index import ModelIndex
from webui.library.looking import SETTLED_NS
from webui.library.vae_choice import choose_vae
from webui.modules.errors import ModelError, UnknownNameError, UnsupportedModelError
from webui.modules.types import ModelKind

CHECKPOINT_KEYS = (
    "model.diffusion_model.input_blocks.0.0.weight",
    "first_stage_model.decoder.conv_in.weight",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
)
VAE_KEYS = ("decoder.mid.block_1.conv1.weight",)
LORA_KEYS = ("lora_unet_mid.lora_down.weight", "lora_unet_mid.lora_up.weight")


def safetensors(path: Path, keys: tuple[str, ...] = CHECKPOINT_KEYS, fill: int = 0) -> Path:
    """Write a sound file with one small tensor per key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        key: {"dtype": "F32", "shape": [1, 4, 1, 1], "data_offsets": [16 * n, 16 * (n + 1)]}
        for n, key in enumerate(keys)
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes([fill]) * 16 * len(keys))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "vae").mkdir()
    return tmp_path / "checkpoints"


@pytest.fixture
def index(folder: Path) -> ModelIndex:
    folders = {ModelKind.CHECKPOINT: (folder,), ModelKind.VAE: (folder.parent / "vae",)}
    return ModelIndex(folder.parent / "a.sqlite3", folders)


def titles(index: ModelIndex, kind: ModelKind = ModelKind.CHECKPOINT) -> list[str]:
    return [card.title for card in index.cards(kind)]


def test_files_are_listed_in_natural_order(index: ModelIndex, folder: Path) -> None:
    for name in ("model10", "model2", "sub/a", "Alpha"):
        safetensors(folder / f"{name}.safetensors")

    assert titles(index) == [
        "Alpha.safetensors",
        "model2.safetensors",
        "model10.safetensors",
        "sub/a.safetensors",
    ]


def test_a_new_file_is_there_without_a_restart(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "old.safetensors")
    assert len(titles(index)) == 1

    safetensors(folder / "new.safetensors")

    assert index.find(ModelKind.CHECKPOINT, "new").record.stem == "new"
    (folder / "old.safetensors").unlink()
    assert titles(index) == ["new.safetensors"]


def test_a_changed_file_gets_a_new_hash(index: ModelIndex, folder: Path) -> None:
    path = safetensors(folder / "a.safetensors")
    before = index.usable(ModelKind.CHECKPOINT, "a").sha256

    safetensors(path, fill=1)
    os.utime(path, (time.time() + 10, time.time() + 10))

    assert index.usable(ModelKind.CHECKPOINT, "a").sha256 not in ("", before)


def test_a_hash_is_computed_once(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    record = index.usable(ModelKind.CHECKPOINT, "a")

    again = ModelIndex(folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder,)})

    assert titles(again) == [f"a.safetensors [{record.shorthash}]"]


def test_a_broken_file_stays_in_the_list_with_the_reason(index: ModelIndex, folder: Path) -> None:
    (folder / "broken.safetensors").write_bytes(b"\xff" * 100)
    (folder / "empty.ckpt").touch()
    safetensors(folder / "sound.safetensors")

    problems = {card.record.name: card.problem for card in index.cards(ModelKind.CHECKPOINT)}

    assert problems["sound.safetensors"] is None
    assert problems["broken.safetensors"] is not None
    assert problems["empty.ckpt"] is not None
    with pytest.raises(ModelError, match="broken"):
        index.usable(ModelKind.CHECKPOINT, "broken")
    assert (folder / "broken.safetensors").exists()


def test_a_file_in_the_wrong_folder_says_where_it_belongs(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "style.safetensors", LORA_KEYS)

    with pytest.raises(UnsupportedModelError, match="lora") as told:
        index.usable(ModelKind.CHECKPOINT, "style")
    assert "models/Lora" in told.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "sub/my model.safetensors",
        "my model",
        "sub_my model",
        "sub/my model.safetensors [{short}]",
        "my model [{short}]",
        "{short}",
        "{sha256}",
        "y mod",
        "my model [0123456789]",
    ],
)
def test_a_checkpoint_is_found_under_every_name_of_a1111(
    name: str, index: ModelIndex, folder: Path
) -> None:
    safetensors(folder / "sub/my model.safetensors")
    safetensors(folder / "another and longer.safetensors", fill=1)
    record = index.usable(ModelKind.CHECKPOINT, "my model")

    asked = name.format(short=record.shorthash, sha256=record.sha256)

    assert index.find(ModelKind.CHECKPOINT, asked).record == record


def test_of_several_titles_the_shortest_is_meant(index: ModelIndex, folder: Path) -> None:
    for name in ("anything-v3-full", "anything-v3", "anything-v3-inpaint"):
        safetensors(folder / f"{name}.safetensors")

    assert index.find(ModelKind.CHECKPOINT, "ything-v3").record.stem == "anything-v3"


def test_an_unknown_name_is_told_with_those_that_are_there(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "a.safetensors")

    with pytest.raises(UnknownNameError, match="'nothing'") as told:
        index.find(ModelKind.CHECKPOINT, "nothing")
    assert "a.safetensors" in told.value.hint


def test_links_in_a_circle_end(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    (folder / "again").symlink_to(folder)
    elsewhere = folder.parent / "elsewhere"
    safetensors(elsewhere / "b.safetensors")
    (folder / "linked").symlink_to(elsewhere)

    assert titles(index) == ["a.safetensors", "linked/b.safetensors"]


def test_a_diffusers_folder_is_one_checkpoint(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "pipe/unet/model.safetensors")
    (folder / "pipe/model_index.json").write_text("{}")
    (folder / "pipe/unet/config.json").write_text('{"cross_attention_dim": 768}')

    (card,) = index.cards(ModelKind.CHECKPOINT)

    assert (card.title, card.format, card.problem) == ("pipe", "diffusers", None)


def test_what_stands_beside_a_file_is_read_as_text(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    (folder / "a.yaml").write_text("model: {}")
    (folder / "a.preview.png").write_bytes(b"png")
    (folder / "a.json").write_text(
        json.dumps({"description": "<b>x</b>", "vae": "v.pt", "suggested": {"steps": 8}})
    )

    (card,) = index.cards(ModelKind.CHECKPOINT)

    assert card.description == "<b>x</b>"
    assert card.vae == "v.pt"
    assert card.suggested == {"steps": 8}
    assert card.preview == folder / "a.preview.png"
    assert card.record.config == folder / "a.yaml"


@pytest.mark.parametrize("text", ["[", "[" * 100_000, "[]", '{"description": 7}', "\xff"])
def test_a_damaged_side_file_is_left_out(text: str, index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    (folder / "a.json").write_text(text)

    (card,) = index.cards(ModelKind.CHECKPOINT)

    assert card.problem is None
    assert card.description == ""


def test_without_hashing_there_are_no_hashes(folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    index = ModelIndex(
        folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder,)}, hashing=False
    )

    assert index.usable(ModelKind.CHECKPOINT, "a").title == "a.safetensors"


def chosen(index: ModelIndex, wanted: str, *, overrides: bool = True) -> str | None:
    checkpoint = index.find(ModelKind.CHECKPOINT, "model")
    card = choose_vae(
        index.cards(ModelKind.VAE), wanted, checkpoint=checkpoint, overrides=overrides
    )
    return card.record.name if card else None


def test_the_vae_is_chosen_in_a1111s_order(index: ModelIndex, folder: Path) -> None:
    safetensors(folder / "model.safetensors")
    assert chosen(index, "Automatic") is None

    safetensors(folder.parent / "vae/nice.safetensors", VAE_KEYS)
    safetensors(folder / "model2.vae.safetensors", VAE_KEYS)
    assert chosen(index, "Automatic") is None  # model2's, not model's

    safetensors(folder / "model.vae.safetensors", VAE_KEYS)
    assert chosen(index, "Automatic") == "model.vae.safetensors"
    assert chosen(index, "None") is None
    assert chosen(index, "nice.safetensors") == "nice.safetensors"
    assert chosen(index, "nice.safetensors", overrides=False) == "model.vae.safetensors"
    with pytest.raises(UnknownNameError, match=r"'gone\.pt'"):
        chosen(index, "gone.pt")
    assert "model.vae.safetensors" not in titles(index)


@pytest.fixture
def shared(tmp_path: Path) -> ModelIndex:
    """Return an index whose VAE files and aesthetic embeddings lie in one folder."""
    vaes, others = tmp_path / "VAE", tmp_path / "aesthetic_embeddings"
    safetensors(vaes / "nice.safetensors", VAE_KEYS)
    (vaes / "broken.pt").write_bytes(b"\xff" * 100)
    safetensors(vaes / "style.safetensors", LORA_KEYS)
    vaes.joinpath("taste.bin").write_bytes(b"\xff")
    others.mkdir()
    folders = {ModelKind.VAE: (vaes,), ModelKind.AESTHETIC: (vaes, others)}
    return ModelIndex(tmp_path / "a.sqlite3", folders)


def test_two_kinds_share_a_folder_and_a_file_of_neither_is_a_problem_of_the_first(
    shared: ModelIndex, tmp_path: Path
) -> None:
    safetensors(tmp_path / "aesthetic_embeddings" / "odd.safetensors", VAE_KEYS)

    vaes = {card.record.name: card.problem for card in shared.cards(ModelKind.VAE)}
    tastes = {card.record.name: card.problem for card in shared.cards(ModelKind.AESTHETIC)}

    assert vaes["nice.safetensors"] is None
    assert {name for name, problem in vaes.items() if problem} == {
        "broken.pt", "style.safetensors", "taste.bin",
    }  # fmt: skip
    assert set(tastes) == {"odd.safetensors"}
    assert tastes["odd.safetensors"]


# ------------------------------------------------------------------ many files, and what changes


class Opened:
    """Counts the files that the program opens or looks at; an audit hook patches nothing."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[str] = []
        self.walked: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open":
            self.opened.append(str(arguments[0]))
        elif self.on and event == "os.scandir":
            self.walked.append(str(arguments[0]))

    @contextmanager
    def counting(self) -> Generator["Opened"]:
        """Count from here on."""
        self.opened, self.walked, self.on = [], [], True
        try:
            yield self
        finally:
            self.on = False


@pytest.fixture(scope="module")
def watch() -> Opened:
    return Opened()


def models(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".safetensors", ".json"))]


def test_a_library_is_opened_once_and_then_only_looked_at(folder: Path, watch: Opened) -> None:
    """300 files in 3 folders: each is opened at first sight, by a new program none is."""
    for number in range(300):
        path = safetensors(folder / f"sub{number % 3}" / f"m{number}.safetensors")
        if number % 2:
            path.with_suffix(".json").write_text('{"activation text": "word"}')
    folders = {ModelKind.CHECKPOINT: (folder,)}
    ModelIndex(folder.parent / "a.sqlite3", folders).cards(ModelKind.CHECKPOINT)

    with watch.counting() as told:
        again = ModelIndex(folder.parent / "a.sqlite3", folders).cards(ModelKind.CHECKPOINT)

    assert len(again) == 300
    assert sum(card.trigger_words == "word" for card in again) == 150
    assert models(told.opened) == []
    assert len(told.walked) == 4  # one look at each folder


def test_asking_again_walks_no_folder(folder: Path, watch: Opened) -> None:
    safetensors(folder / "sub" / "a.safetensors")
    index = ModelIndex(folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder,)}, patience=60)
    index.cards(ModelKind.CHECKPOINT)
    time.sleep(2 * SETTLED_NS / 1e9)
    index.cards(ModelKind.CHECKPOINT)

    with watch.counting() as told:
        index.cards(ModelKind.CHECKPOINT)

    assert (told.walked, models(told.opened)) == ([], [])


def test_a_model_folder_that_comes_later_is_seen_at_once(folder: Path) -> None:
    index = ModelIndex(
        folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder / "later",)}, patience=60
    )
    assert titles(index) == []

    safetensors(folder / "later" / "a.safetensors")

    assert titles(index) == ["a.safetensors"]


def test_only_what_changed_is_read_again(folder: Path, watch: Opened) -> None:
    for number in range(20):
        safetensors(folder / f"m{number}.safetensors")
    index = ModelIndex(folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder,)}, patience=0)
    before = index.version()
    assert index.version() == before

    with watch.counting() as told:
        safetensors(folder / "sub" / "new.safetensors")
        (folder / "m3.json").write_text('{"notes": "mine"}')
        told.opened.clear()
        after = index.version()
        found = {card.record.stem: card for card in index.cards(ModelKind.CHECKPOINT)}

    assert after != before
    assert found["m3"].notes == "mine"
    assert {Path(name).name for name in models(told.opened)} == {"new.safetensors", "m3.json"}
    (folder / "m3.json").write_text('{"notes": "longer than before"}')
    (folder / "m4.safetensors").unlink()
    found = {card.record.stem: card for card in index.cards(ModelKind.CHECKPOINT)}
    assert found["m3"].notes == "longer than before"
    assert "m4" not in found


def test_a_newer_program_reads_again_and_keeps_the_hashes(folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    database = folder.parent / "a.sqlite3"
    folders = {ModelKind.CHECKPOINT: (folder,)}
    sha256 = ModelIndex(database, folders).usable(ModelKind.CHECKPOINT, "a").sha256
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE model_files SET reader = 'older', family = 'wrong'")

    (card,) = ModelIndex(database, folders).cards(ModelKind.CHECKPOINT)

    assert (card.record.family, card.record.sha256) == ("sd1", sha256)
    (same,) = ModelIndex(database, folders).cards(ModelKind.CHECKPOINT)
    assert same == card


def test_a_picture_beside_an_embedding_is_its_preview_and_no_embedding(tmp_path: Path) -> None:
    safetensors(tmp_path / "e" / "style.safetensors", ("emb_params",))
    for name in ("style.png", "style.preview.webp", "._style.safetensors"):
        (tmp_path / "e" / name).write_bytes(b"picture")
    index = ModelIndex(tmp_path / "a.sqlite3", {ModelKind.EMBEDDING: (tmp_path / "e",)})

    (card,) = index.cards(ModelKind.EMBEDDING)

    assert card.preview == tmp_path / "e" / "style.png"


def test_a_name_that_is_no_text_and_a_pipe_stop_nothing(folder: Path) -> None:
    safetensors(folder / "a.safetensors")
    (folder / os.fsdecode(b"\xff.safetensors")).write_bytes(b"x")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "hidden.safetensors").symlink_to(folder / "nowhere")
    index = ModelIndex(folder.parent / "a.sqlite3", {ModelKind.CHECKPOINT: (folder,)})

    assert titles(index) == ["a.safetensors"]


def test_long_texts_stay_in_the_file(tmp_path: Path) -> None:
    path = safetensors(tmp_path / "l" / "a.safetensors", LORA_KEYS)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {"ss_output_name": "short", "ss_tag_frequency": "x" * 5000}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    index = ModelIndex(tmp_path / "a.sqlite3", {ModelKind.LORA: (tmp_path / "l",)})

    (card,) = index.cards(ModelKind.LORA)

    assert (dict(card.metadata), card.whole) == ({"ss_output_name": "short"}, False)
