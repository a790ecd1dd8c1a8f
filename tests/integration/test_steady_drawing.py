"""VAEs that break down or are swapped, networks that give no numbers, add-ons with times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.integration.test_engine_drawing import draw, plan_with
from tests.tiny import ADD_ONS
from webui.modules.device import choose
from webui.modules.errors import NumericsError
from webui.modules.pipeline.engine import Engine
from webui.modules.types import (
    LayerUse,
    ModelKind,
    ModelRecord,
    Refiner,
    SamplingPlan,
    Step,
    StopDrawing,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

VAE: Final = ADD_ONS / "models" / "VAE" / "tiny-vae.safetensors"
LARGEST: Final = 3.3895e38
"""The largest number of bfloat16, nearly; float32 goes a little further."""


@pytest.fixture(scope="module")
def narrow() -> Engine:
    """Give an engine that computes in bfloat16."""
    return Engine(choose("cpu", "bf16"))


def vae_with(tmp_path: Path, change: Callable[[dict[str, Tensor]], None]) -> ModelRecord:
    """Write a VAE with other last layers."""
    tensors = {name: tensor.float() for name, tensor in load_file(VAE).items()}
    change(tensors)
    save_file(tensors, tmp_path / "vae.safetensors")
    return ModelRecord(
        path=tmp_path / "vae.safetensors", kind=ModelKind.VAE, name="vae.safetensors"
    )


def too_wide(tensors: dict[str, Tensor]) -> None:
    """Let every pixel be a number that float32 has and bfloat16 has not."""
    tensors["decoder.norm_out.weight"].fill_(0)
    tensors["decoder.norm_out.bias"].fill_(1)
    tensors["decoder.conv_out.weight"].fill_(0)
    tensors["decoder.conv_out.weight"][:, 0, 1, 1] = 1.1e36
    tensors["decoder.conv_out.bias"].fill_(LARGEST)


def black(tensors: dict[str, Tensor]) -> None:
    tensors["decoder.conv_out.weight"].fill_(0)
    tensors["decoder.conv_out.bias"].fill_(-3)


def broken(tensors: dict[str, Tensor]) -> None:
    tensors["decoder.conv_out.bias"].fill_(math.nan)


# ------------------------------------------------------------------------------ the autoencoder


def test_a_vae_that_breaks_down_is_asked_again_in_wider_numbers(
    narrow: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    plan = plan_with(tiny, steps=1, vae=vae_with(tmp_path, too_wide))

    (picture,) = draw(narrow, plan)

    assert set(picture.rgb) == {255}
    assert picture.notes == (
        "The VAE broke down in bfloat16 numbers, so it was asked again in float32.",
    )
    (plain,) = draw(narrow, plan_with(tiny, steps=1))
    assert plain.notes == ()


def test_without_the_option_it_is_an_error_that_names_the_cure(
    narrow: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    plan = plan_with(tiny, steps=1, vae=vae_with(tmp_path, too_wide), decode_again="")

    with pytest.raises(NumericsError, match="the VAE gave not-a-number in bfloat16") as caught:
        draw(narrow, plan)

    assert "auto_vae_precision" in caught.value.hint


def test_a_damaged_vae_is_an_error_in_every_format(
    engine: Engine, narrow: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    plan = plan_with(tiny, steps=1, vae=vae_with(tmp_path, broken))

    for each in (engine, narrow):
        with pytest.raises(NumericsError, match="the VAE gave not-a-number in float32") as caught:
            draw(each, plan)
        assert "Choose another VAE" in caught.value.hint


def test_a_black_picture_is_kept_and_told(
    engine: Engine, narrow: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    plan = plan_with(tiny, steps=1, vae=vae_with(tmp_path, black))

    for each in (engine, narrow):
        (picture,) = draw(each, plan)
        assert set(picture.rgb) == {0}
        assert any("wholly black" in note for note in picture.notes)


def test_another_vae_leaves_the_network_where_it_is(engine: Engine, tiny: ModelRecord) -> None:
    loaded = engine.load(tiny)
    places = {name: each.data_ptr() for name, each in loaded.unet.named_parameters()}
    vae = ModelRecord(path=VAE, kind=ModelKind.VAE, name=VAE.name)
    (own,) = draw(engine, plan_with(tiny, steps=1))

    (other,) = draw(engine, plan_with(tiny, steps=1, vae=vae))

    assert other.rgb != own.rgb
    assert engine.load(tiny) is loaded
    assert {name: each.data_ptr() for name, each in loaded.unet.named_parameters()} == places
    assert draw(engine, plan_with(tiny, steps=1)) == [own]


# ------------------------------------------------------------------------- the denoising network


def lora(weight: float = 1.0, **said: Any) -> LayerUse:
    path = ADD_ONS / "models" / "Lora" / "tiny-lora.safetensors"
    record = ModelRecord(path=path, kind=ModelKind.LORA, name=path.name)
    return LayerUse(model=record, name="tiny-lora", weight=weight, text_weight=0, **said)


def test_a_network_that_gives_no_numbers_names_the_step_and_recovers(
    engine: Engine, tiny: ModelRecord
) -> None:
    before = draw(engine, plan_with(tiny))
    too_much = lora(1e30, start=2)

    with pytest.raises(NumericsError, match="not-a-number in step 3 of 3") as caught:
        draw(engine, plan_with(tiny, layers=(too_much,)))

    assert "--precision exact" in caught.value.hint
    assert "weaker" in caught.value.hint
    assert draw(engine, plan_with(tiny)) == before


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "DDIM", "DPM adaptive", "Heun"])
def test_no_sampler_walks_on_without_numbers(
    sampler: str, engine: Engine, tiny: ModelRecord
) -> None:
    sampling = SamplingPlan(sampler=sampler, scheduler="automatic", steps=4, guidance=7.0)

    with pytest.raises(NumericsError, match="in step 1 of"):
        draw(engine, plan_with(tiny, sampling=sampling, layers=(lora(1e30),)))


# ----------------------------------------------------------------------------- times of add-ons


def test_what_acts_from_the_first_step_to_the_last_needs_no_times(
    engine: Engine, tiny: ModelRecord
) -> None:
    whole = draw(engine, plan_with(tiny, layers=(lora(),)))

    assert draw(engine, plan_with(tiny, layers=(lora(start=0.0, stop=3),))) == whole
    assert draw(engine, plan_with(tiny, layers=(lora(start=3),))) == draw(engine, plan_with(tiny))


def test_until_it_begins_the_picture_is_that_without(engine: Engine, tiny: ModelRecord) -> None:
    """Its first guesses are those without the add-on, and then they are others."""
    plain = guesses(engine, plan_with(tiny, steps=4))
    late = guesses(engine, plan_with(tiny, steps=4, layers=(lora(start=0.5),)))
    early = guesses(engine, plan_with(tiny, steps=4, layers=(lora(stop=0.5),)))

    assert late[:2] == plain[:2]
    assert late[2] != plain[2]
    assert early[0] != plain[0]


def guesses(engine: Engine, plan: Any) -> list[bytes]:
    seen: list[bytes] = []
    list(engine.draw(plan, lambda step: seen.append(step.preview())))
    return seen


def test_a_stop_in_the_middle_leaves_nothing_on(engine: Engine, tiny: ModelRecord) -> None:
    before = draw(engine, plan_with(tiny))

    def stop(step: Step) -> None:
        if step.number == 2:
            raise StopDrawing

    list(engine.draw(plan_with(tiny, layers=(lora(start=0.3), lora(0.5, stop=0.6))), stop))

    assert draw(engine, plan_with(tiny)) == before
    weights = engine.load(tiny).unet.state_dict()
    fresh = Engine(choose("cpu", "exact")).load(tiny).unet.state_dict()
    assert all(torch.equal(weights[name], each) for name, each in fresh.items())


def test_who_takes_over_wears_what_acts_by_then(
    engine: Engine, tiny: ModelRecord, tmp_path: Path
) -> None:
    """A refiner that is the same network again draws what one network draws alone."""
    copy = tmp_path / "again.safetensors"
    copy.write_bytes(tiny.path.read_bytes())
    again = ModelRecord(path=copy, kind=ModelKind.CHECKPOINT, name=copy.name, config=tiny.config)
    refiner = Refiner(checkpoint=again, switch_at=0.5, by_steps=True)
    layers = (lora(start=0.75), lora(0.5, stop=0.25))

    alone = draw(engine, plan_with(tiny, steps=4, layers=layers))
    relayed = draw(engine, plan_with(tiny, steps=4, layers=layers, refiner=refiner))

    assert relayed[0].rgb == alone[0].rgb
