"""What a merged checkpoint says of how it was made, in A1111's words."""

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from webui.modules.layers.sources import Source
from webui.modules.types import MergePlan

INPAINTING: Final = "-inpainting"
INSTRUCT: Final = "-instruct"
"""Ends of the families of checkpoints that read more than latents."""


def texts(plan: MergePlan, opened: Sequence[Source | None]) -> dict[str, str]:
    """Return the texts of a merged checkpoint: those of its sources, and how it was made.

    Args:
        plan: What was done.
        opened: A, B and C; what A says goes before what the others say.
    """
    if not plan.texts:
        return {}
    sources = [source for source in opened if source is not None]
    said: dict[str, str] = {}
    for source in reversed(sources):
        said |= source.header.metadata
    models: dict[str, Any] = {}
    for source in sources:
        own = source.header.metadata
        models |= _read_json(own.get("sd_merge_models", "")) or {}
        models[source.record.sha256 or source.record.name] = {
            "name": source.record.name,
            "legacy_hash": "",
            "sd_merge_recipe": _read_json(own.get("sd_merge_recipe", "")),
        }
    return said | {
        "format": "pt",
        "sd_merge_recipe": json.dumps(_recipe(plan, sources[0])),
        "sd_merge_models": json.dumps(models),
    }


def _recipe(plan: MergePlan, first: Source) -> dict[str, object]:
    family = first.record.family
    return {
        "type": "atelier",
        "primary_model_hash": plan.first.sha256,
        "secondary_model_hash": plan.second.sha256 if plan.second else None,
        "tertiary_model_hash": plan.third.sha256 if plan.third else None,
        "interp_method": plan.method.capitalize(),
        "multiplier": plan.share,
        "block_multipliers": list(plan.blocks) or None,
        "save_as_half": plan.precision == "fp16",
        "precision": plan.precision,
        "custom_name": plan.target.stem,
        "config_source": plan.config.name if plan.config else None,
        "bake_in_vae": plan.vae.name if plan.vae else None,
        "discard_weights": list(plan.discard),
        "is_inpainting": family.endswith(INPAINTING),
        "is_instruct_pix2pix": family.endswith(INSTRUCT),
    }


def _read_json(text: str) -> Any:
    """Return what a source says; a text that is no JSON says nothing."""
    try:
        said = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None
