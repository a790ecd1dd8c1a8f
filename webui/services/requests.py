"""What people ask for, in their own words: names unresolved, numbers as typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    save: bool = True
