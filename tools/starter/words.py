"""Tokens: CLIP's own tokenizer, and a token table that trains only the words in use."""

from functools import lru_cache
from typing import Final

import torch
from numpy.random import Generator
from torch import Tensor, nn
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from tools.starter.captions import every_word
from tools.starter.shapes import TEXT_LENGTH, TEXT_ROWS, TEXT_WIDTH
from tools.starter.strangers import VOCABULARY

START: Final = 49406
END: Final = 49407
FIRST_WORD_ID: Final = 512
"""Below are single characters; rows from here up are what unknown words break into."""

ROW_DEVIATION: Final = 0.02
"""Standard deviation of CLIP's own fresh token table."""


@lru_cache(maxsize=1)
def tokenizer() -> CLIPTokenizer:
    """Return CLIP's tokenizer from the vocabulary that the product uses."""
    return CLIPTokenizer.from_pretrained(VOCABULARY)


@lru_cache(maxsize=100_000)
def token_ids(text: str) -> tuple[int, ...]:
    """Return the text's token ids without start and end marks."""
    return tuple(tokenizer()(text, add_special_tokens=False).input_ids)


def framed(ids: tuple[int, ...]) -> list[int]:
    """Put the start mark before, the end mark after, and end marks up to the full length."""
    kept = ids[: TEXT_LENGTH - 2]
    return [START, *kept, *[END] * (TEXT_LENGTH - 1 - len(kept))]


def strangers(random: Generator, most: int) -> tuple[int, ...]:
    """Return one to ``most`` random token ids: words that the starter is to overlook."""
    count = random.integers(1, most + 1)
    return tuple(int(row) for row in random.integers(FIRST_WORD_ID, START, count))


class WordTable(nn.Module):
    """A token table in which every unused word is one trained row plus fixed noise of its own.

    So training touches some seventy rows instead of 49,408, unknown words in a prompt do no
    harm (they are seen in training, see ``strangers``), and still no two words are equal.
    """

    row_of: Tensor
    noise: Tensor

    def __init__(self, seed: int) -> None:
        """Give each word in use a row, and all others the last row."""
        super().__init__()
        used = sorted({START, END, *token_ids(every_word())})
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(TEXT_ROWS, TEXT_WIDTH, generator=random) * ROW_DEVIATION
        noise[used] = 0.0
        row_of = torch.full((TEXT_ROWS,), len(used))
        row_of[used] = torch.arange(len(used))
        self.rows = nn.Embedding(len(used) + 1, TEXT_WIDTH)
        nn.init.normal_(self.rows.weight, std=ROW_DEVIATION)
        self.register_buffer("noise", noise, persistent=False)
        self.register_buffer("row_of", row_of, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up token ids of any shape."""
        return self.rows(self.row_of[ids]) + self.noise[ids]

    @torch.no_grad()
    def whole(self) -> Tensor:
        """Return the plain table of 49,408 rows that is shipped."""
        return self(torch.arange(TEXT_ROWS))
