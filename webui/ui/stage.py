"""Fragments of HTML that show pictures and the way there. Everything from people is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from webui.jobs.views import JobState, JobView, Progress
from webui.library.history import PictureView
from webui.services.ablation_offer import tells_of_parts
from webui.services.generate import GENERATE
from webui.ui.messages import Words, explain, notice

EXAMPLES: Final = (
    "a flat owl on a pink background",
    "a 3d castle on the grass",
    "a flat rocket at night",
)
"""First prompts for people who do not know yet what to draw; the starter knows these words."""

SECONDS_PER_MINUTE: Final = 60

NO_PANELS: Final[Mapping[str, str]] = {}
"""Every picture stands for itself."""

_BLANK: Final = '<div class="stage"><div class="canvas blank"></div></div>'


def picture_url(picture_id: str) -> str:
    """Return where the saved file itself is served, with all its text inside."""
    return f"atelier/v1/pictures/{picture_id}"


def thumbnail_url(picture_id: str) -> str:
    """Return where a small copy is served."""
    return f"{picture_url(picture_id)}/thumbnail"


def first_line(picture: PictureView) -> str:
    """Return the beginning of the prompt, for people who hear the page; escaped."""
    return escape(picture.infotext.split("\n", 1)[0][:200], quote=True)


def card(picture: PictureView, words: Words, *, chosen: bool = True, panel: str = "") -> str:
    """Return one picture, large, with what can be done with it and how it was made.

    Args:
        picture: The picture.
        words: What is said.
        chosen: Whether it is on show.
        panel: HTML that tells more than the picture itself, and stands in its place.
    """
    url, name = picture_url(picture.id), escape(picture.path.name, quote=True)
    return f"""
<figure class="picture{" chosen" * chosen}" data-id="{picture.id}" data-seed="{picture.seed}">
  {panel or _canvas(picture, chosen=chosen)}
  <figcaption>
    <div class="actions">
      <a class="pill" href="{url}" download="{name}">{words.html("action.download")}</a>
      <span class="pills">{_sends(picture, words)}</span>
      <button class="pill" data-send="{picture.id}" data-to="hires">{words.html("action.hires")}
      </button>
      {_compare(picture, words)}
      <button class="glyph glyph-copy" data-copy>{words.html("stage.copy")}</button>
    </div>
    <pre class="infotext" tabindex="0">{escape(picture.infotext)}</pre>
  </figcaption>
