"""From a wish for a training to its plan: every name found, every number checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final, cast

from webui.jobs.works import decode, encode
from webui.library.folders import rule
from webui.library.safe_names import safe_stem
from webui.library.saving import replace_file
from webui.modules.errors import (
    JobError,
    NameTakenError,
    RangeError,
    RequestError,
    StorageError,
    UnknownNameError,
    UnsupportedModelError,
)
from webui.modules.training.captions import prompt as said_of
from webui.modules.training.pictures import Collection, look_over
from webui.modules.training.plan import (
    CheckpointPlan,
    CorrectionPlan,
    DataPlan,
    LoraPlan,
    NoisePlan,
    TrainingPlan,
    VaePlan,
    WatchPlan,
)
from webui.modules.training.rates import read_schedule
from webui.modules.types import GenerationPlan, ModelKind, ModelRecord
from webui.services.models import Models, Suggested
from webui.services.options import Options
from webui.services.requests import GenerationRequest
from webui.services.resolve import House, resolve
from webui.services.training_presets import USUAL, preset
from webui.services.training_request import TrainingRequest
from webui.services.training_settings import WHATS, checked, part

PLAN: Final = "plan.json"
"""The plan as it was begun, in the folder of the run."""

SETS: Final = "sets"
"""Where uploaded pictures lie beside the runs; no run has this name."""

ENDINGS: Final[Mapping[ModelKind, str]] = {ModelKind.HYPERNETWORK: ".pt"}
"""Endings of the finished files; the others are safetensors."""

TRAINABLE_FAMILIES: Final = ("sd1", "sd2")
"""Beginnings of the families that can be trained on."""

HIGHEST_RATE: Final = 10.0
"""No optimiser learns at a higher rate; most explode far below."""

LONGEST_PROMPT: Final = 300
"""So much of a caption is drawn as a sample picture."""

UNRELATED: Final = "a tree"
"""Something that is not trained: if this changes too, too much is forgotten."""

MAY_CHANGE: Final = ("steps", "correction.rate", "watch.")
"""What may differ when a training goes on; everything else would be another training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class School:
    """What wishes for trainings are held against.

    Attributes:
        house: Models, limits and styles of this server.
        options: The user options that hold now.
        data_dir: Holds the folders of the finished files.
        runs: Holds the folder of each training.
    """

    house: House
    options: Options
    data_dir: Path
    runs: Path

    @property
    def models(self) -> Models:
        """The model files."""
        return self.house.models


def plan_of(request: TrainingRequest, school: School) -> TrainingPlan:
    """Return the plan of a wish; whether its name is free is another question, ``check_free``.

    Args:
        request: The wish.
        school: What it is held against.

    Raises:
        RequestError: If something is unknown, outside its range, or there is no usable picture.
        ModelError: If the checkpoint cannot be trained on.
    """
    name = checked_name(request.name)
    base = _base(request, school)
    said = checked(request.kind, request.settings)
    fits = school.models.suggested(base)
    settings = {**_usual(request, fits, said), **said}
    shown = part(DataPlan, settings, "data")
    if request.trigger:
        shown["trigger"] = request.trigger
    data = DataPlan(folder=_folder(request.data), **shown)
    what = WHATS[request.kind]
    plan = TrainingPlan(
        kind=request.kind,
        name=name,
        base=base,
        vae=_vae(settings.get("vae", ""), base, school),
        run=school.runs / name,
        out=school.data_dir / rule(request.kind).folder / f"{name}{_ending(request.kind)}",
        data=data,
        what=what(**part(what, settings, "what")),
        noise=NoisePlan(**part(NoisePlan, settings, "noise")),
        correction=CorrectionPlan(**part(CorrectionPlan, settings, "correction")),
        watch=WatchPlan(**part(WatchPlan, settings, "watch")),
        steps=settings["steps"],
        batch_size=settings["batch_size"],
        clip_skip=settings.get("clip_skip", 1),
        seed=settings.get("seed", 0),
    )
    _check_together(plan)
    found = look_over(plan.data)
    if plan.watch.sample_every == 0 and not request.pictured:
        return plan
    sample = _sample(plan, found, settings, school)
    return replace(plan, watch=replace(plan.watch, sample=sample))


def checked_name(name: str) -> str:
    """Return a name that can be a file's and a word's in a prompt.

    Raises:
        RequestError: If it cannot; the hint says a near one that can.
    """
    wished = name.strip()
    safe = safe_stem(f"{wished}.safetensors") if wished else ""
    if not wished:
        message = "the training has no name"
        raise RequestError(message, hint="Name what shall come out of it, such as my-cat.")
    if safe != wished or wished.lower() == SETS:
        hint = f"Call it {safe}-2." if wished.lower() == SETS else f"Call it {safe}."
        message = f"{wished[:100]!r} cannot be the name of a file"
        raise RequestError(message, hint=hint, value=wished[:100])
    return wished


