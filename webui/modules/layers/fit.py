"""How much of an add-on a checkpoint can use, from names and shapes alone. No torch.

The answer is the share of the file's tensors that would act: all of them, some, or none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from webui.modules.layers.names import Layer, layer_table
from webui.modules.types import ModelKind
from webui.modules.weights.architecture import VAE, UNetShape
from webui.modules.weights.describe import UNET
from webui.modules.weights.header import TensorFacts
from webui.modules.weights.keymap import unet_names
from webui.modules.weights.lora_parts import BUNDLE, split
from webui.modules.weights.text_layouts import TABLE, text_layers

Facts = Mapping[str, TensorFacts]
Shape = tuple[int, ...]

CONTEXT: Final = "attn2.to_k.weight"
QUERY: Final = "attn1.to_q.weight"


@dataclass(frozen=True, slots=True)
class Fit:
    """How much of a file acts.

    Attributes:
        used: Tensors that act.
        total: Tensors of the file.
        why: Half a sentence on what does not act; empty if all does.
    """

    used: int
    total: int
    why: str = ""

    @property
    def share(self) -> float:
        """The share that acts, 0 to 1."""
        return self.used / self.total if self.total else 0.0


def fit(kind: ModelKind, tensors: Facts, checkpoint: Facts, shape: UNetShape) -> Fit | None:
    """Return how much of a file acts on a checkpoint; None for a kind that is not laid over one.

    Args:
        kind: What the file is.
        tensors: Its tensors.
        checkpoint: Those of the checkpoint, in the LDM layout.
        shape: Of the checkpoint's denoising network.
    """
    count = _COUNTS.get(kind)
    return count(tensors, checkpoint, shape) if count else None


def _lora(tensors: Facts, checkpoint: Facts, shape: UNetShape) -> Fit:
    weights = _weights(checkpoint, shape)
    table = layer_table(
        (layer.path for layer in weights if layer.network == "unet"),
        (layer.path for layer in weights if layer.network == "text"),
        shape,
        (layer.path for layer in weights if layer.network == "text2"),
    )
    widths = _text_widths(checkpoint)
    parts: dict[str, dict[str, Shape]] = {}
    used = 0
    for name, facts in tensors.items():
        if name.startswith(BUNDLE):
            used += facts.shape[-1:] in widths
        elif found := split(name):
            parts.setdefault(found[0], {})[found[1]] = tuple(facts.shape)
    unknown, unfit = 0, 0
    for name, shapes in parts.items():
        layer = table.get(name)
        if layer is None:
            unknown += 1
        elif not _takes(shapes, weights[layer]):
            unfit += 1
        else:
            used += len(shapes)
    why = [f"{unknown} layers that this checkpoint has not"] if unknown else []
    why += [f"{unfit} layers of another size"] if unfit else []
    return Fit(used, len(tensors), " and ".join(why))


def _weights(checkpoint: Facts, shape: UNetShape) -> dict[Layer, Shape]:
    """Return the shape of each layer's weight."""
    unet = {
        name.removeprefix(UNET): tuple(facts.shape)
        for name, facts in checkpoint.items()
        if name.startswith(UNET) and name.endswith(".weight")
    }
    ours = unet_names(unet, shape)
    found = {Layer("unet", ours[name].removesuffix(".weight")): size for name, size in unet.items()}
    for encoder, layers in text_layers(checkpoint).items():
        found |= {Layer(encoder, path): size for path, size in layers.items()}
    return found


def _takes(parts: Mapping[str, Shape], weight: Shape) -> bool:
    """Tell whether a layer's parts have the size that a weight asks for."""
    rows, columns = weight[0], prod(weight[1:])
    if "lora_up.weight" in parts and "lora_down.weight" in parts:
        up, down = parts["lora_up.weight"], parts["lora_down.weight"]
        return up[0] == rows and down[1] == weight[1] and up[1] == down[0]
    if "hada_w1_a" in parts and "hada_t1" not in parts:
        return parts["hada_w1_a"][0] == rows and parts["hada_w1_b"][1] == columns
    for name in ("diff", "w_norm"):
        if name in parts:
            return prod(parts[name]) == prod(weight)
    if "on_input" in parts:
        return prod(parts["weight"]) in (rows, weight[1] if len(weight) > 1 else rows)
    if "lokr_w1" in parts or "lokr_w1_a" in parts:
        first = parts.get("lokr_w1") or parts["lokr_w1_a"]
        second = parts.get("lokr_w2") or parts.get("lokr_w2_a", (0,))
        return "lokr_t2" in parts or first[0] * second[0] == rows
    return True


