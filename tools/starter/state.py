"""Saved training state: written whole or not at all, read back without running code."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def save_state(file: Path, state: dict[str, Any]) -> None:
    """Replace ``file`` in one step, so that a kill leaves the old state or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    torch.save(state, partial)
    partial.replace(file)


def load_state(file: Path) -> dict[str, Any] | None:
    """Return what ``save_state`` wrote, or None if there is nothing yet."""
    return torch.load(file, weights_only=True) if file.exists() else None


def finished(work: Path, stage: str) -> dict[str, Any]:
    """Return the state that an earlier stage left in ``work``.

    Raises:
        FileNotFoundError: If the stage has not run.
    """
    state = load_state(work / f"{stage}.pt")
    if state is None:
        message = f"{work / stage}.pt is missing: run the stage that makes it, see README.md"
        raise FileNotFoundError(message)
    return state


class Average:
    """Exponential moving average of a net's weights, the ones that are shipped."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        """Start from the net's present weights."""
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def follow(self, net: nn.Module) -> None:
        """Move a small step towards the net."""
        for name, value in net.state_dict().items():
            held = self.weights[name]
            if held.is_floating_point():
                held.lerp_(value, 1 - self.decay)
            else:
                held.copy_(value)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Continue from saved weights."""
        for name, value in weights.items():
            self.weights[name].copy_(value)
