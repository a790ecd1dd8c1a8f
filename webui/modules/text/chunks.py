"""Weighted pieces of text into chunks of 77 tokens, as CLIP reads them. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from webui.modules.text.learned import LearnedWords
from webui.modules.text.prompt import Piece, weighted
from webui.modules.text.tokens import CHUNK, END, START, token_ids
from webui.modules.types import TextRules

COMMA: Final = 267
"""The token of a comma at the end of a word."""

LENGTH: Final = CHUNK + 2
"""Tokens of a chunk with its start and end."""


NONE_LEARNED: Final = LearnedWords()
"""No learned words."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """75 tokens between start and end, filled up with end; and what each counts.

    Attributes:
        tokens: 77 ids.
        weights: 77 factors; 1 for start, end and filling.
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


EMPTY: Final = Chunk((START, *(END,) * (LENGTH - 1)), (1.0,) * LENGTH)
"""The chunk of an empty text."""


@dataclass(slots=True)
class _Writer:
    """Fills chunk after chunk."""

    backtrack: int
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    tokens: list[int] = field(default_factory=list[int])
    weights: list[float] = field(default_factory=list[float])
    after_comma: int = -1

    def add(self, token: int, weight: float) -> None:
        """Take one token; a full chunk ends first, at its last comma if that is near."""
        if token == COMMA:
            if len(self.tokens) == CHUNK:
                self.end_chunk()
            self.after_comma = len(self.tokens) + 1
        elif len(self.tokens) == CHUNK:
            self._break_at_comma()
        self.tokens.append(token)
        self.weights.append(weight)

    def add_learned(self, rows: Sequence[int], weight: float) -> None:
        """Take the vectors of a learned word, which stay together in one chunk."""
        if len(self.tokens) == CHUNK:
            self._break_at_comma()
        if len(self.tokens) + len(rows) > CHUNK:
            self.end_chunk()
        self.tokens += rows
        self.weights += [weight] * len(rows)

    def _break_at_comma(self) -> None:
        """Move what follows the last comma to the next chunk, if it is at most ``backtrack``."""
        place = self.after_comma
        near = self.backtrack > 0 and place > 0 and CHUNK - (place - 1) <= self.backtrack
        cut = place if near else len(self.tokens)
        tokens, weights = self.tokens[cut:], self.weights[cut:]
        del self.tokens[cut:], self.weights[cut:]
        self.end_chunk()
        self.tokens, self.weights = tokens, weights

    def end_chunk(self) -> None:
        """Fill the chunk up and begin the next."""
        missing = CHUNK - len(self.tokens)
        self.chunks.append(
            Chunk(
                (START, *self.tokens, *(END,) * (missing + 1)),
                (1.0, *self.weights, *(1.0,) * (missing + 1)),
            )
        )
        self.tokens, self.weights, self.after_comma = [], [], -1


def chunks(text: str, rules: TextRules, learned: LearnedWords = NONE_LEARNED) -> list[Chunk]:
    """Return the chunks of a text, at least one; learned words become the numbers of their rows."""
    writer = _Writer(rules.comma_backtrack)
    for piece in pieces(text, rules):
        if piece.ends_chunk:
            writer.end_chunk()
            continue
        tokens, place = token_ids(piece.text), 0
        while place < len(tokens):
            word = learned.at(tokens, place)
            if word is None:
                writer.add(tokens[place], piece.weight)
                place += 1
            else:
                writer.add_learned(word[0], piece.weight)
                place += word[1]
    if writer.tokens or not writer.chunks:
        writer.end_chunk()
    return writer.chunks


def pieces(text: str, rules: TextRules) -> Sequence[Piece]:
    """Return the text's pieces under the chosen emphasis; "None" leaves brackets in the text."""
    return [Piece(text, 1.0)] if rules.emphasis == "None" else weighted(text)