</figure>"""


def _canvas(picture: PictureView, *, chosen: bool) -> str:
    url = picture_url(picture.id)
    return f"""<a class="canvas" href="{url}" target="_blank" rel="noopener">
    <img src="{url}" alt="{first_line(picture)}" loading="{"eager" if chosen else "lazy"}"
         style="--w: {picture.width}; --h: {picture.height}">
  </a>"""


def _compare(picture: PictureView, words: Words) -> str:
    if not tells_of_parts(picture):
        return ""
    return (
        f'<button class="pill" data-send="{picture.id}" data-to="ablation">'
        f"{words.html('action.ablation')}</button>"
    )


def _sends(picture: PictureView, words: Words) -> str:
    buttons = "".join(
        f'<button data-send="{picture.id}" data-to="{to}">{words.html(f"send.{to}")}</button>'
        for to in ("txt2img", "img2img", "inpaint")
    )
    return f'<span class="quiet">{words.html("send.to")}</span>{buttons}'


def strip(pictures: Sequence[PictureView], *, chosen: str) -> str:
    """Return a row of thumbnails; one alone needs no row."""
    if len(pictures) < 2:  # noqa: PLR2004 - one picture
        return ""
    thumbs = "".join(
        f'<button class="thumb{" chosen" * (picture.id == chosen)}"'
        f' data-pick="{picture.id}" aria-label="{number}">'
        f'<img src="{thumbnail_url(picture.id)}" alt=""></button>'
        for number, picture in enumerate(pictures, start=1)
    )
    return f'<div class="strip">{thumbs}</div>'


def pictures_on_stage(
    pictures: Sequence[PictureView],
    words: Words,
    *,
    chosen: str = "",
    panels: Mapping[str, str] = NO_PANELS,
) -> str:
    """Return pictures of which one is large; a click on a thumbnail changes which.

    Args:
        pictures: The pictures.
        words: What is said.
        chosen: Id of the one that is large; empty for the first.
        panels: HTML that stands in the place of a picture, by its id.
    """
    if not pictures:
        return invitation(words)
    chosen = chosen or pictures[0].id
    cards = "".join(
        card(picture, words, chosen=picture.id == chosen, panel=panels.get(picture.id, ""))
        for picture in pictures
    )
    return f'<div class="stage">{cards}{strip(pictures, chosen=chosen)}</div>'


def invitation(words: Words) -> str:
    """Return what a person sees who has not drawn anything yet."""
    chips = "".join(
        f'<button class="pill" data-example="{escape(text, quote=True)}">{escape(text)}</button>'
        for text in EXAMPLES
    )
    return (
        f'<div class="stage invitation"><h2>{words.html("stage.empty")}</h2>'
        f'<p>{words.html("stage.empty_hint")}</p><div class="chips">{chips}</div></div>'
    )


def running(
    job: JobView,
    before: Sequence[PictureView],
    words: Words,
    *,
    panels: Mapping[str, str] = NO_PANELS,
) -> str:
    """Return the live preview; until there is one, the pictures from before, dimmed."""
    if not job.progress.preview_version:
        shown = pictures_on_stage(before, words, panels=panels) if before else _BLANK
        return f'<div class="dimmed">{shown}</div>'
    done = [picture for picture in before if picture.job_id == job.id]
    source = f"atelier/v1/jobs/{job.id}/preview?version={job.progress.preview_version}"
    return (
        '<div class="stage"><figure class="picture chosen preview"><div class="canvas">'
        f'<img src="{source}" alt=""></div><figcaption></figcaption></figure>'
        f"{strip(done, chosen='')}</div>"
    )


def progress(job: JobView, *, waiting: int, words: Words) -> str:
    """Return the bar and the line that say how far a job is."""
    share = 100 if job.state is JobState.DONE else round(job.progress.fraction * 100, 1)
    drawn = job.progress.phase in ("drawing", "working") and job.progress.steps > 0
    measured = drawn or job.progress.phase == "saving" or job.state.ended
    kind = "ended" if job.state.ended else "measured" if measured else "waiting"
    line = " · ".join(part for part in _progress_parts(job, words) if part)
    if waiting:
        line += (
            f' <span class="more">{words.html("progress.more_waiting", count=waiting)} '
            f'<button class="link" data-cancel>'
            f"{words.html('action.cancel_waiting')}</button></span>"
        )
    return (
        f'<div class="progress {kind}" data-state="{job.state}" data-job="{job.id}">'
        f'<div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{share}"><div class="bar" style="width: {share}%"></div></div>'
        f"<p>{line}</p></div>"
    )


def ended(job: JobView, pictures: Sequence[PictureView], words: Words) -> str:
    """Return what the person should know about how the job ended; often nothing."""
    said = ""
    if job.failure:
        said = explain(job.failure, words)
    elif job.state is JobState.CANCELLED and not pictures and job.kind == GENERATE:
        said = notice(words.html("stage.no_pictures"))
    return said + "".join(notice(escape(note)) for note in job.notes)


def _progress_parts(job: JobView, words: Words) -> list[str]:
    if job.state is JobState.QUEUED:
        if job.progress.phase == "paused":
            return [words.html("progress.paused"), _part(job.progress, words)]
        return [_place(job, words)]
    if job.state is JobState.DONE:
        seconds = f"{(job.ended or 0) - (job.started or 0):.1f}"
        return [words.html("progress.done", seconds=seconds)]
    if job.state.ended:
        return [words.html("progress.stopped")]
    return _drawing(job.progress, words)


def _drawing(now: Progress, words: Words) -> list[str]:
    if now.phase == "saving":
        return [words.html("progress.saving")]
    if now.phase == "working":
        return [_part(now, words), escape(now.text), _time_left(now.eta_seconds, words)]
    if now.phase != "drawing":
        return [words.html("progress.loading")]
    if not now.steps:
        return [words.html("progress.preparing")]
    parts = [words.html("progress.drawing", step=now.step, steps=now.steps)]
    if now.batches > 1:
        parts.append(words.html("progress.picture", number=now.batch + 1, total=now.batches))
    return [*parts, _time_left(now.eta_seconds, words)]


def _part(now: Progress, words: Words) -> str:
    if not now.steps:
        return words.html("progress.preparing")
    return words.html("progress.working", number=now.step, total=now.steps)


def _place(job: JobView, words: Words) -> str:
    match job.position:
        case 0:
            return words.html("progress.next")
        case 1:
            return words.html("progress.queued_one")
        case count:
            return words.html("progress.queued_many", count=count)


def _time_left(seconds: float | None, words: Words) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(max(1, round(seconds)), SECONDS_PER_MINUTE)
    if not minutes:
        return words.html("progress.seconds_left", seconds=rest)
    return words.html("progress.minutes_left", minutes=minutes, seconds=rest)
