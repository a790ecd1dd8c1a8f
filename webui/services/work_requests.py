"""Wishes for the workshop in the person's own words: what routes and page send."""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from webui.modules.types import MergeMethod, ModelKind, Precision

STRICT: Final = ConfigDict(extra="forbid", allow_inf_nan=False)
"""A field that is not known is refused, and so is what is no number."""

Rule = Literal["", "sv_ratio", "sv_fro", "sv_cumulative"]
"""See ``modules.types.RankRule``."""

ConfigFrom = Literal["first found", "B", "C", "none"]
"""Whose yaml is copied beside a merged checkpoint: that of A, B or C, whichever has one first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeRequest:
    """A checkpoint out of others.

    Attributes:
        first: A, by any name or hash.
        second: B; empty for "no interpolation".
        third: C; for "add difference".
        method: How they are mixed.
        share: M, -1 to 2; 0 to 1 as a rule.
        blocks: M for each of 26 blocks instead: BASE, IN00-11, M00, OUT00-11.
        vae: A VAE file to bake in; empty for none.
        precision: Number format of the result.
        discard: Names of tensors to leave out: parts of names, with ``*`` for any text and ``|`` or
            spaces between several.
        config: Whose yaml is copied.
        texts: Whether the file says how it was made, and what its sources say.
        name: Of the result; empty for A1111's, such as ``0.7(a) + 0.3(b)``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    first: str
    second: str = ""
    third: str = ""
    method: MergeMethod = "weighted sum"
    share: float = 0.3
    blocks: tuple[float, ...] = ()
    vae: str = ""
    precision: Precision = "as it is"
    discard: str = ""
    config: ConfigFrom = "first found"
    texts: bool = True
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractRequest:
    """A LoRA out of two checkpoints.

    Attributes:
        base: Where it starts.
        tuned: Where it leads.
        rank: Most dimensions of a layer; 0 for no limit.
        by: How many of them are kept.
        value: See ``modules.types.RankRule``.
        convolutions: Also carry residual blocks (LoCon).
        text: Also carry the text encoder.
        precision: Number format of the result.
        name: Of the result; empty for that of ``tuned``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    base: str
    tuned: str
    rank: int = 32
    by: Rule = ""
    value: float = 0.0
    convolutions: bool = False
    text: bool = True
    precision: Precision = "fp16"
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResizeRequest:
    """A LoRA with fewer dimensions.

    Attributes:
        lora: The file.
        rank: Most dimensions of a layer; 0 for no limit.
        by: How many of them are kept.
        value: See ``modules.types.RankRule``.
        precision: Number format of the result.
        name: Of the result; empty for that of the file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    lora: str
    rank: int = 8
    by: Rule = ""
    value: float = 0.0
    precision: Precision = "as it is"
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingredient:
    """One file of the LoRA family and how strongly it acts.

    Attributes:
        name: The file.
        weight: On the denoising network.
        text_weight: On the text encoder; None for the same.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    weight: float = 1.0
    text_weight: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeRequest:
    """LoRAs made part of a checkpoint, or one LoRA out of several.

    Attributes:
        loras: In the order in which they are laid on.
        checkpoint: The main model; empty to join the LoRAs into one.
        rank: Most dimensions of a layer of the one; 0 for the exact sum.
        precision: Number format of the result.
        name: Of the result; empty for one made of the names.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    loras: tuple[Ingredient, ...]
    checkpoint: str = ""
    rank: int = 0
    precision: Precision = "as it is"
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertRequest:
    """A file in another container, or a linear hypernetwork as a LoRA.

    Attributes:
        kind: What the file is.
        source: The file.
        to: The container; ``lora`` for a hypernetwork.
        checkpoint: For ``lora``: the main model whose weights the hypernetwork acts on.
        strength: For ``lora``: how strongly it acts.
        rank: For ``lora``: most dimensions of a layer; 0 for the whole change.
        name: Of the result; empty for that of the file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    kind: ModelKind
    source: str
    to: Literal["safetensors", "pt", "png", "lora"] = "safetensors"
    checkpoint: str = ""
    strength: float = 1.0
    rank: int = 0
    name: str = ""


WorkRequest = MergeRequest | ExtractRequest | ResizeRequest | BakeRequest | ConvertRequest
