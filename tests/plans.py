"""A small plan for tests that need one but do not draw it."""

from pathlib import Path

from webui.modules.types import GenerationPlan, ModelKind, ModelRecord, SamplingPlan


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
