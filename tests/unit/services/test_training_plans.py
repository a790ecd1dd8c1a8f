"""A wish for a training becomes a plan, or is refused before anything starts."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny import NAME, furnish
from tests.trainings import carry_out
from tests.trainings import plan_of as training_of
from tests.zoo import sdxl_checkpoint, tiny_sdxl
from webui import app
from webui.modules.errors import (
    NameTakenError,
    PictureError,
    RangeError,
    RequestError,
    UnsupportedModelError,
    WebuiError,
)
from webui.modules.training.buckets import Order
from webui.modules.training.pictures import look_over
from webui.modules.training.plan import TRAINABLE, DataPlan, TrainingPlan
from webui.modules.types import ModelKind
from webui.services.training_captions import changed
from webui.services.training_plans import (
    School,
    check_free,
    gone_on,
    keep_plan,
    kept_plan,
    plan_of,
)
from webui.services.training_request import TrainingRequest
from webui.settings import load


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> School:
    home = furnish(tmp_path_factory.mktemp("school"))
    stock = app.inventory(load({}, environment={}, home=home))
    return School(
        house=stock.house,
        options=stock.options.current(),
        data_dir=home,
        runs=home / "training",
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        Image.new("RGB", (64, 96), (number * 80, 20, 20)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"a cup, {number}", "utf-8")
    return folder


def wish(pictures: Path, **said: Any) -> TrainingRequest:
    settings = said.pop("settings", {"steps": 40, "data.resolution": 64})
    usual: dict[str, Any] = {
        "kind": ModelKind.LORA,
        "name": "杯子 cup",
        "data": pictures,
        "settings": settings,
    }
    return TrainingRequest(**{**usual, **said})


@pytest.mark.parametrize("kind", TRAINABLE)
def test_every_kind_finds_its_folder_and_its_ending(
    school: School, pictures: Path, kind: ModelKind
) -> None:
    plan = plan_of(wish(pictures, kind=kind), school)
    place = {
        "lora": "models/Lora/杯子 cup.safetensors",
        "embedding": "embeddings/杯子 cup.safetensors",
        "hypernetwork": "models/hypernetworks/杯子 cup.pt",
        "checkpoint": "models/Stable-diffusion/杯子 cup.safetensors",
        "vae": "models/VAE/杯子 cup.safetensors",
        "aesthetic": "models/VAE/杯子 cup.safetensors",
    }[kind]
    assert plan.out == school.data_dir / place
    assert plan.watch.save_every == 4
    assert plan.watch.sample is not None
    assert plan.watch.sample.prompts[-1] == "a tree"
    assert len(set(plan.watch.sample.seeds)) == 1
    named = any("杯子 cup" in prompt for prompt in plan.watch.sample.prompts)
    assert named == (kind in ("embedding", "aesthetic"))


@pytest.mark.parametrize(
    "said",
    [
        {"name": ""},
        {"name": "../evil"},
        {"name": "a/b"},
        {"name": "sets"},
        {"name": "nul"},
        {"checkpoint": "deleted.safetensors"},
        {"subject": "a horse"},
        {"settings": {"correction.rate": "1e9"}},
        {"settings": {"correction.rate": "fast"}},
        {"settings": {"correction.rate": "nan"}},
        {"settings": {"noise.first": 900, "noise.last": 100}},
        {"settings": {"watch.sample.sampler": "none such"}},
        {"settings": {"what.vectors": 3}},
        {"settings": {"what.unet": False, "what.text": False}},
        {"kind": ModelKind.CHECKPOINT, "settings": {"what.unet": False, "what.text": False}},
        {
            "kind": ModelKind.VAE,
            "settings": dict.fromkeys(("what.absolute", "what.square", "what.edges"), 0),
        },
        {"kind": ModelKind.EMBEDDING, "settings": {"data.template": "a photo"}},
        {"data": Path("/no/such/folder")},
    ],
)
def test_a_wish_that_cannot_be_carried_out_is_refused_with_a_way_out(
    school: School, pictures: Path, said: dict[str, Any]
) -> None:
    with pytest.raises(WebuiError) as problem:
        plan_of(wish(pictures, **said), school)
    assert problem.value.hint
    assert not (school.data_dir / "training").exists()


def test_no_pictures_are_refused_and_one_is_enough(
    school: School, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(PictureError):
        plan_of(wish(tmp_path), school)
    (tmp_path / "alone.png").write_bytes((pictures / "0.png").read_bytes())
    (tmp_path / "alone.txt").write_text("word " * 5000, "utf-8")
    plan = plan_of(wish(tmp_path, settings={"data.held_out": 0.5}), school)
    assert plan.watch.sample is not None
    assert len(plan.watch.sample.prompts[0]) <= 300


def test_a_checkpoint_for_inpainting_or_of_another_family_is_refused_by_its_name(
    pictures: Path, tmp_path: Path
) -> None:
    home = furnish(tmp_path / "home")
    folder = home / "models" / "Stable-diffusion"
    wide = load_file(folder / NAME)
    first = wide["model.diffusion_model.input_blocks.0.0.weight"]
    wide["model.diffusion_model.input_blocks.0.0.weight"] = first.repeat(1, 3, 1, 1)[:, :9].clone()
    save_file(wide, folder / "fill.safetensors")
    save_file(sdxl_checkpoint(tiny_sdxl()), folder / "large.safetensors")
    stock = app.inventory(load({}, environment={}, home=home))
    school = School(
        house=stock.house, options=stock.options.current(), data_dir=home, runs=home / "training"
    )
    for name in ("fill", "large"):
        with pytest.raises(UnsupportedModelError, match=f"{name} is a checkpoint of the family"):
            plan_of(wish(pictures, checkpoint=name), school)


def test_a_base_that_is_deleted_in_between_is_named(pictures: Path, tmp_path: Path) -> None:
    home = furnish(tmp_path / "home")
    stock = app.inventory(load({}, environment={}, home=home))
    options = stock.options.current()
    school = School(house=stock.house, options=options, data_dir=home, runs=home / "training")
    settings = {"steps": 2, "data.resolution": 64, "watch.sample_every": 0}
    plan = plan_of(wish(pictures, checkpoint=NAME, settings=settings), school)
    (home / "models" / "Stable-diffusion" / NAME).unlink()

    with pytest.raises(WebuiError, match=Path(NAME).stem) as problem:
        carry_out(plan)
    assert problem.value.hint
    with pytest.raises(WebuiError, match="tiny-sd1"):
        plan_of(wish(pictures, checkpoint=NAME, settings=settings), school)
    assert not plan.out.exists()


def test_ten_thousand_pictures_are_counted_and_shown_in_turn(tmp_path: Path) -> None:
    packed = io.BytesIO()
    Image.new("RGB", (16, 16)).save(packed, format="PNG")
    whole = packed.getvalue()
    many = tmp_path / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05d} a cup.png").write_bytes(whole)
    plan = training_of(tmp_path, data=DataPlan(folder=many, resolution=64))

    found = look_over(plan.data)

    order = Order([(each, (64, 64)) for each in found.examples], range(10_000), plan)
    seen = {turn.example for step in range(10_000) for turn in order.turns(step)}
    assert (len(found.examples), len(seen)) == (10_000, 10_000)
    assert sum(trouble.code == "double" for trouble in found.troubles) == 9999


def test_a_name_that_is_taken_is_refused(school: School, pictures: Path) -> None:
    stem = Path(NAME).stem
    plan = plan_of(wish(pictures, kind=ModelKind.CHECKPOINT, name=stem.upper()), school)
    with pytest.raises(NameTakenError):
        check_free(plan, school)
    check_free(plan_of(wish(pictures, name="free"), school), school)


def test_a_plan_is_kept_and_goes_on_only_as_it_was(
    school: School, pictures: Path, tmp_path: Path
) -> None:
    begun = replace(plan_of(wish(pictures), school), run=tmp_path / "run")
    keep_plan(begun)
    kept = kept_plan(begun.run)
    assert kept == begun
    assert kept_plan(tmp_path / "none") is None
    more: TrainingPlan = replace(begun, steps=80)
    assert gone_on(begun, more) == more
    with pytest.raises(RangeError, match=r"data\.resolution was 64 and is now 128"):
        gone_on(begun, replace(begun, data=replace(begun.data, resolution=128)))


@pytest.mark.parametrize(
    ("action", "text", "into", "said"),
    [
        ("prefix", "zyx", "", "zyx, a cup, red"),
        ("suffix", "photo, ", "", "a cup, red, photo"),
        ("replace", "cup", "mug", "a mug, red"),
        ("remove_tag", "RED", "", "a cup"),
    ],
)
def test_all_captions_change_in_one_way(action: str, text: str, into: str, said: str) -> None:
    assert changed("a cup, red", action, text, into) == said


def test_captions_do_not_change_by_nothing_or_in_no_way() -> None:
    for action, text in (("prefix", " ,"), ("shout", "x")):
        with pytest.raises(RequestError):
            changed("a cup", action, text)
