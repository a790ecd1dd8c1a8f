"""Pictures of one job take from each other what they have in common, and no pixel shows it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.plans import plan_of
from tests.tiny import ADD_ONS
from webui.modules.device import choose
from webui.modules.pipeline.engine import Engine
from webui.modules.pipeline.memory import Memory
from webui.modules.types import (
    GenerationPlan,
    Hires,
    LayerUse,
    ModelKind,
    ModelRecord,
    Picture,
    SamplingPlan,
    Step,
    StopDrawing,
)
from webui.services.ablation import parts_of, without

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS: Final = "a tiny-emb-st cat"
TAGS: Final = "<lora:tiny-lora:1><hypernet:tiny-hyper:1>"
SAMPLING: Final = SamplingPlan(sampler="Euler a", scheduler="automatic", steps=2, guidance=7.0)


def use(kind: ModelKind, folder: str, file: str) -> LayerUse:
    path = ADD_ONS / folder / file
    return LayerUse(model=ModelRecord(path=path, kind=kind, name=file), name=path.stem)


LAYERS: Final = (
    use(ModelKind.LORA, "models/Lora", "tiny-lora.safetensors"),
    use(ModelKind.HYPERNETWORK, "models/hypernetworks", "tiny-hyper.pt"),
    use(ModelKind.EMBEDDING, "embeddings", "tiny-emb-st.safetensors"),
)
VAE: Final = use(ModelKind.VAE, "models/VAE", "tiny-vae.safetensors").model


def dressed(tiny: ModelRecord, **changes: Any) -> GenerationPlan:
    values: dict[str, Any] = {
        "checkpoint": tiny, "vae": VAE, "layers": LAYERS, "prompts": (WORDS + TAGS,),
        "negative_prompts": ("blurry",), "width": 64, "height": 64, "sampling": SAMPLING,
    }  # fmt: skip
    return plan_of(**{**values, **changes})


def hires(upscaler: str) -> Hires:
    return Hires(
        width=96, height=96, scale=1.5, upscaler=upscaler, sampling=SAMPLING,
        prompts=(WORDS + TAGS,), negative_prompts=("blurry",),
    )  # fmt: skip


def fresh() -> Engine:
    return Engine(choose("cpu", "exact"))


def drawn(engine: Engine, plan: GenerationPlan, steps: list[Step] | None = None) -> Picture:
    (picture,) = engine.draw(plan, (steps if steps is not None else []).append)
    return picture


def calls(engine: Engine, tiny: ModelRecord, network: str) -> list[int]:
    """Return a list that grows with each call of a network."""
    counted: list[int] = []
    module = getattr(engine.load(tiny), network)
    module.register_forward_hook(lambda *_: counted.append(1))
    return counted


@pytest.fixture(scope="module")
def forgetful() -> Engine:
    """Give an engine that computes everything anew."""
    engine = fresh()
    engine._texts = Memory(0)
    return engine


def family(whole: GenerationPlan) -> Iterator[GenerationPlan]:
    """Yield the plans of a strip; with a second pass only those that differ in their end."""
    parts = parts_of(whole)
    for count in range(3 if whole.hires else 0, len(parts) + 1):
        yield without(whole, parts[count:])
    for part in parts[: 1 if whole.hires else -1]:
        yield without(whole, [part])


@pytest.mark.parametrize("second", ["", "Latent", "Lanczos"])
def test_the_pictures_of_a_strip_are_those_that_are_drawn_alone(
    second: str, tiny: ModelRecord, forgetful: Engine
) -> None:
    whole = dressed(tiny, hires=hires(second) if second else None)
    engine = fresh()

    with engine.sharing():
        together = [drawn(engine, plan).rgb for plan in family(whole)]
    alone = [drawn(forgetful, plan).rgb for plan in family(whole)]

    assert together == alone
    assert len(set(together)) == len(together)


@pytest.mark.parametrize("second", ["", "Latent", "Lanczos"])
def test_another_vae_walks_no_step_again_that_it_does_not_act_on(
    second: str, tiny: ModelRecord
) -> None:
    whole = dressed(tiny, hires=hires(second) if second else None)
    engine = fresh()
    asked = calls(engine, tiny, "unet")
    steps: list[Step] = []

    with engine.sharing():
        drawn(engine, dataclasses.replace(whole, vae=None))
        before = len(asked)
        drawn(engine, whole, steps)

    walked_again = before - SAMPLING.steps if second == "Lanczos" else 0
    assert len(asked) - before == walked_again
    assert steps[-1].number == steps[-1].total


def test_a_job_takes_nothing_from_the_job_before(tiny: ModelRecord) -> None:
    engine = fresh()
    asked = calls(engine, tiny, "unet")

    for _ in range(2):
        with engine.sharing():
            drawn(engine, dressed(tiny))
    drawn(engine, dressed(tiny))

    assert len(asked) == 3 * SAMPLING.steps


def test_a_walk_that_was_stopped_is_walked_again(tiny: ModelRecord, forgetful: Engine) -> None:
    engine, plan = fresh(), dressed(tiny)

    def stop(step: Step) -> None:
        if step.number == 1:
            raise StopDrawing

    with engine.sharing():
        (half,) = engine.draw(plan, stop)
        whole = drawn(engine, plan)

    assert not half.finished
    assert whole == drawn(forgetful, plan)


def test_a_shared_walk_can_still_be_stopped(tiny: ModelRecord) -> None:
    engine, plan = fresh(), dressed(tiny)

    def stop(_step: Step) -> None:
        raise StopDrawing

    with engine.sharing():
        drawn(engine, dataclasses.replace(plan, vae=None))
        (picture,) = engine.draw(plan, stop)

    assert not picture.finished


def test_texts_are_encoded_once_while_words_and_encoder_stay_the_same(tiny: ModelRecord) -> None:
    engine, plan = fresh(), dressed(tiny, layers=())
    asked = calls(engine, tiny, "text")

    def encoded(changed: GenerationPlan) -> int:
        before = len(asked)
        drawn(engine, changed)
        return len(asked) - before

    assert encoded(plan) == 3  # the prompt, the negative prompt, the empty text
    assert encoded(dataclasses.replace(plan, seeds=(8,), layers=LAYERS[1:2])) == 0
    assert encoded(dataclasses.replace(plan, negative_prompts=("dull",))) == 1
    assert encoded(dataclasses.replace(plan, layers=LAYERS[2:])) == 1  # the word alone is another
    text = dataclasses.replace(plan.text, clip_skip=2)
    assert encoded(dataclasses.replace(plan, text=text)) == 3
    assert encoded(dataclasses.replace(plan, layers=LAYERS[:1])) == 3  # another encoder
    only_network = dataclasses.replace(LAYERS[0], text_weight=0.0)
    assert encoded(dataclasses.replace(plan, layers=(only_network,))) == 0
    assert encoded(plan) == 0


def test_a_checkpoint_that_was_laid_aside_says_its_texts_anew(tiny: ModelRecord) -> None:
    engine, plan = fresh(), dressed(tiny, layers=())
    drawn(engine, plan)
    engine.release()
    asked = calls(engine, tiny, "text")

    drawn(engine, plan)

    assert len(asked) == 3
