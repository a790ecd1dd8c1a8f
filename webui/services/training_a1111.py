"""A1111's "Create" and "Train" over HTTP: its fields and its answers, carried out by our own loop.

What A1111's Create makes is the file of a training before its first step; Train takes that training
up. So only what was created here can be trained here: a file from elsewhere does not say how it
began. Differences are told in ``docs/a1111-differences.md``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from webui.library.saving import replace_file
from webui.modules.errors import (
    NameTakenError,
    RangeError,
    RequestError,
    UnknownNameError,
)
from webui.modules.training.plan import BeginPlan, DataPlan, TrainingPlan
from webui.modules.types import ModelKind
from webui.services.generate import Drawing
from webui.services.training_plans import School, checked_name, plan_of
from webui.services.training_request import TrainingRequest
from webui.services.training_settings import WHATS, checked, part
from webui.services.training_templates import lines_of
from webui.services.work import Workshop

CREATED: Final = "created.json"
"""How a file began, in the folder of its training."""

FIELDS: Final = (
    "learn_rate", "batch_size", "gradient_step", "data_root", "log_directory", "training_width",
    "training_height", "varsize", "steps", "clip_grad_mode", "clip_grad_value", "shuffle_tags",
    "tag_drop_out", "latent_sampling_method", "use_weight", "create_image_every",
    "template_filename", "preview_from_txt2img", "preview_prompt", "preview_negative_prompt",
    "preview_steps", "preview_sampler_name", "preview_cfg_scale", "preview_seed", "preview_width",
    "preview_height",
)  # fmt: skip
"""What A1111's train routes ask for, every field of it; beside the name and how often to save."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Classroom:
    """What both tabs work with.

    Attributes:
        school: What wishes are held against.
        workshop: Carries works out.
        drawing: Waits for their end.
    """

    school: School
    workshop: Workshop
    drawing: Drawing


def create(
    kind: ModelKind, name: str, settings: Mapping[str, Any], room: Classroom, *, owner: str,
    overwrite: bool,
) -> Path:  # fmt: skip
    """Make an embedding or a hypernetwork before its first step, and return its file.

    Args:
        kind: Which of the two.
        name: Of the file.
        settings: What it looks like, by the names of the plan.
        room: Who does it.
        owner: Who asks.
        overwrite: An older file of this name may go; it stays as ``.bak``.

    Raises:
        WebuiError: If it cannot be made; the message says why.
    """
    plan = _first(kind, checked_name(name), settings, room.school)
    if plan.out.exists() and not overwrite:
        message = f"file {plan.out.name} already exists"
        raise NameTakenError(message, hint="Allow to overwrite it.", value=plan.name)
    if (plan.run / "plan.json").exists():
        message = f"there is a training {plan.name!r} already"
        raise NameTakenError(message, hint="Choose another name.", value=plan.name)
    if plan.out.exists():
        plan.out.replace(plan.out.with_name(f"{plan.out.name}.bak"))
    _carried_out(BeginPlan(plan=plan), room, owner)
    (plan.run / "state.safetensors").unlink(missing_ok=True)
    told = {"kind": kind.value, "owner": owner, "settings": dict(settings)}
    replace_file(plan.run / CREATED, json.dumps(told).encode())
    return plan.out


def train(kind: ModelKind, said: Mapping[str, Any], room: Classroom, *, owner: str) -> Path:
    """Train what was created, and return its file.

    Args:
        kind: "embedding" or "hypernetwork".
        said: A1111's fields, all of them.
        room: Who does it.
        owner: Who asks.

    Raises:
        WebuiError: If a field is missing or wrong, or the training fails.
    """
    name = str(_field(said, f"{kind}_name"))
    run = room.school.runs / checked_name(name)
    told = _created(run, kind, owner)
    settings = {**told["settings"], **_settings(said, kind, room.school)}
    request = TrainingRequest(
        kind=kind, name=name, data=Path(str(_field(said, "data_root"))), settings=settings,
        pictured=False,
    )  # fmt: skip
    plan = _placed(plan_of(request, room.school))
    _carried_out(plan, room, owner)
    return plan.out


def _first(kind: ModelKind, name: str, settings: Mapping[str, Any], school: School) -> TrainingPlan:
    """Return the plan of a file that is only begun; it has no pictures yet."""
    base = school.models.selected(school.options.text("sd_model_checkpoint"))
    what = WHATS[kind]
    run = school.runs / name
    plan = TrainingPlan(
        kind=kind,
        name=name,
        base=base,
        run=run,
        out=run,
        data=DataPlan(folder=run),
        what=what(**part(what, checked(kind, settings), "what")),
    )
    run.mkdir(parents=True, exist_ok=True)
    folder = "embeddings" if kind is ModelKind.EMBEDDING else "models/hypernetworks"
    return replace(plan, out=school.data_dir / folder / f"{name}.pt")


