"""Tags of add-ons: what they ask for reaches the plan, and what is nonsense is told."""

from dataclasses import replace
from random import Random

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import add_to, furnish
from webui.app import Inventory, inventory
from webui.jobs.plans import decode, encode
from webui.library import infotext
from webui.library.cards import ModelCard
from webui.modules.layers.blocks import BLOCKS
from webui.modules.types import GenerationPlan, LayerUse
from webui.services.called import with_names_here
from webui.services.receipts import Drawn, receipt_of
from webui.services.replay import replay_request
from webui.services.requests import GenerationRequest, HiresRequest
from webui.services.resolve import resolve
from webui.settings import load

LAYER = "lora_unet_down_blocks_0_attentions_0_proj_in"


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home = add_to(furnish(tmp_path_factory.mktemp("home")))
    folder = home / "models" / "Lora"
    save_file(pair(32) | pair(32, "lora_unet_elsewhere"), folder / "half.safetensors")
    save_file(pair(640), folder / "sdxl.safetensors")
    save_file({"emb_params": torch.zeros(1, 768)}, home / "embeddings" / "wide.safetensors")
    return inventory(load({}, environment={}, home=home))


def pair(width: int, layer: str = LAYER) -> dict[str, torch.Tensor]:
    return {
        f"{layer}.lora_up.weight": torch.zeros(width, 4),
        f"{layer}.lora_down.weight": torch.zeros(4, width),
    }


def plan_for(stock: Inventory, prompt: str, **wish: object) -> GenerationPlan:
    request = replace(GenerationRequest(seed=5, prompt=prompt), **wish)
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    return resolve(request, options=stock.options.current(), house=stock.house, random=chance)


def card(stock: Inventory) -> ModelCard:
    found = stock.models.called("tiny-lora")
    assert found is not None
    return found


def use_in(stock: Inventory, tag: str) -> LayerUse:
    return plan_for(stock, f"a cat {tag}").layers[0]


def test_a_tag_says_how_strongly_where_and_when(stock: Inventory) -> None:
    use = use_in(stock, "<lora:tiny-lora:0.5:0.8:lbw=INS:start=0.2:stop=0.8>")

    assert (use.text_weight, use.weight, use.start, use.stop) == (0.5, 0.8, 0.2, 0.8)
    kept = {block for block in BLOCKS if dict(use.blocks).get(block, 1.0) == 1}
    assert kept == {"BASE", "IN01", "IN02"}


@pytest.mark.parametrize(
    ("said", "block", "factor"),
    [
        ("lbw=" + ",".join(["1"] * 17), "IN00", 0.0),
        ("lbw=" + ",".join(["1"] * 17), "OUT11", 1.0),
        ("lbw=0" + ",1" * 16, "BASE", 0.0),
        ("lbw=1,0,0,0,0,0.5,0,0,0,0,0,0", "M00", 0.5),
        ("lbw=" + ",".join(map(str, range(26))), "OUT00", 14.0),
        ("lbw=none", "M00", 0.0),
        ("lbw=ALL", "IN00", 1.0),
        ("lbw=OUTS", "OUT07", 1.0),
        ("lbw=OUTS", "OUT06", 0.0),
        ("lbw=MIDD", "OUT06", 1.0),
    ],
)
def test_block_weights_are_numbers_in_one_of_three_orders_or_a_preset(
    said: str, block: str, factor: float, stock: Inventory
) -> None:
    blocks = use_in(stock, f"<lora:tiny-lora:1:{said}>").blocks

    assert dict(blocks).get(block, 1.0) == factor


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("<lora:tiny-lora:1:lbw=1,2,3>", "lbw=1,2,3 of tiny-lora was left out"),
        ("<lora:tiny-lora:1:lbw=SOMEWHERE>", "one of NONE, ALL"),
        ("<lora:tiny-lora:1:lbw=" + ",".join(["nan"] * 17) + ">", "was left out"),
        ("<lora:tiny-lora:1:start=much>", "start=much of tiny-lora was left out"),
        ("<lora:tiny-lora:1:start=0.8:stop=0.2>", "the end behind the beginning"),
        ("<lora:tiny-lora:1:start=-1>", "acts in all steps"),
        ("<lora:tiny-lora:1:stop=nan>", "acts in all steps"),
        ("<hypernet:tiny-hyper:1:lbw=INS>", "only LoRA files have block weights"),
    ],
)
def test_nonsense_is_told_and_the_file_acts_as_without_it(
    tag: str, told: str, stock: Inventory
) -> None:
    plan = plan_for(stock, f"a cat {tag}")

    assert any(told in note for note in plan.notes), plan.notes
    use = plan.layers[0]
    assert (use.blocks, use.start, use.stop) == ((), 0.0, 1.0)


@pytest.mark.parametrize("tag", ["<lora:tiny-lora:nan>", "<lora:tiny-lora:1:inf>", "<lora:te=1>"])
def test_a_weight_must_be_a_finite_number(tag: str, stock: Inventory) -> None:
    plan = plan_for(stock, f"a cat {tag}")

    assert plan.layers == ()
    assert any("weight that is no number" in note for note in plan.notes)


