"""Text to what cross-attention reads: chunks through CLIP, words scaled by their weights."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from webui.modules.conditioning import Conditioning, PictureText, TimedEncoding
from webui.modules.text.chunks import EMPTY, NONE_LEARNED, Chunk, chunks
from webui.modules.text.learned import LearnedWords
from webui.modules.text.prompt import Clock, split_and, timeline
from webui.modules.types import Emphasis, TextRules

Layer = Callable[[Tensor, int], Tensor]
"""CLIP: takes tokens ``[texts, 77]`` and which layer from the end, 1 being the last; returns
``[texts, 77, width]`` in float32, through the final normalisation."""

Rework = Callable[[Tensor, Tensor, int], Tensor]
"""Changes what CLIP says of one chunk: takes its tokens ``[1, 77]``, the states ``[1, 77, width]``
and their layer; returns other states."""


class TextEncoder:
    """CLIP with A1111's rules around it.

    Args:
        layer: CLIP itself.
        rules: How prompts are read.
        learned: Words that stand for vectors of their own.
        rework: Changes what CLIP says of the prompts; never of negative prompts or empty chunks.
    """

    def __init__(
        self,
        layer: Layer,
        rules: TextRules,
        learned: LearnedWords = NONE_LEARNED,
        rework: Rework | None = None,
    ) -> None:
        self._layer = layer
        self._rules = rules
        self._learned = learned
        self._rework = rework

    @torch.inference_mode()
    def condition(
        self, prompts: Sequence[str], negative_prompts: Sequence[str], clock: Clock
    ) -> Conditioning:
        """Encode the prompts of one batch.

        Args:
            prompts: One per picture, add-on tags already taken out.
            negative_prompts: One per picture.
            clock: How many calls of the network there will be, for ``[a:b:when]``.
        """
        known: dict[str, TimedEncoding] = {}
        reworked: dict[str, TimedEncoding] = {} if self._rework else known
        wanted: list[PictureText] = []
        for prompt in prompts:
            parts = split_and(prompt)
            encodings = tuple(self._timed(text, clock, reworked, self._rework) for text, _ in parts)
            wanted.append(PictureText(encodings, tuple(weight for _, weight in parts)))
        return Conditioning(
            wanted=tuple(wanted),
            unwanted=tuple(self._timed(text, clock, known) for text in negative_prompts),
            empty=self.encode([""])[0],
        )

    def _timed(
        self,
        text: str,
        clock: Clock,
        known: dict[str, TimedEncoding],
        rework: Rework | None = None,
    ) -> TimedEncoding:
        """Encode each text that a prompt becomes; equal prompts of a batch are encoded once."""
        if text not in known:
            times = timeline(text, clock)
            rows = self.encode([timed.text for timed in times], rework)
            known[text] = TimedEncoding(tuple(timed.until for timed in times), rows)
        return known[text]

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], rework: Rework | None = None) -> Tensor:
        """Return ``[texts, tokens, width]`` in 32 bits; tokens are 77 for each chunk.

        A text with fewer chunks than another is filled up with empty ones. Texts that are encoded
        together share the mean to which emphasis is scaled back, as in A1111.
        """
        table: Mapping[str, list[Chunk]] = {
            text: chunks(text, self._rules, self._learned) for text in texts
        }
        length = max(len(found) for found in table.values())
        columns = [
            [table[text][place] if place < len(table[text]) else EMPTY for text in texts]
            for place in range(length)
        ]
        return torch.cat([self._encode_chunks(column, rework) for column in columns], dim=1)

    def _encode_chunks(self, column: Sequence[Chunk], rework: Rework | None) -> Tensor:
        """Encode one chunk of each text: ``[texts, 77, width]``; each is reworked by itself."""
        tokens = torch.tensor([chunk.tokens for chunk in column])
        weights = torch.tensor([chunk.weights for chunk in column])
        states = self._layer(tokens, self._rules.clip_skip)
        if rework:
            rows = zip(column, tokens, states, strict=True)
            states = torch.stack(
                [
                    said
                    if chunk == EMPTY
                    else rework(told[None], said[None], self._rules.clip_skip)[0]
                    for chunk, told, said in rows
                ]
            )
        return emphasise(states, weights.to(states.device), self._rules.emphasis)


def emphasise(states: Tensor, weights: Tensor, emphasis: Emphasis) -> Tensor:
    """Scale each token's vector by its weight; "Original" then restores the overall mean.

    Args:
        states: ``[texts, 77, width]``.
        weights: ``[texts, 77]``.
        emphasis: Which of A1111's four ways.
    """
    if emphasis in ("Ignore", "None"):
        return states
    scaled = states * weights.unsqueeze(-1)
    if emphasis == "Original":
        scaled = scaled * (states.mean() / scaled.mean())
    return scaled
