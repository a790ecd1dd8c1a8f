"""The mathematics: a few steps of training for each chunk of a prompt, then a mix of two answers.

As in A1111's extension: Adam over all weights of the text encoder, and nothing else moves. What is
trained is a copy; it is thrown away after its chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from webui.extensions.aesthetic_gradients import CLIP, EMBEDDING, PROJECTION, vector_name
from webui.hooks.worker import ExtensionUse, Reworked, TextChunk, TextCopy
from webui.modules.errors import ModelFileError

LEAST_SINE: Final = 1e-6
"""Directions closer than this are mixed along the straight line: there is no arc between them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """Where the text encoder is drawn to.

    Attributes:
        direction: ``[1, out]``; its length only scales the loss, which Adam does not see.
        projection: ``[out, width]``, from the text encoder to that space; None for its own space.
    """

    direction: Tensor
    projection: Tensor | None = None

    def features(self, pooled: Tensor) -> Tensor:
        """Return what the text encoder says, ``[texts, width]``, in the space of the aim."""
        return pooled if self.projection is None else pooled @ self.projection.T

    def similarity(self, pooled: Tensor) -> Tensor:
        """Return how far each text points that way, ``[texts]``."""
        return (unit(self.features(pooled)) @ self.direction.T)[:, 0]


def condition(use: ExtensionUse, chunk: TextChunk) -> Reworked:
    """Return what a text encoder says that was drawn towards the embedding, mixed with the plain.

    Raises:
        ModelFileError: If the file holds nothing but zeros, or not-a-number.
    """
    asked: dict[str, Any] = dict(use.settings)
    weight, steps, rate = asked["weight"], asked["steps"], asked["learning_rate"]
    if weight == 0 or steps == 0 or rate == 0:
        return Reworked(states=chunk.states)
    copy = chunk.copy()
    aim = _aim(asked, chunk, copy)
    for _ in tuning(copy, chunk.tokens, aim, steps=steps, rate=rate):
        pass
    with torch.no_grad():
        tuned = copy.states(chunk.tokens, chunk.skip)
    mix = slerp if asked["slerp"] else torch.lerp
    return Reworked(states=mix(chunk.states, tuned, weight))


def tuning(copy: TextCopy, tokens: Tensor, aim: Aim, *, steps: int, rate: float) -> Iterator[float]:
    """Train a copy towards an aim; yields the mean similarity before each step.

    Args:
        copy: Is changed.
        tokens: ``[texts, 77]``.
        aim: Where to.
        steps: How many.
        rate: Adam's learning rate.
    """
    optimiser = torch.optim.Adam(list(copy.parameters()), lr=rate)
    for _ in range(steps):
        similarity = aim.similarity(copy.pooled(tokens)).mean()
        optimiser.zero_grad()
        (-similarity).backward()  # pyright: ignore[reportUnknownMemberType] - untyped in torch
        optimiser.step()  # pyright: ignore[reportUnknownMemberType] - untyped in torch
        yield float(similarity.detach())


def _aim(asked: dict[str, Any], chunk: TextChunk, copy: TextCopy) -> Aim:
    """Read the embedding and turn it towards the text that is to be mixed in, or away from it."""
    names = chunk.names(EMBEDDING)
    vector = chunk.read(EMBEDDING, vector_name(names, asked[EMBEDDING]))
    vector = vector.reshape(-1, vector.shape[-1]).mean(dim=0, keepdim=True)
    direction = unit(vector)
    if not torch.isfinite(direction).all():
        message = f"{asked[EMBEDDING]} holds only zeros, or not-a-number"
        hint = "It is damaged; train or download it again."
        raise ModelFileError(message, hint=hint, value=asked[EMBEDDING])
    aim = Aim(direction=direction, projection=_projection(names, chunk))
    if not asked["text"]:
        return aim
    with torch.no_grad():
        text = aim.features(copy.pooled(chunk.tokens_of(asked["text"])))
    if asked["text_negative"]:
        text = unit(direction - text)
    return Aim(direction=slerp(direction, text, asked["slerp_angle"]), projection=aim.projection)


def _projection(names: Sequence[str], chunk: TextChunk) -> Tensor | None:
    if PROJECTION in names:
        return chunk.read(EMBEDDING, PROJECTION)
    return chunk.read(PROJECTION, CLIP) if chunk.names(PROJECTION) else None


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Mix two tensors along the arc between them; the arc is measured along their second axis.

    For states ``[1, 77, width]`` that is an arc for each number of the width over all tokens, as in
    A1111's extension.
    """
    cosine = (unit(start, dim=1) * unit(end, dim=1)).sum(dim=1, keepdim=True).clamp(-1, 1)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    arc = (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / sine
    return torch.where(sine > LEAST_SINE, arc, torch.lerp(start, end, share))


def unit(value: Tensor, dim: int = -1) -> Tensor:
    """Return vectors of length 1 that point the same way; not-a-number for a vector of zeros."""
    return value / value.square().sum(dim=dim, keepdim=True).sqrt()
