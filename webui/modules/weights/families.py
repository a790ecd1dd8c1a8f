"""Which architecture a main model has, from its tensors' names and shapes. No torch.

Names tell the make: Stable Diffusion's U-Net in the LDM code's layout or in diffusers', or one of
the transformers that came after it. Within Stable Diffusion the text encoders tell the version, and
where a file has none, the width of what cross-attention reads does. Only velocity prediction leaves
no trace in shapes; there a marker or the file's own texts are believed.
"""

from collections.abc import Mapping
from typing import Final

from webui.modules.weights.header import TensorFacts

UNET: Final = "model.diffusion_model."
"""Where the denoising network lies in a checkpoint of the LDM layout."""

DRAWABLE: Final = frozenset(
    family + prediction
    for family in ("sd1", "sd1-inpainting", "sd1-instruct")
    for prediction in ("", "-v")
)
"""Families that this program draws with; the others are named."""

Tensors = Mapping[str, TensorFacts]

CONTEXT_FAMILIES: Final = {768: "sd1", 1024: "sd2", 2048: "sdxl", 1280: "sdxl-refiner"}
"""Families by the width of what cross-attention reads."""

TEXT_FAMILIES: Final = {768: "sd1", 1024: "sd2"}
"""Families by the width of the only text encoder's vectors."""

CHANNEL_SUFFIXES: Final = {9: "-inpainting", 8: "-instruct", 5: "-depth"}
"""What a network that reads more than four channels is made for."""

_NEWER: Final = (
    ("sd3", ("joint_blocks.0.x_block.attn.qkv.", "transformer_blocks.0.norm1_context.linear.")),
    ("flux", ("double_blocks.0.img_attn.qkv.", "single_transformer_blocks.0.attn.to_q.")),
)
"""Names of networks without a U-Net; they go with the LDM prefix and without it."""

_TEXT_ENCODERS: Final = (
    ("sdxl", "conditioner.embedders.1."),
    ("sdxl-refiner", "conditioner.embedders.0.model."),
    ("sd2-unclip", "embedder.model."),
    ("sd2", "cond_stage_model.model."),
    ("altdiffusion", "cond_stage_model.roberta."),
)
"""With what names of text encoders begin; SD1's is the one without a mark of its own."""

_REFINER_END: Final = "conditioner.embedders.0.model.ln_final.weight"
_LDM_FIRST: Final = "input_blocks.0.0.weight"
_LDM_MARKS: Final = ("input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "out.")
_ALONE: Final = (
    ("conv_in.weight", "time_embedding.linear_1.weight"),
    (_LDM_FIRST, "time_embed.0.weight"),
)
"""First layer and timestep layer of a U-Net alone, in diffusers' names and in the LDM code's."""

_CROSS: Final = "attn2.to_k.weight"


def main_model_family(tensors: Tensors, metadata: Mapping[str, str]) -> str | None:
    """Return the family of a main model; None for another file.

    A family that this program does not draw with is named all the same. ``sd1-unet`` and its kin
    are a U-Net alone, such as lies in a diffusers folder.
    """
    for family, marks in _NEWER:
        if any(name.removeprefix(UNET).startswith(marks) for name in tensors):
            return family
    inside = [name for name in tensors if name.startswith(UNET)]
    if inside:
        if not any(name.removeprefix(UNET).startswith(_LDM_MARKS) for name in inside):
            return ""
        family = _by_text_encoder(tensors) or _by_context(tensors)
        first = tensors.get(UNET + _LDM_FIRST)
        return family + _channels(first) + _velocity(tensors, metadata)
    for beginning, time in _ALONE:
        if beginning in tensors and time in tensors:
            return _by_context(tensors) + _channels(tensors[beginning]) + "-unet"
    return None


def context_family(tensors: Tensors) -> str:
    """Return the family that reads text encodings of this width; empty if none is read."""
    read = next((facts for name, facts in tensors.items() if name.endswith(_CROSS)), None)
    wide = read.shape[1] if read and len(read.shape) > 1 else 0
    return CONTEXT_FAMILIES.get(wide, "")


def _by_text_encoder(tensors: Tensors) -> str:
    for family, begin in _TEXT_ENCODERS:
        if any(name.startswith(begin) for name in tensors):
            # SD 2.1 turbo puts its only text encoder where SDXL's refiner has its own.
            end = tensors.get(_REFINER_END)
            turbo = family == "sdxl-refiner" and end is not None and end.shape == (1024,)
            return "sd2" if turbo else family
    return "sd1" if any(name.startswith("cond_stage_model.") for name in tensors) else ""


def _by_context(tensors: Tensors) -> str:
    return context_family(tensors) or "sd1"


def _channels(first: TensorFacts | None) -> str:
    channels = first.shape[1] if first and len(first.shape) > 1 else 4
    return CHANNEL_SUFFIXES.get(channels, "")


def _velocity(tensors: Tensors, metadata: Mapping[str, str]) -> str:
    return "-v" if "v_pred" in tensors or predicts_velocity(metadata) else ""


def predicts_velocity(metadata: Mapping[str, str]) -> bool:
    """Tell whether a file's texts say that its network predicts velocity."""
    told = metadata.get("modelspec.prediction_type", "").lower()
    version = metadata.get("modelspec.architecture", "").lower()
    return told in ("v", "v_prediction", "v-prediction") or version.endswith("-768-v")
