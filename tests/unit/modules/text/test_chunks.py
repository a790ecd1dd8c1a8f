"""Tokens in chunks of 77, as A1111 hands them to CLIP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.reference import ANSWERS
from webui.modules.text.chunks import EMPTY, LENGTH, chunks
from webui.modules.text.tokens import CHUNK, END, START, count, token_ids, token_word
from webui.modules.types import TextRules


@pytest.mark.parametrize("case", ANSWERS["tokens"], ids=lambda case: case["text"][:40])
def test_tokens_and_weights_are_a1111s(case: dict) -> None:
    found = chunks(case["text"], TextRules(comma_backtrack=case["backtrack"]))

    assert [list(chunk.tokens) for chunk in found] == [tokens for tokens, _ in case["chunks"]]
    for chunk, (_, weights) in zip(found, case["chunks"], strict=True):
        assert chunk.weights == pytest.approx(weights)


@given(st.text(max_size=600), st.integers(0, 74))
def test_every_chunk_is_whole(text: str, backtrack: int) -> None:
    rules = TextRules(comma_backtrack=backtrack, emphasis="None")

    for chunk in chunks(text, rules):
        assert len(chunk.tokens) == len(chunk.weights) == LENGTH
        assert (chunk.tokens[0], chunk.tokens[-1]) == (START, END)


@given(words=st.lists(st.sampled_from(["cat", "red house", ",", "a, b", "BREAK"]), max_size=120))
def test_no_token_is_lost_between_chunks(words: list[str]) -> None:
    text = " ".join(words)

    found = chunks(text, TextRules(emphasis="None"))

    inside = [token for chunk in found for token in chunk.tokens[1:-1] if token != END]
    assert inside == token_ids(text)


def test_an_empty_text_is_one_empty_chunk() -> None:
    assert chunks("", TextRules()) == [EMPTY]


def test_break_begins_a_new_chunk() -> None:
    first, second = chunks("a cat BREAK a dog", TextRules())

    assert first.tokens[1:3] == tuple(token_ids("a cat"))
    assert second.tokens[1:3] == tuple(token_ids("a dog"))


def test_text_moves_to_the_next_chunk_at_its_last_comma() -> None:
    text = "cat " * 70 + ", " + "dog " * 10

    near, _ = chunks(text, TextRules(comma_backtrack=20))
    straight, _ = chunks(text, TextRules(comma_backtrack=0))

    assert token_ids("dog")[0] not in near.tokens
    assert straight.tokens[1 : CHUNK + 1].count(token_ids("dog")[0]) == CHUNK - 71


def test_words_are_counted_as_clip_counts_them() -> None:
    assert count("") == 0
    assert count("A CAT, a cat") == 5
    assert [token_word(token) for token in token_ids("Cats!")] == ["cats</w>", "!</w>"]
