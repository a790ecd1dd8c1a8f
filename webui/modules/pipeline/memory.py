"""What one picture can take from another instead of computing it again, to the last bit.

- What the text encoder says of tokens: kept from job to job, as long as the checkpoint is loaded.
- Where a walk ended: kept within one job, so that a picture that differs in its VAE alone is only
  decoded.

A key holds everything that a result depends on, so that a result is never taken for another.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from torch import Tensor

from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.encode import Layer
from webui.modules.text.learned import VOCABULARY
from webui.modules.types import GenerationPlan, LayerUse, ModelKind, ModelRecord

TEXTS: Final = 64 * 2**20
"""Bytes of encoded texts that are kept: about 280 prompts of one chunk."""

WALKS: Final = 256 * 2**20
"""Bytes of latents that are kept within a job."""

NOWHERE: Final = None
"""The key of what cannot be shared."""


SharedWalk = Literal["first", "second"]
"""Which walk of a plan can be taken from another picture of its job."""


class Memory:
    """Tensors by their keys, the last used ones.

    Args:
        room: Bytes; with 0 nothing is kept.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._taken = 0
        self._known: dict[Hashable, Tensor] = {}

    def get(self, key: Hashable) -> Tensor | None:
        """Return what is kept under a key; nobody may change it."""
        if key is NOWHERE or key not in self._known:
            return None
        found = self._known.pop(key)
        self._known[key] = found
        return found

    def put(self, key: Hashable, found: Tensor) -> None:
        """Keep a tensor as long as there is room; what was not used for longest goes first."""
        size = found.numel() * found.element_size()
        if key is NOWHERE or key in self._known or size > self._room:
            return
        self._known[key] = found
        self._taken += size
        while self._taken > self._room:
            oldest = self._known.pop(next(iter(self._known)))
            self._taken -= oldest.numel() * oldest.element_size()

    def forget(self) -> None:
        """Keep nothing of all that."""
        self._known.clear()
        self._taken = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What tells two dressed checkpoints apart.

    Attributes:
        encoder: The checkpoint and what changes its text encoder.
        words: What makes learned words, in the order of their rows.
        all: The checkpoint and all its add-ons.
    """

    encoder: Hashable
    words: Hashable
    all: Hashable


UNMARKED: Final = Mark(encoder=None, words=None, all=None)
"""The mark of a checkpoint of which nothing is remembered."""


def nothing_kept() -> Memory:
    """Return a memory that keeps nothing, for networks that change under way."""
    return Memory(0)


def mark_of(checkpoint: Checkpoint, layers: Sequence[LayerUse]) -> Mark:
    """Return the mark of a checkpoint that wears add-ons; a file that changes is another one."""
    stamped = tuple((use, stamp(use.model)) for use in layers)
    record = checkpoint.record
    return Mark(
        encoder=(record, tuple(each for each in stamped if _changes_text(each[0]))),
        words=tuple(each for each in stamped if each[0].model.kind in _LEARNED),
        all=(record, stamped),
    )


_LEARNED: Final = (ModelKind.EMBEDDING, ModelKind.LORA)
"""Kinds of files that hold learned words; those of LoRA files are bundled."""


def _changes_text(use: LayerUse) -> bool:
    return use.model.kind is ModelKind.LORA and use.text_weight != 0


def stamp(record: ModelRecord) -> int:
    """Return when a file was changed; 0 if it is not there."""
    try:
        return record.path.stat().st_mtime_ns
    except OSError:
        return 0


def remembering(layer: Layer, mark: Mark, texts: Memory) -> Layer:
    """Return a text encoder that says what it has said before without computing it again.

    Args:
        layer: The text encoder as a function.
        mark: What it wears now.
        texts: What has been said before.
    """

    def remembered(tokens: Tensor, skip: int) -> Tensor:
        key = key_of(mark, tokens, skip)
        known = texts.get(key)
        if known is None:
            known = layer(tokens, skip)
            texts.put(key, known)
        return known

    return remembered


def key_of(mark: Mark, tokens: Tensor, skip: int) -> Hashable:
    """Return all that what a text encoder says of tokens depends on."""
    words = mark.words if bool((tokens >= VOCABULARY).any()) else ()
    return (mark.encoder, words, skip, tuple(tokens.shape), tokens.cpu().numpy().tobytes())


def way_of(plan: GenerationPlan, which: slice, mark: Mark, walk: SharedWalk) -> Hashable:
    """Return what tells a walk from others; ``NOWHERE`` if more acts on it than a plan tells.

    The VAE is no part of it: it decodes what the walk ends with. But it encodes a picture to start
    from, and a refiner brings its own.
    """
    if plan.start or plan.refiner:
        return NOWHERE
    second = plan.hires and replace(plan.hires, vae=None)
    bare = replace(plan, vae=None, hires=second if walk == "second" else None, notes=())
    return (walk, bare, which.start, which.stop, mark.all)
