"""Files from outside: safe names, never over another file, nothing left of what did not come."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webui.library.naming import MAX_NAME_BYTES, RESERVED
from webui.library.quarantine import arrival, put, require_room, same_bytes
from webui.library.safe_names import ending, safe_stem
from webui.modules.errors import LimitError, StorageError


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("..\\..\\boot.ini")
@example("CON.safetensors")
@example("nul")
@example("a\x00b.pt")
@example(".hidden.pt")
@example("\u202egnp.exe")
@example("...")
@example("/")
@example("COM1 .pt")
@example("<lora:x:1>.safetensors")
def test_any_name_becomes_one_safe_part(name: str) -> None:
    """Whatever a stranger calls a file, it lies in the folder where we put it."""
    stem = safe_stem(name)

    assert stem
    assert not set(stem) & set('<>:"/\\|?*,')
    assert all(ord(sign) >= 32 and ord(sign) != 127 for sign in stem)
    assert stem == stem.strip(" .")
    assert len(stem.encode()) <= MAX_NAME_BYTES + 1
    assert stem.split(".")[0].strip().lower() not in RESERVED
    assert (Path("/models") / f"{stem}.safetensors").parent == Path("/models")
    assert safe_stem(f"{stem}.pt") == stem


@pytest.mark.parametrize(
    ("name", "stem", "end"),
    [
        ("模型 #1 %20.safetensors", "模型 #1 %20", ".safetensors"),
        ("C:\\Users\\me\\ink.v2.CKPT", "ink.v2", ".ckpt"),
        ("é" * 300 + ".pt", "é" * 100, ".pt"),
        ("no ending", "no ending", ""),
        (".safetensors", "safetensors", ".safetensors"),
    ],
)
def test_letters_of_all_languages_stay(name: str, stem: str, end: str) -> None:
    assert (safe_stem(name), ending(name)) == (stem, end)


def test_what_is_not_put_away_is_gone(tmp_path: Path) -> None:
    with arrival(tmp_path, "a.pt", most=100) as arrived:
        arrived.write(b"half")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_too_large_is_gone(tmp_path: Path) -> None:
    with arrival(tmp_path, "a", most=5) as arrived:
        arrived.write(b"four")
        with pytest.raises(LimitError, match="too large"):
            arrived.write(b"more")

    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_gets_a_number_also_under_another_ending(tmp_path: Path) -> None:
    home = tmp_path / "models"
    home.mkdir()
    (home / "ink.pt").write_bytes(b"another")
    places: list[str] = []
    for content in (b"one", b"two"):
        with arrival(tmp_path / "q", "ink.safetensors", most=100) as arrived:
            arrived.write(content)
            arrived.close()
            place = put(arrived.path, home, "ink", (".safetensors", ".pt"))
        assert place.read_bytes() == content
        places.append(place.name)

    assert places == ["ink-2.safetensors", "ink-3.safetensors"]
    assert (home / "ink.pt").read_bytes() == b"another"
    assert list((tmp_path / "q").iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="bytes left"):
        require_room(tmp_path / "not yet there", 1 << 62)


def test_equal_files_are_told_from_files_of_equal_size(tmp_path: Path) -> None:
    for name, content in (("a", b"same"), ("b", b"same"), ("c", b"else")):
        (tmp_path / name).write_bytes(content)

    assert same_bytes(tmp_path / "a", tmp_path / "b")
    assert not same_bytes(tmp_path / "a", tmp_path / "c")
    assert not same_bytes(tmp_path / "a", tmp_path / "gone")
