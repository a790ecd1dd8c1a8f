"""The prompt language: what A1111 makes of a prompt, and what holds for every prompt."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.reference import ANSWERS
from tests.unit.modules.text.slow_prompt import slow_text_at, slow_weights
from webui.modules.errors import RangeError
from webui.modules.text.prompt import (
    ROUND_FACTOR,
    SQUARE_FACTOR,
    Clock,
    Piece,
    split_and,
    take_tags,
    timeline,
    weighted,
)

WORD = st.text(alphabet="abcdefgh", min_size=1, max_size=8)
MARKS = st.text(alphabet="ab ,()[]:|\\0.51AND", max_size=60)

WEIGHT_PARTS = (
    "a",
    " ",
    "(",
    ")",
    "[",
    "]",
    ":1.2)",
    ": -.5 )",
    ":",
    "1.2",
    "\\(",
    "\\",
    ":1.2.3)",
)
EDIT_PARTS = (
    "a", "b ", "(", ")", "[", "]", "[", "]", ":", ":", "|", "0.5", "3", " 1e0 ", "-1", "\\[", "\\",
    "[a:b:0.5]", "[a|b]", "[a:2]", "(a:1.1)", "\n",
)  # fmt: skip

# ------------------------------------------------------------------------ what A1111 answered


@pytest.mark.parametrize(("prompt", "expected"), ANSWERS["attention"])
def test_pieces_weigh_what_they_weigh_in_a1111(prompt: str, expected: list) -> None:
    pieces = weighted(prompt)

    assert [piece.text for piece in pieces] == [text for text, _ in expected]
    assert [piece.weight for piece in pieces] == pytest.approx([weight for _, weight in expected])


@pytest.mark.parametrize("case", ANSWERS["schedules"], ids=lambda case: repr(case["prompt"]))
def test_texts_change_when_they_change_in_a1111(case: dict) -> None:
    clock = Clock(steps=case["steps"], first_pass=case["hires_steps"] or 0, old=case["old"])
    if case["hires_steps"]:
        clock = Clock(steps=case["hires_steps"], first_pass=case["steps"], old=case["old"])

    found = [[timed.until, timed.text] for timed in timeline(case["prompt"], clock)]

    assert found == case["result"]


@pytest.mark.parametrize(("prompt", "expected"), ANSWERS["multicond"])
def test_and_splits_where_a1111_splits(prompt: str, expected: list) -> None:
    (weights,), texts = expected
    wanted = [(texts[place], weight) for place, weight in weights]

    assert split_and(prompt) == wanted


@pytest.mark.parametrize(("prompt", "expected"), ANSWERS["extra_networks"])
def test_tags_are_taken_where_a1111_takes_them(prompt: str, expected: list) -> None:
    text, tags = take_tags(prompt)

    assert text == expected[0]
    assert [tag.kind for tag in tags] == [kind for kind, uses in expected[1].items() for _ in uses]


# ----------------------------------------------------------------------------- laws of weight


@given(word=WORD, rounds=st.integers(0, 12), squares=st.integers(0, 12))
def test_brackets_multiply(word: str, rounds: int, squares: int) -> None:
    text = "(" * rounds + "[" * squares + word + "]" * squares + ")" * rounds

    (piece,) = weighted(text)

    assert piece.text == word
    assert piece.weight == pytest.approx(ROUND_FACTOR**rounds * SQUARE_FACTOR**squares)


@given(word=WORD, weights=st.lists(st.decimals(-3, 3, places=2), min_size=1, max_size=6))
def test_numbers_multiply(word: str, weights: list) -> None:
    text, total = word, 1.0
    for weight in weights:
        text, total = f"({text}:{weight})", total * float(weight)

    (piece,) = weighted(text)

    assert piece.text == word
    assert piece.weight == pytest.approx(total)


@given(before=WORD, inside=WORD, after=WORD)
def test_a_bracket_weighs_nothing_outside_itself(before: str, inside: str, after: str) -> None:
    pieces = weighted(f"{before} ({inside}:1.5) {after}")

    assert pieces == [Piece(f"{before} ", 1.0), Piece(inside, 1.5), Piece(f" {after}", 1.0)]


@given(st.text(alphabet="abc ()[]\\", max_size=80))
def test_no_word_is_lost_between_brackets(prompt: str) -> None:
    """Brackets, and backslashes before them, are taken out; everything else stays in order."""
    read = "".join(piece.text for piece in weighted(prompt))

    assert re.sub(r"[()\[\]\\]", "", read) == re.sub(r"[()\[\]\\]", "", prompt)


@given(st.text(alphabet="ab()[]: ", max_size=40))
def test_escaped_text_is_read_as_it_stands(text: str) -> None:
    escaped = re.sub(r"([()\[\]])", r"\\\1", text)

    assert weighted(escaped) == [Piece(text, 1.0)]


@pytest.mark.parametrize("prompt", ["(cat:1.2.3)", "(cat:..)", "(cat:+.)"])
def test_a_weight_that_is_no_number_is_said(prompt: str) -> None:
    with pytest.raises(RangeError, match="is not a number"):
        weighted(prompt)


# ------------------------------------------------------------------------------- laws of time


@given(prompt=MARKS, steps=st.integers(1, 40))
def test_the_texts_of_a_prompt_cover_every_step_once(prompt: str, steps: int) -> None:
    times = [timed.until for timed in timeline(prompt, Clock(steps=steps))]

    assert times == sorted(set(times))
    assert times[0] >= 1
    assert times[-1] == steps


@given(prompt=st.text(alphabet="abc ,()", max_size=60), steps=st.integers(1, 40))
def test_a_prompt_without_changes_stays_as_it_is(prompt: str, steps: int) -> None:
    (only,) = timeline(prompt, Clock(steps=steps))

    assert only.text == prompt


@given(before=WORD, after=WORD, steps=st.integers(2, 50), share=st.integers(1, 99))
def test_an_edit_says_one_word_and_then_the_other(
    before: str, after: str, steps: int, share: int
) -> None:
    when = int(share / 100 * steps)

    found = timeline(f"[{before}:{after}:{share / 100}]", Clock(steps=steps))

    if when >= 1:
        assert [(timed.until, timed.text) for timed in found] == [(when, before), (steps, after)]
    else:
        assert [timed.text for timed in found] == [after]


@given(options=st.lists(WORD, min_size=2, max_size=5), steps=st.integers(1, 20))
def test_alternatives_take_turns(options: list[str], steps: int) -> None:
    found = timeline(f"[{'|'.join(options)}]", Clock(steps=steps))

    assert [timed.text for timed in found] == [
        options[step % len(options)] for step in range(steps)
    ]


@given(parts=st.lists(st.tuples(WORD, st.integers(-20, 20)), min_size=1, max_size=5))
def test_and_keeps_parts_and_weights(parts: list) -> None:
    prompt = " AND ".join(f"{word}:{weight / 10}" for word, weight in parts)

    found = [(text.strip(), weight) for text, weight in split_and(prompt)]

    assert found == [(word, weight / 10) for word, weight in parts]


# ------------------------------------------------------------ beside a slow, plain reading


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WEIGHT_PARTS), max_size=14).map("".join))
def test_weights_are_those_of_the_slow_reading(prompt: str) -> None:
    try:
        expected = slow_weights(prompt)
    except ValueError:
        with pytest.raises(RangeError):
            weighted(prompt)
        return

    found = [piece.weight for piece in weighted(prompt) for _ in piece.text]

    assert found == pytest.approx(expected)


@settings(max_examples=300)
@given(prompt=st.lists(st.sampled_from(EDIT_PARTS), max_size=14).map("".join))
def test_texts_are_those_of_the_slow_reading(prompt: str) -> None:
    found = timeline(prompt, Clock(steps=6))

    for step in range(1, 7):
        text = next(timed.text for timed in found if step <= timed.until)
        assert text == slow_text_at(prompt, step, 6)


# ---------------------------------------------------------------------------- any shape at all

SHAPES: Final = (
    "(", "[", ")", "]", "[a:", "(a:1.1)", "[a|", "((a)", "[a:b:0.5]", "\\(", "|", ":", "[]",
    "a AND ", "BREAK ", "<lora:x:1>", "(:", "[[", ":1.2)", "\\", "<a:", "[a:[", "1:",
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_twenty_thousand_characters_of_any_shape_are_read(shape: str) -> None:
    """Each reader is through in about a second; one that is not linear would take hours."""
    prompt = (shape * 20_000)[:20_000]

    read, _ = take_tags(prompt)
    for part, _weight in split_and(read)[:3]:
        texts = timeline(part, Clock(steps=2))
        assert all(weighted(timed.text) for timed in texts)
    assert weighted(prompt)


@given(st.text(alphabet="<>a:=1 ", max_size=40))
def test_tags_are_what_a_plain_expression_finds(prompt: str) -> None:
    """The expression takes quadratic time where a bracket never closes, so it stands only here."""
    plain = re.compile(r"<(\w+):([^>]+)>")

    text, tags = take_tags(prompt)

    assert text == plain.sub("", prompt)
    assert [tag.kind for tag in tags] == [kind for kind, _ in plain.findall(prompt)]


@given(MARKS)
def test_every_text_can_be_read(prompt: str) -> None:
    """Only a weight such as 1.2.3 is refused, and by name."""
    with suppress(RangeError):
        for part, _weight in split_and(take_tags(prompt)[0]):
            for timed in timeline(part, Clock(steps=7)):
                assert weighted(timed.text)
