"""Ablation: what can be left out of a picture, what that means, and which pictures are drawn."""

from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plans import plan_of
from webui.jobs.plans import Sheet, decode, encode
from webui.library import infotext
from webui.modules.errors import NothingToLeaveOutError
from webui.modules.text.prompt import take_tags
from webui.modules.types import (
    ExtensionUse,
    GenerationPlan,
    Hires,
    LayerUse,
    ModelKind,
    ModelRecord,
    Refiner,
)
from webui.services.ablation import ROWS, parts_of, without
from webui.services.pasted import pasted
from webui.services.requests import GenerationRequest
from webui.services.script_requests import AblationRequest
from webui.services.scripts import sheet

TAGS = ("<lora:thin:0.8>", "<hypernet:hyper:1>", "<lora:thick:1:0.5><lora:gone:1>")
PROMPT = "a tiny-word cat {}, red{} sky {}".format(*TAGS)


def record(kind: ModelKind, name: str) -> ModelRecord:
    return ModelRecord(path=Path(f"{kind}/{name}.safetensors"), kind=kind, name=name)


def use(kind: ModelKind, name: str, weight: float = 1.0, text: float | None = None) -> LayerUse:
    text_weight = weight if text is None else text
    return LayerUse(
        model=record(kind, name), name=name, weight=weight, text_weight=text_weight, shorthash="a1"
    )


DRESSED = plan_of(
    prompts=(PROMPT,),
    negative_prompts=("tiny-bad",),
    layers=(
        use(ModelKind.LORA, "thin", 0.8),
        use(ModelKind.HYPERNETWORK, "hyper"),
        use(ModelKind.LORA, "thick", 0.5, 1.0),
        use(ModelKind.EMBEDDING, "tiny-word"),
        use(ModelKind.EMBEDDING, "tiny-bad"),
    ),
    vae=record(ModelKind.VAE, "fine"),
    extensions=(
        ExtensionUse(name="aesthetic", models=(("file", record(ModelKind.AESTHETIC, "calm")),)),
    ),
)
KINDS = ["embedding", "embedding", "lora", "lora", "hypernetwork", "vae", "aesthetic"]


def strip(plan: GenerationPlan = DRESSED, *, each_alone: bool = True) -> Sheet:
    def settled(_request: GenerationRequest, _random: Random) -> GenerationPlan:
        return plan

    script = AblationRequest(each_alone=each_alone)
    return sheet(GenerationRequest(), script, settle=settled, random=SystemRandom())


def test_parts_are_added_kind_by_kind_in_the_order_of_the_table() -> None:
    found = parts_of(DRESSED)

    assert [part.kind.value for part in found] == KINDS
    assert [row.kind.value for row in ROWS] == list(dict.fromkeys(KINDS))
    assert [part.name for part in found][:5] == ["tiny-word", "tiny-bad", "thin", "thick", "hyper"]
    assert [part.strength for part in found][2:5] == ["0.8", "1:0.5", ""]


def test_without_a_file_neither_its_tag_nor_its_layer_is_left() -> None:
    part = next(part for part in parts_of(DRESSED) if part.name == "thick")

    left = without(DRESSED, [part])

    assert left.prompts == (PROMPT.replace("<lora:thick:1:0.5>", ""),)
    assert [each.name for each in left.layers] == ["thin", "hyper", "tiny-word", "tiny-bad"]
    assert replace(left, prompts=DRESSED.prompts, layers=DRESSED.layers) == DRESSED


def test_without_an_embedding_its_word_is_text_and_the_settings_say_so() -> None:
    words = [part for part in parts_of(DRESSED) if part.kind is ModelKind.EMBEDDING]

    left = without(DRESSED, words)

    assert left.prompts == DRESSED.prompts
    assert left.plain_words == ("tiny-word", "tiny-bad")
    text = infotext.write(left, 0, version="atelier")
    assert pasted(text)["plain_words"] == ("tiny-word", "tiny-bad")
    assert "TI hashes" not in text


