"""A learned word (textual inversion, arXiv:2208.01618): its vectors, and nothing else."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.token_table import TokenTable
from webui.modules.text.learned import LearnedWords
from webui.modules.text.tokens import CHUNK, token_ids
from webui.modules.training.plan import EmbeddingPlan

NAME = "vectors"


class Word:
    """The vectors of one new word.

    Args:
        base: The checkpoint whose text encoder reads them.
        plan: How many, and what they begin as.
        name: The word.
    """

    def __init__(self, base: Checkpoint, plan: EmbeddingPlan, name: str) -> None:
        self._table = cast("TokenTable", base.text.get_input_embeddings())
        self._name = name
        vectors = _begun(self._table.weight.detach().float(), plan)
        self._vectors = nn.Parameter(vectors)

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names."""
        return {NAME: self._vectors}

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        return 1.0

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return True

    @contextmanager
    def worn(self) -> Generator[LearnedWords]:
        """Let texts name the word until the end of the block."""
        with self._table.with_rows(self._vectors):
            yield LearnedWords([(self._name, len(self._vectors))])

    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the file holds: ``emb_params`` ``[vectors, width]``."""
        return {"emb_params": finished[NAME]}


def _begun(table: Tensor, plan: EmbeddingPlan) -> Tensor:
    """Spread a text's vectors over those of the word, as A1111 does; no text means zeros."""
    tokens = token_ids(plan.words)[:CHUNK]
    if not tokens:
        return torch.zeros(plan.vectors, table.shape[1], device=table.device)
    rows = [tokens[place * len(tokens) // plan.vectors] for place in range(plan.vectors)]
    return table[rows].clone()
