"""Aesthetic gradients: each step points more at the embedding, and nothing of it stays behind."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from webui.extensions import aesthetic_gradients
from webui.extensions.aesthetic_gradients import CLIP, POOLED, PROJECTION, SPACE, worker
from webui.hooks.spec import Asked, FileFacts
from webui.modules.conditioning import Reworked, TextChunk
from webui.modules.errors import UnsupportedError, UnsupportedModelError
from webui.modules.networks.checkpoint import Checkpoint
from webui.modules.networks.predict import TextPredictor
from webui.modules.networks.text_copy import TrainableText
from webui.modules.pipeline.engine import Engine
from webui.modules.pipeline.memory import TEXTS, Memory, mark_of
from webui.modules.pipeline.reworking import Reworking
from webui.modules.text.encode import TextEncoder
from webui.modules.text.learned import LearnedWords
from webui.modules.text.prompt import Clock
from webui.modules.types import ExtensionUse, ModelKind, ModelRecord, SettingValue, TextRules

WIDTH = 64
"""Of the tiny checkpoint's text encoder."""

CAT = torch.tensor([[49406, 320, 2368, *[49407] * 74]])


@pytest.fixture(scope="module")
def checkpoint(engine: Engine, tiny: ModelRecord) -> Checkpoint:
    return engine.load(tiny)


@pytest.fixture(scope="module")
def mood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aesthetic") / "mood.safetensors"
    save_file({"aesthetic": direction(1)}, path, metadata={SPACE: POOLED})
    return path


def direction(seed: int, width: int = WIDTH) -> Tensor:
    return torch.randn(1, width, generator=torch.Generator().manual_seed(seed))


def use_of(path: Path, **settings: SettingValue) -> ExtensionUse:
    usual = {each.name: each.value for each in aesthetic_gradients.section().settings}
    record = ModelRecord(path=path, kind=ModelKind.AESTHETIC, name=path.name)
    return ExtensionUse(
        name="aesthetic_gradients",
        settings=tuple({**usual, "embedding": path.stem, **settings}.items()),
        models=(("embedding", record),),
    )


