"""Names and shapes of well-known files: each is told for what it is, and what fits it fits.

``real_headers.json.xz`` holds no weights. The checkpoints' tables follow the published layouts, the
LoRA tables are the names that kohya's trainer gives to every layer of those networks.
"""

import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from webui.modules.layers.fit import fit
from webui.modules.types import ModelKind
from webui.modules.weights.architecture import unet_shape
from webui.modules.weights.describe import recognise
from webui.modules.weights.header import Header, TensorFacts

Tensors = Mapping[str, TensorFacts]

_PACKED: Final = Path(__file__).with_name("real_headers.json.xz").read_bytes()
TABLES: Final[Mapping[str, Tensors]] = {
    file: {name: TensorFacts(tuple(shape), "F16") for name, shape in table.items()}
    for file, table in json.loads(lzma.decompress(_PACKED)).items()
}
"""Facts of each file's tensors."""

UNET: Final = "model.diffusion_model."
KINDS: Final = {
    "sd15": (ModelKind.CHECKPOINT, "sd1"),
    "sd21": (ModelKind.CHECKPOINT, "sd2"),
    "sdxl-base": (ModelKind.CHECKPOINT, "sdxl"),
    "sdxl-refiner": (ModelKind.CHECKPOINT, "sdxl-refiner"),
    "sd3-medium": (ModelKind.CHECKPOINT, "sd3"),
    "flux-dev": (ModelKind.CHECKPOINT, "flux"),
    "kohya-sd15": (ModelKind.LORA, "locon"),
    "kohya-sd21": (ModelKind.LORA, "locon"),
    "kohya-sdxl": (ModelKind.LORA, "locon"),
}
PAIRS: Final = (("kohya-sd15", "sd15"), ("kohya-sd21", "sd21"), ("kohya-sdxl", "sdxl-base"))


def told(tensors: Tensors) -> tuple[ModelKind, str]:
    return recognise(Header(format="safetensors", tensors=tensors, metadata={}, values={}))


def share(add_on: Tensors, base: Tensors, kind: ModelKind = ModelKind.LORA) -> float:
    found = fit(kind, add_on, base, unet_shape(base))
    assert found is not None
    return found.share


@pytest.mark.parametrize("file", KINDS)
def test_a_known_file_is_named(file: str) -> None:
    assert told(TABLES[file]) == KINDS[file]


@pytest.mark.parametrize("file", ["sd3-medium", "flux-dev"])
def test_newer_families_are_named_with_the_prefix_and_without(file: str) -> None:
    inside = {
        name.removeprefix(UNET): facts
        for name, facts in TABLES[file].items()
        if not name.startswith("first_stage_model.")
    }

    assert told(inside) == KINDS[file]
    assert told({UNET + name: facts for name, facts in inside.items()}) == KINDS[file]


@pytest.mark.parametrize("file", ["sd15", "sd21", "sdxl-base", "sdxl-refiner"])
def test_the_width_of_texts_tells_a_denoising_network_alone(file: str) -> None:
    alone = {name: facts for name, facts in TABLES[file].items() if name.startswith(UNET)}
    bare = {name.removeprefix(UNET): facts for name, facts in alone.items()}

    assert told(alone) == KINDS[file]
    assert told(bare) == (ModelKind.CHECKPOINT, f"{KINDS[file][1]}-unet")


@pytest.mark.parametrize("file", ["sd15", "sd3-medium"])
def test_the_vae_in_a_checkpoint_is_one_with_its_prefix_and_without(file: str) -> None:
    begin = "first_stage_model."
    inside = {name: facts for name, facts in TABLES[file].items() if name.startswith(begin)}

    assert told(inside) == (ModelKind.VAE, "")
    assert told({n.removeprefix(begin): facts for n, facts in inside.items()})[0] is ModelKind.VAE


@pytest.mark.parametrize(("lora", "base"), PAIRS)
def test_every_layer_that_kohya_names_is_found(lora: str, base: str) -> None:
    assert share(TABLES[lora], TABLES[base]) == 1.0


@pytest.mark.parametrize(("lora", "base"), PAIRS)
def test_files_for_one_network_fit_wholly_too(lora: str, base: str) -> None:
    for begin in ("lora_te", "lora_unet"):
        part = {name: facts for name, facts in TABLES[lora].items() if name.startswith(begin)}
        assert told(part)[0] is ModelKind.LORA
        assert share(part, TABLES[base]) == 1.0


@pytest.mark.parametrize(
    ("lora", "base", "most"),
    [
        ("kohya-sd15", "sdxl-base", 0.3),
        ("kohya-sdxl", "sd15", 0.3),
        ("kohya-sd15", "sd21", 0.75),
        ("kohya-sdxl", "sdxl-refiner", 0.5),
    ],
)
def test_a_lora_of_another_family_does_not_fit_wholly(lora: str, base: str, most: float) -> None:
    assert share(TABLES[lora], TABLES[base]) < most


@pytest.mark.parametrize(
    ("shapes", "fits"),
    [
        ({"emb_params": (2, 768)}, {"sd15"}),
        ({"emb_params": (2, 1024)}, {"sd21"}),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, {"sdxl-base"}),
    ],
)
def test_an_embedding_fits_its_family_alone(
    shapes: Mapping[str, tuple[int, ...]], fits: set[str]
) -> None:
    tensors = {name: TensorFacts(shape, "F32") for name, shape in shapes.items()}

    found = {
        base
        for base in ("sd15", "sd21", "sdxl-base")
        if share(tensors, TABLES[base], ModelKind.EMBEDDING) == 1.0
    }

    assert found == fits
