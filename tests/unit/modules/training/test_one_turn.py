"""One turn of the loop, shown: four pictures, and what a correction of each kind would move."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.trainings import BASE
from webui.modules.device import choose
from webui.modules.errors import UnsupportedError
from webui.modules.layers.explain_help import read_png
from webui.modules.training.denoising import Sample
from webui.modules.training.objective import Levels, levels
from webui.modules.training.one_turn import clean_latents, one_turn
from webui.modules.training.plan import TRAINABLE, NoisePlan
from webui.modules.types import GuideStepPlan, ModelKind

PARTS = {
    ModelKind.CHECKPOINT: {"unet", "text"},
    ModelKind.EMBEDDING: {"words"},
    ModelKind.LORA: {"unet", "text"},
    ModelKind.HYPERNETWORK: {"keys", "values"},
    ModelKind.VAE: {"vae"},
    ModelKind.AESTHETIC: {"words"},
}


def turned(folder: Path, kind: ModelKind, level: int = 300):
    picture = folder / "square.png"
    image = Image.new("RGB", (96, 64), "steelblue")
    image.paste("gold", (32, 16, 64, 48))
    image.save(picture)
    told: list[str] = []
    plan = GuideStepPlan(
        kind=kind,
        checkpoint=BASE,
        picture=picture,
        caption="a yellow square",
        level=level,
        side=64,
        pictures=folder / "kept",
    )
    turn = one_turn(plan, choose("cpu", "exact"), lambda _n, _t, text: told.append(text))
    found: dict[str, Any] = dict(turn)
    assert told == ["painter", "noise", "predict", "compare", "correct", "kinds"]
    return found, {
        name: read_png(folder / "kept" / f"{kept}.png") for name, kept in found["pictures"].items()
    }


@pytest.mark.parametrize("kind", TRAINABLE)
def test_each_kind_is_shown_noised_guessed_compared_and_corrected(
    tmp_path: Path, kind: ModelKind
) -> None:
    found, pictures = turned(tmp_path, kind)

    assert set(pictures) == {"picture", "noised", "guess", "difference"}
    assert {tuple(each.shape) for each in pictures.values()} == {(3, 64, 64)}
    assert {part["part"] for part in found["moved"]} == PARTS[kind]
    assert all(0 < part["moved"] <= part["tensors"] for part in found["moved"])
    assert 0 < found["after"] < found["loss"]
    by_kind = {each["kind"]: each for each in found["kinds"]}
    assert list(by_kind) == [kind.value for kind in TRAINABLE]
    assert by_kind["embedding"]["numbers"] < by_kind["lora"]["numbers"]
    assert by_kind["lora"]["numbers"] < by_kind["checkpoint"]["numbers"]
    assert sum(part["numbers"] for part in found["moved"]) == by_kind[kind.value]["numbers"]


def test_more_noise_leaves_less_of_the_picture(tmp_path: Path) -> None:
    _, little = turned(tmp_path, ModelKind.EMBEDDING, level=20)
    _, much = turned(tmp_path, ModelKind.EMBEDDING, level=900)

    far = [float((each["noised"] - each["picture"]).abs().mean()) for each in (little, much)]
    assert far[0] < far[1]
    assert torch.equal(little["picture"], much["picture"])


def test_a_true_answer_gives_back_the_picture() -> None:
    random = torch.Generator().manual_seed(3)
    clean, noise = (torch.randn(2, 4, 8, 8, generator=random) for _ in range(2))
    times = torch.tensor([100, 700])
    for prediction in ("epsilon", "v"):
        by: Levels = levels(_kept(), prediction, NoisePlan())
        sample = Sample(
            noisy=by.noised(clean, noise, times),
            times=times,
            texts=("", ""),
            truth=by.truth(clean, noise, times),
            counts=torch.ones(2, 1, 8, 8),
            weights=torch.ones(2),
        )
        assert torch.allclose(clean_latents(sample, sample.truth, by), clean, atol=1e-4)


def _kept() -> torch.Tensor:
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    return torch.cumprod(1 - roots**2, dim=0)


def test_a_kind_that_is_not_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="is not trained"):
        turned(tmp_path, ModelKind.UPSCALER)
