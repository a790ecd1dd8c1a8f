"""Prompts on their way through the steps that extensions add between text encoder and network."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from webui.modules.conditioning import Reworked, Steps, TextChunk
from webui.modules.device import Device
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.text_copy import TrainableText
from webui.modules.pipeline.memory import NOWHERE, Mark, Memory, key_of, stamp
from webui.modules.text.chunks import chunks
from webui.modules.text.encode import Rework
from webui.modules.types import ExtensionUse, ModelRecord, TextRules
from webui.modules.weights.read import open_tensors


class NoSteps:
    """For an engine that was given no extensions: leaves chunks as they are, and says so."""

    def __call__(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        """Leave a chunk as it is."""
        note = f"{use.name} was left out: there is no such extension here."
        return Reworked(states=chunk.states, notes=(note,))

    def faults(self) -> Mapping[str, str]:
        """Return nothing: nothing can fail."""
        return {}


class Reworking:
    """The steps of one job, and what they had to say.

    Args:
        steps: Carry out what a use asks for.
        uses: What the plan asks for, in its order.
    """

    def __init__(self, steps: Steps, uses: Sequence[ExtensionUse]) -> None:
        self._steps = steps
        self._uses = uses
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the person should know, each once."""
        return tuple(self._notes)

    def of(
        self, checkpoint: Checkpoint, device: Device, mark: Mark, texts: Memory
    ) -> Rework | None:
        """Return the steps over a checkpoint's text encoder; None if there are none.

        What was said without a note is remembered: training takes seconds for each chunk, and
        every batch and pass asks the same again.

        Args:
            checkpoint: Whose text encoder.
            device: Where it computes.
            mark: What it wears now.
            texts: What has been said before.
        """
        if not self._uses:
            return None
        stamped = tuple(
            (use, tuple(stamp(record) for _, record in use.models)) for use in self._uses
        )

        def rework(tokens: Tensor, states: Tensor, skip: int) -> Tensor:
            key = (stamped, key_of(mark, tokens, skip))
            known = texts.get(key)
            if known is None:
                known, silent = reworked(tokens, states, skip)
                texts.put(key if silent else NOWHERE, known)
            return known

        def reworked(tokens: Tensor, states: Tensor, skip: int) -> tuple[Tensor, bool]:
            silent = True
            # Steps train: what they are given must be plain tensors, wherever the caller stands.
            with torch.inference_mode(mode=False):
                said = states.clone()
                for use in self._uses:
                    chunk = _chunk(use, checkpoint, device, (tokens.clone(), said, skip))
                    found = self._steps(use, chunk)
                    self._notes |= dict.fromkeys(found.notes)
                    silent = silent and not found.notes
                    said = found.states.detach()
                return said, silent

        return rework


def _chunk(
    use: ExtensionUse,
    checkpoint: Checkpoint,
    device: Device,
    said: tuple[Tensor, Tensor, int],
) -> TextChunk:
    tokens, states, skip = said
    files = dict(use.models)
    return TextChunk(
        tokens=tokens,
        states=states,
        skip=skip,
        copy=lambda: TrainableText(checkpoint, device),
        tokens_of=_tokens_of,
        names=lambda file: _names(files, file),
        read=lambda file, name: _read(files[file], name, device),
    )


def _tokens_of(text: str) -> Tensor:
    first = chunks(text, TextRules(emphasis="None"))[0]
    return torch.tensor([first.tokens])


def _names(files: dict[str, ModelRecord], file: str) -> list[str]:
    if file not in files:
        return []
    with open_tensors(files[file].path) as tensors:
        return tensors.names()


def _read(record: ModelRecord, name: str, device: Device) -> Tensor:
    with open_tensors(record.path) as tensors:
        return tensors.read(name).to(device.torch, torch.float32)
