"""Works: jobs that draw no pictures, such as converting a model file; as text, and carried out."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pydantic import TypeAdapter, ValidationError

from webui.modules.errors import JobError
from webui.modules.training.plan import BeginPlan, CaptionPlan, MeasurePlan, TrainingPlan
from webui.modules.types import (
    BakePlan,
    ConvertPlan,
    ExplainPlan,
    ExtractPlan,
    GuideStepPlan,
    JoinPlan,
    MergePlan,
    ResizePlan,
    Tell,
    UnfoldPlan,
)

if TYPE_CHECKING:
    import torch

    from webui.modules.pipeline.engine import Engine

Work = (
    MergePlan
    | ExtractPlan
    | ResizePlan
    | BakePlan
    | JoinPlan
    | UnfoldPlan
    | ConvertPlan
    | TrainingPlan
    | MeasurePlan
    | BeginPlan
    | CaptionPlan
    | ExplainPlan
    | GuideStepPlan
)
"""Everything that the worker does besides drawing. A class with ``YIELDS`` set is long: it pauses
while others have something to do, and is begun again from the state that it has saved."""

Result = Mapping[str, object]
"""What a work has brought: numbers, texts and lists by name, fit for JSON."""

CarryOut = Callable[[Work, "Engine", Tell], Result]
"""Does a work on an engine; raises what ``Tell`` raises."""

_KINDS: Final[Mapping[str, type[Work]]] = {kind.__name__: kind for kind in get_args(Work)}


def encode(work: Work) -> str:
    """Write a work as JSON that names its class."""
    adapter: TypeAdapter[Any] = TypeAdapter(type(work))
    kind = type(work).__name__
    return json.dumps({"work": kind, "plan": adapter.dump_python(work, mode="json")})


def decode(text: str) -> Work:
    """Read what ``encode`` wrote.

    Raises:
        JobError: If another version of the program wrote it in another way.
    """
    try:
        told = cast("dict[str, Any]", json.loads(text))
        adapter: TypeAdapter[Work] = TypeAdapter(_KINDS[told["work"]])
        return adapter.validate_python(told["plan"])
    except (ValueError, KeyError, TypeError, ValidationError) as problem:
        message = "this work was written down by another version of the program"
        raise JobError(message, hint="Submit it again.") from problem


def carry_out(work: Work, engine: "Engine", tell: Tell) -> Result:
    """Do a work; torch and the engine's rooms are imported only here, in the worker.

    Args:
        work: What to do.
        engine: For works that draw or train; the others leave it alone.
        tell: Told how far it is.

    Raises:
        ModelError: If a file is damaged or does not fit; the message says which and why.
        StorageError: If the result cannot be written.
        StopDrawing: If somebody asked for its end and it has nothing to hand over.
        PauseWork: If it has saved its state and others shall go first.
    """
    return _CARRIERS[type(work)](work, engine, tell)


def noted(result: Result) -> tuple[str, ...]:
    """Return what a result says to the person: its ``notes``."""
    notes = result.get("notes", ())
    return tuple(map(str, cast("list[object]", notes))) if isinstance(notes, list | tuple) else ()


# ------------------------------------------------------------------------- one for each work


def _merge(work: MergePlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.merge import merge

    return merge(work, tell)


def _extract(work: ExtractPlan, engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.extract import extract

    return extract(work, tell, _exact(engine))


def _resize(work: ResizePlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.resize import resize

    return resize(work, tell)


def _bake(work: BakePlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.bake import bake

    return bake(work, tell)


def _join(work: JoinPlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.resize import join

    return join(work, tell)


def _unfold(work: UnfoldPlan, engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.unfold import unfold

    return unfold(work, tell, _exact(engine))


def _exact(engine: "Engine") -> "torch.device":
    """Return where 64-bit numbers are computed: on a CUDA card, else on the CPU."""
    import torch

    device = engine.device.torch
    return device if device.type == "cuda" else torch.device("cpu")


def _convert(work: ConvertPlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.convert import convert

    return convert(work, tell)


def _train(work: TrainingPlan, engine: "Engine", tell: Tell) -> Result:
    from webui.jobs.trainings import carry_out_training

    return carry_out_training(work, engine, tell)


def _measure(work: MeasurePlan, engine: "Engine", tell: Tell) -> Result:
    from webui.jobs.training_pace import measure_training

    return measure_training(work, engine, tell)


def _explain(work: ExplainPlan, engine: "Engine", tell: Tell) -> Result:
    from webui.modules.layers.explain import explain
    from webui.modules.layers.explain_help import Help

    return explain(work, Help(tell=tell, load=engine.load, device=engine.device))


def _show_one_turn(work: GuideStepPlan, engine: "Engine", tell: Tell) -> Result:
    from webui.modules.training.one_turn import one_turn

    return one_turn(work, engine.device, tell)


def _begin(work: BeginPlan, engine: "Engine", _tell: Tell) -> Result:
    from webui.modules.training.run import begin

    work.plan.out.parent.mkdir(parents=True, exist_ok=True)
    begin(work.plan, engine.device)
    return {"path": str(work.plan.out)}


def _propose_captions(work: CaptionPlan, _engine: "Engine", tell: Tell) -> Result:
    from webui.jobs.captions import propose_captions

    return propose_captions(work, tell)


_CARRIERS: Final[Mapping[type[Work], Callable[[Any, "Engine", Tell], Result]]] = {
    MergePlan: _merge,
    ExtractPlan: _extract,
    ResizePlan: _resize,
    BakePlan: _bake,
    JoinPlan: _join,
    UnfoldPlan: _unfold,
    ConvertPlan: _convert,
    TrainingPlan: _train,
    MeasurePlan: _measure,
    BeginPlan: _begin,
    CaptionPlan: _propose_captions,
    ExplainPlan: _explain,
    GuideStepPlan: _show_one_turn,
}
