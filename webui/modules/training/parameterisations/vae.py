"""The autoencoder's decoder: how latents become pixels. The encoder stays, so latents still fit."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from webui.modules.networks.checkpoint import Autoencoder
from webui.modules.text.learned import LearnedWords

TRAINED = ("decoder.", "post_quant_conv.")


class Decoder:
    """The weights of a decoder, in float32.

    Args:
        vae: The autoencoder; it is this training's own and changes.
    """

    def __init__(self, vae: Autoencoder) -> None:
        self._vae = vae
        self._parameters = {
            name: parameter
            for name, parameter in vae.named_parameters()
            if name.startswith(TRAINED)
        }
        for parameter in self._parameters.values():
            parameter.requires_grad_()

    @property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is learned, by flat names."""
        return self._parameters

    def factor(self, name: str, text_rate: float) -> float:
        """Return the factor on the learning rate of a parameter."""
        return 1.0

    @property
    def changes_text(self) -> bool:
        """Whether the same text is encoded otherwise after each step."""
        return False

    @contextmanager
    def worn(self) -> Generator[LearnedWords]:
        """Use the autoencoder as it is: what is learned is it itself."""
        yield LearnedWords()

    def tensors(self, finished: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the whole autoencoder by our names, with these values for what is learned."""
        whole = {name: each.detach() for name, each in self._vae.named_parameters()}
        return {**whole, **finished}