def check_free(plan: TrainingPlan, school: School) -> None:
    """Check that neither a model nor a training has the plan's name.

    Raises:
        NameTakenError: If one has; the hint says what can be done.
    """
    if any(path.name.lower() == plan.name.lower() for path in _folders(school.runs)):
        message = f"there is a training {plan.name!r} already"
        hint = "Go on with it (--resume on the command line), or choose another name."
        raise NameTakenError(message, hint=hint, value=plan.name)
    stems = {card.record.stem.lower() for card in school.models.add_ons(plan.kind)}
    if plan.name.lower() in stems or plan.out.exists():
        message = f"there is a {plan.kind} {plan.name!r} already"
        raise NameTakenError(message, hint="Choose another name.", value=plan.name)


def keep_plan(plan: TrainingPlan) -> None:
    """Write the plan into the folder of its run.

    Raises:
        StorageError: If that fails.
    """
    text = json.dumps(json.loads(encode(plan)), indent=2, ensure_ascii=False)
    replace_file(plan.run / PLAN, text.encode())


def kept_plan(run: Path) -> TrainingPlan | None:
    """Return the plan with which a training was begun; None if it never was.

    Raises:
        JobError: If another version of the program wrote it.
    """
    try:
        text = (run / PLAN).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"the plan of the training {run.name} cannot be read: {error}"
        raise StorageError(
            message, hint="Look at the folder of the run.", value=run.name
        ) from error
    plan = decode(text)
    if not isinstance(plan, TrainingPlan):
        message = f"{run.name} is no training"
        raise JobError(message, hint="Begin it anew under another name.", value=run.name)
    return plan


def gone_on(kept: TrainingPlan, wished: TrainingPlan) -> TrainingPlan:
    """Return the plan of a training that goes on, with what may change taken from the wish.

    Args:
        kept: As it was begun.
        wished: As it is asked for now.

    Raises:
        RangeError: If it would be another training; the message lists what differs.
    """
    differing = [
        f"{name} was {before!r} and is now {after!r}"
        for name, before, after in _differences(kept, wished)
        if not name.startswith(MAY_CHANGE)
    ]
    if differing:
        message = f"the training {kept.name} was begun with other settings: {'; '.join(differing)}"
        hint = "Go on with the settings it was begun with, or begin anew under another name."
        raise RangeError(message[:1000], hint=hint, value=kept.name)
    watch = replace(wished.watch, sample=kept.watch.sample)
    rate = replace(kept.correction, rate=wished.correction.rate)
    return replace(kept, steps=wished.steps, correction=rate, watch=watch)


def _differences(one: TrainingPlan, other: TrainingPlan) -> list[tuple[str, Any, Any]]:
    """Return the settings in which two plans differ; equal files may lie in other places."""
    flats = [_flat(json.loads(encode(plan))["plan"]) for plan in (one, other)]
    return [
        (name, flats[0].get(name), flats[1].get(name))
        for name in sorted({*flats[0], *flats[1]})
        if flats[0].get(name) != flats[1].get(name)
        and not (name in ("base.path", "base.name") and one.base.sha256 == other.base.sha256 != "")
    ]


