"""The layers of a checkpoint as its file holds them: tensor names, blocks, and names for LoRAs.

The names are kohya's (github.com/kohya-ss/sd-scripts), the dialect that every program reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from webui.modules.layers.blocks import BASE, block_of
from webui.modules.layers.names import Layer
from webui.modules.weights.architecture import TEXT, UNetShape
from webui.modules.weights.describe import UNET
from webui.modules.weights.header import TensorFacts
from webui.modules.weights.keymap import unet_names


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """One layer with a weight.

    Attributes:
        layer: Which layer of our networks.
        weight: Name of its weight in the file.
        bias: Name of its bias; empty if it has none.
        shape: Of its weight.
        block: The block of the denoising network, or BASE.
        kohya: What LoRA files call it.
    """

    layer: Layer
    weight: str
    bias: str
    shape: tuple[int, ...]
    block: str
    kohya: str

    @property
    def is_attention(self) -> bool:
        """Tell whether a plain LoRA changes it: projections of attention, and the text encoder."""
        path = self.layer.path
        inside = ".attentions." in path or (self.layer.network == "text" and "encoder." in path)
        return inside and self._is_matrix

    @property
    def is_convolution(self) -> bool:
        """Tell whether LoCon changes it besides: residual blocks and changes of size."""
        marks = (".resnets.", ".downsamplers.", ".upsamplers.")
        return any(mark in self.layer.path for mark in marks) and self._is_matrix

    @property
    def _is_matrix(self) -> bool:
        return len(self.shape) > 1


def stored_layers(tensors: Mapping[str, TensorFacts], shape: UNetShape) -> list[StoredLayer]:
    """Return the layers of a checkpoint of the Stable Diffusion 1 family, in the file's order.

    Args:
        tensors: Of the file, under the names of today.
        shape: Of its denoising network.
    """
    found: list[StoredLayer] = []
    unet = unet_names([name.removeprefix(UNET) for name in tensors if name.startswith(UNET)], shape)
    for name, facts in tensors.items():
        if not name.endswith(".weight"):
            continue
        own = name.removesuffix(".weight")
        bias = f"{own}.bias" if f"{own}.bias" in tensors else ""
        if name.startswith(UNET):
            inner = name.removeprefix(UNET)
            path = unet[inner].removesuffix(".weight")
            layer, block = Layer("unet", path), block_of(inner)
            kohya = f"lora_unet_{path.replace('.', '_')}"
        elif name.startswith(TEXT):
            path = own.removeprefix(TEXT)
            layer, block = Layer("text", path), BASE
            kohya = f"lora_te_text_model_{path.replace('.', '_')}"
        else:
            continue
        found.append(
            StoredLayer(
                layer=layer,
                weight=name,
                bias=bias,
                shape=tuple(facts.shape),
                block=block,
                kohya=kohya,
            )
        )
    return found
