"""Styles: read from every file that A1111 wrote, applied, found again, saved without a loss."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import RangeError
from webui.services.styles import (
    Style,
    listed_styles,
    pasted_styles,
    read_styles,
    save_style,
    styled,
    without_styles,
)

INK = Style(prompt="ink drawing", negative_prompt="photo")
FRAME = Style(prompt="a painting of {prompt}, oil")
STYLES = {"Ink": INK, "Frame": FRAME, "Nothing": Style()}

WORDS = st.text(alphabet="abcdef ,", max_size=20).map(str.strip)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "styles.csv"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("name,prompt,negative_prompt", 'Ink,"ink drawing",photo'),
        ("name,text,negative_prompt", "Ink,ink drawing,photo"),
        ("negative_prompt,name,prompt", "photo,Ink,ink drawing"),
    ],
)
def test_files_of_every_age_are_read(file: Path, head: str, row: str, mark: str) -> None:
    file.write_text(f"{mark}{head}\n#n,#n,#n\n{row}\n", encoding="utf-8")

    assert read_styles(file) == {"Ink": INK}


def test_several_files_are_listed_under_headings(file: Path) -> None:
    file.write_text("name,prompt\na,1\n")
    file.with_name("styles_more.csv").write_text("name,prompt\nb,2\n")

    names = [name for name, _ in listed_styles(file)]

    assert names == [
        "---------------- STYLES ----------------",
        "a",
        "------------- STYLES_MORE --------------",
        "b",
    ]
    assert set(read_styles(file)) == {"a", "b"}


def test_a_saved_style_is_read_and_the_old_file_is_kept(file: Path) -> None:
    before = "name,text,mood\n#note,x,\nOld,a cat,calm\n"
    file.write_text(before)

    save_style(file, " 水墨 ", INK)

    assert read_styles(file) == {"Old": Style(prompt="a cat"), "水墨": INK}
    assert file.with_name("styles.csv.bak").read_text() == before
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert "#note" in file.read_text("utf-8")
    assert "calm" in file.read_text("utf-8")


def test_a_style_is_replaced_where_it_stands(file: Path) -> None:
    more = file.with_name("styles_more.csv")
    more.write_text("name,prompt\nInk,old\n")

    save_style(file, "Ink", INK)

    assert not file.exists()
    assert read_styles(file) == {"Ink": INK}


@pytest.mark.parametrize("name", ["", "  ", "#hidden", "two\nlines", "x" * 201])
def test_a_name_that_files_cannot_keep_is_refused(file: Path, name: str) -> None:
    with pytest.raises(RangeError, match="cannot be called"):
        save_style(file, name, INK)


@given(prompt=WORDS, text=st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_what_is_saved_is_read(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, text: str
) -> None:
    file = tmp_path_factory.mktemp("styles") / "styles.csv"
    text = text.replace("\r", "").replace("\0", "")

    save_style(file, "s", Style(prompt=prompt, negative_prompt=text))

    assert read_styles(file)["s"] == Style(prompt=prompt, negative_prompt=text)


@given(
    prompt=WORDS.map(lambda words: f"cat {words}".strip(", ")),
    negative=WORDS.map(lambda words: f"dog {words}".strip(", ")),
    names=st.permutations(["Ink", "Frame"]).flatmap(
        lambda all_names: st.integers(0, 2).map(lambda count: tuple(all_names[:count]))
    ),
)
def test_styles_that_were_applied_are_found(
    prompt: str, negative: str, names: tuple[str, ...]
) -> None:
    told = styled(prompt, negative, names=names, styles=STYLES)

    found = without_styles(*told, styles=STYLES)

    assert (found.prompt, found.negative_prompt, found.names) == (prompt, negative, names)


def test_a_style_counts_only_if_both_prompts_hold_it() -> None:
    found = without_styles("a cat, ink drawing", "dog", styles=STYLES)

    assert found.names == ()
    assert found.prompt == "a cat, ink drawing"


@pytest.mark.parametrize(
    ("rule", "prompt", "names"),
    [
        ("Ignore", "a cat, ink drawing", None),
        ("Discard", "a cat", None),
        ("Apply", "a cat", ("Ink",)),
        ("Apply if any", "a cat", ("Ink",)),
    ],
)
def test_pasting_follows_the_option(rule: str, prompt: str, names: tuple[str, ...] | None) -> None:
    fields = {"prompt": "a cat, ink drawing", "negative_prompt": "photo"}

    pasted = pasted_styles(fields, rule=rule, styles=STYLES)

    assert pasted["prompt"] == prompt
    assert pasted.get("styles") == names


@pytest.mark.parametrize(("rule", "names"), [("Apply", ()), ("Apply if any", None)])
def test_no_style_found_empties_the_choice_only_if_asked(
    rule: str, names: tuple[str, ...] | None
) -> None:
    pasted = pasted_styles({"prompt": "x", "negative_prompt": ""}, rule=rule, styles=STYLES)

    assert pasted.get("styles") == names
