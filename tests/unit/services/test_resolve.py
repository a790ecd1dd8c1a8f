"""From wish to plan: names found, defaults filled in, and a clear word for every bad number."""

import math
from dataclasses import replace
from random import Random, SystemRandom

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import furnish
from webui.app import Inventory, inventory
from webui.modules.errors import LimitError, RangeError, RequestError, SizeError, UnknownNameError
from webui.modules.types import GenerationPlan
from webui.services.requests import GenerationRequest
from webui.services.resolve import SEEDS, resolve
from webui.settings import load


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Inventory:
    home = furnish(tmp_path_factory.mktemp("home"))
    (home / "styles.csv").write_text(
        "name,prompt,negative_prompt\nink,ink drawing,colour\nframe,a {prompt} in a frame,\n",
        encoding="utf-8",
    )
    return inventory(load({}, environment={}, home=home))


def plan_for(stock: Inventory, **wish: object) -> GenerationPlan:
    request = replace(GenerationRequest(seed=5), **wish)
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    return resolve(request, options=stock.options.current(), house=stock.house, random=chance)


HUGE = "a" * 100_000

BAD = [
    ({"steps": 0}, RangeError, "steps is 0", "1 to 150"),
    ({"steps": 10_000}, RangeError, "steps is 10000", "1 to 150"),
    ({"steps": 2.5}, RangeError, "steps is 2.5", "whole"),
    ({"steps": math.nan}, RangeError, "steps is nan", "whole"),
    ({"steps": True}, RangeError, "steps is True", "whole"),
    ({"width": 0}, RangeError, "width is 0", "64 to 2048"),
    ({"width": -8}, RangeError, "width is -8", "64 to 2048"),
    ({"width": 10**9}, RangeError, "width is 1000000000", "2048"),
    ({"height": 513}, SizeError, "height is 513", "512"),
    ({"width": 527}, SizeError, "width is 527", "528"),
    ({"width": "512; x"}, RangeError, "512; x", "whole"),
    ({"width": 2048, "height": 2048 + 8}, RangeError, "height is 2056", "2048"),
    ({"guidance": math.nan}, RangeError, "cfg_scale is nan", "number"),
    ({"guidance": math.inf}, RangeError, "cfg_scale is inf", "number"),
    ({"guidance": 1e9}, RangeError, "cfg_scale is 1000000000", "100"),
    ({"batch_size": 17}, RangeError, "batch_size is 17", "1 to 16"),
    ({"batch_count": 10**9}, RangeError, "batch_count is 1000000000", "1 to 100"),
    ({"batch_count": 0}, RangeError, "batch_count is 0", "1 to 100"),
    ({"seed": -2}, RangeError, "seed is -2", "-1"),
    ({"seed": 2**70}, RangeError, "seed is 1180591620717411303424", "-1"),
    ({"subseed_strength": 1.5}, RangeError, "subseed_strength is 1.5", "0 to 1"),
    ({"clip_skip": 0}, RangeError, "clip_skip is 0", "1 to 12"),
    ({"eta": -1.0}, RangeError, "eta is -1.0", "0 to 1"),
    ({"s_noise": math.nan}, RangeError, "s_noise is nan", "0 to 10"),
    ({"sampler": "Eulr"}, UnknownNameError, "Eulr", "Euler"),
    ({"scheduler": "Karas"}, UnknownNameError, "Karas", "Karras"),
    ({"checkpoint": "gone"}, UnknownNameError, "gone", "tiny-sd1"),
    ({"vae": "gone.pt"}, UnknownNameError, "gone.pt", "none"),
    ({"prompt": HUGE}, LimitError, "prompt has 100000", "Shorten"),
    ({"negative_prompt": HUGE}, LimitError, "negative_prompt has 100000", "Shorten"),
    ({"options": {"nonsense": 1}}, UnknownNameError, "nonsense", "options"),
    ({"options": {"eta_ddim": 7}}, RangeError, "eta_ddim is 7", "0 to 1"),
    ({"options": {"sd_model_checkpoint": "gone"}}, UnknownNameError, "gone", "tiny-sd1"),
    ({"options": {"randn_source": "TPU"}}, RangeError, "TPU", "CPU, GPU, NV"),
]


@pytest.mark.parametrize(("wish", "kind", "said", "hint"), BAD, ids=lambda value: str(value)[:40])
def test_what_cannot_be_drawn_is_refused_with_its_name_value_and_way_out(
    stock, wish, kind, said, hint
) -> None:
    with pytest.raises(kind) as told:
        plan_for(stock, **wish)

    assert isinstance(told.value, RequestError)
    assert said in str(told.value)
    assert hint in told.value.hint
    assert len(str(told.value)) < 300


def test_too_many_pixels_are_refused(stock) -> None:
    house = replace(stock.house, limits=replace(stock.house.limits, max_pixels=512 * 512))
    request = GenerationRequest(width=1024, height=512)

    with pytest.raises(LimitError, match="1024x512 are 524288 pixels"):
        resolve(request, options=stock.options.current(), house=house, random=SystemRandom())


