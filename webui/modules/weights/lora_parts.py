"""The tensor names of the LoRA family: which layer a tensor belongs to, and which part it is.

A file holds a few small tensors for each layer that it changes. The end of a name is the part, in
the words of one of five programs; here they are brought to one spelling, kohya's and LyCORIS'. What
is before it is the layer as the file calls it. No torch.
"""

from collections.abc import Mapping
from typing import Final

BUNDLE: Final = "bundle_emb."
"""Tensors with this prefix are embeddings that lie in the same file."""

MAGNITUDE: Final = "lora_magnitude_vector"
"""What PEFT calls the lengths of DoRA; always those of rows, in whatever shape."""

PARTS: Final[Mapping[str, str]] = {
    "lora_B.weight": "lora_up.weight",
    "lora_A.weight": "lora_down.weight",
    "lora.up.weight": "lora_up.weight",
    "lora.down.weight": "lora_down.weight",
    "lora_linear_layer.up.weight": "lora_up.weight",
    "lora_linear_layer.down.weight": "lora_down.weight",
    "lora_magnitude_vector.weight": MAGNITUDE,
    "magnitude": MAGNITUDE,
    "oft_R.weight": "oft_R",
    **{
        name: name
        for name in (
            "lora_up.weight", "lora_down.weight", "lora_mid.weight", MAGNITUDE, "dora_scale",
            "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
            "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
            "on_input", "ia3_l", "diff", "diff_b", "w_norm", "b_norm",
            "a1.weight", "a2.weight", "b1.weight", "b2.weight", "bm.weight",
            "oft_blocks", "oft_diag", "oft_R", "boft_R", "boft_s", "rescale",
            "alpha", "scale", "bias", "weight",
        )
    },
}  # fmt: skip
"""The ends of tensor names, and the part that each one means."""

_MOST_PIECES: Final = max(part.count(".") for part in PARTS) + 1
"""So many pieces between dots has the longest end of a name."""

_MARKS: Final = (
    ("dora", ("dora_scale", MAGNITUDE)),
    ("loha", ("hada_w1_a",)),
    ("lokr", ("lokr_w1", "lokr_w1_a")),
    ("ia3", ("on_input", "ia3_l")),
    ("boft", ("boft_R",)),
    ("oft", ("oft_blocks", "oft_diag", "oft_R")),
    ("glora", ("a1.weight",)),
    ("lora", ("lora_up.weight", "lora_down.weight")),
    ("full", ("diff",)),
    ("norm", ("w_norm", "b_norm")),
    ("full", ("diff_b",)),
)
"""The parts that tell a method; the first that occurs in a file names it."""

_BUTTERFLY_AXES: Final = 4
"""Axes of butterfly blocks: levels, blocks, rows, columns."""

_MATRIX: Final = 2


def split(name: str) -> tuple[str, str] | None:
    """Return a tensor's layer as the file calls it, and its part; None for another tensor."""
    processor, mark, end = name.rpartition("_lora.")
    if mark and end in ("up.weight", "down.weight"):
        # Diffusers before 0.21: attn1.processor.to_q_lora.up.weight
        return processor.replace(".processor.", "."), f"lora_{end}"
    # PEFT names its adapters, the first one "default".
    name = name.removesuffix(".default").replace(".default.", ".")
    pieces = name.rsplit(".", _MOST_PIECES)
    for first in range(1, len(pieces)):
        end = ".".join(pieces[first:])
        if end in PARTS:
            return name[: -len(end) - 1], PARTS[end]
    return None


def lora_method(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> str:
    """Return the method of a file of the LoRA family; empty for another file.

    Tensors decide. The texts in the file only tell DyLoRA, whose tensors are those of any LoRA.

    Args:
        shapes: Of all tensors by name.
        metadata: The file's texts.
    """
    parts: dict[str, list[tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        if found := split(name):
            parts.setdefault(found[1], []).append(shape)
    method = next((name for name, marks in _MARKS if any(mark in parts for mark in marks)), "")
    if method == "oft" and any(
        len(shape) == _BUTTERFLY_AXES for shape in parts.get("oft_blocks", ())
    ):
        return "boft"
    if method == "glora" and "b1.weight" not in parts:
        return ""
    if method == "lora":
        return _kind_of_lora(parts, metadata)
    return method or ("lora" if any(name.startswith(BUNDLE) for name in shapes) else "")


def _kind_of_lora(parts: Mapping[str, list[tuple[int, ...]]], metadata: Mapping[str, str]) -> str:
    """Tell DyLoRA by the file's texts, and LoCon by the kernels of convolutions."""
    told = f"{metadata.get('ss_network_module', '')} {metadata.get('ss_network_args', '')}"
    if "dylora" in told.lower():
        return "dylora"
    factors = (*parts.get("lora_up.weight", ()), *parts.get("lora_down.weight", ()))
    kernels = any(side > 1 for shape in factors for side in shape[_MATRIX:])
    return "locon" if kernels or "lora_mid.weight" in parts else "lora"
