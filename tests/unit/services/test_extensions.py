"""What a wish asks of extensions: checked before it waits, told in the settings, and read back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.tiny import furnish
from webui.app import Inventory, inventory
from webui.hooks.host import Extension, collect
from webui.hooks.spec import Asked, Section, Setting, Settled
from webui.jobs.plans import decode, encode
from webui.library import infotext
from webui.modules.errors import (
    LimitError,
    RangeError,
    UnknownNameError,
    UnsupportedError,
    UnsupportedModelError,
    WebuiError,
)
from webui.modules.types import GenerationPlan
from webui.services.extensions import Roster
from webui.services.receipts import Drawn, receipt_of
from webui.services.replay import replay_request
from webui.services.requests import GenerationRequest
from webui.services.resolve import resolve
from webui.settings import load

NAME = "aesthetic_gradients"
SAID = {"en": "Test", "zh": "测试"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = furnish(tmp_path_factory.mktemp("home"))
    folder = home / "models" / "VAE"
    folder.mkdir(parents=True)
    told = {"atelier.kind": "aesthetic", "atelier.space": "text-pooled"}
    save_file({"aesthetic": torch.ones(1, 64)}, folder / "mood, warm.safetensors", metadata=told)
    both = {"aesthetic": torch.ones(1, 32), "projection": torch.ones(32, 64)}
    save_file(both, folder / "own.safetensors", metadata={"atelier.kind": "aesthetic"})
    torch.save(torch.ones(1, 64).half(), folder / "published.pt")
    return home


@pytest.fixture(scope="module")
def stock(home: Path) -> Inventory:
    return inventory(load({}, environment={}, home=home))


def plan_for(stock: Inventory, *, house=None, **extensions: dict) -> GenerationPlan:
    chance = Random(1)  # noqa: S311 - the same seeds in every run of a test
    return resolve(
        GenerationRequest(prompt="a cat", seed=5, extensions=extensions),
        options=stock.options.current(),
        house=house or stock.house,
        random=chance,
    )


def test_a_wish_is_settled_with_all_settings_and_the_file(stock: Inventory) -> None:
    plan = plan_for(stock, aesthetic_gradients={"embedding": "own", "steps": 3})

    (use,) = plan.extensions
    assert dict(use.settings) == {
        "learning_rate": 0.0001,
        "weight": 0.9,
        "steps": 3,
        "embedding": "own",
        "slerp": False,
        "text": "",
        "text_negative": False,
        "slerp_angle": 0.1,
    }
    assert [(name, record.path.name) for name, record in use.models] == [
        ("embedding", "own.safetensors")
    ]
    assert use.models[0][1].sha256
    assert decode(encode(plan)) == plan
    assert hash(plan) == hash(decode(encode(plan)))


@pytest.mark.parametrize("given", [{}, {"embedding": "None"}, {"embedding": ""}])
def test_without_a_file_nothing_is_asked(stock: Inventory, given: dict) -> None:
    assert plan_for(stock, aesthetic_gradients=given) == plan_for(stock)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"embedding": "gone"}, UnknownNameError, "gone"),
        ({"embedding": "own", "style": 1}, UnknownNameError, "style"),
        ({"embedding": "own", "steps": 51}, RangeError, "steps is 51"),
        ({"embedding": "own", "steps": 2.5}, RangeError, "steps is 2.5"),
        ({"embedding": "own", "weight": -0.1}, RangeError, "weight is -0.1"),
        ({"embedding": "own", "weight": float("nan")}, RangeError, "weight is nan"),
        ({"embedding": "own", "learning_rate": "fast"}, RangeError, "fast"),
        ({"embedding": "own", "slerp": "no"}, RangeError, "slerp is 'no'"),
        ({"embedding": "own", "text": "a" * 100_000}, LimitError, "100000"),
        ({"embedding": "published"}, UnsupportedModelError, "CLIP's text projection"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_what_cannot_be_is_refused_with_its_value(stock, given, kind, said) -> None:
    with pytest.raises(kind) as told:
        plan_for(stock, **{NAME: given})

    assert said in str(told.value)
    assert told.value.hint
    assert len(str(told.value)) < 300


def test_an_unknown_extension_is_named(stock: Inventory) -> None:
    with pytest.raises(UnknownNameError, match="controlnet") as told:
        plan_for(stock, controlnet={})

    assert NAME in told.value.hint


def test_clips_own_file_brings_published_embeddings_to_the_text_encoder(
    home: Path, stock: Inventory
) -> None:
    folder = home / "models" / "CLIP"
    folder.mkdir()
    (folder / "a-broken.safetensors").write_bytes(b"no model")
    save_file({"text_projection.weight": torch.eye(64)}, folder / "clip.safetensors")
    try:
        plan = plan_for(stock, aesthetic_gradients={"embedding": "published"})
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    assert [name for name, _ in plan.extensions[0].models] == ["embedding", "projection"]
    assert "does not say in which space" in plan.notes[0]


# In settings texts ------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


WISHES = st.fixed_dictionaries(
    {
        "learning_rate": st.floats(0, 1),
        "weight": st.floats(0, 1),
        "steps": st.integers(0, 50),
        "embedding": st.just("mood, warm"),
        "slerp": st.booleans(),
        "text": TEXTS.map(str.strip),
        "text_negative": st.booleans(),
        "slerp_angle": st.floats(0, 1),
    }
)


@given(wish=WISHES)
@settings(max_examples=30)
def test_what_is_written_is_read_again(stock: Inventory, wish: dict) -> None:
    plan = plan_for(stock, **{NAME: wish})

    told = infotext.write(plan, 0, version="atelier 1")

    fields = infotext.request_fields(infotext.parse(told))
    assert plan_for(stock, **fields["extensions"]).extensions == plan.extensions


def test_settings_are_told_under_the_names_of_a1111s_extension(stock: Inventory) -> None:
    asked = {"embedding": "mood, warm", "text": "a dog", "text_negative": True}
    plan = plan_for(stock, aesthetic_gradients=asked)

    told = infotext.write(plan, 0, version="atelier 1")

    assert (
        "Aesthetic LR: 0.0001, Aesthetic weight: 0.9, Aesthetic steps: 5, "
        'Aesthetic embedding: "mood, warm", Aesthetic slerp: False, Aesthetic text: a dog, '
        "Aesthetic text negative: True, Aesthetic slerp angle: 0.1, Version: atelier 1"
    ) in told


A1111 = (
    "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, "
    "Aesthetic LR: 0.0001, Aesthetic weight: 0.9, Aesthetic steps: 5, "
    "Aesthetic embedding: {name}, Aesthetic slerp: False, Aesthetic text: , "
    "Aesthetic text negative: False, Aesthetic slerp angle: 0.1"
)


def test_a_replay_asks_for_the_same_again(stock: Inventory) -> None:
    request = replay_request(
        A1111.format(name="own"), models=stock.models, roster=stock.house.extensions
    )

    assert request.extensions[NAME]["embedding"] == "own"
    assert request.extensions[NAME]["weight"] == 0.9


def test_a_replay_without_the_file_says_what_is_missing(stock: Inventory) -> None:
    text = A1111.format(name="sac_8plus")
    request = replay_request(text, models=stock.models, roster=stock.house.extensions)

    assert request.extensions == {}
    receipt = receipt_of(Drawn(text=text, plan=plan_for(stock)))
    said = [reason.sentence for reason in receipt.reasons]
    assert "Aesthetic embedding is sac_8plus in the text and left out here." in said


# Switched off -----------------------------------------------------------------------------------


def with_roster(stock: Inventory, *extensions: Extension, **options: object) -> Roster:
    current = stock.options.current().with_overrides(options)
    return Roster(extensions or collect_built_in(), options=lambda: current, roots=[])


def collect_built_in() -> Iterator[Extension]:
    return iter(collect([(NAME, f"webui.extensions.{NAME}", True)]))


@pytest.mark.parametrize(
    "options",
    [{"disabled_extensions": [NAME]}, {"disable_all_extensions": "all"}],
    ids=["one", "all"],
)
def test_an_option_switches_an_extension_off(stock: Inventory, options: dict) -> None:
    roster = with_roster(stock, **options)
    house = replace(stock.house, extensions=roster)

    (view,) = roster.views()
    assert not view.on
    with pytest.raises(UnsupportedError, match=next(iter(options))):
        plan_for(stock, house=house, aesthetic_gradients={"embedding": "own"})
    text = A1111.format(name="own")
    assert replay_request(text, models=stock.models, roster=roster).extensions == {}


def test_extras_alone_can_be_switched_off(stock: Inventory) -> None:
    extra = Extension(name="extra", module="extra", built_in=False, section=SECTION)
    roster = with_roster(stock, *collect_built_in(), extra, disable_all_extensions="extra")

    assert [(view.name, view.on) for view in roster.views()] == [(NAME, True), ("extra", False)]


def test_one_that_did_not_load_says_why_to_everybody(stock: Inventory) -> None:
    broken = Extension(name="mine", module="mine", built_in=False, problem="ValueError: no")
    roster = with_roster(stock, broken)

    assert roster.problems() == ("The extension mine is switched off: ValueError: no",)
    with pytest.raises(UnsupportedError, match="ValueError: no"):
        roster.find("mine")


def test_one_that_failed_in_a_job_is_off_until_the_next_start(stock: Inventory) -> None:
    roster = with_roster(stock)

    roster.switch_off(NAME, "KeyError: 'lost'")

    (view,) = roster.views()
    assert (view.on, view.reason) == (False, "it failed: KeyError: 'lost'")


SECTION = Section(
    title=SAID,
    note=SAID,
    settings=(Setting(name="on", value=False, label=SAID, key="Mine"),),
    switch="on",
)


def fails(asked: Asked) -> Settled:
    raise ZeroDivisionError


def wants_more(asked: Asked) -> Settled:
    return Settled(files=("nothing of that name",))


@pytest.mark.parametrize("settle", [fails, wants_more])
def test_one_that_fails_while_a_wish_is_settled_is_switched_off(stock, settle) -> None:
    mine = Extension(name="mine", module="mine", built_in=False, section=SECTION, settle=settle)
    roster = with_roster(stock, mine)

    with pytest.raises(WebuiError, match="the extension mine failed"):
        plan_for(stock, house=replace(stock.house, extensions=roster), mine={"on": True})

    assert not roster.views()[0].on
    assert plan_for(stock, house=replace(stock.house, extensions=roster)).prompts == ("a cat",)
