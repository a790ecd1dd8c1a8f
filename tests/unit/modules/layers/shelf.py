"""Checkpoints near the tiny one, and plans about them, for the tests of converters."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from webui.modules.types import ModelKind, ModelRecord

UNET = "model.diffusion_model."
TEXT = "cond_stage_model.transformer.text_model."

Change = Callable[[str, Tensor], Tensor | None]
"""Gives a tensor of the new file from the old one; None leaves it out."""


def silent(_number: int, _total: int, _text: str) -> None:
    """Be told, and say nothing."""


def record_of(path: Path, kind: ModelKind = ModelKind.CHECKPOINT, family: str = "") -> ModelRecord:
    config = path.with_suffix(".yaml")
    return ModelRecord(
        path=path,
        kind=kind,
        name=path.name,
        family=family,
        sha256=path.stem[0] * 64,
        config=config if config.is_file() else None,
    )


def varied(source: ModelRecord, target: Path, change: Change, **texts: str) -> ModelRecord:
    """Write a checkpoint that differs from another by a rule, with its yaml beside it."""
    tensors = {
        name: changed.contiguous()
        for name, tensor in load_file(source.path).items()
        if (changed := change(name, tensor)) is not None
    }
    save_file(tensors, target, texts or None)
    if source.config:
        target.with_suffix(".yaml").write_bytes(source.config.read_bytes())
    return record_of(target)


def noisy(seed: int, *, dtype: torch.dtype = torch.float16) -> Change:
    """Return the rule that moves every number a little."""
    random = torch.Generator().manual_seed(seed)

    def change(_name: str, tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        moved = tensor.float() + 0.02 * torch.randn(tensor.shape, generator=random)
        return moved.to(dtype if tensor.dtype == torch.float16 else tensor.dtype)

    return change
