"""What people ask for, in their own words: names unresolved, numbers as typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webui.modules.types import InputPicture, MaskedContent, ResizeMode, SoftInpainting


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRequest:
    """Which part of a picture shall change; see ``modules.types.Inpainting``."""

    mask: InputPicture
    invert: bool = False
    blur: tuple[int, int] = (4, 4)
    content: MaskedContent = "original"
    only_masked: bool = False
    padding: int = 32
    rounded: bool = True
    soft: SoftInpainting | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TilesRequest:
    """A large picture drawn piece by piece; see ``modules.types.Tiles``.

    Attributes:
        scale: How much larger.
        upscaler: A1111's name or an upscaler file; ``None`` leaves the size.
        overlap: Pixels that neighbouring pieces share.
    """

    scale: float = 2.0
    upscaler: str = "Lanczos"
    overlap: int = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class StartRequest:
    """A picture to start from; see ``modules.types.Start``.

    Attributes:
        pictures: One for all, or one per place in a batch.
        resize: How they are brought to the request's size.
        denoising: How much may change, 0 to 1.
        noise_multiplier: Factor on the first noise; None for the option's value.
        image_guidance: Only for checkpoints that edit by words; None for 1.5.
        masked: Change a part only.
        tiles: Enlarge it and draw it piece by piece, each of the request's size.
    """

    pictures: tuple[InputPicture, ...]
    resize: ResizeMode = "Just resize"
    denoising: float = 0.75
    noise_multiplier: float | None = None
    image_guidance: float | None = None
    masked: MaskRequest | None = None
    tiles: TilesRequest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HiresRequest:
    """A second, larger pass; see ``modules.types.Hires``.

    Attributes:
        scale: Factor on both sides; not used when a size is given.
        resize: Final size; 0 for a side that follows from the other; (0, 0) to use the factor.
        upscaler: A1111's name or an upscaler file; None for ``Latent``.
        steps: 0 for as many as in the first pass.
        denoising: How much may change, 0 to 1.
        sampler: None for that of the first pass.
        scheduler: None for that of the first pass.
        checkpoint: None for that of the first pass.
        prompt: Empty for that of the first pass.
        negative_prompt: Empty for that of the first pass.
    """

    scale: float = 2.0
    resize: tuple[int, int] = (0, 0)
    upscaler: str | None = None
    steps: int = 0
    denoising: float = 0.7
    sampler: str | None = None
    scheduler: str | None = None
    checkpoint: str | None = None
    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerRequest:
    """Another checkpoint that takes over on the way; see ``modules.types.Refiner``."""

    checkpoint: str
    switch_at: float = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationRequest:
    """A wish for pictures; ``services/resolve`` turns it into a plan.

    Attributes:
        prompt: What to draw, in A1111's prompt language.
        negative_prompt: What to avoid.
        styles: Names in ``styles.csv`` to apply to both prompts.
        seed: Seed of the first picture; -1 draws one.
        subseed: Variation seed; -1 draws one.
        subseed_strength: Share of the variation seed's noise, 0 to 1.
        seed_resize_from: Width and height whose noise is kept; (0, 0) for none.
        sampler: Label, name or alias, a schedule may follow ("DPM++ 2M Karras"); None for default.
        scheduler: Label or name; None or "Automatic" for the sampler's own.
        steps: Denoising steps.
        guidance: Classifier-free guidance scale (CFG).
        width: Pixels.
        height: Pixels.
        batch_size: Pictures denoised together.
        batch_count: How many batches.
        checkpoint: Any name by which A1111 would find it; None for the selected one.
        vae: "Automatic", "None" or a file name; None for the option's value.
        clip_skip: Layer of the text encoder counted from the end; None for the option's value.
        tiling: Opposite edges join; None for the option's value.
        eta: Overrides the option of this sampler; likewise the next four.
        start: A picture to start from; None to start from noise.
        hires: A second, larger pass.
        refiner: A checkpoint that takes over on the way.
        plain_words: Names of embeddings that are not loaded: where they stand in a prompt, they are
            read as mere text.
        extensions: By name of the extension, its settings; those left out have their defaults.
        ignore_tags: Lay on none of the files that tags in the prompt call.
        options: A1111 options that hold for this request only (``override_settings``).
        save: Write the pictures to the outputs folder and the history.
    """

    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_from: tuple[int, int] = (0, 0)
    sampler: str | None = None
    scheduler: str | None = None
    steps: int = 20
    guidance: float = 7.0
    width: int = 512
    height: int = 512
    batch_size: int = 1
    batch_count: int = 1
    checkpoint: str | None = None
    vae: str | None = None
    clip_skip: int | None = None
    tiling: bool | None = None
    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    s_min_uncond: float | None = None
    start: StartRequest | None = None
    hires: HiresRequest | None = None
    refiner: RefinerRequest | None = None
    plain_words: tuple[str, ...] = ()
    extensions: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]]
    )
    ignore_tags: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    save: bool = True
