"""What stands beside a finished file: a picture that it drew, its word, and where it comes from.

The names and keys are those that A1111 and its friends read. What a person has put there stays. No
torch: the server reads this file too.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from webui.modules.training.journal import SAMPLES
from webui.modules.training.plan import TrainingPlan
from webui.modules.types import ModelKind
from webui.modules.whole import write_whole

INHERITED: Final = ("suggested", "vae")
"""What a trained checkpoint takes over from what is said beside its base."""

VERSIONS: Final[Mapping[str, str]] = {"sd1": "SD1", "sd2": "SD2"}
"""A1111's words for the families."""

_OURS: Final = re.compile(r".+, step \d+, trained on .*\.")
"""The sentence that is put there, and that a later step may replace."""


def put_beside(path: Path, plan: TrainingPlan, *, step: int) -> None:
    """Put a picture, a card and, for a checkpoint, its config beside a finished file.

    Args:
        path: The file.
        plan: The training that it is of.
        step: Steps done.

    Raises:
        StorageError: If something cannot be written; what was there before stays whole.
    """
    if plan.kind is ModelKind.CHECKPOINT and plan.base.config is not None:
        write_whole(path.with_suffix(".yaml"), plan.base.config.read_bytes())
    _tell(path.with_suffix(".json"), plan, step)
    _show(path.with_name(f"{path.stem}.preview.png"), plan, step)


def _tell(card: Path, plan: TrainingPlan, step: int) -> None:
    known = _read(card)
    if known is None:
        return  # somebody's own file, which we do not understand
    said: dict[str, Any] = {
        "description": f"{plan.name}, step {step}, trained on {plan.base.stem}.",
        "activation text": plan.data.trigger,
        "sd version": VERSIONS.get(plan.base.family[:3], ""),
    }
    if plan.kind is ModelKind.CHECKPOINT:
        of_base = _read(plan.base.path.with_suffix(".json")) or {}
        said |= {key: of_base[key] for key in INHERITED if key in of_base}
    if _OURS.fullmatch(str(known.get("description", ""))):
        del known["description"]
    whole = {key: value for key, value in said.items() if value} | known
    whole["atelier"] = {
        "base": plan.base.stem,
        "base_sha256": plan.base.sha256,
        "step": step,
        "seed": plan.seed,
        "rate": plan.correction.rate,
    }
    write_whole(card, json.dumps(whole, ensure_ascii=False, indent=2).encode())


def _show(shown: Path, plan: TrainingPlan, step: int) -> None:
    drawn = sorted((plan.run / SAMPLES).glob("??????-0.png"))
    until = [path for path in drawn if int(path.name[:6]) <= step]
    if not until:
        return
    ours = not shown.exists() or shown.read_bytes() in (path.read_bytes() for path in drawn)
    if ours:
        write_whole(shown, until[-1].read_bytes())


def _read(card: Path) -> dict[str, Any] | None:
    """Return what a card says; nothing if there is none, and None if it is no card."""
    try:
        told: object = json.loads(card.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", told) if isinstance(told, dict) else None