def _flat(value: Any, before: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {before: value}
    inside = cast("dict[str, Any]", value)
    return {
        name: found
        for key, each in inside.items()
        for name, found in _flat(each, f"{before}.{key}" if before else key).items()
    }


def _ending(kind: ModelKind) -> str:
    return ENDINGS.get(kind, ".safetensors")


def _folders(runs: Path) -> list[Path]:
    return [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []


def _folder(data: Path) -> Path:
    folder = data.expanduser().absolute()
    if not folder.is_dir():
        message = f"there is no folder {str(data)[:300]!r}"
        raise UnknownNameError(message, hint="Name a folder with pictures.", value=data.name)
    return folder


def _base(request: TrainingRequest, school: School) -> ModelRecord:
    if request.checkpoint:
        base = school.models.find_checkpoint(request.checkpoint)
    else:
        base = school.models.selected(school.options.text("sd_model_checkpoint"))
    fits = base.family.startswith(TRAINABLE_FAMILIES) and "-in" not in base.family
    if not fits:
        message = f"{base.stem} is a checkpoint of the family {base.family or 'unknown'}"
        hint = "Train on one of the family sd1 or sd2 that draws from noise alone."
        raise UnsupportedModelError(message, hint=hint, value=base.stem)
    if base.path.is_dir() and request.kind is ModelKind.CHECKPOINT:
        message = f"{base.stem} is a folder, and a whole checkpoint is written as one file"
        hint = "Train on a checkpoint that is one file."
        raise UnsupportedModelError(message, hint=hint, value=base.stem)
    return base


def _vae(name: str, base: ModelRecord, school: School) -> ModelRecord | None:
    return school.models.find_vae(name, checkpoint=base) if name else None


def _usual(request: TrainingRequest, fits: Suggested, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that hold where nobody says otherwise."""
    settings = preset(request.kind, request.subject or USUAL).settings()
    resolution = said.get("data.resolution", _whole_step(min(fits.width, fits.height), 8))
    steps = said.get("steps", settings["steps"])
    every = said.get("watch.save_every", max(1, steps // 10))
    warm_up = min(settings.get("correction.warm_up", 0), steps // 20)
    return {
        **settings,
        "data.resolution": resolution,
        "data.bucket_step": min(64, max(8, _whole_step(resolution // 4, 8))),
        "correction.warm_up": warm_up,
        "watch.save_every": every,
        "watch.sample_every": every,
        "watch.measure_every": max(1, steps // 20),
    }


def _whole_step(value: int, step: int) -> int:
    return max(step, value // step * step)


def _check_together(plan: TrainingPlan) -> None:
    """Check what no single setting can tell.

    Raises:
        RangeError: If two settings contradict each other, or the rate can only explode.
    """
    for held in read_schedule(plan.correction.rate, plan.steps):
        if held.rate > HIGHEST_RATE:
            message = f"the learning rate {held.rate:g} can only explode"
            hint = "Usual rates lie between 1e-6 and 1e-2."
            raise RangeError(message, hint=hint, value=f"{held.rate:g}")
    if plan.noise.first > plan.noise.last:
        message = f"noise.first is {plan.noise.first} and noise.last {plan.noise.last}"
        hint = "Let first be the lower of the two."
        raise RangeError(message, hint=hint, value=plan.noise.first)
    _check_something_is_learned(plan)
    if not any("[name]" in line for line in plan.data.template) and plan.kind in (
        ModelKind.EMBEDDING,
        ModelKind.AESTHETIC,
    ):
        message = "no line of the template says [name], so the word would never be heard"
        raise RangeError(message, hint="Write for example: a photo of [name]", value="template")


def _check_something_is_learned(plan: TrainingPlan) -> None:
    what = plan.what
    if isinstance(what, LoraPlan | CheckpointPlan) and not (what.unet or what.text):
        message = "nothing would be trained: what.unet and what.text are both false"
        raise RangeError(message, hint="Train the U-Net, the text encoder, or both.", value="what")
    if isinstance(what, VaePlan) and not (what.absolute or what.square or what.edges):
        message = "nothing would be compared: what.absolute, what.square and what.edges are all 0"
        raise RangeError(message, hint="Leave at least one of them above 0.", value="what")


def _sample(
    plan: TrainingPlan, found: Collection, settings: Mapping[str, Any], school: School
) -> GenerationPlan:
    """Return what the sample pictures show: drawn as any others, with one seed for all prompts."""
    fits = school.models.suggested(plan.base)
    told = {
        name.removeprefix("watch.sample."): value
        for name, value in settings.items()
        if name.startswith("watch.sample.")
    }
    prompts: tuple[str, ...] = told.get("prompts") or usual_prompts(plan, found)
    prompts = prompts if plan.watch.sample_every else prompts[:1]
    seed = told.get("seed", plan.seed)
    request = GenerationRequest(
        prompt=prompts[0],
        negative_prompt=told.get("negative_prompt", ""),
        seed=seed,
        sampler=told.get("sampler", fits.sampler),
        scheduler=told.get("scheduler", fits.scheduler),
        steps=told.get("steps", fits.steps),
        guidance=told.get("guidance", fits.guidance),
        width=told.get("width", fits.width),
        height=told.get("height", fits.height),
        checkpoint=plan.base.name,
        vae=None if plan.vae is None else plan.vae.name,
        ignore_tags=True,
    )
    drawn = resolve(request, options=school.options, house=school.house, random=Random(seed))  # noqa: S311 - every seed is said
    count = len(prompts)
    return replace(
        drawn,
        checkpoint=plan.base,
        vae=plan.vae,
        layers=(),
        prompts=prompts,
        negative_prompts=drawn.negative_prompts * count,
        seeds=drawn.seeds * count,
        variation_seeds=drawn.variation_seeds * count,
    )


def usual_prompts(plan: TrainingPlan, found: Collection) -> tuple[str, ...]:
    """Return prompts for the samples: two as the pictures are captioned, and something unrelated.

    Args:
        plan: The training.
        found: Its pictures.
    """
    bare = replace(plan.data, drop_captions=0.0, shuffle_tags=False, drop_tags=0.0,
                   template=plan.data.template[:1])  # fmt: skip
    said = (
        said_of(example.caption, plan.name, bare, Random(0))  # noqa: S311 - nothing is left to chance
        for example in found.examples
        if not example.regular
    )
    own = [text[:LONGEST_PROMPT] for text in dict.fromkeys(said) if text][:2]
    return (*own, UNRELATED)
