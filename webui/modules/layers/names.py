"""The names that files of the LoRA family give to layers, and the layers of our networks.

The table is made once from the names that a checkpoint's tensors have in files, so it does not
change when a library renames its modules. Dialects that are read:

- kohya's (github.com/kohya-ss/sd-scripts): ``lora_unet_down_blocks_0_...``, ``lora_te_...``
- the same with the LDM code's names, as for SDXL: ``lora_unet_input_blocks_1_1_...``
- LyCORIS' and OFT's prefixes: ``lycoris_...``, ``oft_unet_...``
- diffusers' and PEFT's: ``unet.down_blocks.0....lora_A.weight``, ``text_encoder....lora_B.weight``
- ComfyUI's: ``diffusion_model.input_blocks.1.1....lora_up.weight``
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from webui.modules.weights.architecture import UNetShape
from webui.modules.weights.keymap import ldm_unet_name

Network = Literal["unet", "text"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of our networks: which network, and its path there."""

    network: Network
    path: str


PARTS: Final[Mapping[str, str]] = {
    "lora_up.weight": "lora_up.weight",
    "lora_down.weight": "lora_down.weight",
    "lora_mid.weight": "lora_mid.weight",
    "lora_B.weight": "lora_up.weight",
    "lora_A.weight": "lora_down.weight",
    "lora_B.default.weight": "lora_up.weight",
    "lora_A.default.weight": "lora_down.weight",
    "lora.up.weight": "lora_up.weight",
    "lora.down.weight": "lora_down.weight",
    "lora_linear_layer.up.weight": "lora_up.weight",
    "lora_linear_layer.down.weight": "lora_down.weight",
    "lora_magnitude_vector": "dora_scale",
    "lora_magnitude_vector.weight": "dora_scale",
    "lora_magnitude_vector.default.weight": "dora_scale",
    "magnitude": "dora_scale",
    **{
        name: name
        for name in (
            "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
            "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
            "on_input", "diff", "diff_b", "w_norm", "b_norm",
            "a1.weight", "a2.weight", "b1.weight", "b2.weight",
            "oft_blocks", "oft_diag", "rescale", "dora_scale", "alpha", "scale", "bias",
        )
    },
    "weight": "weight",
}  # fmt: skip
"""The ends of tensor names, longest match first, and the part that each one means."""

_LONGEST_FIRST: Final = sorted(PARTS, key=len, reverse=True)


def split(name: str) -> tuple[str, str] | None:
    """Return a tensor's layer as the file calls it, and its part; None for another tensor."""
    processor, mark, end = name.rpartition("_lora.")
    if mark and end in ("up.weight", "down.weight"):
        # Diffusers before 0.21: attn1.processor.to_q_lora.up.weight
        return processor.replace(".processor.", "."), f"lora_{end}"
    for end in _LONGEST_FIRST:
        if name.endswith(f".{end}"):
            return name[: -len(end) - 1], PARTS[end]
    return None


def layer_table(unet: Iterable[str], text: Iterable[str], shape: UNetShape) -> Mapping[str, Layer]:
    """Return our layer for each name that a file may give it.

    Args:
        unet: Paths of the denoising network's layers in our own (diffusers') names.
        text: Paths of the text encoder's layers, from ``text_model`` on or without it.
        shape: Of the denoising network.
    """
    table: dict[str, Layer] = {}
    for path in unet:
        ldm = ldm_unet_name(f"{path}.", shape).removesuffix(".")
        table |= dict.fromkeys(_unet_spellings(path, ldm), Layer("unet", path))
    for path in text:
        inner = path.removeprefix("text_model.")
        table |= dict.fromkeys(_text_spellings(inner), Layer("text", path))
    return table


def _unet_spellings(path: str, ldm: str) -> Iterator[str]:
    for name in (path, ldm, path.replace(".to_out.0", ".to_out")):
        flat = name.replace(".", "_")
        yield f"lora_unet_{flat}"
        yield f"oft_unet_{flat}"
        yield f"lycoris_{flat}"
        yield f"unet.{name}"
        yield f"base_model.model.{name}"
        yield f"base_model.model.unet.{name}"
        yield f"diffusion_model.{name}"
        yield name


def _text_spellings(inner: str) -> Iterator[str]:
    for name in (f"text_model.{inner}", inner):
        flat = name.replace(".", "_")
        yield f"lora_te_{flat}"
        yield f"lora_te1_{flat}"
        yield f"text_encoder.{name}"
        yield f"base_model.model.text_encoder.{name}"
        yield f"base_model.model.{name}"
        yield f"clip_l.transformer.{name}"
        yield name