def test_without_everything_nothing_is_left_but_the_words() -> None:
    left = without(DRESSED, parts_of(DRESSED))

    assert parts_of(left) == []
    assert take_tags(left.prompts[0])[0] == take_tags(PROMPT)[0]
    assert [tag.arguments[0] for tag in take_tags(left.prompts[0])[1]] == ["gone"]


def test_a_file_goes_from_both_passes_and_a_vae_from_every_checkpoint() -> None:
    again = (use(ModelKind.LORA, "thin", 0.4),)
    hires = Hires(
        width=256, height=128, sampling=DRESSED.sampling, prompts=("b <lora:thin:0.4>",),
        negative_prompts=("",), layers=again, checkpoint=DRESSED.checkpoint, vae=DRESSED.vae,
    )  # fmt: skip
    refiner = Refiner(checkpoint=DRESSED.checkpoint, vae=DRESSED.vae, switch_at=0.5)
    plan = replace(DRESSED, hires=hires, refiner=refiner)
    found = parts_of(plan)
    assert next(part for part in found if part.name == "thin").strength == "0.8 + 0.4"

    left = without(plan, found)

    assert left.hires is not None
    assert left.refiner is not None
    assert (left.hires.prompts, left.hires.layers) == (("b ",), None)
    assert left.vae is left.hires.vae is left.refiner.vae is None


def test_a_strip_draws_equal_pictures_once() -> None:
    made = strip()

    count = len(KINDS)
    assert len(made.strip) == (count + 1) + (count + 1)
    assert len(made.plans) == 2 * count
    assert [place.change for place in made.strip[: count + 2]] == ["base", *["with"] * count, "all"]
    assert made.plans[made.strip[count].number] == DRESSED
    last = made.strip[-1]
    assert (last.change, last.kind) == ("without", "aesthetic")
    assert last.number == made.strip[count - 1].number
    assert len({place.number for place in made.strip}) == len(made.plans)


def test_each_step_is_held_against_the_one_before_and_each_lack_against_all() -> None:
    places = strip().strip

    steps = [place for place in places if place.change in ("base", "with")]
    assert [place.against for place in steps] == [-1, *(place.number for place in steps[:-1])]
    lacks = {place.against for place in places if place.change == "without"}
    assert lacks == {steps[-1].number}


@pytest.mark.parametrize("plan", [DRESSED, plan_of(vae=record(ModelKind.VAE, "fine"))])
def test_the_second_row_is_there_when_it_says_more(plan: GenerationPlan) -> None:
    several = len(parts_of(plan)) > 1

    assert any(place.change == "all" for place in strip(plan).strip) is several
    assert not any(place.change == "all" for place in strip(plan, each_alone=False).strip)


def test_a_strip_lies_in_the_queue_as_it_was() -> None:
    made = strip()

    assert decode(encode(made)) == made


def test_a_picture_without_add_ons_is_refused_with_what_to_do() -> None:
    plan = plan_of(prompts=("a cat <lora:gone:1>",), notes=("LoRA not found: gone.",))

    with pytest.raises(NothingToLeaveOutError, match="LoRA not found: gone") as refused:
        strip(plan)

    assert "VAE" in refused.value.hint


def test_of_a_batch_the_first_picture_is_compared() -> None:
    asked: list[GenerationRequest] = []

    def settled(request: GenerationRequest, _random: Random) -> GenerationPlan:
        asked.append(request)
        return DRESSED

    wish = GenerationRequest(batch_size=4, batch_count=3)
    sheet(wish, AblationRequest(), settle=settled, random=SystemRandom())

    assert [(each.batch_size, each.batch_count) for each in asked] == [(1, 1)]


@given(order=st.permutations(range(len(KINDS))), count=st.integers(0, len(KINDS)))
def test_the_order_in_which_parts_are_left_out_changes_nothing(
    order: list[int], count: int
) -> None:
    parts = parts_of(DRESSED)
    chosen = [parts[place] for place in order[:count]]
    left = without(DRESSED, chosen)
    in_order = without(DRESSED, [part for part in parts if part in chosen])

    assert replace(left, plain_words=()) == replace(in_order, plain_words=())
    assert set(left.plain_words) == set(in_order.plain_words)
    assert parts_of(left) == [part for part in parts if part not in chosen]
