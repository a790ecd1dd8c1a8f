"""An aesthetic embedding: where the text encoder points when it hears what pictures are like.

Published ones are means of what CLIP's other half, which sees pictures, makes of them; a checkpoint
does not contain that half. So a word is learned that describes the pictures, like any embedding,
and what the text encoder itself says of that word is kept: one vector in the space of its own
pooled output.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.chunks import chunks
from webui.modules.text.learned import LearnedWords
from webui.modules.training.learned import Learned
from webui.modules.types import TextRules

TENSOR = "aesthetic"


class Mood:
    """What a learned word says as a whole.

    Args:
        word: The vectors that are corrected.
        base: The checkpoint whose text encoder reads them.
        name: Of the word.
    """

    def __init__(self, word: Learned, base: Checkpoint, name: str) -> None:
        self._word = word
        self._text = base.text
        self._name = name

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names."""
        return self._word.parameters

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        return self._word.factor(name, text_rate)

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return self._word.changes_text

    def worn(self) -> AbstractContextManager[LearnedWords]:
        """Let texts name the word until the end of the block."""
        return self._word.worn()

    @torch.no_grad()
    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the file holds: ``aesthetic`` ``[1, width]``."""
        own = {name: each.data for name, each in self._word.parameters.items()}
        for name, each in self._word.parameters.items():
            each.data = finished[name]
        try:
            with self._word.worn() as words:
                heard = chunks(self._name, TextRules(emphasis="None"), words)[0]
                tokens = torch.tensor([heard.tokens], device=self._text.device)
                pooled: Tensor = self._text(input_ids=tokens).pooler_output
        finally:
            for name, each in self._word.parameters.items():
                each.data = own[name]
        return {TENSOR: pooled.float()}