def test_hypernetworks_have_times_and_a_number_of_steps_will_do(stock: Inventory) -> None:
    use = use_in(stock, "<hypernet:tiny-hyper:0.7:start=5:stop=12>")

    assert (use.weight, use.start, use.stop) == (0.7, 5.0, 12.0)


def test_all_of_it_survives_the_queue_and_the_infotext(stock: Inventory) -> None:
    plan = plan_for(stock, "a cat <lora:tiny-lora:1:lbw=IND:start=0.25>")

    assert decode(encode(plan)) == plan
    again = replay_request(
        infotext.write(plan, 0, version="x"), models=stock.models, roster=stock.house.extensions
    )
    assert plan_for(stock, again.prompt).layers == plan.layers


# ------------------------------------------------------------------- fitting before drawing


def test_an_add_on_that_fits_partly_is_told_with_its_share_and_a_cure(stock: Inventory) -> None:
    plan = plan_for(stock, "a cat <lora:half:1>")

    (note,) = [note for note in plan.notes if "half" in note]
    assert "half.safetensors fits tiny-sd1 partly, 50% of it acts" in note
    assert "1 layers that this checkpoint has not" in note
    assert "choose one of its family" in note
    assert plan.layers[0].told


@pytest.mark.parametrize(
    ("prompt", "why"),
    [("a cat <lora:sdxl:1>", "1 layers of another size"), ("a wide cat", "numbers")],
)
def test_one_that_does_not_fit_is_told_so(prompt: str, why: str, stock: Inventory) -> None:
    plan = plan_for(stock, prompt)

    (note,) = plan.notes
    assert "does not fit tiny-sd1 and was left out" in note
    assert why in note


def test_one_that_fits_wholly_needs_no_word(stock: Inventory) -> None:
    plan = plan_for(stock, "a cat <lora:tiny-lora:1><hypernet:tiny-hyper:1> tiny-emb-st")

    assert plan.notes == ()
    assert not any(use.told for use in plan.layers)


def test_the_second_pass_is_held_against_its_own_files(stock: Inventory) -> None:
    hires = HiresRequest(prompt="a cat <lora:half:1>", upscaler="Latent")
    plan = plan_for(stock, "a cat", hires=hires)

    assert any("fits tiny-sd1 partly" in note for note in plan.notes)
    assert plan.hires is not None
    assert plan.hires.layers is not None
    assert plan.hires.layers[0].told


# --------------------------------------------------------------- names of another computer


def test_a_file_of_another_name_is_found_by_its_hash(stock: Inventory) -> None:
    mark = stock.models.mark(card(stock))
    said = {"Lora hashes": f"their-name: {mark}, unknown: 0123456789ab"}
    fields = {
        "prompt": "a <b> cat <lora:their-name:0.5:lbw=INS> <lora:unknown:1><lyco:their-name>",
        "hires": {"prompt": "x <lora:their-name:1>"},
    }

    found = with_names_here(fields, said, stock.models)

    assert found["prompt"] == (
        "a <b> cat <lora:tiny-lora:0.5:lbw=INS> <lora:unknown:1><lyco:tiny-lora>"
    )
    assert found["hires"]["prompt"] == "x <lora:tiny-lora:1>"


def test_a_replay_draws_with_the_file_that_the_hash_means(stock: Inventory) -> None:
    plan = plan_for(stock, "a cat <lora:tiny-lora:0.5>")
    text = infotext.write(plan, 0, version="x").replace("tiny-lora", "her-own-name")

    request = replay_request(text, models=stock.models, roster=stock.house.extensions)

    assert plan_for(stock, request.prompt).layers == plan.layers


def test_names_that_lead_to_the_file_stay_as_they_are(stock: Inventory) -> None:
    mark = stock.models.mark(card(stock))
    fields = {"prompt": "a cat <lora:tiny-lora:1>"}

    assert with_names_here(fields, {"Lora hashes": f"tiny-lora: {mark}"}, stock.models) == fields
    assert with_names_here(fields, {"Lora hashes": "nonsense,,::"}, stock.models) == fields


def test_what_the_worker_found_out_explains_a_receipt(stock: Inventory) -> None:
    plan = plan_for(stock, "a cat")
    told = ("x.safetensors: 3 layers do not fit this checkpoint and were left out", "All is well.")
    text = infotext.write(plan, 0, version="x")

    reasons = receipt_of(Drawn(text=text, plan=plan, notes=told)).reasons

    assert [reason.sentence for reason in reasons if reason.kind == "note"] == [told[0]]


def test_the_vae_options_reach_the_plan(stock: Inventory) -> None:
    def again(**options: bool) -> str:
        return plan_for(stock, "a cat", options=options).decode_again

    assert again() == "float32"
    assert again(auto_vae_precision=False) == ""
    assert again(auto_vae_precision_bfloat16=True) == "bfloat16"
