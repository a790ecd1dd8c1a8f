"""What the denoising network is told: encoded texts, made by text and read by sampling.

And what a conditioning step sees of a prompt that it may change on the way there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from webui.modules.types import ExtensionUse


@dataclass(frozen=True, slots=True)
class TimedEncoding:
    """What one prompt means, step by step.

    Attributes:
        until: Last step, counted from 1, for which each row holds.
        rows: ``[texts, tokens, width]``; the encoding of each text.
    """

    until: tuple[int, ...]
    rows: Tensor

    def at(self, call: int) -> Tensor:
        """Return the encoding ``[tokens, width]`` for the network's call, counted from 0.

        As in A1111 the call is compared with the step, so each text holds one call longer than its
        number says; and after the last number the first text holds again.
        """
        for row, until in enumerate(self.until):
            if call <= until:
                return self.rows[row]
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class PictureText:
    """The parts of one picture's prompt, ``a AND b:0.5``, each with its weight."""

    parts: tuple[TimedEncoding, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditioning:
    """What the denoising network is told about a batch of pictures.

    Attributes:
        wanted: Per picture, the parts of its prompt.
        unwanted: Per picture, its negative prompt.
        empty: The encoding ``[77, width]`` of an empty text, to pad with.
    """

    wanted: tuple[PictureText, ...]
    unwanted: tuple[TimedEncoding, ...]
    empty: Tensor


# A step of somebody else on the way ---------------------------------------------------------------


class TextCopy(Protocol):
    """A copy of the text encoder to train: nothing that is done to it reaches the original."""

    def parameters(self) -> Sequence[Tensor]:
        """Return the copy's weights, in float32, ready for an optimiser."""
        ...

    def states(self, tokens: Tensor, skip: int) -> Tensor:
        """Return ``[texts, 77, width]`` as the original would, with gradients."""
        ...

    def pooled(self, tokens: Tensor) -> Tensor:
        """Return ``[texts, width]``: the last layer, normalised, where each text ends."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TextChunk:
    """One chunk of a prompt after the text encoder, before its words are weighted.

    Attributes:
        tokens: ``[1, 77]``; numbers behind the vocabulary are learned words.
        states: ``[1, 77, width]``, float32: what the text encoder says.
        skip: Which of its layers that is, counted from the end; 1 is the last.
        copy: Makes a copy of the text encoder to train.
        tokens_of: Returns the first 77 tokens ``[1, 77]`` of a plain text.
        names: Returns the names of the tensors in a file that the settings name.
        read: Returns a tensor by file and name, in float32, where the text encoder computes.
    """

    tokens: Tensor
    states: Tensor
    skip: int
    copy: Callable[[], TextCopy]
    tokens_of: Callable[[str], Tensor]
    names: Callable[[str], Sequence[str]]
    read: Callable[[str, str], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reworked:
    """What a step has made of a chunk.

    Attributes:
        states: ``[1, 77, width]``, float32.
        notes: What the person should know.
    """

    states: Tensor
    notes: tuple[str, ...] = ()


class Steps(Protocol):
    """The steps of extensions between the text encoder and the denoising network."""

    def __call__(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        """Change what the text encoder says of one chunk of a prompt, as a use asks."""
        ...

    def faults(self) -> Mapping[str, str]:
        """Return which extensions have failed, and why."""
        ...
