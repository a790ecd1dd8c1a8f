"""The text encoder's table of token vectors, with room for learned words behind it."""

from collections.abc import Generator
from contextlib import contextmanager

from torch import Tensor, nn


class TokenTable(nn.Embedding):
    """CLIP's token table; numbers behind its last row are looked up among the learned rows."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__(rows, width)
        self._learned: tuple[Tensor, ...] = ()  # in a tuple, so that it is no part of the network

    @contextmanager
    def with_rows(self, rows: Tensor) -> Generator[None]:
        """Offer more rows for as long as the context lasts.

        Args:
            rows: ``[count, width]``; gradients pass through to them.
        """
        before = self._learned
        self._learned = (rows.to(self.weight.device, self.weight.dtype),)
        try:
            yield
        finally:
            self._learned = before

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        """Return the vectors ``[texts, tokens, width]`` of token numbers ``[texts, tokens]``."""
        own = self.num_embeddings
        vectors = super().forward(input.clamp(max=own - 1))
        if not self._learned:
            return vectors
        learned = input >= own
        return vectors.masked_scatter(learned[..., None], self._learned[0][input[learned] - own])
