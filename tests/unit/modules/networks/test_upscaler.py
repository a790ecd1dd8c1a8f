"""Upscaling networks: the same numbers as spandrel's, from whichever layout a file has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.unit.modules.networks.reference import ENLARGING
from webui.modules.device import choose
from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.networks.upscaler import build_upscaler, load_upscaler
from webui.modules.types import ModelKind
from webui.modules.weights.describe import describe
from webui.modules.weights.upscaler import UpscalerShape, upscaler_names

if TYPE_CHECKING:
    from torch import Tensor

EXACT: Final = choose("cpu", "exact")

SHAPES: Final = {
    "esrgan-4x": UpscalerShape(
        make="esrgan", scale=4, channels=3, width=8, growth=32, blocks=2, doublings=2
    ),
    "esrgan-1x": UpscalerShape(
        make="esrgan", scale=1, channels=3, width=8, growth=32, blocks=2, doublings=0
    ),
    "esrgan-2x-folded": UpscalerShape(
        make="esrgan", scale=2, channels=12, width=8, growth=32, blocks=2, doublings=2
    ),
    "esrgan-8x": UpscalerShape(
        make="esrgan", scale=8, channels=3, width=8, growth=32, blocks=1, doublings=3
    ),
    "compact-4x": UpscalerShape(make="compact", scale=4, channels=3, width=8, blocks=3),
    "compact-2x": UpscalerShape(make="compact", scale=2, channels=3, width=8, blocks=2),
}


def oldest(name: str, shape: UpscalerShape) -> str:
    """Return the name of one of our tensors in the layout that the oldest files have."""
    if shape.make == "compact":
        return name
    layer, _, kind = name.rpartition(".")
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d)\.(\d)", layer):
        block, dense, place = (int(part) for part in match.groups())
        return f"model.1.sub.{block}.RDB{dense + 1}.conv{place + 1}.0.{kind}"
    ups = {f"ups.{place}": 3 * place + 3 for place in range(shape.doublings)}
    end = 3 * shape.doublings
    numbers = {"first": 0, "high": end + 2, "last": end + 4, **ups}
    return (
        f"model.1.sub.{shape.blocks}.{kind}"
        if layer == "trunk"
        else f"model.{numbers[layer]}.{kind}"
    )


def newer(name: str, words: dict[str, str], dense: str) -> str:
    layer, _, kind = name.rpartition(".")
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d)\.(\d)", layer):
        block, number, place = (int(part) for part in match.groups())
        return dense.format(block, number + 1, place + 1, kind)
    if layer.startswith("ups."):
        return f"{words['ups']}{int(layer[4:]) + 1}.{kind}"
    return f"{words[layer]}.{kind}"


def middle(name: str, shape: UpscalerShape) -> str:
    words = {"first": "conv_first", "trunk": "trunk_conv", "ups": "upconv", "high": "HRconv",
             "last": "conv_last"}  # fmt: skip
    return newer(name, words, "RRDB_trunk.{}.RDB{}.conv{}.{}") if shape.make == "esrgan" else name


def newest(name: str, shape: UpscalerShape) -> str:
    words = {"first": "conv_first", "trunk": "conv_body", "ups": "conv_up", "high": "conv_hr",
             "last": "conv_last"}  # fmt: skip
    found = newer(name, words, "body.{}.rdb{}.conv{}.{}") if shape.make == "esrgan" else name
    return f"params_ema.{found}"


def tensors(shape: UpscalerShape) -> dict[str, Tensor]:
    """Return weights by the names that spandrel knows, drawn in the order of these names."""
    facts = {oldest(name, shape): each for name, each in build_upscaler(shape).named_parameters()}
    numbers = torch.Generator().manual_seed(1)
    found: dict[str, Tensor] = {}
    for name in sorted(facts):
        sides = facts[name].shape
        fan = sides[1:].numel() if len(sides) > 1 else 1
        found[name] = torch.randn(sides, generator=numbers) * (0.5 / fan) ** 0.5
    return found


@pytest.mark.parametrize("layout", [oldest, middle, newest], ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("name", SHAPES)
def test_a_file_of_any_layout_enlarges_as_in_spandrel(name: str, layout, tmp_path: Path) -> None:
    shape = SHAPES[name]
    ours = upscaler_names(list(weights := tensors(shape)))
    file = {layout(ours[theirs], shape): each for theirs, each in weights.items()}
    save_file(file, tmp_path / "any.safetensors")
    picture = torch.rand(1, 3, 7, 6, generator=torch.Generator().manual_seed(2))

    upscaler = load_upscaler(tmp_path / "any.safetensors", EXACT)
    larger = upscaler(picture)

    facts = describe(tmp_path / "any.safetensors")
    assert (facts.kind, facts.family) == (ModelKind.UPSCALER, shape.family)
    assert upscaler.scale == shape.scale
    np.testing.assert_allclose(larger.numpy(), ENLARGING[name], rtol=0, atol=1e-6)


def test_a_pickle_is_read_without_being_run(tmp_path: Path) -> None:
    weights = tensors(SHAPES["compact-2x"])
    torch.save({"params": weights}, tmp_path / "small.pth")

    assert load_upscaler(tmp_path / "small.pth", EXACT).scale == 2


def test_a_file_that_lacks_a_layer_is_refused_by_name(tmp_path: Path) -> None:
    weights = tensors(SHAPES["esrgan-4x"])
    del weights["model.1.sub.1.RDB2.conv3.0.weight"]
    save_file(weights, tmp_path / "half.safetensors")

    with pytest.raises(ModelFileError, match=r"half\.safetensors has no tensor"):
        load_upscaler(tmp_path / "half.safetensors", EXACT)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    save_file(tensors(SHAPES["compact-2x"]), tmp_path / "cut.safetensors")
    whole = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(ModelFileError, match="cut"):
        load_upscaler(tmp_path / "cut.safetensors", EXACT)


def test_another_kind_of_file_is_no_upscaler(tmp_path: Path) -> None:
    save_file({"some.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")

    with pytest.raises(UnsupportedModelError, match="no upscaler"):
        load_upscaler(tmp_path / "other.safetensors", EXACT)
