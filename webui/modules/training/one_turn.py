"""One turn of the loop on one picture, with everything shown: for people who want to see it once.

The four boxes are those of every training (``loop.py``); the painter is a copy of its own, and
nothing of what is corrected is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import Tensor

from webui.modules.device import Device
from webui.modules.errors import UnsupportedError
from webui.modules.layers.explain_help import keep_picture
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.predict import TextPredictor, decode
from webui.modules.text.learned import LearnedWords
from webui.modules.training import denoising, reconstruction
from webui.modules.training.buckets import Size, Turn
from webui.modules.training.chance import layers_by_chance
from webui.modules.training.kinds import Seen, course_of, in_32_bits, learned_of, painter_of
from webui.modules.training.latents import Encoder, LatentCache, prepared, shard_file
from webui.modules.training.learned import Learned
from webui.modules.training.objective import Levels, levels
from webui.modules.training.optimisers import Corrector
from webui.modules.training.pictures import Example
from webui.modules.training.plan import (
    TRAINABLE,
    CheckpointPlan,
    CorrectionPlan,
    DataPlan,
    EmbeddingPlan,
    HypernetworkPlan,
    LoraPlan,
    NoisePlan,
    TrainingPlan,
    VaePlan,
    What,
)
from webui.modules.training.rates import rate_at
from webui.modules.training.texts import Texts
from webui.modules.types import GuideStepPlan, ModelKind, Tell
from webui.modules.weights.write import write_safetensors

BOXES: Final = ("painter", "noise", "predict", "compare", "correct", "kinds")
"""What is told while it goes on."""

WORD: Final = "guide"
"""What is learned is called so, where it needs a name."""

RATES: Final[Mapping[ModelKind, str]] = {
    ModelKind.CHECKPOINT: "1e-5",
    ModelKind.EMBEDDING: "5e-3",
    ModelKind.LORA: "1e-3",
    ModelKind.HYPERNETWORK: "1e-4",
    ModelKind.VAE: "1e-5",
    ModelKind.AESTHETIC: "5e-3",
}
"""How far one correction goes for each kind."""

PLANS: Final[Mapping[ModelKind, What]] = {
    ModelKind.CHECKPOINT: CheckpointPlan(text=True),
    ModelKind.EMBEDDING: EmbeddingPlan(vectors=2),
    ModelKind.LORA: LoraPlan(),
    ModelKind.HYPERNETWORK: HypernetworkPlan(),
    ModelKind.VAE: VaePlan(),
    ModelKind.AESTHETIC: EmbeddingPlan(),
}
"""A usual training of each kind."""

AMPLIFIED: Final = 2.0
"""So much the difference is brightened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scene:
    """The painter and what is shown to it."""

    plan: TrainingPlan
    base: Checkpoint
    device: Device
    example: Example
    size: Size
    cache: LatentCache


def one_turn(plan: GuideStepPlan, device: Device, tell: Tell) -> dict[str, object]:
    """Noise, predict, compare and correct once.

    Args:
        plan: The picture, the kind and the noise level.
        device: Where.
        tell: Hears which box it is at.

    Returns:
        ``pictures``: names of the ``picture``, the ``noised`` one, the painter's ``guess`` of the
        picture, and the ``difference``; ``loss`` before and ``after`` the correction; ``moved``:
        for each part how many ``tensors`` there are, how many ``moved``, and their ``numbers``;
        and ``kinds``: for each kind of training how much of what it would correct.

    Raises:
        UnsupportedError: If this kind is not trained.
        ModelError: If the checkpoint cannot be trained.
        PictureError: If the picture cannot be read.
    """
    if plan.kind not in TRAINABLE:
        message = f"a file of the kind {plan.kind} is not trained"
        raise UnsupportedError(message, hint=f"Choose one of {', '.join(TRAINABLE)}.")
    device = in_32_bits(device)
    tell(0, len(BOXES), BOXES[0])
    base = painter_of(plan.checkpoint, device)
    with TemporaryDirectory(prefix="atelier-guide-") as folder:
        scene = _scene(plan, base, device, Path(folder))
        learned = learned_of(scene.plan, base)
        with device.threads_for(base.unet), learned.worn() as words:
            turned = _turned(plan, scene, learned, words, tell)
    tell(5, len(BOXES), BOXES[5])
    return {
        "kind": plan.kind.value,
        "checkpoint": plan.checkpoint.name,
        "level": plan.level,
        **turned,
        "kinds": [_weighed(usual, base) for usual in _usual(scene.plan)],
    }


def _turned(
    plan: GuideStepPlan, scene: _Scene, learned: Learned, words: LearnedWords, tell: Tell
) -> dict[str, object]:
    layer = TextPredictor(scene.base, scene.device)
    texts = Texts(layer, scene.plan.clip_skip, words, changing=learned.changes_text)
    seen = Seen([(scene.example, scene.size)], scene.cache)
    course = course_of(scene.plan, seen, scene.base, texts, scene.device)
    factors = dict.fromkeys(learned.parameters, 1.0)
    corrector = Corrector(learned.parameters, factors, scene.plan.correction)
    with layers_by_chance(plan.seed, 0):
        tell(1, len(BOXES), BOXES[1])
        sample = course.noise([Turn(example=0, number=0)])

        tell(2, len(BOXES), BOXES[2])
        guess = course.predict(sample)

        tell(3, len(BOXES), BOXES[3])
        loss = course.compare(guess, sample).sum()
        loss.backward()  # pyright: ignore[reportUnknownMemberType] - untyped in torch

        tell(4, len(BOXES), BOXES[4])
        moved = _moved(plan.kind, learned)
        corrector.correct(rate_at(scene.plan.correction, 0, 1))
        with torch.no_grad():
            after = course.compare(course.predict(sample), sample).sum()
    return {
        "pictures": _pictures(plan, scene, sample, guess.detach()),
        "loss": float(loss.detach()),
        "after": float(after),
        "moved": moved,
    }


