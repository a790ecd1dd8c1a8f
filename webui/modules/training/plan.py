"""What a training is: which kind, from which pictures, by which rules. Frozen, complete, no torch.

Nothing in a plan is None or "automatic" that a training would have to guess: equal plans on equal
pictures give equal files, bit for bit on one thread.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal

from webui.modules.types import GenerationPlan, ModelKind, ModelRecord

TRAINABLE: Final = (
    ModelKind.CHECKPOINT,
    ModelKind.EMBEDDING,
    ModelKind.LORA,
    ModelKind.HYPERNETWORK,
    ModelKind.VAE,
    ModelKind.AESTHETIC,
)
"""What can be trained, in the order in which the guide tells of it."""

LatentSampling = Literal["once", "deterministic", "random"]
"""How a picture's latents are drawn from what the autoencoder thinks possible: one draw for the
whole training, the mean, or a new draw each time."""

RateShape = Literal["constant", "linear", "cosine", "restarts"]
"""How the learning rate goes on after its warm-up."""

LoraMethod = Literal["lora", "loha", "lokr", "dora"]
"""Which kind of change a file of the LoRA family is made of."""

Targets = Literal["attention", "transformer"]
"""Which layers a LoRA changes: the attention's alone, or all of the transformer blocks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPlan:
    """The pictures and what is said of them.

    Attributes:
        folder: Pictures, each with a same-stem ``.txt`` that describes it.
        regular: Pictures of the wider class that must not be forgotten (prior preservation,
            arXiv:2208.12242, section 3.2); None for none.
        regular_weight: Of their loss.
        resolution: Side of the square that has as many pixels as each picture gets.
        buckets: Keep each picture's proportions, near enough; otherwise all are cut square.
        bucket_step: Pixels of which every side is a multiple; 8 to 64.
        flip: Show each picture mirrored half of the time.
        repeats: How often each picture comes in one round.
        template: One line or several of which one is chosen each time; ``[filewords]`` is what is
            said of the picture, ``[name]`` the name of what is trained.
        trigger: Word that is put before what is said of every picture; may be empty.
        shuffle_tags: Bring what stands between commas into another order each time.
        keep_tags: So many of them stay in front.
        drop_tags: Share of them that is left out each time.
        drop_captions: Share of the times at which nothing is said, for guidance (CFG) later.
        masks: What is transparent in a picture, or black in ``NAME.mask.png`` beside it, counts
            less.
        held_out: Share of the pictures that is kept out of the training to measure with.
    """

    folder: Path
    regular: Path | None = None
    regular_weight: float = 1.0
    resolution: int = 512
    buckets: bool = True
    bucket_step: int = 64
    flip: bool = False
    repeats: int = 1
    template: tuple[str, ...] = ("[filewords]",)
    trigger: str = ""
    shuffle_tags: bool = False
    keep_tags: int = 0
    drop_tags: float = 0.0
    drop_captions: float = 0.0
    masks: bool = False
    held_out: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisePlan:
    """What is done with noise, and how much each noise level counts.

    Attributes:
        first: Lowest noise level that is trained, 0 to 999.
        last: Highest one.
        min_snr: Levels with less noise than this signal-to-noise ratio count less (Hang et al.
            2023, arXiv:2303.09556); 0 counts all alike.
        offset: Share of noise that is one number for each channel of a picture.
        pyramid: So many coarser layers of noise are added.
        pyramid_discount: Factor from each of them to the next coarser.
        zero_terminal: The highest level has no signal at all (arXiv:2305.08891, algorithm 1).
        latents: How a picture's latents are drawn.
    """

    first: int = 0
    last: int = 999
    min_snr: float = 0.0
    offset: float = 0.0
    pyramid: int = 0
    pyramid_discount: float = 0.3
    zero_terminal: bool = False
    latents: LatentSampling = "random"


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectionPlan:
    """How what is learned is corrected.

    Attributes:
        optimiser: Name in ``optimisers.OPTIMISERS``.
        rate: Learning rate, or A1111's schedule such as ``0.005:100, 1e-3``.
        text_rate: Factor on it for the text encoder's part.
        shape: How it goes on after the warm-up.
        warm_up: Steps over which it rises from nothing.
        restarts: How often the shape "restarts" begins anew.
        weight_decay: Share that every weight loses in a step, times the rate.
        clip: Longest gradient; 0 for no limit.
        accumulate: So many batches are compared before one correction.
        average: Decay of the running average that is saved instead of the last weights; 0 for none.
        save_memory: Compute parts of the network twice instead of remembering them.
        offload: Let networks at rest, and what is remembered for the backward pass, lie in main
            memory; for graphics cards with little of their own.
    """

    optimiser: str = "AdamW"
    rate: str = "1e-4"
    text_rate: float = 1.0
    shape: RateShape = "constant"
    warm_up: int = 0
    restarts: int = 1
    weight_decay: float = 0.01
    clip: float = 1.0
    accumulate: int = 1
    average: float = 0.0
    save_memory: bool = False
    offload: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchPlan:
    """What is kept and shown while it goes on.

    Attributes:
        save_every: Steps from one safe state to the next; what can be used lies beside it.
        keep: So many of the files in between are kept.
        sample_every: Steps from one set of sample pictures to the next; 0 for none.
        sample: What they show: drawn by the painter as it is then; None for none. Whatever
            ``sample_every`` is, the end is drawn, so that the file has a picture beside it.
        measure_every: Steps from one measurement on fixed noise to the next; 0 for none.
    """

    save_every: int = 100
    keep: int = 10
    sample_every: int = 100
    sample: GenerationPlan | None = None
    measure_every: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraPlan:
    """A file of the LoRA family.

    Attributes:
        method: Which kind of change.
        rank: Dimensions of each change.
        alpha: The change counts ``alpha / rank``.
        conv_rank: Dimensions for the 3 x 3 convolutions, which makes a LoRA a LoCon; 0 for none.
        targets: Which layers.
        unet: Change the denoising network.
        text: Change the text encoder.
        dropout: Share of a change's inputs that is left out at random.
        blocks: Factors on the rate of single blocks, such as ``("IN04", 0.5)``; see
            ``layers/blocks.py``. A block with the factor 0 stays as it is.
        ranks: Factors on the dimensions of single blocks, likewise.
    """

    method: LoraMethod = "lora"
    rank: int = 16
    alpha: float = 16.0
    conv_rank: int = 0
    targets: Targets = "transformer"
    unet: bool = True
    text: bool = True
    dropout: float = 0.0
    blocks: tuple[tuple[str, float], ...] = ()
    ranks: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingPlan:
    """A learned word, or, for an aesthetic embedding, what such a word says as a whole.

    Attributes:
        vectors: How many.
        words: Their first values are those of this text; nothing begins at zero.
    """

    vectors: int = 1
    words: str = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class HypernetworkPlan:
    """Small networks before keys and values.

    Attributes:
        widths: Of what they change; empty for all that this checkpoint reads.
        structure: Factors on the width from layer to layer; the first and last are 1.
        activation: A1111's name of it.
        layer_norm: Normalise behind each layer.
        dropout: Share of each layer's outputs left out at random; empty for none.
        weights: How they begin: A1111's "Normal", "KaimingUniform" and so on.
    """

    widths: tuple[int, ...] = ()
    structure: tuple[float, ...] = (1.0, 2.0, 1.0)
    activation: str = "linear"
    layer_norm: bool = False
    dropout: tuple[float, ...] = ()
    weights: str = "Normal"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointPlan:
    """The whole painter, or parts of it.

    Attributes:
        unet: Correct the denoising network.
        text: Correct the text encoder.
        half: Save in 16 bits.
    """

    unet: bool = True
    text: bool = False
    half: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class VaePlan:
    """The autoencoder's decoder.

    Attributes:
        absolute: Weight of the mean absolute difference.
        square: Weight of the mean squared difference.
        edges: Weight of the differences between neighbouring pixels, which keeps edges sharp.
        half: Save in 16 bits.
    """

    absolute: float = 1.0
    square: float = 0.5
    edges: float = 0.5
    half: bool = False


