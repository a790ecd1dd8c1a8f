"""A second checkpoint that takes over in the middle of a walk (A1111's refiner)."""

from collections.abc import Callable
from dataclasses import dataclass

from webui.modules.pipeline.studio import Studio
from webui.modules.sampling.guidance import Painter
from webui.modules.types import Refiner


@dataclass(slots=True)
class Relay:
    """Who draws now, and who takes over when.

    Attributes:
        studio: What is drawn with; the refiner's once it has taken over.
        refiner: Who takes over; None if nobody does, or when it has happened.
        introduce: Makes a painter of a studio: its network told the texts by its own encoder.
    """

    studio: Studio
    refiner: Refiner | None
    introduce: Callable[[Studio], Painter]

    def relief(self, by_levels: float, by_calls: float) -> Painter | None:
        """Return the refiner's painter when its time has come, once."""
        refiner = self.refiner
        if refiner is None:
            return None
        behind = by_calls if refiner.by_steps else by_levels
        if behind < refiner.switch_at:
            return None
        self.refiner = None
        if self.studio.checkpoint.record.path == refiner.checkpoint.path:
            return None
        self.studio = self.studio.others(refiner.checkpoint, refiner.vae)
        return self.introduce(self.studio)