def _placed(plan: TrainingPlan) -> TrainingPlan:
    return replace(plan, out=plan.out.with_suffix(".pt"))


def _carried_out(work: BeginPlan | TrainingPlan, room: Classroom, owner: str) -> None:
    """Put a work into the queue and wait for its end.

    Raises:
        RequestError: If it failed; the message is that of the failure.
    """
    job = room.workshop.submit(work, owner=owner)
    job = room.drawing.wait(job.id, owner=owner)
    if job.failure is not None:
        raise RequestError(job.failure.message, hint=job.failure.hint, value=job.failure.value)


def _created(run: Path, kind: ModelKind, owner: str) -> dict[str, Any]:
    try:
        told = cast("dict[str, Any]", json.loads((run / CREATED).read_bytes()))
    except (OSError, ValueError):
        told = {}
    if told.get("kind") != kind or told.get("owner") != owner:
        message = f"the {kind} {run.name!r} was not created here"
        hint = f"Create it first with /sdapi/v1/create/{kind}."
        raise UnknownNameError(message, hint=hint, value=run.name)
    return told


def _settings(said: Mapping[str, Any], kind: ModelKind, school: School) -> dict[str, Any]:
    """Return A1111's fields under our names.

    Raises:
        RequestError: If one is missing, or asks for what is not offered.
    """
    missing = [name for name in FIELDS if name not in said]
    if missing:
        message = f"train_{kind}() missing the argument {missing[0]!r}"
        raise RequestError(message, hint="Send every field of A1111's.", value=missing[0])
    steps = int(said["steps"])
    side = round((int(said["training_width"]) * int(said["training_height"])) ** 0.5 / 8) * 8
    every, shown = int(_field(said, f"save_{kind}_every")), int(said["create_image_every"])
    settings: dict[str, Any] = {
        "correction.rate": said["learn_rate"],
        "correction.weight_decay": 0.0 if kind is ModelKind.EMBEDDING else 0.01,
        "correction.accumulate": said["gradient_step"],
        "correction.clip": _clip(said),
        "batch_size": said["batch_size"],
        "steps": steps,
        "data.resolution": side,
        "data.buckets": bool(said["varsize"]),
        "data.shuffle_tags": bool(said["shuffle_tags"]),
        "data.drop_tags": said["tag_drop_out"],
        "data.masks": bool(said["use_weight"]),
        "data.flip": False,
        "data.held_out": 0.0,
        "data.template": list(lines_of(str(said["template_filename"]), school.data_dir)),
        "noise.latents": said["latent_sampling_method"],
        "watch.save_every": every or steps,
        "watch.sample_every": shown,
    }
    return settings | (_previews(said) if said["preview_from_txt2img"] else {})


def _previews(said: Mapping[str, Any]) -> dict[str, Any]:
    seed = int(said["preview_seed"])
    return {
        "watch.sample.prompts": [said["preview_prompt"]],
        "watch.sample.negative_prompt": said["preview_negative_prompt"],
        "watch.sample.steps": said["preview_steps"],
        "watch.sample.sampler": said["preview_sampler_name"],
        "watch.sample.guidance": said["preview_cfg_scale"],
        "watch.sample.seed": max(0, seed),
        "watch.sample.width": said["preview_width"],
        "watch.sample.height": said["preview_height"],
    }


def _clip(said: Mapping[str, Any]) -> float:
    """Return the longest gradient; A1111's "value" has no meaning here.

    Raises:
        RangeError: If it is asked for, or the number is none.
    """
    mode = said["clip_grad_mode"]
    if mode == "disabled":
        return 0.0
    try:
        length = float(said["clip_grad_value"])
    except (TypeError, ValueError):
        length = -1.0
    if mode != "norm" or length < 0:
        shown = f"{mode!r} by {said['clip_grad_value']!r}"[:100]
        message = f"gradients cannot be clipped as {shown}"
        raise RangeError(message, hint="Use disabled, or norm and one number.", value=shown)
    return length


def _field(said: Mapping[str, Any], name: str) -> Any:
    if name not in said:
        message = f"the argument {name!r} is missing"
        raise RequestError(message, hint="Send every field of A1111's.", value=name)
    return said[name]
