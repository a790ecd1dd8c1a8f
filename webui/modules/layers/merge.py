"""A checkpoint made of others: A1111's checkpoint merger, tensor by tensor.

The rules are A1111's (its tab "Checkpoint Merger"): only tensors whose name holds "model" are
mixed, what only A has stays, what only others have is left out, and what C lacks adds no
difference. M may differ from block to block, as with the extension "Merge Block Weighted".
Everything is computed in 32 bits, so that half-precision files lose nothing on the way.
"""

import shutil
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Final

import torch
from torch import Tensor

from webui.modules.errors import ModelFileError, UnsupportedModelError
from webui.modules.layers import recipe
from webui.modules.layers.blocks import BASE, BLOCKS, block_of
from webui.modules.layers.convert import free_name
from webui.modules.layers.sources import MIXED, Source, source_of, written_dtype
from webui.modules.types import MergePlan, Tell
from webui.modules.weights.architecture import VAE
from webui.modules.weights.describe import UNET
from webui.modules.weights.write import Slot, stream_safetensors

FIRST_LAYER: Final = f"{UNET}input_blocks.0.0.weight"
PLAIN_CHANNELS: Final = 4
"""Channels of latents; a checkpoint made for inpainting or for editing reads more."""

POSITIONS: Final = "embeddings.position_ids"
"""Numbers from 0 on that some files carry along; never mixed."""

_OPTIONAL_VAE: Final = ("loss", "model_ema.decay", "model_ema.num_updates")


def merge(plan: MergePlan, tell: Tell) -> dict[str, object]:
    """Mix checkpoints and write the result.

    Returns:
        ``kind`` and ``name`` of the new file, and ``notes``.

    Raises:
        ModelFileError: If a file is damaged.
        UnsupportedModelError: If they are of different families; the message says which layer.
        StorageError: If the result cannot be written.
    """
    with ExitStack() as opened:
        first, second, third, vae = (
            None if record is None else source_of(record, opened)
            for record in (plan.first, plan.second, plan.third, plan.vae)
        )
        if first is None:
            raise AssertionError  # the plan's first is never None; this tells the checker
        mixer = _Mixer(plan, first, second, third, vae)
        slots = mixer.slots()
        target = free_name(plan.target)
        counted = iter(range(1, len(slots) + 1))

        def tensor(name: str) -> Tensor:
            tell(next(counted), len(slots), name)
            return mixer.tensor(name, slots[name].dtype)

        stream_safetensors(target, slots, tensor, recipe.texts(plan, (first, second, third)))
    if plan.config is not None:
        shutil.copyfile(plan.config, target.with_suffix(".yaml"))
    return {"kind": "checkpoint", "name": target.name, "notes": mixer.notes()}


