"""What is said of the pictures, as the network reads it; gradients pass to what is learned."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from webui.modules.text.chunks import EMPTY, chunks
from webui.modules.text.encode import Layer
from webui.modules.text.learned import LearnedWords
from webui.modules.types import TextRules

KEPT: Final = 2048
"""So many encoded texts are remembered while the text encoder does not change."""


class Texts:
    """Encodes texts; if nothing on the way to the encoding is learned, each one only once.

    Args:
        layer: The text encoder.
        clip_skip: Which of its layers is read, counted from the end.
        learned: Words that stand for rows of their own.
        changing: What is learned changes the encodings.
    """

    def __init__(
        self, layer: Layer, clip_skip: int, learned: LearnedWords, *, changing: bool
    ) -> None:
        self._layer = layer
        # Brackets in a description are brackets: nobody means emphasis there.
        self._rules = TextRules(clip_skip=clip_skip, emphasis="None")
        self._learned = learned
        self._changing = changing
        self._known: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return ``[texts, tokens, width]`` in 32 bits; shorter ones are filled up."""
        if self._changing:
            return self._encoded(texts)
        with torch.no_grad():
            for text in dict.fromkeys(texts):
                if text not in self._known:
                    while len(self._known) >= KEPT:
                        self._known.pop(next(iter(self._known)))
                    self._known[text] = self._encoded([text])
            rows = [self._known[text] for text in texts]
            if len({row.shape for row in rows}) > 1:
                return self._encoded(texts)
            return torch.cat(rows)

    def _encoded(self, texts: Sequence[str]) -> Tensor:
        found = [chunks(text, self._rules, self._learned) for text in texts]
        length = max(map(len, found))
        parts: list[Tensor] = []
        for place in range(length):
            column = [each[place] if place < len(each) else EMPTY for each in found]
            tokens = torch.tensor([chunk.tokens for chunk in column])
            parts.append(self._layer(tokens, self._rules.clip_skip))
        return torch.cat(parts, dim=1)