def _embedding(tensors: Facts, checkpoint: Facts, _shape: UNetShape) -> Fit:
    """Count vectors as wide as those of a text encoder; SDXL's pair needs both."""
    widths = _text_widths(checkpoint)
    used = sum(facts.shape[-1:] in widths for facts in tensors.values())
    if used and len(widths) > 1 and len({facts.shape[-1:] for facts in tensors.values()}) == 1:
        return Fit(0, len(tensors), "vectors for one text encoder where there are two")
    wide = sorted({facts.shape[-1] for facts in tensors.values() if facts.shape})
    has = " and ".join(str(width[0]) for width in widths)
    why = "" if used else f"vectors of {wide} numbers where the text encoder has {has or 'none'}"
    return Fit(used, len(tensors), why)


def _text_widths(checkpoint: Facts) -> tuple[Shape, ...]:
    """Return how many numbers a word has in each text encoder."""
    encoders = text_layers(checkpoint).values()
    return tuple(layers[TABLE][-1:] for layers in encoders if TABLE in layers)


def _hypernetwork(tensors: Facts, checkpoint: Facts, _shape: UNetShape) -> Fit:
    """Count what changes a width that attention reads somewhere."""
    read = {
        facts.shape[1]
        for name, facts in checkpoint.items()
        if name.startswith(UNET) and name.endswith((CONTEXT, QUERY))
    }
    widths = {name: int(head) for name in tensors if (head := name.split(".")[0]).isdigit()}
    used = sum(width in read for width in widths.values())
    missing = sorted({width for width in widths.values() if width not in read})
    why = f"widths {missing} that no attention of this checkpoint reads" if missing else ""
    return Fit(used, len(widths), why)


def _aesthetic(tensors: Facts, checkpoint: Facts, _shape: UNetShape) -> Fit:
    widths = _text_widths(checkpoint)
    used = sum(facts.shape[-1:] in widths for facts in tensors.values())
    return Fit(used, len(tensors), "" if used else "another width than the text encoder's")


def _vae(tensors: Facts, checkpoint: Facts, _shape: UNetShape) -> Fit:
    return _same(_without(tensors, VAE), _without(checkpoint, VAE), "of the VAE")


def _checkpoint(tensors: Facts, checkpoint: Facts, _shape: UNetShape) -> Fit:
    return _same(tensors, checkpoint, "of the checkpoint")


def _same(tensors: Facts, others: Facts, whose: str) -> Fit:
    used = sum(
        name in others and tuple(others[name].shape) == tuple(facts.shape)
        for name, facts in tensors.items()
    )
    missing = len(tensors) - used
    return Fit(used, len(tensors), f"{missing} tensors unlike those {whose}" if missing else "")


def _without(tensors: Facts, prefix: str) -> Facts:
    """Take a prefix off the names that have it; without any, return all."""
    inside = {
        name.removeprefix(prefix): facts
        for name, facts in tensors.items()
        if name.startswith(prefix)
    }
    return _weights_only(inside.items() if inside else tensors.items())


def _weights_only(items: Iterable[tuple[str, TensorFacts]]) -> Facts:
    """Leave out what training programs add and no network has."""
    return {name: facts for name, facts in items if not name.startswith(("loss", "model_ema"))}


_COUNTS: Final[Mapping[ModelKind, Callable[[Facts, Facts, UNetShape], Fit]]] = {
    ModelKind.LORA: _lora,
    ModelKind.EMBEDDING: _embedding,
    ModelKind.HYPERNETWORK: _hypernetwork,
    ModelKind.VAE: _vae,
    ModelKind.CHECKPOINT: _checkpoint,
    ModelKind.AESTHETIC: _aesthetic,
}