class _Mixer:
    """Gives each tensor of the result."""

    def __init__(
        self,
        plan: MergePlan,
        first: Source,
        second: Source | None,
        third: Source | None,
        vae: Source | None,
    ) -> None:
        self._plan, self._first, self._second, self._third = plan, first, second, third
        self._vae = {} if vae is None else _vae_names(vae)
        self._vae_source = vae
        self._shares = dict(zip(BLOCKS, plan.blocks, strict=False)) if plan.blocks else {}
        self._overflown = 0

    def slots(self) -> dict[str, Slot]:
        """Return type and shape of each tensor of the result.

        Raises:
            UnsupportedModelError: If nothing is left, or the VAE is of another make.
        """
        slots: dict[str, Slot] = {}
        for name in self._first.names:
            if any(fnmatchcase(name, pattern) for pattern in self._plan.discard):
                continue
            facts = self._first.facts(name)
            slots[name] = Slot(written_dtype(name, facts.dtype, self._plan.precision), facts.shape)
        missing = self._vae and set(self._vae) - set(self._first.names)
        if missing and self._vae_source is not None:
            name = self._vae_source.record.name
            message = f"{name} has {len(missing)} tensors that the checkpoint's VAE has not"
            raise UnsupportedModelError(message, hint="Choose a VAE of its family.", value=name)
        if not slots:
            message = "the patterns leave no tensor"
            raise UnsupportedModelError(message, hint="Discard less.")
        return slots

    def tensor(self, name: str, dtype: torch.dtype) -> Tensor:
        """Return one tensor of the result."""
        mixed = self._mixed(name)
        if not mixed.is_floating_point() or mixed.dtype == dtype:
            return mixed
        rounded = mixed.to(dtype)
        if dtype == torch.float16 and bool((rounded.isinf() & ~mixed.isinf()).any()):
            self._overflown += 1
        return rounded

    def notes(self) -> list[str]:
        """Return what the person should know."""
        if not self._overflown:
            return []
        return [f"{self._overflown} tensors hold numbers too large for fp16; use bf16 or fp32"]

    def _mixed(self, name: str) -> Tensor:
        if name in self._vae and self._vae_source is not None:
            return self._replaced(name, self._vae_source)
        own = self._first.read(name)
        second, third = self._second, self._third
        share = self._share(name)
        if self._is_left_alone(name) or second is None or name not in second.names or share == 0:
            return own
        other = second.read(name)
        if third is None:
            return self._laid(name, own, other, share, None)
        base = third.read(name) if name in third.names else other
        return self._laid(name, own, other, share, base)

    def _is_left_alone(self, name: str) -> bool:
        dtype = self._first.facts(name).dtype
        return MIXED not in name or name.endswith(POSITIONS) or not dtype.startswith(("F", "BF"))

    def _share(self, name: str) -> float:
        if not self._shares:
            return self._plan.share
        block = block_of(name.removeprefix(UNET)) if name.startswith(UNET) else BASE
        return self._shares.get(block, self._shares[BASE])

    def _laid(
        self, name: str, own: Tensor, other: Tensor, share: float, base: Tensor | None
    ) -> Tensor:
        """Mix two tensors; where A reads more channels than B, its first ones."""
        wider = own.dim() == other.dim() and own.shape[1:2] > other.shape[1:2] == (PLAIN_CHANNELS,)
        if own.shape != other.shape and not (name == FIRST_LAYER and wider):
            self._refuse(name, own, other)
        if base is not None and base.shape != other.shape:
            self._refuse(name, own, base)
        part = own[:, :PLAIN_CHANNELS] if own.shape != other.shape else own
        mixed = _summed(part, other, share) if base is None else _added(part, other, base, share)
        if part.shape == own.shape:
            return mixed
        return torch.cat([mixed, own[:, PLAIN_CHANNELS:].to(mixed.dtype)], 1)

    def _refuse(self, name: str, own: Tensor, other: Tensor) -> None:
        message = f"{name} has the shape {tuple(own.shape)} in A and {tuple(other.shape)} elsewhere"
        hint = "Merge checkpoints of one family; one made for inpainting or editing comes first."
        raise UnsupportedModelError(message, hint=hint, value=self._plan.first.name)

    def _replaced(self, name: str, vae: Source) -> Tensor:
        tensor = vae.read(self._vae[name])
        if tensor.shape != self._first.facts(name).shape:
            message = f"{vae.record.name} has another size at {name}"
            hint = "Choose a VAE of the checkpoint's family."
            raise UnsupportedModelError(message, hint=hint, value=vae.record.name)
        return tensor


def _summed(own: Tensor, other: Tensor, share: float) -> Tensor:
    """``A (1 - M) + B M``; the ends are A and B themselves."""
    if share == 1:
        return other
    return own.float() * (1 - share) + other.float() * share


def _added(own: Tensor, other: Tensor, base: Tensor, share: float) -> Tensor:
    """``A + (B - C) M``; where B and C are equal, A itself."""
    difference = other.float() - base.float()
    return torch.where(difference == 0, own.float(), own.float() + difference * share)


def _vae_names(vae: Source) -> dict[str, str]:
    """Return a VAE file's names by those that they have in a checkpoint.

    Raises:
        ModelFileError: If there is no VAE in it.
    """
    inside = [name for name in vae.names if name.startswith(VAE)]
    found = {name: name for name in inside} or {
        f"{VAE}{name}": name for name in vae.names if not name.startswith(_OPTIONAL_VAE)
    }
    if not any(name.startswith(f"{VAE}decoder.") for name in found):
        message = f"{vae.record.name} holds no VAE under the names of checkpoints"
        raise ModelFileError(message, hint="Choose a VAE file.", value=vae.record.name)
    return found
