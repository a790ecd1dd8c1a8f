"""PEFT's and diffusers' files in kohya's words: the strength that they keep beside their tensors.

These libraries write no ``alpha`` among the tensors. It stands in the file's texts
(``lora_adapter_metadata``, by diffusers) or in ``adapter_config.json`` beside the file (by PEFT);
where neither is there, alpha is the rank and the change counts fully.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from webui.modules.weights.lora_parts import MAGNITUDE
from webui.modules.weights.small_text import read_small_text

Layers = Mapping[str, Mapping[str, Tensor]]
Config = Mapping[str, Any]

TEXT: Final = "lora_adapter_metadata"
"""The text of a safetensors file in which diffusers keeps PEFT's config."""

BESIDE: Final = "adapter_config.json"

NETWORKS: Final = ("text_encoder_2", "text_encoder", "unet")
"""With what diffusers' names begin, the longest first."""

_PREFIX: Final = "base_model.model."
_MODEL_FILES: Final = frozenset({".safetensors", ".bin", ".pt", ".ckpt"})
_RANKED: Final = ("lora_down.weight", "hada_w1_b", "lokr_w1", "lokr_w1_a")


def read_configs(path: Path, metadata: Mapping[str, Any]) -> Mapping[str, Config]:
    """Return PEFT's configs for a file by network; under "" the one for all.

    A config that is damaged counts as none: the file is read as one without.

    Args:
        path: The file.
        metadata: Its texts.
    """
    told = _parsed(str(metadata.get(TEXT, "")))
    if not told and _stands_for(path):
        told = _beside(path)
    found: dict[str, dict[str, Any]] = {}
    for key, value in told.items():
        network, name = _parted(key)
        found.setdefault(network, {})[name] = value
    return found


def in_our_words(layers: Layers, configs: Mapping[str, Config]) -> dict[str, dict[str, Tensor]]:
    """Return layers with what PEFT says elsewhere put among their parts.

    Args:
        layers: Parts by the file's names of layers.
        configs: By network, as ``read_configs`` gives them.
    """
    return {name: dict(_completed(name, parts, configs)) for name, parts in layers.items()}


def _completed(
    name: str, parts: Mapping[str, Tensor], configs: Mapping[str, Config]
) -> Iterator[tuple[str, Tensor]]:
    network, path = _parted(name.removeprefix(_PREFIX))
    config = configs.get(network) or configs.get("") or {}
    for part, tensor in parts.items():
        if part == MAGNITUDE:
            yield "dora_scale", tensor.flatten()
        else:
            yield part, tensor
    scale = _scale(parts, path, config)
    if scale is not None:
        yield "scale", torch.tensor(scale)
    if "ia3_l" in parts and "feedforward_modules" in config:
        yield "on_input", torch.tensor(_listed(path, config["feedforward_modules"]))
    if "oft_R" in parts and "use_cayley_neumann" in config:
        terms = config.get("num_cayley_neumann_terms", 5)
        series = config["use_cayley_neumann"] is True and isinstance(terms, int)
        yield "oft_terms", torch.tensor(min(max(terms, 1), 64) if series else 0)


def _scale(parts: Mapping[str, Tensor], path: str, config: Config) -> float | None:
    """Return ``alpha / rank``, or over its root if the config says rsLoRA; None if untold."""
    named = next((part for part in _RANKED if part in parts), None)
    usual = config.get("lora_alpha", config.get("alpha"))
    alpha = _of_pattern(config.get("alpha_pattern"), path, usual)
    rank = _of_pattern(config.get("rank_pattern"), path, config.get("r"))
    if named in ("lora_down.weight", "hada_w1_b"):
        rank = parts[named].shape[0]
    if named is None or alpha is None or not rank or "alpha" in parts or "scale" in parts:
        return None
    return alpha / (math.sqrt(rank) if config.get("use_rslora") is True else rank)


def _of_pattern(pattern: object, path: str, usual: object) -> float | None:
    """Return a layer's own number where the config has one for it."""
    entries = cast("dict[str, object]", pattern) if isinstance(pattern, dict) else {}
    own = next((value for key, value in entries.items() if _listed(path, [key])), usual)
    return float(own) if isinstance(own, int | float) and math.isfinite(own) else None


def _listed(path: str, ends: object) -> bool:
    """Tell whether a layer's path is one of these, or ends in one of them."""
    named = [ends] if isinstance(ends, str) else ends
    if not isinstance(named, list):
        return False
    plain = [end.lstrip("^") for end in cast("list[object]", named) if isinstance(end, str)]
    return any(path == end or path.endswith(f".{end}") for end in plain)


def _parted(name: str) -> tuple[str, str]:
    """Part a name's network from the rest; "" where none is named."""
    for network in NETWORKS:
        if name.startswith(f"{network}."):
            return network, name.removeprefix(f"{network}.")
    return "", name


def _stands_for(path: Path) -> bool:
    """Tell whether a config beside a file is the file's own, not another one's."""
    if path.stem.startswith("adapter_model"):
        return True
    try:
        others = [each for each in path.parent.iterdir() if each.suffix in _MODEL_FILES]
    except OSError:
        return False
    return others == [path]


def _beside(path: Path) -> Config:
    try:
        return _parsed(read_small_text(path.with_name(BESIDE)))
    except (OSError, ValueError):
        return {}


def _parsed(text: str) -> Config:
    try:
        told: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
