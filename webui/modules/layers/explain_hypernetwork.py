"""A hypernetwork explained: how much it changes keys and values at each width, and its layers."""

from typing import Final

import torch
from torch import Tensor, nn

from webui.modules.layers.explain_help import Explained, Help, lengths
from webui.modules.layers.hypernetwork import read_hypernetwork
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.predict import TextPredictor
from webui.modules.text.chunks import chunks
from webui.modules.types import ExplainPlan, TextRules

PROMPTS: Final = (
    "a photo of a cat",
    "an oil painting of a landscape with mountains",
    "portrait of a woman, soft light",
)
"""What the text encoder is asked for the width of texts."""

CELLS: Final = 256
"""Rows of the stand-in for what self-attention reads."""


def explain_hypernetwork(plan: ExplainPlan, hand: Help) -> Explained:
    """Explain a hypernetwork.

    Returns:
        ``parameters`` and ``widths``: for each ``width`` the mean share by which ``keys`` and
        ``values`` change (length of the change by length of what is read), the ``layers`` of its
        networks as factors on the width, their ``activation``, whether they have a ``norm``, and
        ``read``: "texts" where real encodings were put in, "noise" where normal numbers stood for
        what self-attention reads, which is normalised likewise.

    Raises:
        ModelError: If a file is damaged.
    """
    read = read_hypernetwork(plan.model.path)
    base = hand.load(plan.checkpoint) if plan.checkpoint else None
    widths: list[Explained] = []
    for number, (width, pair) in enumerate(sorted(read.pairs.items()), start=1):
        hand.tell(number, len(read.pairs), f"{width}")
        texts = base is not None and base.architecture.text.width == width
        context = _texts(base, hand) if base is not None and texts else _noise(width)
        keys, values = (_change(network, context) for network in pair)
        widths.append(
            {
                "width": width,
                "keys": keys,
                "values": values,
                "read": "texts" if texts else "noise",
                **_structure(pair[0], width),
            }
        )
    networks = [network for pair in read.pairs.values() for network in pair]
    count = sum(each.numel() for network in networks for each in network.parameters())
    return {"step": read.step, "parameters": count, "widths": widths}


def _change(network: nn.Module, context: Tensor) -> float:
    """Return the mean of ``|f(x)| / |x|`` over rows."""
    answer: Tensor = network(context)
    return float((lengths(answer) / lengths(context)).mean())


def _noise(width: int) -> Tensor:
    return torch.randn(CELLS, width, generator=torch.Generator().manual_seed(width))


def _texts(base: Checkpoint, hand: Help) -> Tensor:
    tokens = torch.tensor([chunks(text, TextRules())[0].tokens for text in PROMPTS])
    encoded = TextPredictor(base, hand.device)(tokens, 1)
    return encoded.flatten(0, 1).float().cpu()


def _structure(network: nn.Module, width: int) -> Explained:
    linear = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
    known = (nn.Linear, nn.LayerNorm, nn.Identity)
    acting = [type(layer).__name__ for layer in network.children() if not isinstance(layer, known)]
    return {
        "layers": [1.0, *(layer.out_features / width for layer in linear)],
        "activation": acting[0] if acting else "linear",
        "norm": any(isinstance(layer, nn.LayerNorm) for layer in network.children()),
    }