def test_an_empty_prompt_is_a_wish_like_any_other(stock) -> None:
    assert plan_for(stock).prompts == ("",)


def test_the_same_wish_gives_the_same_plan(stock) -> None:
    assert plan_for(stock, prompt="a cat") == plan_for(stock, prompt="a cat")
    assert hash(plan_for(stock)) == hash(plan_for(stock))


@given(seed=st.integers(0, 2**32), count=st.integers(1, 16), batches=st.integers(1, 5))
def test_each_picture_counts_the_seed_up_by_one(stock, seed, count, batches) -> None:
    plan = plan_for(stock, seed=seed, subseed=3, batch_size=count, batch_count=batches)

    assert plan.seeds == tuple(range(seed, seed + count * batches))
    assert plan.variation_seeds == tuple(range(3, 3 + count * batches))


def test_variations_share_the_seed_and_count_the_variation_up(stock) -> None:
    plan = plan_for(stock, subseed=9, subseed_strength=0.5, batch_count=3)

    assert plan.seeds == (5, 5, 5)
    assert plan.variation_seeds == (9, 10, 11)
    assert plan.noise.variation == 0.5


@given(chance=st.randoms(use_true_random=False))
def test_an_open_seed_is_drawn_from_a1111s_range(stock, chance) -> None:
    request = GenerationRequest(seed=-1)

    plan = resolve(request, options=stock.options.current(), house=stock.house, random=chance)

    assert 0 <= plan.seeds[0] < SEEDS
    assert 0 <= plan.variation_seeds[0] < SEEDS


@pytest.mark.parametrize(
    ("sampler", "scheduler", "settled"),
    [
        ("DPM++ 2M", None, ("DPM++ 2M", "karras")),
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "karras")),
        ("DPM++ 2M", "Exponential", ("DPM++ 2M", "exponential")),
        ("DPM++ 2M SDE", "automatic", ("DPM++ 2M SDE", "exponential")),
        ("Euler a SGMUniform", "Automatic", ("Euler a", "sgm_uniform")),
        ("Euler", None, ("Euler", "automatic")),
        ("k_euler_a", "karras", ("Euler a", "karras")),
        ("DDIM", "Karras", ("DDIM", "automatic")),
        (None, None, ("DPM++ 2M", "karras")),
    ],
)
def test_samplers_and_schedules_are_found_as_a1111_names_them(
    stock, sampler, scheduler, settled
) -> None:
    sampling = plan_for(stock, sampler=sampler, scheduler=scheduler).sampling

    assert (sampling.sampler, sampling.scheduler) == settled


@pytest.mark.parametrize("part", ["tiny-sd1", "tiny-sd1.safetensors", "8244b8ddea", "tiny"])
def test_a_checkpoint_is_found_under_its_names(stock, part) -> None:
    assert plan_for(stock, checkpoint=part).checkpoint.name == "tiny-sd1.safetensors"


def test_options_of_a_request_hold_for_it_alone(stock) -> None:
    own = {"CLIP_stop_at_last_layers": 2, "eta_noise_seed_delta": 31337, "randn_source": "NV"}

    plan = plan_for(stock, options=own)
    after = plan_for(stock)

    assert (plan.text.clip_skip, plan.noise.seed_delta, plan.noise.source) == (2, 31337, "NV")
    assert (after.text.clip_skip, after.noise.seed_delta, after.noise.source) == (1, 0, "CPU")


def test_a_field_of_the_request_goes_before_the_option(stock) -> None:
    plan = plan_for(stock, options={"s_churn": 3.0, "tiling": True}, s_churn=1.0, tiling=False)

    assert plan.sampling.s_churn == 1.0
    assert plan.tiling is False
    assert plan_for(stock, options={"s_churn": 3.0}).sampling.s_churn == 3.0
    assert plan_for(stock).sampling.s_tmax == math.inf


def test_eta_goes_to_the_family_of_the_sampler(stock) -> None:
    assert plan_for(stock, sampler="DDIM", eta=0.5).sampling.eta_ddim == 0.5
    assert plan_for(stock, sampler="Euler a", eta=0.5).sampling.eta == 0.5


def test_styles_go_around_and_behind_the_prompt(stock) -> None:
    plan = plan_for(stock, prompt="cat", styles=("ink", "frame", "unknown"))

    assert plan.prompts == ("a cat, ink drawing in a frame",)
    assert plan.negative_prompts == ("colour",)


def test_comments_in_a_prompt_are_not_drawn(stock) -> None:
    assert plan_for(stock, prompt="a cat# grey\n# not this\non a mat").prompts == (
        "a cat\non a mat",
    )


def test_add_ons_that_are_not_there_are_told(stock) -> None:
    assert "LoRA not found: x" in plan_for(stock, prompt="cat <lora:x:1>").notes[0]
