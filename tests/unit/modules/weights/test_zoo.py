"""Files that other libraries saved: each is named, fits, and does what its library's forward does.

``tools/zoo.py`` made them with LyCORIS, PEFT and diffusers over tiny networks of the make of Stable
Diffusion 1 and of SDXL; ``forwards.safetensors`` holds what those libraries then answered.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.tiny import NAME, furnish
from tests.zoo import ZOO, Trio, answers, sdxl_checkpoint, tiny_sdxl
from webui.app import inventory
from webui.modules.layers.lora import LoraUse, Networks, read_lora
from webui.modules.pipeline.engine import Engine
from webui.modules.types import ModelRecord
from webui.modules.weights.architecture import UNetShape
from webui.services.models import Models
from webui.settings import load

ANSWERS: Final = load_file(ZOO / "forwards.safetensors")
CASES: Final = sorted({name.partition("|")[0] for name in ANSWERS if not name.startswith("base-")})

METHODS: Final[Mapping[str, str]] = {
    "rslora": "lora",
    "text-only": "lora",
    "unet-only": "lora",
    "text": "lora",
    "locon-tucker": "locon",
    "loha-tucker": "loha",
    "lokr-full": "lokr",
    "oft-bound": "oft",
    "oft-cayley": "oft",
    "boft-deep": "boft",
    "dora-columns": "dora",
    "dora-loha": "dora",
}
"""Families of the cases that are not called so."""

KERNELS: Final = ("sd1-peft-lora", "sd1-peft-rslora")
"""PEFT's LoRA over convolutions is what others call LoCon."""

SDXL: Final = UNetShape(
    in_channels=4,
    out_channels=4,
    widths=(16, 32, 32),
    blocks=2,
    depths=(0, 1, 2),
    context=48,
    heads=(1, 2, 2),
    groups=4,
    linear=True,
)


def file_of(case: str) -> Path:
    """Return a case's file; PEFT's lies in a folder, its config beside it."""
    folder = ZOO / case
    return folder / "adapter_model.safetensors" if folder.is_dir() else ZOO / f"{case}.safetensors"


def family_of(case: str) -> str:
    if case in KERNELS:
        return "locon"
    method = case.split("-", 2)[2] if case.count("-") > 1 else "lora"
    return METHODS.get(method, method) if "diffusers" not in case else "lora"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Give the tiny checkpoint, and one of SDXL's make beside it."""
    home = furnish(tmp_path_factory.mktemp("zoo"))
    path = home / "models" / "Stable-diffusion" / "tiny-sdxl.safetensors"
    save_file(sdxl_checkpoint(tiny_sdxl()), path)
    return inventory(load({}, environment={}, home=home)).models


@pytest.fixture(scope="module")
def worn(engine: Engine, tiny: ModelRecord) -> Mapping[str, tuple[Trio, Networks]]:
    checkpoint = engine.load(tiny)
    sd1 = Trio(unet=checkpoint.unet, text=checkpoint.text)
    sdxl = tiny_sdxl()
    return {
        "sd1": (sd1, Networks(sd1.unet, sd1.text, checkpoint.architecture.unet)),
        "sdxl": (sdxl, Networks(sdxl.unet, sdxl.text, SDXL, sdxl.second)),
    }


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def answered(case: str) -> Iterator[tuple[str, Tensor]]:
    for name, answer in ANSWERS.items():
        begin, _, network = name.partition("|")
        if begin == case:
            yield network, answer


@pytest.mark.parametrize("make", ["sd1", "sdxl"])
def test_the_networks_are_those_that_the_libraries_had(
    make: str, worn: Mapping[str, tuple[Trio, Networks]]
) -> None:
    ours = answers(worn[make][0])

    for network, answer in answered(f"base-{make}"):
        assert distance(ours[network], answer) <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_a_library_s_file_does_what_its_forward_does(
    case: str, worn: Mapping[str, tuple[Trio, Networks]]
) -> None:
    make = case.partition("-")[0]
    trio, networks = worn[make]
    base = dict(answered(f"base-{make}"))

    with networks.changed_by([LoraUse(lora=read_lora(file_of(case)))]) as notes:
        ours = answers(trio)

    assert notes == ()
    moved = 0
    for network, answer in answered(case):
        assert distance(ours[network], answer) <= 1e-5, network
        moved += distance(base[network], answer) > 1e-3
    assert moved


@pytest.mark.parametrize("case", CASES)
def test_inspect_names_it_and_says_that_it_fits(case: str, models: Models) -> None:
    make = case.partition("-")[0]

    found = models.inspect(file_of(case), checkpoint=f"tiny-{make}.safetensors")

    assert found.error is None
    assert (found.kind, found.family) == ("lora", family_of(case))
    assert found.applies == 1.0


@pytest.mark.parametrize("case", ["sdxl-lycoris-lora", "sdxl-diffusers"])
def test_a_file_for_sdxl_does_not_fit_the_first_family(case: str, models: Models) -> None:
    found = models.inspect(file_of(case), checkpoint=NAME)

    assert found.applies is not None
    assert found.applies < 0.5
    assert NAME.removesuffix(".safetensors") in found.verdict
