"""Text to what cross-attention reads: chunks through CLIP, words scaled by their weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPTextModel

from webui.modules.text.chunks import EMPTY, Chunk, chunks
from webui.modules.text.prompt import Clock, split_and, timeline
from webui.modules.types import Emphasis, TextRules


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


class TextEncoder:
    """CLIP with A1111's rules around it."""

    def __init__(self, network: CLIPTextModel, rules: TextRules) -> None:
        self._network = network
        self._rules = rules

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
        wanted: list[PictureText] = []
        for prompt in prompts:
            parts = split_and(prompt)
            encodings = tuple(self._timed(text, clock, known) for text, _ in parts)
            wanted.append(PictureText(encodings, tuple(weight for _, weight in parts)))
        return Conditioning(
            wanted=tuple(wanted),
            unwanted=tuple(self._timed(text, clock, known) for text in negative_prompts),
            empty=self.encode([""])[0],
        )

    def _timed(self, text: str, clock: Clock, known: dict[str, TimedEncoding]) -> TimedEncoding:
        """Encode each text that a prompt becomes; equal prompts of a batch are encoded once."""
        if text not in known:
            times = timeline(text, clock)
            rows = self.encode([timed.text for timed in times])
            known[text] = TimedEncoding(tuple(timed.until for timed in times), rows)
        return known[text]

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return ``[texts, tokens, width]`` in 32 bits; tokens are 77 for each chunk.

        A text with fewer chunks than another is filled up with empty ones. Texts that are encoded
        together share the mean to which emphasis is scaled back, as in A1111.
        """
        table: Mapping[str, list[Chunk]] = {text: chunks(text, self._rules) for text in texts}
        length = max(len(found) for found in table.values())
        columns = [
            [table[text][place] if place < len(table[text]) else EMPTY for text in texts]
            for place in range(length)
        ]
        return torch.cat([self._encode_chunks(column) for column in columns], dim=1)

    def _encode_chunks(self, column: Sequence[Chunk]) -> Tensor:
        """Encode one chunk of each text: ``[texts, 77, width]``."""
        device = self._network.device
        tokens = torch.tensor([chunk.tokens for chunk in column], device=device)
        weights = torch.tensor([chunk.weights for chunk in column], device=device)
        states = self._hidden(tokens).to(torch.float32)
        return emphasise(states, weights, self._rules.emphasis)

    def _hidden(self, tokens: Tensor) -> Tensor:
        """Return the chosen layer's output, always through the final normalisation."""
        skip = self._rules.clip_skip
        output = self._network(input_ids=tokens, output_hidden_states=skip > 1)
        if skip <= 1:
            return output.last_hidden_state
        return self._network.final_layer_norm(output.hidden_states[-skip])


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
