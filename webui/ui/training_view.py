"""One training as HTML: how far it is, its loss, and the wall of pictures drawn on the way."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from webui.modules.types import ModelKind
from webui.services.training_runs import Run
from webui.ui.messages import Words, explain, notice
from webui.ui.training_curve import curve, held_out

LEARNT: Final = 0.995
"""A held-out loss that has not fallen below this share of the first has not fallen."""

BY_HEART: Final = 1.1
"""A held-out loss so much above its best tells that pictures are learnt by heart."""

PATIENCE: Final = 0.3
"""Before this share of the steps nothing is said about learning."""

NOTHING: Final[Mapping[str, Any]] = {}
"""The last line of a log without steps."""

ACTIVE: Final = ("queued", "running", "paused")


def shown(run: Run, lines: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Return a training as HTML.

    Args:
        run: The training.
        lines: Its whole log.
        words: The texts of the page.
    """
    failure = "" if run.failure is None else explain(run.failure, words)
    drawing = curve(lines, steps=run.steps, best=run.best, title="loss")
    legend = (
        f'<p class="legend"><i class="raw"></i>{words.html("train.loss_raw")}'
        f'<i class="smooth"></i>{words.html("train.loss_smooth")}'
        f'<i class="held"></i>{words.html("train.loss_held")}</p>'
    )
    return (
        f'<article class="run" data-run="{escape(run.name)}" data-state="{run.state}">'
        f"{_head(run, lines, words)}{failure}{_advice(run, lines, words)}"
        f"{drawing and drawing + legend}{_wall(run, lines, words)}</article>"
    )


def nothing(words: Words) -> str:
    """Return what stands there before the first training."""
    return (
        f'<div class="stage invitation"><h2>{words.html("train.empty")}</h2>'
        f"<p>{words.html('train.empty_hint')}</p></div>"
    )


def minutes(seconds: float, words: Words) -> str:
    """Return a time as people say it, as HTML."""
    if seconds < 90:  # noqa: PLR2004 - up to a minute and a half people count seconds
        return words.html("train.seconds", count=max(1, round(seconds)))
    return words.html("train.minutes", count=round(seconds / 60))


def _head(run: Run, lines: Sequence[Mapping[str, Any]], words: Words) -> str:
    done = 100 * run.step / max(1, run.steps)
    last: Mapping[str, Any] = next((line for line in reversed(lines) if "loss" in line), NOTHING)
    eta = run.progress.eta_seconds if run.state == "running" else None
    facts = [
        words.html("train.step_of", step=run.step, steps=run.steps),
        words.html("train.rate_now", rate=f"{float(last['rate']):.3g}") if last else "",
        words.html("train.loss_now", loss=f"{float(last['loss']):.4f}") if last else "",
        "" if eta is None else f"{words.html('train.eta')} {minutes(eta, words)}",
        words.html("train.best", best_step=run.best) if run.best is not None else "",
    ]
    kind = words.html(f"train.kind_{run.kind}")
    at = escape(run.progress.text) if run.state == "running" else ""
    made = f'<p class="made">{words.html("train.made", file=run.file)}</p>' if run.file else ""
    return (
        f"<header><h2>{escape(run.name)}</h2>"
        f'<p class="what">{kind} · {escape(run.plan.base.stem)} · '
        f'<strong>{words.html(f"train.state_{run.state}")}</strong> <span class="at">{at}</span>'
        f'</p></header><div class="track"><div class="bar" style="width:{done:.1f}%"></div></div>'
        f'<p class="now-at">{" · ".join(filter(None, facts))}</p>{made}'
    )


def _advice(run: Run, lines: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Say so when nothing is learnt, or too much."""
    points = held_out(lines)
    if len(points) < 3 or run.step < run.steps * PATIENCE:  # noqa: PLR2004 - a trend takes three
        return ""
    first, best, last = points[0][1], min(value for _, value in points[1:]), points[-1][1]
    if best >= first * LEARNT:
        key = "train.not_learning"
    elif last > best * BY_HEART and run.plan.data.held_out:
        key = "train.by_heart"
    else:
        return ""
    return notice(words.html(key), words.html(f"{key}_hint", step=run.best or 0))


def _wall(run: Run, lines: Sequence[Mapping[str, Any]], words: Words) -> str:
    """Return prompts as rows and steps as columns, and a slider that holds each against step 0."""
    columns = {int(line["step"]): line["samples"] for line in lines if line.get("samples")}
    sample = run.plan.watch.sample
    if not columns or sample is None:
        return ""
    last = max(columns)
    rows = "".join(
        f'<div class="row"><p class="said">{escape(prompt)}</p>'
        f'<div class="held"><img class="now" src="{_url(run, columns[last][row])}" alt="">'
        f'<img class="first" src="{_url(run, columns[min(columns)][row])}" alt=""></div>'
        f'<div class="steps">{_steps(run, columns, row)}</div></div>'
        for row, prompt in enumerate(sample.prompts)
        if all(row < len(names) for names in columns.values())
    )
    kept = {PurePosixPath(line["file"]).name for line in lines if "file" in line}
    uses = "".join(_use(run, step, kept, words) for step in columns)
    return (
        f'<section class="wall" data-last="{last}"><h3>{words.html("train.wall")}</h3>'
        f'<p class="quiet">{words.html("train.wall_hint")}</p>'
        '<label class="against"><span data-step-shown></span>'
        f'<input type="range" min="0" max="100" value="50" aria-label="step 0 | now"></label>'
        f'{rows}<div class="uses">{uses}</div></section>'
    )


def _steps(run: Run, columns: Mapping[int, Sequence[str]], row: int) -> str:
    return "".join(
        f'<button type="button" class="cell{" best" if step == run.best else ""}"'
        f' data-column="{step}"><img loading="lazy" src="{_url(run, names[row])}"'
        f' alt="{step}"><small>{step}{" ★" if step == run.best else ""}</small></button>'
        for step, names in columns.items()
    )


def _use(run: Run, step: int, kept: set[str], words: Words) -> str:
    """Return the button that puts a step to use, if its file is kept."""
    name = f"{run.plan.name}-{step:06d}{run.plan.out.suffix}"
    there = (name in kept and (run.plan.run / "steps" / name).is_file()) or (
        bool(run.file) and step >= run.step
    )
    if not there or not step:
        return ""
    key = "train.use_step" if run.kind is not ModelKind.AESTHETIC else "train.keep_step"
    said = words.html(key, step=step)
    return (
        f'<button type="button" class="use" data-column-use="{step}" data-use="{step}">'
        f"{said}</button>"
    )


def _url(run: Run, inside: str) -> str:
    return f"atelier/v1/training/runs/{quote(run.name, safe='')}/file?file={quote(inside)}"
