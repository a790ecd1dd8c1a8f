"""A finished job in A1111's words: pictures as base64 and the ``info`` text."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from webui.api.schemas import DrawingBody
from webui.jobs.views import JobView
from webui.library.history import PictureView
from webui.library.infotext import parse
from webui.modules.errors import UnknownPictureError
from webui.modules.types import GenerationPlan
from webui.services.keeping import PROGRAM

_NOT_EXTRA: Final = frozenset(
    {
        "Prompt", "Negative prompt", "Steps", "Sampler", "CFG scale", "Seed", "Size", "Model hash",
        "Model", "VAE hash", "VAE", "Variation seed", "Variation seed strength", "Seed resize from",
        "Clip skip", "ENSD", "RNG", "Tiling", "Version", "User",
    }
)  # fmt: skip
"""Settings that A1111 does not count among the extra ones."""


def encoded(pictures: Sequence[PictureView]) -> list[str]:
    """Return the files of pictures as base64.

    Raises:
        UnknownPictureError: If a file is gone.
    """
    return [_file(picture) for picture in pictures]


@dataclass(frozen=True, slots=True)
class Results:
    """The finished pictures of a job, and the grids that show them together."""

    pictures: Sequence[PictureView]
    grids: Sequence[PictureView] = ()


def info(body: DrawingBody, job: JobView, results: Results, plan: GenerationPlan | None) -> str:
    """Return the ``info`` of an answer: every key that A1111 has, as JSON text.

    Args:
        body: What was asked for.
        job: The job that drew it.
        results: What came of it.
        plan: What was drawn first; None when no picture was finished.
    """
    pictures = results.pictures
    facts = _nothing(body) if plan is None else _facts(plan, len(pictures))
    texts = [picture.infotext for picture in (*results.grids, *pictures)]
    if body.script_name:
        facts |= _each(pictures)
    moment = datetime.fromtimestamp(job.created).astimezone()
    told: dict[str, Any] = {
        **facts,
        "restore_faces": False,
        "face_restoration_model": None,
        "denoising_strength": _denoising(plan),
        "extra_generation_params": _extra(texts[0]) if texts else {},
        "index_of_first_image": len(results.grids),
        "infotexts": texts,
        "styles": body.styles or [],
        "job_timestamp": moment.strftime("%Y%m%d%H%M%S"),
        "is_using_inpainting_conditioning": False,
        "version": PROGRAM,
        "notes": job.notes,
    }
    return json.dumps(told, ensure_ascii=False)


def _each(pictures: Sequence[PictureView]) -> dict[str, Any]:
    """Return what may differ from picture to picture of a script."""
    told = [parse(picture.infotext) for picture in pictures]
    return {
        "all_prompts": [str(each["Prompt"]) for each in told],
        "all_negative_prompts": [str(each["Negative prompt"]) for each in told],
        "all_seeds": [picture.seed for picture in pictures],
    }


def _denoising(plan: GenerationPlan | None) -> float | None:
    """Return how much a picture or a first pass may change; None without one."""
    begun = plan and (plan.start or plan.hires)
    return begun.denoising if begun else None


def _facts(plan: GenerationPlan, count: int) -> dict[str, Any]:
    return {
        "prompt": plan.prompts[0],
        "all_prompts": plan.prompts[:count],
        "negative_prompt": plan.negative_prompts[0],
        "all_negative_prompts": plan.negative_prompts[:count],
        "seed": plan.seeds[0],
        "all_seeds": plan.seeds[:count],
        "subseed": plan.variation_seeds[0],
        "all_subseeds": plan.variation_seeds[:count],
        "subseed_strength": plan.noise.variation,
        "width": plan.width,
        "height": plan.height,
        "sampler_name": plan.sampling.sampler,
        "cfg_scale": plan.sampling.guidance,
        "steps": plan.sampling.steps,
        "batch_size": plan.batch_size,
        "sd_model_name": plan.checkpoint.stem,
        "sd_model_hash": plan.checkpoint.shorthash or None,
        "sd_vae_name": plan.vae.path.name if plan.vae else None,
        "sd_vae_hash": plan.vae.shorthash or None if plan.vae else None,
        "seed_resize_from_w": plan.noise.resize_from[0] or -1,
        "seed_resize_from_h": plan.noise.resize_from[1] or -1,
        "clip_skip": plan.text.clip_skip,
    }


def _nothing(body: DrawingBody) -> dict[str, Any]:
    """Return the same keys for a job that was stopped before its first picture."""
    empty = ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds")
    unknown = ("sd_model_name", "sd_model_hash", "sd_vae_name", "sd_vae_hash")
    asked = (
        "prompt", "negative_prompt", "seed", "subseed", "subseed_strength", "width", "height",
        "cfg_scale", "steps", "batch_size", "seed_resize_from_w", "seed_resize_from_h",
    )  # fmt: skip
    return {
        **{name: getattr(body, name) for name in asked},
        **{name: [] for name in empty},
        **dict.fromkeys(unknown),
        "sampler_name": body.sampler_name or body.sampler_index,
        "clip_skip": 1,
    }


def _extra(text: str) -> dict[str, Any]:
    """Return the settings that an infotext itself tells beyond the usual ones."""
    told = text.rpartition("\n")[2]
    found: Mapping[str, Any] = parse(text)
    return {
        key: value
        for key, value in found.items()
        if key.removesuffix("-1").removesuffix("-2") not in _NOT_EXTRA and f"{key}: " in told
    }


def _file(picture: PictureView) -> str:
    try:
        return base64.b64encode(picture.path.read_bytes()).decode()
    except OSError as error:
        message = f"the file of picture {picture.id} is no longer there: {picture.path.name}"
        hint = "It was moved or deleted outside of this program."
        raise UnknownPictureError(message, hint=hint, value=picture.id) from error