class Directly:
    """The step itself, without the isolation around extensions."""

    def __call__(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        return worker.condition(use, chunk)

    def faults(self) -> dict[str, str]:
        return {}


def encoder(
    engine: Engine,
    checkpoint: Checkpoint,
    *uses: ExtensionUse,
    rules: TextRules | None = None,
    learned: LearnedWords | None = None,
) -> TextEncoder:
    mark = mark_of(checkpoint, ())
    rework = Reworking(Directly(), uses).of(checkpoint, engine.device, mark, Memory(0))
    layer = TextPredictor(checkpoint, engine.device)
    return TextEncoder(layer, rules or TextRules(), learned or LearnedWords(), rework)


def wanted(encoder: TextEncoder, prompt: str) -> Tensor:
    return encoder.condition([prompt], [""], Clock(steps=2)).wanted[0].parts[0].rows


@given(
    seed=st.integers(0, 1000),
    steps=st.integers(1, 6),
    rate=st.sampled_from([1e-5, 1e-4, 1e-3]),
    projected=st.booleans(),
)
@settings(max_examples=8)
def test_each_step_points_more_at_the_embedding(engine, checkpoint, seed, steps, rate, projected):
    projection = direction(seed + 1, 32 * WIDTH).reshape(32, WIDTH) if projected else None
    aim = worker.Aim(direction=direction(seed, 32 if projected else WIDTH), projection=projection)
    copy = TrainableText(checkpoint, engine.device)

    risen = list(worker.tuning(copy, CAT, aim, steps=steps, rate=rate))
    risen.append(float(aim.similarity(copy.pooled(CAT)).mean().detach()))

    assert len(risen) == steps + 1
    assert all(after > before for before, after in pairwise(risen)), risen


@pytest.mark.parametrize("without", [{"steps": 0}, {"weight": 0.0}, {"learning_rate": 0.0}])
def test_no_step_or_no_weight_is_no_change_to_the_last_bit(engine, checkpoint, mood, without):
    plain = wanted(encoder(engine, checkpoint), "a (red:1.3) cat")

    found = wanted(encoder(engine, checkpoint, use_of(mood, **without)), "a (red:1.3) cat")

    assert torch.equal(found, plain)


def test_the_text_encoder_is_untouched_to_the_last_bit(engine, checkpoint, mood):
    before = {name: weight.clone() for name, weight in checkpoint.text.named_parameters()}
    asked = encoder(engine, checkpoint, use_of(mood, learning_rate=0.01))

    changed = wanted(asked, "a cat")

    assert not torch.equal(changed, wanted(encoder(engine, checkpoint), "a cat"))
    after = dict(checkpoint.text.named_parameters())
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert not any(weight.requires_grad or weight.grad is not None for weight in after.values())


def test_the_same_wish_gives_the_same_numbers_alone_and_beside_others(engine, checkpoint, mood):
    asked = encoder(engine, checkpoint, use_of(mood))

    alone = wanted(asked, "a cat")
    together = asked.condition(["a dog", "a cat"], ["", ""], Clock(steps=2)).wanted[1].parts[0].rows

    assert torch.equal(alone, wanted(asked, "a cat"))
    assert torch.equal(alone, together)


def test_a_chunk_is_trained_once_unless_something_is_to_be_told(engine, checkpoint, mood):
    asked: list[str] = []

    class Counting(Directly):
        def __call__(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
            asked.append(use.name)
            return replace(super().__call__(use, chunk), notes=notes)

    texts, mark = Memory(TEXTS), mark_of(checkpoint, ())
    layer = TextPredictor(checkpoint, engine.device)
    for notes in ((), (), ("look",), ("look",)):
        use = use_of(mood, text="".join(notes))
        reworking = Reworking(Counting(), [use])
        rework = reworking.of(checkpoint, engine.device, mark, texts)
        wanted(TextEncoder(layer, TextRules(), LearnedWords(), rework), "a cat")
        assert reworking.notes == notes

    assert len(asked) == 3


def test_only_prompts_are_drawn_towards_it_and_empty_ones_stay(engine, checkpoint, mood):
    asked = encoder(engine, checkpoint, use_of(mood, learning_rate=0.01))
    plain = encoder(engine, checkpoint)

    told = asked.condition([""], ["a cat"], Clock(steps=2))

    assert torch.equal(told.unwanted[0].rows, plain.encode(["a cat"]))
    assert torch.equal(told.wanted[0].parts[0].rows, plain.encode([""]))


def test_every_chunk_of_a_long_prompt_is_drawn_by_itself(engine, checkpoint, mood):
    rules = TextRules(emphasis="No norm")
    asked = encoder(engine, checkpoint, use_of(mood, learning_rate=0.01), rules=rules)

    long = wanted(asked, "a cat BREAK a dog")

    assert torch.equal(long[:, :77], wanted(asked, "a cat"))
    assert torch.equal(long[:, 77:], wanted(asked, "a dog"))


@pytest.mark.parametrize("skip", [1, 2])
def test_weight_one_is_what_the_trained_copy_says(engine, checkpoint, mood, skip):
    rules = TextRules(clip_skip=skip)
    found = wanted(encoder(engine, checkpoint, use_of(mood, weight=1.0), rules=rules), "a cat")

    copy = TrainableText(checkpoint, engine.device)
    unit = worker.unit(direction(1))
    list(worker.tuning(copy, CAT, worker.Aim(direction=unit), steps=5, rate=0.0001))

    assert torch.equal(found, copy.states(CAT, skip).detach())


def test_weights_of_words_act_on_the_mix(engine, checkpoint, mood):
    rules = TextRules(emphasis="No norm")
    asked = encoder(engine, checkpoint, use_of(mood), rules=rules)

    weighed, plain = wanted(asked, "a (cat:1.5)"), wanted(asked, "a cat")

    torch.testing.assert_close(weighed[0, 2], plain[0, 2] * 1.5)
    torch.testing.assert_close(weighed[0, :2], plain[0, :2])


def test_learned_words_are_seen_by_the_copy(engine, checkpoint, mood):
    """A name in the prompt stands for its vectors while the copy is trained, too."""
    table, words = checkpoint.text.get_input_embeddings(), LearnedWords([("mycat", 1)])
    use = use_of(mood, weight=1.0)
    found = []
    for seed in (1, 2):
        with table.with_rows(direction(seed)):
            found.append(wanted(encoder(engine, checkpoint, use, learned=words), "a mycat"))

    assert torch.isfinite(found[0]).all()
    assert not torch.allclose(found[0], found[1])


def test_a_text_turns_the_embedding_and_slerp_bends_the_mix(engine, checkpoint, mood):
    ways = [{}, {"text": "dog"}, {"text": "dog", "text_negative": True}, {"slerp": True}]

    found = [
        wanted(encoder(engine, checkpoint, use_of(mood, learning_rate=0.01, **way)), "a cat")
        for way in ways
    ]

    assert all(torch.isfinite(each).all() for each in found)
    assert all(
        not torch.equal(one, other)
        for place, one in enumerate(found)
        for other in found[place + 1 :]
    )


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
@settings(max_examples=20)
def test_slerp_keeps_to_the_arc_and_its_ends(seed, share):
    start, end = worker.unit(direction(seed)), worker.unit(direction(seed + 1))

    found = worker.slerp(start, end, share)

    torch.testing.assert_close(found.square().sum(), torch.tensor(1.0))
    torch.testing.assert_close(worker.slerp(start, end, 0.0), start)
    torch.testing.assert_close(worker.slerp(start, end, 1.0), end)
    torch.testing.assert_close(worker.slerp(start, start, share), start)


# In which space it was made ---------------------------------------------------------------------

VECTOR = (1, 768)
SQUARE = (768, 768)


def asked_of(
    tensors: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None, *, clip: bool
) -> Asked:
    file = FileFacts(name="mood", tensors=tensors, metadata=metadata or {})
    files = {"embedding": file}
    if clip:
        files[PROJECTION] = FileFacts(name="clip", tensors={CLIP: SQUARE}, metadata={})
    usual = {each.name: each.value for each in aesthetic_gradients.section().settings}
    return Asked(settings={**usual, "embedding": "mood"}, files=files, text_width=768)


@pytest.mark.parametrize(
    ("tensors", "metadata", "clip", "files", "notes"),
    [
        ({"": VECTOR}, {}, True, ("embedding", PROJECTION), 1),
        ({"": (768,)}, {SPACE: "clip-projection"}, True, ("embedding", PROJECTION), 0),
        ({"aesthetic": VECTOR}, {SPACE: POOLED}, True, ("embedding",), 0),
        ({"aesthetic": VECTOR}, {SPACE: POOLED}, False, ("embedding",), 0),
        ({"aesthetic": VECTOR, PROJECTION: SQUARE}, {}, False, ("embedding",), 0),
        ({"aesthetic": (1, 512), PROJECTION: (512, 768)}, {}, True, ("embedding",), 0),
    ],
)
def test_the_way_to_its_space_is_found(tensors, metadata, clip, files, notes):
    settled = aesthetic_gradients.settle(asked_of(tensors, metadata, clip=clip))

    assert settled.files == files
    assert len(settled.notes) == notes


@pytest.mark.parametrize(
    ("tensors", "metadata", "clip", "said"),
    [
        ({"": VECTOR}, {}, False, "CLIP's text projection is not here"),
        ({"": (1, 1024)}, {}, True, "1024 numbers"),
        ({"aesthetic": (1, 1024)}, {SPACE: POOLED}, False, "1024 numbers"),
        ({"aesthetic": VECTOR, PROJECTION: (768, 1024)}, {}, True, "768 x 1024"),
        ({"a": VECTOR, "b": VECTOR}, {}, True, "2 tensors"),
    ],
)
def test_a_file_that_cannot_be_compared_is_refused_before_drawing(tensors, metadata, clip, said):
    with pytest.raises(UnsupportedModelError, match=said) as told:
        aesthetic_gradients.settle(asked_of(tensors, metadata, clip=clip))

    assert told.value.hint


def test_other_families_are_refused_before_drawing():
    asked = replace(asked_of({"": VECTOR}, clip=True), family="sdxl")

    with pytest.raises(UnsupportedError, match="sdxl"):
        aesthetic_gradients.settle(asked)
