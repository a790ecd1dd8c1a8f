"""Which files fit which checkpoint: asked once for each layout of tensors, then known for all.

Thousands of files share a few hundred layouts, so a library is held against a checkpoint by
reading one file of each.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import RLock
from typing import Final

from webui.library.cards import ModelCard
from webui.modules.errors import UnsupportedModelError, WebuiError
from webui.modules.layers.fit import Fit, fit
from webui.modules.types import ModelKind, ModelRecord
from webui.modules.weights.architecture import UNetShape, unet_shape
from webui.modules.weights.header import TensorFacts, read_header

MOST_BASES: Final = 4
"""Checkpoints whose tables of contents are kept."""

MOST_ANSWERS: Final = 50_000
"""Answers that are kept."""


@dataclass(frozen=True, slots=True)
class _Base:
    """The table of contents of a checkpoint."""

    tensors: dict[str, TensorFacts]
    shape: UNetShape


class Fitting:
    """Tells how much of each file acts on a checkpoint."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._answers: dict[tuple[str, str, str], Fit | None] = {}
        self._bases: dict[str, _Base] = {}

    def fit(self, card: ModelCard, base: ModelCard) -> Fit | None:
        """Return how much of a file acts on a checkpoint; None if that cannot be told.

        Raises:
            ModelError: If one of the files is refused; the message says why.
        """
        if not (card.layout and base.layout):
            return None  # a folder's tensors have other names
        key = (card.record.kind.value, card.layout, _key(base))
        with self._lock:
            if key not in self._answers:
                if len(self._answers) >= MOST_ANSWERS:
                    self._answers.clear()
                tensors = read_header(card.record.path).tensors
                try:
                    told = self._base(base.record, key[2])
                    answer = fit(card.record.kind, tensors, told.tensors, told.shape)
                except UnsupportedModelError as problem:
                    answer = Fit(0, len(tensors), str(problem))
                self._answers[key] = answer
            return self._answers[key]

    def told(self, card: ModelCard, base: ModelCard | None) -> Fit | None:
        """Return the same for cards of a list: None also where a file is refused."""
        laid_over = card.record.kind not in (ModelKind.CHECKPOINT, ModelKind.UPSCALER)
        if base is None or card.problem or base.problem or not laid_over:
            return None
        try:
            return self.fit(card, base)
        except (WebuiError, OSError):
            return None

    def cures(self, card: ModelCard, bases: Iterable[ModelCard]) -> list[ModelCard]:
        """Return the checkpoints on which all of a file acts."""
        return [base for base in bases if (told := self.told(card, base)) and told.share == 1]

    def _base(self, record: ModelRecord, key: str) -> _Base:
        if key not in self._bases:
            if len(self._bases) >= MOST_BASES:
                self._bases.pop(next(iter(self._bases)))
            tensors = dict(read_header(record.path).tensors)
            self._bases[key] = _Base(tensors, unet_shape(tensors))
        return self._bases[key]


def _key(base: ModelCard) -> str:
    """Return a word for all that decides what fits: the tensors, and the config beside them."""
    config = base.record.config
    if config is None:
        return base.layout
    try:
        status = config.stat()
    except OSError:
        return base.layout
    return f"{base.layout} {status.st_mtime_ns} {status.st_size} {config}"
