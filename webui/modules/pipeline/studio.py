"""What lies ready to draw with, and what a plan puts on it while it is used."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from webui.modules.device import Device
from webui.modules.layers.stack import Laid
from webui.modules.networks.checkpoint import Autoencoder, Checkpoint
from webui.modules.networks.tiling import joined_edges
from webui.modules.networks.token_merging import merged_tokens
from webui.modules.pipeline.memory import UNMARKED, Mark, Memory, nothing_kept
from webui.modules.pipeline.reworking import Reworking
from webui.modules.types import (
    PIXELS_PER_LATENT,
    DecodeAgain,
    GenerationPlan,
    LayerUse,
    ModelRecord,
)


def unpaced(_taken: int, _steps: int) -> None:
    """Let everything act all the time."""


def unheard(_note: str) -> None:
    """Keep no notes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Studio:
    """The main model, the autoencoder to use, and the device.

    Attributes:
        checkpoint: The main model.
        vae: The autoencoder, its own or that of another file.
        device: Where and in which format.
        others: Lays out another main model, with a VAE file or its own; this one may have to be
            laid aside for it, so that it must be asked for again before it is used again.
        wearing: Lets main models that are laid out in the block wear these add-ons instead.
        laid: The add-ons that the main model wears.
        reworking: What extensions do to prompts.
        mark: What tells it from every other main model and from itself in other add-ons.
        texts: What text encoders have said before.
        walks: Where walks of this job have ended.
        pace: Told how many steps of how many are taken, lets act what acts from then on.
        again: In which number format the autoencoder tries again when it breaks down.
        tell: Takes a note on how the pictures came about.
    """

    checkpoint: Checkpoint
    vae: Autoencoder
    device: Device
    others: "Callable[[ModelRecord, ModelRecord | None], Studio]"
    wearing: Callable[[Sequence[LayerUse]], AbstractContextManager[None]]
    laid: Laid
    reworking: Reworking
    mark: Mark = UNMARKED
    texts: Memory = field(default_factory=nothing_kept)
    walks: Memory = field(default_factory=nothing_kept)
    pace: Callable[[int, int], None] = unpaced
    again: DecodeAgain = "float32"
    tell: Callable[[str], None] = unheard


@contextmanager
def prepared(
    studio: Studio, plan: GenerationPlan, *, size: tuple[int, int], merging: float
) -> Generator[Studio]:
    """Yield the studio with what the plan puts on its networks, until the end of the block.

    Whatever other model is laid out in the block is prepared in the same way.

    Args:
        studio: What lies ready.
        plan: Says whether edges join.
        size: Width and height of this pass in pixels.
        merging: Share of tokens merged in self-attention in this pass.
    """
    seen: list[Checkpoint] = []
    columns, rows = (side // PIXELS_PER_LATENT for side in size)

    with ExitStack() as worn:

        def put_on(found: Studio) -> Studio:
            if not any(found.checkpoint is each for each in seen):
                seen.append(found.checkpoint)
                unet = found.checkpoint.unet
                if merging > 0:
                    worn.enter_context(merged_tokens(unet, merging, rows=rows, columns=columns))
                if plan.tiling:
                    worn.enter_context(joined_edges(unet, found.vae))

            def others(record: ModelRecord, vae: ModelRecord | None) -> Studio:
                return put_on(found.others(record, vae))

            return replace(found, others=others)

        yield put_on(studio)
