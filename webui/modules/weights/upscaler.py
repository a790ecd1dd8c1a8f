"""What an upscaling network is, from its tensors' names and shapes; and our names for them.

Two makes are known. ESRGAN (Wang et al. 2018, arXiv:1809.00219) with Real-ESRGAN (arXiv:2107.10833)
comes in three layouts of names: "model.1.sub", "RRDB_trunk" and "body.0.rdb1". The small one of
Real-ESRGAN ("compact", SRVGG) has "body.0", "body.1" ...
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from webui.modules.weights.header import TensorFacts

PREFIXES: Final = ("params_ema.", "params.", "")
"""Under which name a file keeps its tensors; averaged ones go first."""

COLOURS: Final = 3

MOST_BLOCKS: Final = 128
"""The largest real one has 32."""

MOST_DOUBLINGS: Final = 4
"""16 times larger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpscalerShape:
    """An upscaling network.

    Attributes:
        make: Which of the two.
        scale: How many times larger the picture gets.
        channels: Channels that the first layer reads.
        width: Channels inside.
        growth: Channels that each layer of a dense block adds; 0 for the compact make.
        blocks: Residual blocks, or inner layers of the compact make.
        doublings: How often the picture is doubled inside; 0 for the compact make.
    """

    make: Literal["esrgan", "compact"]
    scale: int
    channels: int
    width: int
    growth: int = 0
    blocks: int
    doublings: int = 0

    @property
    def folding(self) -> int:
        """How many pixels on a side the first layer reads as one, all their channels together."""
        return math.isqrt(self.channels // COLOURS)

    @property
    def family(self) -> str:
        """Such as ``esrgan-4x``."""
        return f"{self.make}-{self.scale}x"


def upscaler_prefix(names: Iterable[str]) -> str:
    """Return under which name the tensors lie."""
    known = list(names)
    return next(each for each in PREFIXES if any(name.startswith(each) for name in known))


def upscaler_shape(tensors: Mapping[str, TensorFacts]) -> UpscalerShape | None:
    """Return the shape of the network with these tensors; None if it is no upscaler we know.

    Args:
        tensors: Facts by name, as the file has them.
    """
    if not tensors:
        return None
    prefix = upscaler_prefix(tensors)
    inside = {name.removeprefix(prefix): facts for name, facts in tensors.items()}
    shapes = {ours: inside[theirs].shape for theirs, ours in upscaler_names(inside).items()}
    found = _esrgan(shapes) or _compact(shapes)
    if found is None or found.blocks > MOST_BLOCKS or found.doublings > MOST_DOUBLINGS:
        return None
    return found if found.channels == COLOURS * found.folding**2 else None


def upscaler_names(names: Iterable[str]) -> dict[str, str]:
    """Return our network's name for each tensor that has a place in it."""
    found: dict[str, str] = {}
    outer: dict[int, list[str]] = {}
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            outer.setdefault(int(match[1]), []).append(name)
        elif ours := _our_name(name):
            found[name] = ours
    for place, number in enumerate(sorted(outer)):
        ending = {0: "first", len(outer) - 2: "high", len(outer) - 1: "last"}
        layer = ending.get(place, f"ups.{place - 1}")
        found |= {name: f"{layer}.{name.rpartition('.')[2]}" for name in outer[number]}
    return found


_NUMBERED: Final = re.compile(r"model\.(\d+)\.(?:weight|bias)")
"""Layers of the oldest layout outside the blocks: the first, the doublings and the last two."""

_DENSE: Final = re.compile(
    r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)([123])\.conv([1-5])\.(?:0\.)?(weight|bias)"
)
_TRUNK: Final = re.compile(r"(?:model\.1\.sub\.\d+|trunk_conv|conv_body)\.(weight|bias)")
_UP: Final = re.compile(r"(?:upconv|conv_up)(\d)\.(weight|bias)")
_PLAIN: Final = re.compile(r"(conv_first|HRconv|conv_hr|conv_last)\.(weight|bias)")
_COMPACT: Final = re.compile(r"body\.(\d+)\.(weight|bias)")
_LAYERS: Final = {"conv_first": "first", "HRconv": "high", "conv_hr": "high", "conv_last": "last"}


def _our_name(name: str) -> str | None:
    if match := _DENSE.fullmatch(name):
        block, dense, layer, kind = match.groups()
        return f"blocks.{block}.{int(dense) - 1}.{int(layer) - 1}.{kind}"
    if match := _TRUNK.fullmatch(name):
        return f"trunk.{match[1]}"
    if match := _UP.fullmatch(name):
        return f"ups.{int(match[1]) - 1}.{match[2]}"
    if match := _PLAIN.fullmatch(name):
        return f"{_LAYERS[match[1]]}.{match[2]}"
    return f"body.{match[1]}.{match[2]}" if (match := _COMPACT.fullmatch(name)) else None


_Shapes = Mapping[str, tuple[int, ...]]


def _esrgan(shapes: _Shapes) -> UpscalerShape | None:
    first, dense = shapes.get("first.weight", ()), shapes.get("blocks.0.0.0.weight", ())
    if len(first) != 4 or len(dense) != 4 or shapes.get("last.weight", ())[:1] != (COLOURS,):  # noqa: PLR2004 - axes of a convolution
        return None
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    doublings = len({name.split(".")[1] for name in shapes if name.startswith("ups.")})
    folding = math.isqrt(first[1] // COLOURS)
    return UpscalerShape(
        make="esrgan",
        scale=max(1, 2**doublings // max(1, folding)),
        channels=first[1],
        width=first[0],
        growth=dense[0],
        blocks=len(blocks),
        doublings=doublings,
    )


def _compact(shapes: _Shapes) -> UpscalerShape | None:
    layers = {int(name.split(".")[1]) for name in shapes if name.startswith("body.")}
    first, slope = shapes.get("body.0.weight", ()), shapes.get("body.1.weight", ())
    last = shapes.get(f"body.{max(layers)}.weight", ()) if layers else ()
    if len(first) != 4 or len(slope) != 1 or len(last) != 4:  # noqa: PLR2004 - axes of a convolution
        return None
    return UpscalerShape(
        make="compact",
        scale=math.isqrt(last[0] // COLOURS),
        channels=first[1],
        width=first[0],
        blocks=(len(layers) - 3) // 2,
    )
