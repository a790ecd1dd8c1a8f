"""Pictures drawn by a painter that is being trained: the same walk as always, on what it is now."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

from webui.modules.device import Device
from webui.modules.layers.hypernetwork import Contexts
from webui.modules.layers.lora import Networks
from webui.modules.layers.stack import Laid
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.pipeline.reworking import NoSteps, Reworking
from webui.modules.pipeline.studio import Studio
from webui.modules.pipeline.txt2img import txt2img
from webui.modules.text.learned import LearnedWords
from webui.modules.types import GenerationPlan, LayerUse, ModelRecord, Observer, Picture


def draw_as_it_is(
    plan: GenerationPlan,
    painter: Checkpoint,
    words: LearnedWords,
    device: Device,
    observe: Observer,
) -> Iterator[Picture]:
    """Draw a plan's pictures with a painter as it is in memory, whatever the plan's file says.

    Args:
        plan: What to draw.
        painter: With whatever it wears.
        words: What prompts can name.
        device: Where it is.
        observe: As for :func:`webui.modules.pipeline.txt2img.txt2img`.
    """

    def itself(_record: ModelRecord, _vae: ModelRecord | None) -> Studio:
        return studio

    studio = Studio(
        checkpoint=painter,
        vae=painter.vae,
        device=device,
        others=itself,
        wearing=_as_it_is,
        laid=_bare(painter, words, device),
        reworking=Reworking(NoSteps(), ()),
    )
    return txt2img(plan, studio, observe)


def _bare(painter: Checkpoint, words: LearnedWords, device: Device) -> Laid:
    """Lay nothing on: what is learned is in its place already."""
    shape = painter.architecture.unet
    return Laid(
        words=words,
        told={},
        networks=Networks(painter.unet, painter.text, shape),
        loras=(),
        contexts=Contexts((), device.torch),
    )


@contextmanager
def _as_it_is(_uses: Sequence[LayerUse]) -> Generator[None]:
    yield
