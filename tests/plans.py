"""Plans for tests that need some but do not draw them: a small one, and any one at all."""

from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

from hypothesis import strategies as st

from webui.modules.sampling.catalogue import SAMPLERS, SCHEDULERS, settle_scheduler
from webui.modules.types import (
    Emphasis,
    GenerationPlan,
    Hires,
    Inpainting,
    InputPicture,
    MaskedContent,
    ModelKind,
    ModelRecord,
    NoiseRules,
    NoiseSource,
    Refiner,
    RefinerPass,
    ResizeMode,
    SamplingPlan,
    SoftInpainting,
    Start,
    TextRules,
)


def plan_of(**changes: object) -> GenerationPlan:
    """Return a plan for one picture, with some fields changed."""
    checkpoint = ModelRecord(
        path=Path("tiny-sd1.safetensors"),
        kind=ModelKind.CHECKPOINT,
        name="tiny-sd1.safetensors",
        sha256="8244b8ddea" + 54 * "0",
    )
    values: dict[str, object] = {
        "checkpoint": checkpoint,
        "prompts": ("a cat",),
        "negative_prompts": ("",),
        "seeds": (7,),
        "variation_seeds": (1,),
        "width": 128,
        "height": 64,
        "sampling": SamplingPlan(sampler="Euler", scheduler="automatic", steps=8, guidance=7.0),
    }
    return GenerationPlan(**{**values, **changes})  # pyright: ignore[reportArgumentType] - fields by name


# ------------------------------------------------------------------------ any plan at all

LINES: Final = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.sampled_from(
        ["Negative prompt: b", "Steps: 1, Seed: 2, Size: 8x8", "(a:1.2) [b|c]", "a, b"]
    ),
)
"""Lines of prompts, among them those that look like a part of a settings text."""

PROMPTS: Final = st.lists(LINES, max_size=3).map("\n".join)
NAMES: Final = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\."),
    min_size=1,
    max_size=12,
)
SHARES: Final = st.sampled_from([0.0, 0.1, 0.35, 1.0])
NUMBERS: Final = st.floats(0.001, 9, allow_nan=False)


def records() -> st.SearchStrategy[ModelRecord]:
    """Return any checkpoint, by name and hash."""
    return st.builds(
        lambda name, sha256, family: ModelRecord(
            path=Path(f"{name}.ckpt"),
            kind=ModelKind.CHECKPOINT,
            family=family,
            name=f"{name}.ckpt",
            sha256=sha256,
        ),
        name=NAMES,
        sha256=st.sampled_from(["", "0123456789ab" + 52 * "0"]),
        family=st.sampled_from(["sd1", "sd1-inpainting", "sd1-instruct"]),
    )


@st.composite
def samplings(draw: st.DrawFn, steps: int | None = None) -> SamplingPlan:
    """Return any way to walk."""
    sampler = draw(st.sampled_from(SAMPLERS))
    scheduler = settle_scheduler(sampler, draw(st.sampled_from(SCHEDULERS)))
    return SamplingPlan(
        sampler=sampler.label,
        scheduler=scheduler.name,
        steps=draw(st.integers(1, 150)) if steps is None else steps,
        guidance=draw(st.floats(0, 30, allow_subnormal=False)),
        eta=draw(SHARES),
        eta_ddim=draw(SHARES),
        s_churn=draw(SHARES),
        s_tmin=draw(SHARES),
        s_tmax=draw(st.sampled_from([float("inf"), 8.0])),
        s_noise=draw(st.sampled_from([1.0, 1.003])),
        sigma_min=draw(SHARES),
        rho=draw(st.sampled_from([0.0, 3.0])) if scheduler.default_rho > 0 else 0.0,
        beta_alpha=draw(NUMBERS),
        discard_next_to_last_sigma=draw(st.booleans()),
        quantize=draw(st.booleans()),
        zero_terminal_snr=draw(st.booleans()),
        downcast_levels=draw(st.booleans()),
        unipc_order=draw(st.integers(1, 3)),
        skip_uncond_below=draw(SHARES),
        skip_uncond_until=draw(SHARES),
        pad_with_empty=draw(st.booleans()),
        pad_or_cut=draw(st.booleans()),
    )


