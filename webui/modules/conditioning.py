"""What the denoising network is told: encoded texts, made by text and read by sampling."""

from dataclasses import dataclass

from torch import Tensor


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
