"""The whole painter, or its denoising network or text encoder alone: every weight is corrected."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from webui.modules.errors import UnsupportedError
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.text.learned import LearnedWords
from webui.modules.training.plan import CheckpointPlan
from webui.modules.weights.architecture import TEXT
from webui.modules.weights.describe import UNET
from webui.modules.weights.keymap import ldm_unet_name


class Painter:
    """The weights of a checkpoint's networks, in float32.

    Args:
        base: The checkpoint; it is this training's own and changes.
        plan: Which networks.

    Raises:
        UnsupportedError: If none is chosen.
    """

    def __init__(self, base: Checkpoint, plan: CheckpointPlan) -> None:
        self._base = base
        self._plan = plan
        self._parameters: dict[str, nn.Parameter] = {}
        chosen = {
            "unet": base.unet if plan.unet else None,
            "text": base.text if plan.text else None,
        }
        for prefix, network in chosen.items():
            for name, parameter in network.named_parameters() if network else ():
                parameter.requires_grad_()
                self._parameters[f"{prefix}.{name}"] = parameter
        if not self._parameters:
            message = "neither the U-Net nor the text encoder is to be trained"
            raise UnsupportedError(message, hint="Choose one of them, or both.")

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names."""
        return self._parameters

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        return text_rate if name.startswith("text.") else 1.0

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return self._plan.text

    @contextmanager
    def worn(self) -> Generator[LearnedWords]:
        """Use the networks as they are: what is learned is they themselves."""
        yield LearnedWords()

    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the changed tensors by the names that they have in a checkpoint's file."""
        shape = self._base.architecture.unet
        return {
            _file_name(name, lambda inner: ldm_unet_name(inner, shape)): tensor
            for name, tensor in finished.items()
        }


def _file_name(name: str, in_file: Callable[[str], str]) -> str:
    network, _, inner = name.partition(".")
    if network == "unet":
        return UNET + in_file(inner)
    return TEXT + inner.removeprefix("text_model.")
