"""The names that files of the LoRA family give to layers, and the layers of our networks.

The table is made once from the names that a checkpoint's tensors have in files, so it does not
change when a library renames its modules. Dialects that are read:

- kohya's (github.com/kohya-ss/sd-scripts): ``lora_unet_down_blocks_0_...``, ``lora_te_...``, and of
  SDXL's two text encoders ``lora_te1_...`` and ``lora_te2_...``
- the same with the LDM code's names, as for SDXL: ``lora_unet_input_blocks_1_1_...``
- LyCORIS' and OFT's prefixes: ``lycoris_...``, ``oft_unet_...``
- A1111's own: ``diffusion_model_input_blocks_1_1_...``, ``transformer_text_model_...``
- diffusers' and PEFT's: ``unet.down_blocks.0....lora_A.weight``, ``text_encoder....lora_B.weight``
- ComfyUI's: ``diffusion_model.input_blocks.1.1....lora_up.weight``

Text encoders go with ``text_model`` or without it, as their library named them before and since.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from webui.modules.weights.architecture import UNetShape
from webui.modules.weights.keymap import ldm_unet_name

Network = Literal["unet", "text", "text2"]
"""The denoising network, the text encoder, and SDXL's second one."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of our networks: which network, and its path there."""

    network: Network
    path: str


def layer_table(
    unet: Iterable[str], text: Iterable[str], shape: UNetShape, second: Iterable[str] = ()
) -> Mapping[str, Layer]:
    """Return our layer for each name that a file may give it.

    Args:
        unet: Paths of the denoising network's layers in our own (diffusers') names.
        text: Paths of the text encoder's layers, from ``text_model`` on or without it.
        shape: Of the denoising network.
        second: Paths of the second text encoder's layers; only SDXL has one.
    """
    table: dict[str, Layer] = {}
    for path in unet:
        ldm = ldm_unet_name(f"{path}.", shape).removesuffix(".")
        table |= dict.fromkeys(_unet_spellings(path, ldm), Layer("unet", path))
    seconds = tuple(second)
    begins = _FIRST_OF_TWO if seconds else _ONLY
    for path in text:
        inner = path.removeprefix("text_model.")
        table |= dict.fromkeys(_text_spellings(inner, *begins), Layer("text", path))
    for path in seconds:
        inner = path.removeprefix("text_model.")
        table |= dict.fromkeys(_text_spellings(inner, *_SECOND), Layer("text2", path))
    return table


def _unet_spellings(path: str, ldm: str) -> Iterator[str]:
    for name in (path, ldm, path.replace(".to_out.0", ".to_out")):
        flat = name.replace(".", "_")
        yield f"lora_unet_{flat}"
        yield f"oft_unet_{flat}"
        yield f"lycoris_{flat}"
        yield f"diffusion_model_{flat}"
        yield f"unet.{name}"
        yield f"base_model.model.{name}"
        yield f"base_model.model.unet.{name}"
        yield f"diffusion_model.{name}"
        yield name


_Begins = tuple[str, ...]

_FIRST_OF_TWO: Final[tuple[_Begins, _Begins]] = (
    ("lora_te1_", "0_transformer_"),
    ("text_encoder.", "base_model.model.text_encoder.", "clip_l.transformer.",
     "text_encoders.clip_l.transformer."),
)  # fmt: skip
"""With what names of SDXL's first text encoder begin: flat ones, and dotted ones."""

_ONLY: Final[tuple[_Begins, _Begins]] = (
    ("lora_te_", "lora_te1_", "oft_te_", "lycoris_", "transformer_"),
    (*_FIRST_OF_TWO[1], "base_model.model.", ""),
)
"""The same where there is but one."""

_SECOND: Final[tuple[_Begins, _Begins]] = (
    ("lora_te2_", "1_transformer_"),
    ("text_encoder_2.", "base_model.model.text_encoder_2.", "clip_g.transformer.",
     "text_encoders.clip_g.transformer."),
)  # fmt: skip


def _text_spellings(inner: str, flat: _Begins, dotted: _Begins) -> Iterator[str]:
    for name in (f"text_model.{inner}", inner):
        for begin in flat:
            yield begin + name.replace(".", "_")
        for begin in dotted:
            yield begin + name
