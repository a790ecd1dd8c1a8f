"""Hires fix, the refiner and merged tokens settled: sizes, names, and a word for what cannot be."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import furnish
from webui.app import Inventory, inventory
from webui.modules.errors import LimitError, ModelFileError, RangeError, UnknownNameError
from webui.modules.networks.upscaler import build_upscaler
from webui.modules.types import GenerationPlan, Hires
from webui.modules.weights.upscaler import UpscalerShape
from webui.services.requests import GenerationRequest, HiresRequest, RefinerRequest
from webui.services.resolve import resolve
from webui.settings import load

SMALL = UpscalerShape(make="compact", scale=4, channels=3, width=4, blocks=1)


def write_upscaler(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = {name: each.shape for name, each in build_upscaler(SMALL).named_parameters()}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    home = furnish(tmp_path_factory.mktemp("home"))
    write_upscaler(home / "models" / "ESRGAN" / "4x-Small.safetensors")
    write_upscaler(home / "models" / "RealESRGAN" / "RealESRGAN_x4plus.pth")
    (home / "models" / "ESRGAN" / "broken.pth").write_bytes(b"\x80\x02 no model")
    (home / "styles.csv").write_text("name,prompt,negative_prompt\nink,ink drawing,\n", "utf-8")
    return inventory(load({}, environment={}, home=home))


def plan_for(stock: Inventory, *, hires: Any = None, **wish: Any) -> GenerationPlan:
    asked = None if hires is None else HiresRequest(**hires)
    values: dict[str, Any] = {"seed": 5, "hires": asked, **wish}
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    request = GenerationRequest(**values)
    return resolve(request, options=stock.options.current(), house=stock.house, random=chance)


def hires_for(stock: Inventory, *, hires: Any = None, **wish: Any) -> Hires:
    found = plan_for(stock, hires=hires or {}, **wish).hires
    assert found is not None
    return found


def test_nothing_is_drawn_on_unless_asked_for(stock: Inventory) -> None:
    plan = plan_for(stock)

    assert plan.hires is None
    assert plan.refiner is None
    assert plan.token_merging == 0


def test_what_is_not_said_is_as_in_the_first_pass(stock: Inventory) -> None:
    plan = plan_for(stock, hires={}, prompt="a cat", sampler="Euler a", scheduler="Karras", steps=7)

    assert plan.hires is not None
    assert plan.hires.sampling == plan.sampling
    assert plan.hires.prompts == plan.prompts
    assert plan.hires.upscaler == "Latent"
    assert (plan.hires.width, plan.hires.height) == (1024, 1024)
    assert plan.hires.checkpoint is None


@pytest.mark.parametrize(
    ("first", "second", "scheduler"),
    [
        ({"sampler": "Euler"}, {"sampler": "DPM++ 2M"}, "karras"),
        ({"sampler": "Euler", "scheduler": "Exponential"}, {"sampler": "DPM++ 2M"}, "exponential"),
        ({"sampler": "DPM++ 2M Exponential"}, {"sampler": "Euler a"}, "exponential"),
        ({"sampler": "Euler", "scheduler": "Karras"}, {"scheduler": "Automatic"}, "uniform"),
        ({"sampler": "Euler"}, {"sampler": "Euler a Karras"}, "karras"),
        ({"sampler": "Euler"}, {"sampler": "Use same sampler", "scheduler": "Use same scheduler"},
         "uniform"),
    ],
)  # fmt: skip
def test_the_schedule_is_the_first_pass_s_unless_named(
    first: Any, second: Any, scheduler: str, stock: Inventory
) -> None:
    found = hires_for(stock, hires=second, **first).sampling.scheduler

    assert found == scheduler or (scheduler == "uniform" and found == "automatic")


def test_the_second_pass_has_its_own_words_steps_and_styles(stock: Inventory) -> None:
    found = hires_for(
        stock,
        hires={"prompt": "a dog", "steps": 3, "checkpoint": "tiny-sd1"},
        prompt="a cat",
        negative_prompt="fog",
        styles=("ink",),
        batch_size=2,
    )

    assert found.prompts == ("a dog, ink drawing",) * 2
    assert found.negative_prompts == ("fog",) * 2
    assert found.sampling.steps == 3
    assert found.checkpoint is not None


def test_an_upscaler_is_found_by_its_file_and_by_a1111s_name_for_it(stock: Inventory) -> None:
    by_file = hires_for(stock, hires={"upscaler": "4x-small"})
    by_name = hires_for(stock, hires={"upscaler": "R-ESRGAN 4x+"})

    assert by_file.upscaler == "4x-Small"
    assert by_file.upscaler_model is not None
    assert by_file.upscaler_model.family == "compact-4x"
    assert by_name.upscaler == "RealESRGAN_x4plus"


def test_an_unknown_upscaler_is_answered_with_those_that_there_are(stock: Inventory) -> None:
    with pytest.raises(UnknownNameError, match="no upscaler 'Laczos'") as caught:
        hires_for(stock, hires={"upscaler": "Laczos"})

    assert "Lanczos" in caught.value.hint
    assert "4x-Small" in caught.value.hint
    assert "Latent (nearest-exact)" in caught.value.hint


def test_a_damaged_upscaler_says_so(stock: Inventory) -> None:
    with pytest.raises(ModelFileError, match=r"broken\.pth"):
        hires_for(stock, hires={"upscaler": "broken"})


@pytest.mark.parametrize(
    ("hires", "error", "said"),
    [
        ({"scale": 5.0}, RangeError, "hires width is 2560"),
        ({"scale": 0.1}, RangeError, "hires width is 51"),
        ({"scale": -1.0}, RangeError, "hr_scale is -1.0"),
        ({"scale": 4.1, "resize": (0, 0)}, RangeError, "hires width is 2099"),
        ({"resize": (-8, 0)}, RangeError, "hr_resize_x is -8"),
        ({"resize": (9999, 0)}, RangeError, "hr_resize_x is 9999"),
        ({"resize": (2048, 8)}, RangeError, "hires height is 8"),
        ({"steps": 999}, RangeError, "hr_second_pass_steps is 999"),
        ({"steps": -1}, RangeError, "hr_second_pass_steps is -1"),
        ({"denoising": 1.5}, RangeError, "denoising_strength is 1.5"),
        ({"denoising": 1e-9}, RangeError, "20 steps with a denoising strength of 1e-09"),
        ({"sampler": "Eulr"}, UnknownNameError, "Eulr"),
        ({"scheduler": "Karas"}, UnknownNameError, "Karas"),
        ({"checkpoint": "gone"}, UnknownNameError, "gone"),
    ],
)
def test_what_cannot_be_is_answered_with_its_value(
    hires: Any, error: type[Exception], said: str, stock: Inventory
) -> None:
    with pytest.raises(error, match=said):
        hires_for(stock, hires=hires)


def test_a_second_pass_may_have_no_more_pixels_than_a_first(stock: Inventory) -> None:
    few = replace(stock.house.limits, max_pixels=600 * 600)
    request = GenerationRequest(hires=HiresRequest(scale=1.5))
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    with pytest.raises(LimitError, match="589824 pixels, more than 360000"):
        resolve(
            request,
            options=stock.options.current(),
            house=replace(stock.house, limits=few),
            random=chance,
        )


def test_the_old_way_takes_the_size_for_the_final_one(stock: Inventory) -> None:
    plan = plan_for(
        stock,
        hires={"scale": 3.0},
        width=1024,
        height=768,
        options={"use_old_hires_fix_width_height": True},
    )

    assert (plan.width, plan.height) == (640, 448)
    assert plan.hires is not None
    assert plan.hires.resize == (1024, 768)
    assert (plan.hires.width, plan.hires.height) == (1024, 768)


def test_a_refiner_is_found_and_takes_over_when_it_is_told(stock: Inventory) -> None:
    refiner = plan_for(
        stock,
        refiner=RefinerRequest(checkpoint="tiny-sd1", switch_at=0.6),
        options={"refiner_switch_by_sample_steps": True, "hires_fix_refiner_pass": "both passes"},
    ).refiner

    assert refiner is not None
    assert (refiner.switch_at, refiner.by_steps, refiner.during) == (0.6, True, "both passes")
    assert plan_for(stock, refiner=RefinerRequest(checkpoint="None")).refiner is None
    with pytest.raises(RangeError, match="refiner_switch_at is 2"):
        plan_for(stock, refiner=RefinerRequest(checkpoint="tiny-sd1", switch_at=2))
    with pytest.raises(UnknownNameError, match="gone"):
        plan_for(stock, refiner=RefinerRequest(checkpoint="gone"))


def test_tokens_are_merged_as_the_options_say(stock: Inventory) -> None:
    both = {"token_merging_ratio": 0.2, "token_merging_ratio_hr": 0.4}

    plan = plan_for(stock, hires={}, options=both)

    assert plan.hires is not None
    assert (plan.token_merging, plan.hires.token_merging) == (0.2, 0.4)
    assert hires_for(stock, options={"token_merging_ratio": 0.2}).token_merging == 0.2
    with pytest.raises(RangeError, match=r"token_merging_ratio is 0\.95"):
        plan_for(stock, options={"token_merging_ratio": 0.95})
