"""What the starter and its companions promise: it draws what is asked for, they change it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.integration.conftest import ROOT, exact
from tools.effects.studies import COMPANIONS
from tools.starter.companions import CARDS
from tools.starter.exam import answers, drawn, pixels, questions, wish
from tools.starter.judge import read_judge, truth, verdicts
from tools.starter.vocabulary import SUBJECTS
from webui import app
from webui.api.always_on import extensions_asked
from webui.services import headless

STARTER: Final = ROOT / "models" / "Stable-diffusion" / "starter.safetensors"
WEIGHTS: Final = {".safetensors", ".pt"}
GALLERY: Final = sorted((ROOT / "docs" / "gallery").glob("*.png"), key=lambda file: int(file.stem))


def test_most_of_what_is_asked_for_is_what_an_independent_eye_sees(tmp_path: Path) -> None:
    kinds = ("known", "known colour", "held-out colour", "setting")
    asked = [
        question
        for kind in kinds
        for question in [each for each in questions(11) if each.kind == kind][:3]
    ]
    pictures = answers([each.prompt for each in asked], ROOT, "starter", tmp_path)
    shown = torch.stack([pixels(each) for each in pictures])
    judge = read_judge(ROOT / "tests" / "judge.safetensors")
    with torch.no_grad():
        found = verdicts(judge, shown, [truth(each.scene) for each in asked])
    assert np.mean(found["subject"]) >= 0.75
    assert np.mean(found["ground"]) >= 0.85


@pytest.mark.parametrize("file", GALLERY[::12], ids=lambda file: file.stem)
def test_a_picture_of_the_gallery_is_drawn_again_from_its_own_settings(
    file: Path, tmp_path: Path
) -> None:
    settings = exact(ROOT)
    stock = app.inventory(settings)
    options = stock.options.current()
    request = headless.request_from({}, text_file=file, options=options, house=stock.house)
    (again,) = headless.draw(
        [request], options=options, house=stock.house, device=settings.device, out=tmp_path
    )
    apart = (pixels(Path(again.path)) - pixels(file)).abs().mean()
    assert apart < 2 / 255  # another processor rounds in another way


def test_the_card_names_every_thing_that_can_be_asked_for() -> None:
    card = STARTER.with_suffix(".md").read_text("utf-8")
    listed = " ".join(card.split("**Things**")[1].split("**Styles**")[0].split())
    assert listed.startswith(f"({len(SUBJECTS)}): ")
    named = listed.split(": ")[1].rstrip(" -.").split(", ")
    assert named == [subject.names[0] for subject in SUBJECTS]


def test_the_checkpoint_takes_forty_megabytes_at_most() -> None:
    assert STARTER.stat().st_size <= 40_000_000


def _blue(shown: Tensor) -> Tensor:
    return (shown[:, 2] / (shown.sum(1) + 0.01)).mean()


def _purple(shown: Tensor) -> Tensor:
    red, green, blue = shown.unbind(1)
    return ((blue > green + 0.15) & (blue > 0.9 * red)).float().mean()


def _light(shown: Tensor) -> Tensor:
    return shown.mean()


def _dark(shown: Tensor) -> Tensor:
    return 1 - shown.mean()


def _edges(shown: Tensor) -> Tensor:
    return shown.diff(dim=-1).abs().mean() + shown.diff(dim=-2).abs().mean()


DOES: Final[Mapping[str, tuple[str, Callable[[Tensor], Tensor]]]] = {
    "blueprint": ("a castle", _blue),
    "mascot": ("an octopus on a white background", _purple),
    "snow": ("a lion", _light),
    "crisp": ("an owl", _edges),
    "night": ("a car", _dark),
}
"""Of each companion: a prompt without it, and what grows with it."""


@pytest.mark.parametrize("name", CARDS)
def test_a_companion_does_what_its_card_says(name: str, tmp_path: Path) -> None:
    plain, grows = DOES[name]
    study = COMPANIONS[name]
    without = [wish(plain, seed, "starter") for seed in (1, 2, 3)]
    with_it = [
        replace(
            wish(study.worn(plain), each.seed, "starter"),
            options=study.wish.get("override_settings", {}),
            extensions=extensions_asked(study.wish.get("alwayson_scripts", {})),
        )
        for each in without
    ]
    shown = torch.stack([pixels(each) for each in drawn([*without, *with_it], ROOT, tmp_path)])
    before, after = shown.chunk(2)
    assert grows(after) > 1.1 * grows(before)


@pytest.mark.parametrize("name", CARDS)
def test_a_companion_is_small_and_has_a_card_and_a_picture(name: str) -> None:
    beside = [*ROOT.glob(f"models/*/starter/{name}.*"), *ROOT.glob(f"embeddings/starter/{name}.*")]
    (file,) = (each for each in beside if each.suffix in WEIGHTS)
    assert file.stat().st_size <= (4_000_000 if file.parent.parent.name == "VAE" else 1_000_000)
    assert json.loads(file.with_suffix(".json").read_text("utf-8"))["description"]
    with Image.open(file.with_suffix(".preview.png")) as picture:
        assert picture.size == (128, 128)
