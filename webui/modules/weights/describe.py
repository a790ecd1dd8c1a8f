"""What a file is, from the names and shapes of its tensors; never from its folder. No torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from webui.modules.errors import ModelFileError
from webui.modules.types import ModelKind
from webui.modules.weights.header import Header, TensorFacts, read_header
from webui.modules.weights.layout import layout_of
from webui.modules.weights.small_text import read_small_text
from webui.modules.weights.upscaler import upscaler_shape

UNET: Final = "model.diffusion_model."
"""Where the denoising network lies in a checkpoint of the LDM layout."""

_CONTEXT_FAMILIES: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner"}
_CHANNEL_SUFFIXES: Final = {9: "-inpainting", 8: "-instruct"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a model file is.

    Attributes:
        kind: One of the kinds of the guide, or unknown.
        family: For a LoRA its method, else the architecture, such as ``sd1``; may be empty.
        format: "safetensors", "pickle", "pickle-legacy" or "diffusers".
        tensors: How many there are.
        metadata: Free texts of a safetensors file.
        layout: A word for the names and shapes; files of one layout fit alike. Empty for a folder.
    """

    kind: ModelKind
    family: str
    format: str
    tensors: int
    metadata: Mapping[str, str]
    layout: str = ""


def describe(path: Path) -> Facts:
    """Return what the file, or the folder of a diffusers checkpoint, is.

    Raises:
        ModelFileError: If it is missing, cut off or no model file.
        UnsafeModelError: If it is a pickle that asks for more than tensors.
    """
    if path.is_dir():
        return _describe_folder(path)
    header = read_header(path)
    kind, family = _recognise(header)
    return Facts(
        kind=kind,
        family=family,
        format=header.format,
        tensors=len(header.tensors),
        metadata=header.metadata,
        layout=layout_of(header.tensors),
    )


def _describe_folder(path: Path) -> Facts:
    index = path / "model_index.json"
    config = path / "unet" / "config.json"
    try:
        read_small_text(index)
        raw: object = json.loads(read_small_text(config))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path.name} is not a diffusers folder: {error}"
        hint = "It needs model_index.json and unet/config.json."
        raise ModelFileError(message, hint=hint, value=path.name) from error
    fields = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    family = _CONTEXT_FAMILIES.get(_whole(fields.get("cross_attention_dim")), "sd1")
    return Facts(
        kind=ModelKind.CHECKPOINT,
        family=family + _CHANNEL_SUFFIXES.get(_whole(fields.get("in_channels")), ""),
        format="diffusers",
        tensors=0,
        metadata={},
    )


def _whole(value: object) -> int:
    """Return a number of a config; a list or worse is none."""
    return value if isinstance(value, int) else 0


def _recognise(header: Header) -> tuple[ModelKind, str]:
    names = header.tensors
    if any(name.startswith(UNET) for name in names):
        return ModelKind.CHECKPOINT, _family(names)
    for kind, marks in _MARKS:
        if any(mark in name for name in names for mark in marks):
            return kind, _lora_method(names) if kind is ModelKind.LORA else ""
    if upscaler := upscaler_shape(names):
        return ModelKind.UPSCALER, upscaler.family
    if any(key.isdigit() for key in (name.split(".")[0] for name in names)):
        return ModelKind.HYPERNETWORK, ""
    if 0 < len(names) <= _MOST_EMBEDDING_TENSORS and _all_vectors(names):
        return ModelKind.EMBEDDING, ""
    return ModelKind.UNKNOWN, ""


def _family(names: Mapping[str, TensorFacts]) -> str:
    """Tell the architecture of a checkpoint from its text encoders and widths."""
    if any(".joint_blocks." in name for name in names):
        return "sd3"
    if any(".double_blocks." in name for name in names):
        return "flux"
    first = names.get(f"{UNET}input_blocks.0.0.weight")
    channels = first.shape[1] if first and len(first.shape) > 1 else 4
    suffix = _CHANNEL_SUFFIXES.get(channels, "")
    if any(name.startswith("conditioner.embedders.1.") for name in names):
        return "sdxl" + suffix
    if any(name.startswith("conditioner.embedders.0.model.") for name in names):
        return "sdxl-refiner"
    if any(name.startswith("cond_stage_model.model.") for name in names):
        return "sd2" + suffix
    return "sd1" + suffix


_MARKS: Final = (
    (ModelKind.CONTROLNET, ("control_model.", "controlnet_cond_embedding.")),
    (ModelKind.LORA, ("lora_up.", "lora_down.", "lora_A.", "lora_B.", ".hada_w1", ".lokr_w1",
                      ".on_input", ".oft_blocks", ".oft_diag", ".dora_scale", ".a1.weight")),
    (ModelKind.EMBEDDING, ("string_to_param", "emb_params", "clip_l", "clip_g")),
    (ModelKind.VAE, ("decoder.mid.block_1.", "decoder.mid_block.resnets.")),
)  # fmt: skip
"""Names that only one kind has; the first that occurs decides."""

_METHODS: Final = (
    ("dora", "dora_scale"), ("loha", "hada_w1"), ("lokr", "lokr_w1"), ("ia3", "on_input"),
    ("boft", "oft_diag"), ("oft", "oft_blocks"), ("glora", ".a1.weight"), ("locon", "lora_mid"),
)  # fmt: skip

_MOST_EMBEDDING_TENSORS: Final = 4


def _lora_method(names: Mapping[str, TensorFacts]) -> str:
    """Tell the method of a LoRA-family file; 3 x 3 convolutions make a LoRA a LoCon."""
    for method, mark in _METHODS:
        if any(mark in name for name in names):
            return method
    convolution = any(
        "lora_down" in name and facts.shape[-1:] == (3,) for name, facts in names.items()
    )
    return "locon" if convolution else "lora"


def _all_vectors(names: Mapping[str, TensorFacts]) -> bool:
    return all(len(facts.shape) in (1, 2) for facts in names.values())
