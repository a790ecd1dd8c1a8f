"""Where A1111's language does something without a word, a sentence says what."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.modules.errors import RangeError
from webui.modules.text.prompt import Clock
from webui.modules.text.prompt_notes import MOST_NOTES, Reading, prompt_notes

READING = Reading(clocks=(Clock(steps=20),))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a [cat:1.2]", "[cat:1.2] never comes"),
        ("a [cat:dog:x:30]", "is no [before:after:when]"),
        ("(a BREAK b:1.5)", "BREAK inside weighted brackets"),
        ("photo, ratio 16:9", "ends in :9"),
        ("((a)", "1 opened ( without its partner"),
        ("[a", "1 opened [ without its partner"),
        ("a))", "2 closing ) without its partner"),
        ("a] b", "1 closing ] without its partner"),
        ("[a AND b:c:0.5]", "AND inside brackets splits"),
        ("a <foo:bar:1>", "<foo:...> is no tag"),
        ("[a:b]", "[a:b] is no [before:after:when]"),
        ("[a:b:x]", "[a:b:x] is no [before:after:when]"),
        ("[a|b:5]", "switches off every"),
        ("a | b, [c:d:5]", "switches off every"),
        ("(a:20)", "weighs 20"),
        ("(" * 1000 + "a" + ")" * 1000, "weighs 2.47e+41"),
        ("[a:(b:99):0.5]", "weighs 99"),
    ],
)
def test_a_slip_is_told(prompt: str, said: str) -> None:
    assert said in " ".join(prompt_notes(prompt, "", READING))


@pytest.mark.parametrize(
    ("negative", "said"),
    [
        ("a AND b", "AND in the negative prompt"),
        ("a <lora:x:1>", "<lora:...> in the negative prompt is read as words"),
        ("[cat:1.2]", "never comes"),
    ],
)
def test_a_slip_in_the_negative_prompt_is_told(negative: str, said: str) -> None:
    assert said in " ".join(prompt_notes("a", negative, READING))


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a cat, (sitting:1.2), [on] a ((table))",
        "[a:b:0.5] and [c|d]",
        "[a:10] [b::5] [[c|d]:e:7]",
        r"\(a\) \[b:c\]",
        "a AND b:0.5 AND (c:1.1):1.2",
        "a BREAK b",
        "a: b, c",
        "<lora:x:1> a",
        "(a:[b:c:0.5]:1.2)",
    ],
)
def test_a_prompt_as_it_should_be_is_not_talked_about(prompt: str) -> None:
    assert prompt_notes(prompt, "", READING) == ()


def test_a_word_of_the_second_pass_is_no_slip() -> None:
    hires = Reading(clocks=(Clock(steps=20), Clock(steps=20, first_pass=20)))

    assert prompt_notes("a [cat:1.2]", "", hires) == ()


def test_without_emphasis_brackets_are_letters() -> None:
    reading = Reading(clocks=READING.clocks, emphasis=False)

    assert prompt_notes("((a (b:1.2.3)", "", reading) == ()


@pytest.mark.parametrize("prompt", ["(a:1.2.3)", "[a:(b:..):0.5]"])
def test_a_weight_that_is_no_number_is_an_error(prompt: str) -> None:
    with pytest.raises(RangeError, match="is not a number"):
        prompt_notes(prompt, "", READING)


def test_a_broken_weight_that_is_never_drawn_is_none() -> None:
    assert prompt_notes("[(a:1.2.3):b:0]", "", READING) == ()


@pytest.mark.parametrize(
    "shape",
    ["(", "[", "]", "[a:b]", "[a:1.2]", "[[::1]", "(a BREAK b:2)", "a AND ", "<x:y>", "[a:", "[:",
     "[a|b]", "((a", ":9", "[a:b:c:d]", "[[a]:"],
)  # fmt: skip
def test_twenty_thousand_characters_of_any_shape_are_looked_at_in_time(shape: str) -> None:
    """``bench`` measures a tenth of a second; here every call is checked by others."""
    prompt = (shape * 20_000)[:20_000]
    started = time.process_time()

    notes = prompt_notes(prompt, prompt, READING)

    assert time.process_time() - started < 10
    assert len(notes) <= MOST_NOTES


@given(st.text(alphabet="ab ,()[]:|\\0.51AND<>x", max_size=60))
def test_any_prompt_can_be_talked_about(prompt: str) -> None:
    try:
        notes = prompt_notes(prompt, prompt, READING)
    except RangeError:
        return
    assert all(note.endswith(".") and len(note) < 250 for note in notes)
