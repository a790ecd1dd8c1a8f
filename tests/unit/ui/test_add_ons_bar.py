"""A chosen file is called in the prompt as A1111 would call it."""

from pathlib import Path

import pytest

from webui.library.cards import ModelCard
from webui.modules.types import ModelKind, ModelRecord
from webui.ui.add_ons_bar import how_of, with_call


def card(kind: ModelKind, name: str, **said: object) -> ModelCard:
    record = ModelRecord(path=Path(name), kind=kind, name=name)
    return ModelCard(record=record, **said)  # pyright: ignore[reportArgumentType] - fields by name


@pytest.mark.parametrize(
    ("chosen", "prompt", "called"),
    [
        (card(ModelKind.LORA, "ink.safetensors"), "a cat", "a cat <lora:ink:1>"),
        (
            card(ModelKind.LORA, "ink.safetensors", metadata={"ss_output_name": "ink_v2"}),
            "a cat  ",
            "a cat <lora:ink_v2:1>",
        ),
        (
            card(ModelKind.LORA, "ink.safetensors", trigger_words="inkstyle, brush"),
            "",
            "<lora:ink:1> inkstyle, brush",
        ),
        (card(ModelKind.HYPERNETWORK, "sub/mood.pt"), "a cat", "a cat <hypernet:mood:1.0>"),
        (card(ModelKind.EMBEDDING, "bad-hands.pt"), "a cat", "a cat bad-hands"),
    ],
)
def test_a_chosen_file_is_called_in_the_prompt(chosen, prompt: str, called: str) -> None:
    assert with_call(prompt, chosen) == called


LORA = card(ModelKind.LORA, "ink.safetensors")
MOOD = card(ModelKind.HYPERNETWORK, "mood.pt")
WORD = card(ModelKind.EMBEDDING, "bad-hands.pt")


@pytest.mark.parametrize(
    ("chosen", "how", "called"),
    [
        (LORA, ("ALL", 0, 1), "<lora:ink:1>"),
        (LORA, (None, None, None), "<lora:ink:1>"),
        (LORA, ("OUTALL", 0, 1), "<lora:ink:1:lbw=OUTALL>"),
        (LORA, ("INS", 0.2, 12), "<lora:ink:1:lbw=INS:start=0.2:stop=12>"),
        (MOOD, ("INS", 0.5, 1), "<hypernet:mood:1.0:start=0.5>"),
        (WORD, ("INS", 0.5, 0.8), "bad-hands"),
    ],
)
def test_a_call_says_where_and_when_unless_it_is_everywhere_and_always(
    chosen: ModelCard, how: tuple[str | None, float | None, float | None], called: str
) -> None:
    assert with_call("", chosen, how=how_of(chosen, *how)) == called
