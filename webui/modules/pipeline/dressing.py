"""Add-ons on the checkpoints of one job: laid on when one is used, taken off at the end."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from webui.modules.device import Device
from webui.modules.layers.stack import Laid, Wardrobe
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.types import LayerUse


class Dressing:
    """What the checkpoints of one job wear; each is dressed once, however often it is used."""

    def __init__(self, wardrobe: Wardrobe, device: Device) -> None:
        self._wardrobe = wardrobe
        self._device = device
        self._layers: Sequence[LayerUse] = ()
        self._worn: dict[int, tuple[Checkpoint, ExitStack, Laid]] = {}
        self._pace = (0, 1)

    @property
    def layers(self) -> Sequence[LayerUse]:
        """The add-ons that a checkpoint wears when it is dressed now."""
        return self._layers

    @contextmanager
    def wearing(self, layers: Sequence[LayerUse]) -> Generator[None]:
        """Let every checkpoint wear these add-ons until the end of the block, then none or others.

        A checkpoint that wore others before must be asked for again.
        """
        before = self._layers
        if tuple(layers) != tuple(before):
            self.take_all_off()
        self._layers = layers
        try:
            yield
        finally:
            if tuple(layers) != tuple(before):
                self.take_all_off()
            self._layers = before

    def put_on(self, checkpoint: Checkpoint) -> Laid:
        """Dress a checkpoint and return what it wears."""
        known = self._worn.get(id(checkpoint))
        if known is not None:
            return known[2]
        worn = ExitStack()
        # Weights that are put back later must be plain tensors, wherever the caller stands.
        with torch.inference_mode(mode=False):
            laid = worn.enter_context(
                self._wardrobe.laid_on(checkpoint, self._layers, self._device)
            )
            laid.at(*self._pace)
        self._worn[id(checkpoint)] = (checkpoint, worn, laid)
        return laid

    def pace(self, taken: int, steps: int) -> None:
        """Let act what acts on denoising networks after so many steps of a walk.

        A checkpoint that is dressed later in the walk begins there.
        """
        self._pace = (taken, steps)
        for _, _, laid in self._worn.values():
            laid.at(taken, steps)

    def take_off(self, checkpoint: Checkpoint) -> None:
        """Undress a checkpoint: bit for bit it is what it was."""
        known = self._worn.pop(id(checkpoint), None)
        if known is not None:
            known[1].close()

    def forget(self, checkpoint: Checkpoint | None = None) -> None:
        """Let go of what is kept of a checkpoint for the next time, or of all of them."""
        self._wardrobe.forget(checkpoint)

    def take_all_off(self) -> None:
        """Undress all checkpoints."""
        for checkpoint, _, _ in list(self._worn.values()):
            self.take_off(checkpoint)