def given_pictures() -> st.SearchStrategy[InputPicture]:
    """Return any picture that somebody gave."""
    return st.just(InputPicture(path=Path("given.png"), sha256=64 * "0", width=64, height=64))


def maskings() -> st.SearchStrategy[Inpainting]:
    """Return any way to draw a part anew."""
    soft = st.builds(
        SoftInpainting, schedule_bias=NUMBERS, preservation=NUMBERS, mask_influence=SHARES
    )
    return st.builds(
        Inpainting,
        mask=given_pictures(),
        invert=st.booleans(),
        blur=st.tuples(st.integers(0, 64), st.integers(0, 64)),
        content=st.sampled_from(get_args(MaskedContent)),
        only_masked=st.booleans(),
        padding=st.integers(0, 256),
        rounded=st.booleans(),
        overlay=st.booleans(),
        weight=SHARES,
        soft=st.none() | soft,
    )


def starts() -> st.SearchStrategy[Start]:
    """Return any picture to start from, and how."""
    return st.builds(
        Start,
        pictures=st.tuples(given_pictures()),
        resize=st.sampled_from(get_args(ResizeMode)),
        denoising=SHARES,
        every_step=st.booleans(),
        noise_multiplier=st.sampled_from([1.0, 0.9]),
        extra_noise=SHARES,
        image_guidance=NUMBERS,
        background=st.sampled_from(["#ffffff", "#102030"]),
        color_correction=st.booleans(),
        inpainting=st.none() | maskings(),
    )


@st.composite
def second_passes(draw: st.DrawFn, first: SamplingPlan, prompt: str, negative: str) -> Hires:
    """Return any second pass that can be asked for after this first one."""
    another = draw(samplings())
    sampling = replace(
        first, sampler=another.sampler, scheduler=another.scheduler, steps=another.steps
    )
    factor = draw(st.booleans())
    return Hires(
        width=256,
        height=128,
        scale=draw(NUMBERS) if factor else 0.0,
        resize=(0, 0) if factor else draw(st.sampled_from([(256, 128), (256, 0), (0, 128)])),
        upscaler=draw(st.sampled_from(["Latent", "Latent (nearest)"]) | NAMES),
        denoising=draw(SHARES),
        sampling=draw(st.sampled_from([first, sampling])),
        checkpoint=draw(st.none() | records()),
        prompts=(draw(st.just(prompt) | PROMPTS.filter(str.strip)),),
        negative_prompts=(draw(st.just(negative) | PROMPTS.filter(str.strip)),),
        extra_noise=draw(SHARES),
        token_merging=draw(SHARES),
    )


@st.composite
def plans(draw: st.DrawFn) -> GenerationPlan:
    """Return any plan for one picture that a request can lead to."""
    prompt, negative, sampling = draw(PROMPTS), draw(PROMPTS), draw(samplings())
    passes = draw(st.sampled_from(["one", "picture", "hires"]))
    refiner = st.builds(
        Refiner,
        checkpoint=records(),
        switch_at=st.sampled_from([0.01, 0.8, 1.0]),
        by_steps=st.booleans(),
        during=st.sampled_from(get_args(RefinerPass))
        if passes == "hires"
        else st.just("second pass"),
    )
    return plan_of(
        checkpoint=draw(records()),
        vae=draw(st.none() | records()),
        prompts=(prompt,),
        negative_prompts=(negative,),
        seeds=(draw(st.integers(0, 2**62)),),
        variation_seeds=(draw(st.integers(0, 2**32)),),
        sampling=sampling,
        text=draw(
            st.builds(
                TextRules,
                clip_skip=st.integers(1, 12),
                emphasis=st.sampled_from(get_args(Emphasis)),
                comma_backtrack=st.integers(0, 74),
            )
        ),
        noise=draw(
            st.builds(
                NoiseRules,
                source=st.sampled_from(get_args(NoiseSource)),
                variation=SHARES,
                resize_from=st.sampled_from([(0, 0), (64, 512)]),
                seed_delta=st.integers(0, 99999),
            )
        ),
        tiling=draw(st.booleans()),
        token_merging=draw(SHARES),
        start=draw(starts()) if passes == "picture" else None,
        hires=draw(second_passes(sampling, prompt, negative)) if passes == "hires" else None,
        refiner=draw(st.none() | refiner),
    )
