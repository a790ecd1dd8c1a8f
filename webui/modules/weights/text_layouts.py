"""Where a checkpoint keeps its text encoders, and their layers under the names of one library.

Files of Stable Diffusion 1 hold CLIP's text encoder under the names of transformers; those of
version 2 and XL's second one come from OpenCLIP, which names them otherwise and keeps queries, keys
and values of an attention in one matrix. No torch.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from webui.modules.weights.header import TensorFacts

Shape = tuple[int, ...]

Encoder = Literal["text", "text2"]
"""The text encoder, and SDXL's second one."""

_PLACES: Final[tuple[tuple[str, Encoder, bool], ...]] = (
    ("cond_stage_model.transformer.", "text", False),
    ("cond_stage_model.model.", "text", True),
    ("conditioner.embedders.0.transformer.", "text", False),
    ("conditioner.embedders.1.model.", "text2", True),
    ("conditioner.embedders.0.model.", "text2", True),  # the refiner has only the second
)
"""With what names begin, which encoder that is, and whether they are OpenCLIP's."""

_OPEN_CLIP: Final = (
    ("transformer.resblocks.", "encoder.layers."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    ("ln_final.", "final_layer_norm."),
    ("token_embedding.", "embeddings.token_embedding."),
)

_TOGETHER: Final = ".attn.in_proj_weight"
"""OpenCLIP's matrix of queries, keys and values one below the other."""

TABLE: Final = "embeddings.token_embedding"
"""The layer whose rows are the vectors of words."""


def text_layers(tensors: Mapping[str, TensorFacts]) -> dict[Encoder, dict[str, Shape]]:
    """Return the shape of each weight of a checkpoint's text encoders, by encoder and path."""
    found: dict[Encoder, dict[str, Shape]] = {}
    for name, facts in tensors.items():
        for begin, encoder, open_clip in _PLACES:
            if name.startswith(begin):
                inner = name.removeprefix(begin).removeprefix("text_model.")
                named = _renamed(inner, facts.shape) if open_clip else ((inner, facts.shape),)
                layers = found.setdefault(encoder, {})
                layers.update(
                    (path.removesuffix(".weight"), tuple(shape))
                    for path, shape in named
                    if path.endswith(".weight")
                )
                break
    return found


def _renamed(name: str, shape: Shape) -> Iterator[tuple[str, Shape]]:
    for theirs, ours in _OPEN_CLIP:
        name = name.replace(theirs, ours)
    if name.endswith(_TOGETHER) and shape:
        path = name.removesuffix(_TOGETHER)
        for part in ("q", "k", "v"):
            yield f"{path}.self_attn.{part}_proj.weight", (shape[0] // 3, *shape[1:])
    elif name == "text_projection":
        yield f"{name}.weight", shape
    else:
        yield name, shape