def _scene(plan: GuideStepPlan, base: Checkpoint, device: Device, folder: Path) -> _Scene:
    named = plan.kind in (ModelKind.EMBEDDING, ModelKind.AESTHETIC)
    training = TrainingPlan(
        kind=plan.kind,
        name=WORD,
        base=plan.checkpoint,
        run=folder,
        out=folder / "nothing",
        data=DataPlan(
            folder=folder, template=("[name], [filewords]",) if named else ("[filewords]",)
        ),
        what=PLANS[plan.kind],
        noise=NoisePlan(first=plan.level, last=plan.level, latents="deterministic"),
        correction=CorrectionPlan(
            # Adafactor remembers little, and the whole painter is large.
            optimiser="Adafactor" if plan.kind is ModelKind.CHECKPOINT else "AdamW",
            rate=RATES[plan.kind],
            weight_decay=0.0,
        ),
        steps=1,
        seed=plan.seed,
    )
    size = (plan.side, plan.side)
    example = Example(path=plan.picture, caption=plan.caption, size=size, digest="")
    pixels, _ = prepared(example, size)
    kept = Encoder(vae=base.vae, device=device, source="").encoded("0", pixels, None)
    shard_file(folder, 0).parent.mkdir(parents=True)
    write_safetensors(shard_file(folder, 0), kept, {})
    return _Scene(
        plan=training,
        base=base,
        device=device,
        example=example,
        size=size,
        cache=LatentCache(folder),
    )


def _levels(scene: _Scene) -> Levels:
    base = scene.base
    return levels(base.alphas_cumprod, base.architecture.prediction, scene.plan.noise)


@torch.no_grad()
def _pictures(plan: GuideStepPlan, scene: _Scene, sample: Any, guess: Tensor) -> dict[str, str]:
    """Keep the four pictures and return their names."""
    clean, _ = prepared(scene.example, scene.size)
    if isinstance(sample, denoising.Sample):
        drawn = clean_latents(sample, guess.cpu(), _levels(scene))
        noised, guessed = (_decoded(each, scene) for each in (sample.noisy, drawn))
    else:
        noised, guessed = _as_colours(sample), guess[0].cpu()
    difference = (guessed.clamp(-1, 1) - clean).abs() * AMPLIFIED - 1
    shown = {"picture": clean, "noised": noised, "guess": guessed, "difference": difference}
    return {name: keep_picture(plan.pictures, pixels) for name, pixels in shown.items()}


def clean_latents(sample: denoising.Sample, guess: Tensor, by: Levels) -> Tensor:
    """Return the picture that an answer means: noise is taken away, or velocity followed back.

    The first is equation 15 of Ho et al. 2020 (arXiv:2006.11239), the second appendix D of
    Salimans and Ho 2022 (arXiv:2202.00512).
    """
    kept = by.kept[sample.times][:, None, None, None]
    signal, blur = kept.sqrt(), (1 - kept).sqrt()
    if by.prediction == "epsilon":
        return (sample.noisy - blur * guess) / signal
    return signal * sample.noisy - blur * guess


def _decoded(latents: Tensor, scene: _Scene) -> Tensor:
    unscaled = latents.to(scene.device.torch) / scene.base.architecture.scale
    return decode(scene.base.vae, unscaled, scene.device)[0].cpu()


def _as_colours(sample: reconstruction.Sample) -> Tensor:
    """Show three channels of latents as red, green and blue: what a decoder is given."""
    latents = sample.latents[:1, :3].cpu()
    scaled = latents / latents.abs().amax().clamp(min=1e-6)
    return torch.nn.functional.interpolate(scaled, size=sample.truth.shape[2:])[0]


def _moved(kind: ModelKind, learned: Learned) -> list[dict[str, object]]:
    """Return what of each part moves: without weight decay, what has a gradient."""
    parts: dict[str, dict[str, int]] = {}
    for name, parameter in learned.parameters.items():
        part = parts.setdefault(_part(kind, name), {"tensors": 0, "moved": 0, "numbers": 0})
        part["tensors"] += 1
        part["moved"] += int(parameter.grad is not None and bool(parameter.grad.any()))
        part["numbers"] += parameter.numel()
    return [{"part": part, **counted} for part, counted in parts.items()]


def _usual(plan: TrainingPlan) -> list[TrainingPlan]:
    """Return a usual training of each kind."""
    return [replace(plan, kind=kind, what=PLANS[kind]) for kind in TRAINABLE]


def _weighed(plan: TrainingPlan, base: Checkpoint) -> dict[str, object]:
    """Return how much a training corrects, and how much that is beside the painter."""
    parameters = learned_of(plan, base).parameters
    numbers = sum(each.numel() for each in parameters.values())
    networks = (base.unet, base.text, base.vae)
    whole = sum(each.numel() for network in networks for each in network.parameters())
    return {
        "kind": plan.kind.value,
        "tensors": len(parameters),
        "numbers": numbers,
        "share": numbers / whole,
    }


def _part(kind: ModelKind, name: str) -> str:
    """Return to which part of the painter a learned tensor belongs."""
    match kind:
        case ModelKind.CHECKPOINT:
            return name.partition(".")[0]
        case ModelKind.LORA:
            return "text" if name.startswith("lora_te") else "unet"
        case ModelKind.HYPERNETWORK:
            return "keys" if name.split(".")[1] == "0" else "values"
        case ModelKind.VAE:
            return "vae"
        case _:
            return "words"
