"""By which names prompts call add-ons, and in which order lists stand."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from webui.library.cards import ModelCard
from webui.library.names import Calls, natural_key
from webui.modules.types import ModelKind, ModelRecord


def lora(name: str, alias: str = "") -> ModelCard:
    record = ModelRecord(path=Path(f"/l/{name}"), kind=ModelKind.LORA, name=name)
    return ModelCard(record=record, metadata={"ss_output_name": alias} if alias else {})


def test_a_file_is_called_by_its_alias_and_by_its_name() -> None:
    card = lora("sub/file.safetensors", "ink")

    calls = Calls([card])

    assert calls.find("ink") is card
    assert calls.find("file") is card
    assert calls.name_of(card) == "ink"


def test_an_alias_that_two_files_claim_calls_neither() -> None:
    one, other = lora("one.safetensors", "last"), lora("other.safetensors", "last")

    calls = Calls([one, other])

    assert calls.find("last") is None
    assert calls.find("one") is one
    assert (calls.name_of(one), calls.name_of(other)) == ("one", "other")


def test_an_alias_that_is_the_name_of_another_file_means_that_file() -> None:
    named, aliased = lora("ink.safetensors"), lora("z.safetensors", "ink")

    calls = Calls([named, aliased])

    assert calls.find("ink") is named
    assert calls.name_of(aliased) == "z"


def test_reserved_aliases_are_never_taken() -> None:
    card = lora("file.safetensors", "Addams")

    assert Calls([card]).find("Addams") is None
    assert Calls([card]).name_of(card) == "file"


@given(st.lists(st.tuples(st.sampled_from(["a", "b1", "B", ""]), st.integers(0, 10**6))))
def test_numbers_in_names_sort_as_numbers(parts: list[tuple[str, int]]) -> None:
    names = [f"{letters}{number}.pt" for letters, number in parts if letters != "b1"]

    ordered = sorted(names, key=natural_key)

    expected = sorted(
        names, key=lambda name: (name.lower().rstrip("0123456789.pt"), int(_digits(name)))
    )
    assert [name.lower() for name in ordered] == [name.lower() for name in expected]


def _digits(name: str) -> str:
    return "".join(sign for sign in name if sign.isdigit())


def test_folders_stand_behind_the_files_before_them() -> None:
    names = ["b.pt", "a/z.pt", "a2/a.pt", "a10/a.pt", "a/b/c.pt"]

    assert sorted(names, key=natural_key) == ["b.pt", "a/z.pt", "a/b/c.pt", "a2/a.pt", "a10/a.pt"]
