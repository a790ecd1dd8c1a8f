"""The values that flow between the rooms of the house: frozen, complete, without torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Literal

from webui.modules.errors import RangeError, SizeError

PIXELS_PER_LATENT: Final = 8
"""One latent cell covers 8 x 8 pixels in every SD 1, 2 and XL autoencoder."""

NoiseSource = Literal["CPU", "GPU", "NV"]
"""Where noise comes from: torch's CPU generator, the device's own, or CUDA's Philox in software."""

Emphasis = Literal["Original", "No norm", "Ignore", "None"]
"""How ``(word:1.2)`` weights act on the text encoder's output."""


ResizeMode = Literal[
    "Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"
]
"""How a picture to start from is brought to the size that is drawn; A1111's numbers 0 to 3."""

MaskedContent = Literal["fill", "original", "latent noise", "latent nothing"]
"""What lies under the mask when drawing begins; A1111's numbers 0 to 3."""

DecodeAgain = Literal["", "float32", "bfloat16"]
"""In which number format a broken picture is decoded again; empty for never."""

RefinerPass = Literal["first pass", "second pass", "both passes"]
"""In which pass of hires fix the refiner takes over."""


class ModelKind(StrEnum):
    """What a model file is; the five kinds of the guide and what lies beside them."""

    CHECKPOINT = "checkpoint"
    VAE = "vae"
    EMBEDDING = "embedding"
    LORA = "lora"
    HYPERNETWORK = "hypernetwork"
    AESTHETIC = "aesthetic"
    UPSCALER = "upscaler"
    CONTROLNET = "controlnet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRecord:
    """One model file as the library knows it.

    Attributes:
        path: The file, or the folder of a diffusers checkpoint.
        kind: What it is, read from its tensors.
        family: Architecture such as ``sd1``; empty when unknown.
        name: Path relative to its model folder, with extension and forward slashes.
        sha256: Hash of the whole file, lower-case hex; empty when hashing is off or not done yet.
        config: The same-stem ``.yaml`` beside it, if there is one.
    """

    path: Path
    kind: ModelKind
    family: str = ""
    name: str
    sha256: str = ""
    config: Path | None = None

    @property
    def stem(self) -> str:
        """File name without folder and extension; what infotext calls "Model"."""
        return self.name.rsplit("/", 1)[-1] if self.path.is_dir() else Path(self.name).stem

    @property
    def shorthash(self) -> str:
        """First 10 hex digits of the SHA-256; empty when it is not known."""
        return self.sha256[:10]

    @property
    def title(self) -> str:
        """``name [shorthash]`` as A1111 shows it, or the bare name before the hash is known."""
        return f"{self.name} [{self.shorthash}]" if self.sha256 else self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerUse:
    """One add-on laid over the checkpoint, with its strengths.

    Attributes:
        model: The file.
        name: As the prompt calls it.
        weight: How strongly it acts; of a LoRA, on the denoising network.
        text_weight: How strongly a LoRA acts on the text encoder.
        rank: Use only so many of a LoRA's dimensions; 0 for all.
        shorthash: 12 hex digits that A1111 tells files apart by.
        blocks: Factors on a LoRA's weight by block, such as ``IN04``; 1 for blocks not named.
            ``BASE`` is the text encoder and what lies in no block.
        start: From when on it acts on the denoising network: up to 1 a share of the steps, above
            a number of steps.
        stop: Until when; 1 is the end.
        told: The person knows already how much of it fits.
    """

    model: ModelRecord
    name: str = ""
    weight: float = 1.0
    text_weight: float = 1.0
    rank: int = 0
    shorthash: str = ""
    blocks: tuple[tuple[str, float], ...] = ()
    start: float = 0.0
    stop: float = 1.0
    told: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingPlan:
    """How noise becomes a latent picture.

    Attributes:
        sampler: Label in the catalogue, such as ``DPM++ 2M``.
        scheduler: Name in the catalogue, such as ``karras``; ``automatic`` only for samplers that
            bring their own schedule.
        steps: Denoising steps, at least 1.
        guidance: Classifier-free guidance scale (CFG).
        eta: Share of fresh noise of the ancestral and SDE samplers.
        eta_ddim: The same for the DDIM family.
        s_churn: Amount of extra noise of Karras et al. 2022, algorithm 2.
        s_tmin: Lowest noise level at which churn acts.
        s_tmax: Highest noise level at which churn acts; infinite by default.
        s_noise: Factor on every fresh noise.
        sigma_min: Lowest noise level of the schedule; 0 means the model's own.
        sigma_max: Highest noise level; 0 means the model's own.
        rho: Curvature of the Karras and polyexponential schedules; 0 means the schedule's own.
        beta_alpha: First shape parameter of the beta schedule.
        beta_beta: Second shape parameter of the beta schedule.
        discard_next_to_last_sigma: Compute one step more and drop the last noise level but one.
        sgm_noise_multiplier: Start from ``noise * sqrt(1 + sigma ** 2)``.
        quantize: Round noise levels to the 1000 trained ones.
        zero_terminal_snr: Stretch the trained levels so that the last one holds no picture at all.
        downcast_levels: Round the trained levels to 16 bits, as A1111 did before 1.7.
        unipc_order: Order of UniPC, at least 1.
        unipc_variant: ``bh1``, ``bh2`` or ``vary_coeff``.
        unipc_skip_type: ``time_uniform``, ``time_quadratic`` or ``logSNR``.
        unipc_lower_order_final: Lower the order in the last steps.
        skip_uncond_below: Leave out the negative prompt in every second step below this sigma.
        skip_uncond_every_step: Leave it out in every such step.
        skip_uncond_until: Leave it out in this first share of the steps.
        pad_with_empty: Pad the shorter of the two texts with the empty prompt.
        pad_or_cut: Pad or cut the negative text to the length of the prompt (before 1.6).
    """

    sampler: str
    scheduler: str
    steps: int
    guidance: float
    eta: float = 1.0
    eta_ddim: float = 0.0
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = float("inf")
    s_noise: float = 1.0
    sigma_min: float = 0.0
    sigma_max: float = 0.0
    rho: float = 0.0
    beta_alpha: float = 0.6
    beta_beta: float = 0.6
    discard_next_to_last_sigma: bool = False
    sgm_noise_multiplier: bool = False
    quantize: bool = False
    zero_terminal_snr: bool = False
    downcast_levels: bool = False
    unipc_order: int = 3
    unipc_variant: str = "bh1"
    unipc_skip_type: str = "time_uniform"
    unipc_lower_order_final: bool = True
    skip_uncond_below: float = 0.0
    skip_uncond_every_step: bool = False
    skip_uncond_until: float = 0.0
    pad_with_empty: bool = False
    pad_or_cut: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            RangeError: If there is no step to take.
        """
        if self.steps < 1:
            message = f"steps is {self.steps}"
            raise RangeError(message, hint="Use at least 1 step.", value=self.steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextRules:
    """How prompts are read.

    Attributes:
        clip_skip: Which of the text encoder's layers is used, counted from the end; 1 is the last.
        emphasis: What ``(word:1.2)`` does.
        comma_backtrack: Up to so many tokens are moved to the next chunk to break at a comma.
        old_editing: Read ``[a:b:when]`` as A1111 did before 1.6.
    """

    clip_skip: int = 1
    emphasis: Emphasis = "Original"
    comma_backtrack: int = 20
    old_editing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseRules:
    """Where each picture's noise comes from, besides its seed.

    Attributes:
        source: Which generator.
        variation: Share of the variation seed's noise, 0 to 1.
        resize_from: Width and height in pixels of the picture whose noise is kept; (0, 0) for none.
        seed_delta: Added to the seed after the first noise (ENSD).
    """

    source: NoiseSource = "CPU"
    variation: float = 0.0
    resize_from: tuple[int, int] = (0, 0)
    seed_delta: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class InputPicture:
    """A picture that somebody gave, kept as a clean PNG under the hash of its content.

    Attributes:
        path: The PNG: upright, 8 bits a channel, RGB or RGBA; a mask has one channel (L).
        sha256: Hash of the file, lower-case hex.
        width: Pixels.
        height: Pixels.
    """

    path: Path
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SoftInpainting:
    """How softly a mask acts while drawing (A1111's built-in script "Soft inpainting").

    Attributes:
        schedule_bias: How late the original gives way; above 1 is later.
        preservation: How strongly the original is kept, 0 to 8.
        contrast_boost: How much sharper half-way blends are made, 1 to 32.
        mask_influence: Share of the mask in the final blend, 0 to 1.
        difference_threshold: How much a pixel must change to be replaced, 0 to 8.
        difference_contrast: How hard that line is, 0 to 8.
    """

    schedule_bias: float = 1.0
    preservation: float = 0.5
    contrast_boost: float = 4.0
    mask_influence: float = 0.0
    difference_threshold: float = 0.5
    difference_contrast: float = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Inpainting:
    """Which part of a picture is drawn anew, and how.

    Attributes:
        mask: White is drawn anew.
        invert: Black is drawn anew instead.
        blur: Standard deviation of the mask's blur in pixels, across and down.
        content: What lies under the mask when drawing begins.
        only_masked: Draw the surroundings of the mask alone, in full size, and paste them back.
        padding: Pixels around the mask that are looked at then.
        rounded: The mask in latent space is either 0 or 1.
        overlay: Put the original back over what was not to change.
        weight: How much a checkpoint made for inpainting sees of the mask, 0 to 1.
        soft: Blend softly; None for A1111's usual way.
    """

    mask: InputPicture
    invert: bool = False
    blur: tuple[int, int] = (4, 4)
    content: MaskedContent = "original"
    only_masked: bool = False
    padding: int = 32
    rounded: bool = True
    overlay: bool = True
    weight: float = 1.0
    soft: SoftInpainting | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """A large picture drawn piece by piece (A1111's script "SD upscale").

    Each piece has the plan's size; the plan's pictures are the whole ones.

    Attributes:
        scale: How much larger than the given picture the result is.
        upscaler: A1111's name, such as ``Lanczos``, or a file's stem; ``None`` leaves the size.
        upscaler_model: The file of an upscaling network; None for the built-in ways.
        overlap: Pixels that neighbouring pieces share and blend over.
        together: How many pieces are denoised together.
        tile: Pixels on a side of what an upscaling network is given; 0 for the whole picture.
        tile_overlap: Pixels that those share.
    """

    scale: float = 2.0
    upscaler: str = "Lanczos"
    upscaler_model: ModelRecord | None = None
    overlap: int = 64
    together: int = 1
    tile: int = 192
    tile_overlap: int = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """The picture that drawing starts from (img2img).

    Attributes:
        pictures: One for all, or one per place in a batch.
        resize: How they are brought to the plan's size.
        denoising: How much may change, 0 to 1.
        every_step: Take all steps whatever the denoising (``img2img_fix_steps``).
        noise_multiplier: Factor on the first noise.
        extra_noise: Noise that is added besides and stays in the picture.
        image_guidance: How closely a checkpoint that edits by words keeps to the picture.
        background: Colour behind transparent pixels, as ``#rrggbb``.
        color_correction: Give the result the colours of the original.
        inpainting: Change a part only; None for the whole picture.
        first_seeds: Seeds of the first batch of a job of which this is the rest: the pictures of
            all batches are encoded with the same noise. Empty for the plan's own first batch.
        tiles: Enlarge the picture and draw it piece by piece; None to draw it at once.
    """

    pictures: tuple[InputPicture, ...]
    resize: ResizeMode = "Just resize"
    denoising: float = 0.75
    every_step: bool = False
    noise_multiplier: float = 1.0
    extra_noise: float = 0.0
    image_guidance: float = 1.5
    background: str = "#ffffff"
    color_correction: bool = False
    inpainting: Inpainting | None = None
    first_seeds: tuple[int, ...] = ()
    tiles: Tiles | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hires:
    """The second pass of hires fix: enlarge the picture and draw on.

    The prompts have one entry per picture, like those of the plan.

    Attributes:
        width: Pixels of the final picture, a multiple of 8.
        height: Pixels of the final picture, a multiple of 8.
        scale: Factor that was asked for; 0 if a size was.
        resize: Size that was asked for, 0 for a side that follows; (0, 0) if a factor was.
        upscaler: A1111's name, such as ``Latent`` or ``Lanczos``, or a file's stem.
        upscaler_model: The file of an upscaling network; None for the built-in ways.
        denoising: How much may change, 0 to 1.
        sampling: How noise becomes a latent picture in this pass; its steps are all taken.
        checkpoint: Another main model for this pass; None for the same.
        vae: The VAE file that goes with that other model; None for the one baked into it.
        prompts: What to draw.
        negative_prompts: What to avoid.
        extra_noise: Noise that is added besides and stays in the picture.
        token_merging: Share of tokens merged in self-attention in this pass, 0 to 0.9.
        tile: Pixels on a side of the pieces that an upscaling network is given; 0 for no pieces.
        tile_overlap: Pixels that neighbouring pieces share.
        layers: Add-ons that the prompts of this pass ask for; None for those of the first pass.
    """

    width: int
    height: int
    scale: float = 2.0
    resize: tuple[int, int] = (0, 0)
    upscaler: str = "Latent"
    upscaler_model: ModelRecord | None = None
    denoising: float = 0.7
    sampling: SamplingPlan
    checkpoint: ModelRecord | None = None
    vae: ModelRecord | None = None
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    extra_noise: float = 0.0
    token_merging: float = 0.0
    tile: int = 192
    tile_overlap: int = 8
    layers: tuple[LayerUse, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refiner:
    """A second checkpoint that takes over in the middle of a walk.

    Attributes:
        checkpoint: Which one.
        vae: The VAE file that goes with it; None for the one baked into it.
        switch_at: Share of the way after which it takes over, 0 to 1; 1 is never.
        by_steps: Count steps; otherwise the noise level says how far the way is.
        during: In which pass of hires fix.
    """

    checkpoint: ModelRecord
    vae: ModelRecord | None = None
    switch_at: float
    by_steps: bool = False
    during: RefinerPass = "second pass"


SettingValue = bool | int | float | str
"""What a setting of an extension can be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionUse:
    """What a drawing asks of one extension.

    Attributes:
        name: Which extension.
        settings: All its settings by name.
        models: The files that it reads: what it calls each, and where it is.
        told: What infotext says of it, key by key.
    """

    name: str
    settings: tuple[tuple[str, SettingValue], ...] = ()
    models: tuple[tuple[str, ModelRecord], ...] = ()
    told: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationPlan:
    """A request after every name and default is settled; running it twice gives equal pixels.

    The four tuples have one entry per picture, in the order in which pictures are drawn.

    Attributes:
        checkpoint: The main model.
        vae: A VAE of its own file; None means the one baked into the checkpoint.
        layers: Add-ons in the order in which they are laid on.
        plain_words: Names of embeddings that stand in the prompts and are read as mere text.
        prompts: What to draw.
        negative_prompts: What to avoid.
        seeds: Seed of each picture's noise.
        variation_seeds: Seed of each picture's variation noise.
        width: Pixels, a multiple of 8.
        height: Pixels, a multiple of 8.
        batch_size: How many pictures are denoised together.
        sampling: How noise becomes a latent picture.
        text: How prompts are read.
        noise: Where noise comes from.
        tiling: Draw a picture whose opposite edges join.
        token_merging: Share of tokens merged in self-attention (ToMe), 0 to 0.9.
        start: A picture to start from; None to start from noise.
        hires: A second, larger pass; None for one pass.
        refiner: A checkpoint that takes over on the way.
        extensions: What extensions do to the prompts, in this order.
        decode_again: In which number format a picture is decoded again that came out black or as
            not-a-number; empty for never.
        notes: What was settled differently from what was asked, for the person to read.
    """

    checkpoint: ModelRecord
    vae: ModelRecord | None = None
    layers: tuple[LayerUse, ...] = ()
    plain_words: tuple[str, ...] = ()
    prompts: tuple[str, ...]
    negative_prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    variation_seeds: tuple[int, ...]
    width: int
    height: int
    batch_size: int = 1
    sampling: SamplingPlan
    text: TextRules = field(default_factory=TextRules)
    noise: NoiseRules = field(default_factory=NoiseRules)
    tiling: bool = False
    token_merging: float = 0.0
    start: Start | None = None
    hires: Hires | None = None
    refiner: Refiner | None = None
    extensions: tuple[ExtensionUse, ...] = ()
    decode_again: DecodeAgain = "float32"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            SizeError: If a side is not a positive multiple of 8 pixels.
            RangeError: If the pictures and their seeds and texts do not pair up.
        """
        for side, pixels in (("width", self.width), ("height", self.height)):
            if pixels <= 0 or pixels % PIXELS_PER_LATENT:
                message = f"{side} is {pixels} pixels"
                raise SizeError(
                    message, hint="Use a positive multiple of 8, such as 512.", value=pixels
                )
        counts = {
            len(self.prompts),
            len(self.negative_prompts),
            len(self.seeds),
            len(self.variation_seeds),
        }
        if counts != {len(self.seeds)} or not self.seeds or self.batch_size < 1:
            message = f"{len(self.prompts)} prompts for {len(self.seeds)} seeds"
            raise RangeError(message, hint="Give one prompt and one seed per picture.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One denoising step has been taken.

    Attributes:
        number: Steps taken so far in this batch, from 1.
        total: Steps of this batch.
        batch: Which batch of the job, from 0.
        batches: Batches of the job.
        preview: Calling it returns the guess so far as PNG bytes; it costs time, so call it rarely.
    """

    number: int
    total: int
    batch: int
    batches: int
    preview: Callable[[], bytes]


Observer = Callable[[Step], None]
"""Called after each step; stops the job by raising ``StopDrawing`` or ``SkipBatch``."""


class StopDrawing(Exception):  # noqa: N818 - a signal of the observer, not an error
    """The observer asks to end the job; pictures that are done are kept."""


class SkipBatch(Exception):  # noqa: N818 - a signal of the observer, not an error
    """The observer asks to end this batch and go on with the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A finished picture.

    Attributes:
        index: Which picture of the plan, from 0.
        width: Pixels.
        height: Pixels.
        rgb: Rows from the top, three bytes a pixel.
        finished: False if the person stopped it before its last step.
        notes: What happened on the way that the person should know.
    """

    index: int
    width: int
    height: int
    rgb: bytes
    finished: bool = True
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- works that draw no pictures


Tell = Callable[[int, int, str], None]
"""Told how far a work is: number, total, and what it is at; stops the work by raising
``StopDrawing`` (end now, keep what is saved) or ``PauseWork``."""


class PauseWork(Exception):  # noqa: N818 - a signal like StopDrawing, not an error
    """Others wait: a work with ``YIELDS`` saves its state, lets this pass and is begun again."""


Precision = Literal["as it is", "fp32", "fp16", "bf16"]
"""Number format of a written file; "as it is" keeps each tensor's own."""

MergeMethod = Literal["weighted sum", "add difference", "no interpolation"]
"""``A (1 - M) + B M``, ``A + (B - C) M``, or A alone; A1111's three."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankRule:
    """How many dimensions a low-rank change keeps.

    Attributes:
        most: At most so many; 0 for no limit.
        by: ``sv_ratio`` keeps those whose singular value is at least the largest one divided by
            ``value``; ``sv_fro`` as many as hold this share of the Frobenius norm;
            ``sv_cumulative`` as many as hold this share of the sum. Empty for ``most`` alone.
        value: See ``by``.
    """

    most: int = 0
    by: Literal["", "sv_ratio", "sv_fro", "sv_cumulative"] = ""
    value: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MergePlan:
    """A checkpoint made of one, two or three others.

    Attributes:
        first: A.
        second: B; None without interpolation.
        third: C, for the difference.
        method: How they are mixed.
        share: M.
        blocks: M block by block, in the order BASE, IN00 to IN11, M00, OUT00 to OUT11; empty for
            the same everywhere.
        vae: A VAE file that takes the place of A's own.
        precision: Number format of the result.
        discard: Patterns with ``*`` and ``?``; tensors whose whole name fits one are left out.
        config: A yaml that is copied beside the result.
        texts: Whether the result says what it was made of, and keeps what the files say.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    first: ModelRecord
    second: ModelRecord | None = None
    third: ModelRecord | None = None
    method: MergeMethod = "weighted sum"
    share: float = 0.3
    blocks: tuple[float, ...] = ()
    vae: ModelRecord | None = None
    precision: Precision = "as it is"
    discard: tuple[str, ...] = ()
    config: Path | None = None
    texts: bool = True
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractPlan:
    """A LoRA that leads from one checkpoint to another.

    Attributes:
        base: Where it starts.
        tuned: Where it leads.
        rank: How many dimensions each layer gets.
        convolutions: Also carry residual blocks, as LoCon does.
        text: Also carry the text encoder.
        precision: Number format of the result; "as it is" is fp32.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    base: ModelRecord
    tuned: ModelRecord
    rank: RankRule
    convolutions: bool = False
    text: bool = True
    precision: Precision = "fp16"
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ResizePlan:
    """A LoRA with fewer dimensions.

    Attributes:
        lora: The file.
        rank: How many dimensions each layer keeps.
        precision: Number format of the result.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    lora: ModelRecord
    rank: RankRule
    precision: Precision = "as it is"
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class BakePlan:
    """Files of the LoRA family made part of a checkpoint.

    Attributes:
        checkpoint: The main model.
        loras: In the order in which they are laid on, with their strengths.
        precision: Number format of the result.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    checkpoint: ModelRecord
    loras: tuple[LayerUse, ...]
    precision: Precision = "as it is"
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinPlan:
    """Several LoRAs made one.

    Attributes:
        loras: The files with their strengths.
        rank: How many dimensions each layer keeps; without a limit the result is exact.
        precision: Number format of the result; "as it is" is fp32.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    loras: tuple[LayerUse, ...]
    rank: RankRule
    precision: Precision = "as it is"
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfoldPlan:
    """A linear hypernetwork written as what it adds to one checkpoint's keys and values.

    Attributes:
        hypernetwork: The file.
        checkpoint: The main model whose weights it acts on.
        strength: How strongly it acts.
        rank: How many dimensions each layer gets; without a limit the whole change is written.
        precision: Number format of the result; "as it is" is fp32.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    hypernetwork: ModelRecord
    checkpoint: ModelRecord
    strength: float = 1.0
    rank: RankRule
    precision: Precision = "as it is"
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertPlan:
    """One model file in another container, to the last bit.

    Attributes:
        source: The file.
        to: ``safetensors``, ``pt`` as A1111 reads it, or ``png``, a card that carries an embedding.
        picture: What a card shows; None for a plain ground.
        target: The new file.
    """

    YIELDS: ClassVar[bool] = False

    source: ModelRecord
    to: Literal["safetensors", "pt", "png"]
    picture: Path | None = None
    target: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainPlan:
    """One model file looked into: what it would change, from its tensors alone.

    Attributes:
        model: The file.
        checkpoint: What an add-on is held against; None to tell only what the file itself says.
        others: Checkpoints that a checkpoint is compared with.
        prompts: Texts that an aesthetic embedding is compared with.
        picture: PNG that a VAE is tried on; None for one drawn in code.
        projection: CLIP's way from text to the space of pictures, for aesthetic embeddings that
            were made of pictures; None if it is not here.
        pictures: Folder in which result pictures are kept, named by their content.
    """

    YIELDS: ClassVar[bool] = False

    model: ModelRecord
    checkpoint: ModelRecord | None = None
    others: tuple[ModelRecord, ...] = ()
    prompts: tuple[str, ...] = ()
    picture: Path | None = None
    projection: Path | None = None
    pictures: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class GuideStepPlan:
    """One turn of the training loop, shown: noise, predict, compare, correct.

    Attributes:
        kind: What is corrected.
        checkpoint: The painter.
        picture: PNG that is shown to it.
        caption: What is said of the picture.
        level: To which noise level the picture is brought, 0 to 999.
        side: Side in pixels of the square to which the picture is cut.
        seed: Decides the noise and how what is learned begins.
        pictures: Folder in which result pictures are kept, named by their content.
    """

    YIELDS: ClassVar[bool] = False

    kind: ModelKind
    checkpoint: ModelRecord
    picture: Path
    caption: str = ""
    level: int = 400
    side: int = 128
    seed: int = 0
    pictures: Path
