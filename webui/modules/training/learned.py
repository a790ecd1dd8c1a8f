"""What is corrected: the one thing in which the kinds of training differ."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor, nn

from webui.modules.text.learned import LearnedWords


class Learned(Protocol):
    """What one kind of training corrects."""

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """The numbers that change, by flat names; nothing else does."""
        ...

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        ...

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        ...

    def worn(self) -> AbstractContextManager[LearnedWords]:
        """Use it until the end of the block; yields the words that texts can name."""
        ...

    def tensors(self, finished: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return what the file holds, given the values that are to be saved."""
        ...