What = LoraPlan | EmbeddingPlan | HypernetworkPlan | CheckpointPlan | VaePlan


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """A whole training.

    Attributes:
        kind: What is trained.
        name: Of the finished file, without its ending.
        base: The checkpoint that it is trained on.
        vae: Instead of the checkpoint's own autoencoder.
        run: Folder in which the training keeps its state, pictures and log.
        out: Where the finished file goes.
        data: The pictures.
        what: What is corrected, fitting ``kind``.
        noise: What is done with noise.
        correction: How it is corrected.
        watch: What is kept and shown.
        steps: Corrections.
        batch_size: Pictures that are compared together.
        clip_skip: Layer of the text encoder that is read, counted from the end.
        seed: Decides everything that is random.
    """

    YIELDS: ClassVar[bool] = True

    kind: ModelKind
    name: str
    base: ModelRecord
    vae: ModelRecord | None = None
    run: Path
    out: Path
    data: DataPlan
    what: What
    noise: NoisePlan = field(default_factory=NoisePlan)
    correction: CorrectionPlan = field(default_factory=CorrectionPlan)
    watch: WatchPlan = field(default_factory=WatchPlan)
    steps: int = 500
    batch_size: int = 1
    clip_skip: int = 1
    seed: int = 0

    @property
    def group(self) -> int:
        """Pictures that go into one correction."""
        return self.batch_size * self.correction.accumulate


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurePlan:
    """A few real steps of a training, to know how long the whole of it will take.

    Attributes:
        plan: The training.
        place: A folder that is made for this and removed.
        file: Where what is measured is kept, by key.
        key: Tells what decides about the speed.
    """

    YIELDS: ClassVar[bool] = False

    plan: TrainingPlan
    place: Path
    file: Path
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionPlan:
    """Captions that an extension proposes for pictures that have none.

    Attributes:
        folder: The pictures.
        by: Name of the extension.
    """

    YIELDS: ClassVar[bool] = False

    folder: Path
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BeginPlan:
    """The file of a training before its first step, as A1111's "Create" tabs make it.

    Attributes:
        plan: The training.
    """

    YIELDS: ClassVar[bool] = False

    plan: TrainingPlan
