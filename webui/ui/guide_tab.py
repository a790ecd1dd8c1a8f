"""The guide, alive: the five kinds with a person's own files, and one turn on their picture."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block
from PIL import Image

from webui.jobs.views import JobView
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.services.explaining import (
    EXAMPLE_CAPTION,
    GuideStepRequest,
    example_picture,
    order_step,
)
from webui.services.guide import KINDS, PARTS, Chapter, Guide, read_guide
from webui.services.studio import Studio
from webui.ui.explain_panel import followed
from webui.ui.explain_shown import Told, bars, counted, figures, picture_of, small_share
from webui.ui.labels import Labels
from webui.ui.messages import Words, explain
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK, plain_html
from webui.ui.sections import Updates

TRAINED: Final = {f"models.{kind.value}": kind.value for kind in KINDS}
"""What can be corrected, by the keys of the names."""

BOXES: Final = ("picture", "noised", "guess", "difference")
"""The four pictures of a turn."""

FIRST_LEVEL: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class GuideTab:
    """The tab."""

    studio: Studio
    labels: Labels
    checkpoint: gr.Dropdown
    chapters: gr.HTML
    picture: gr.Image
    caption: gr.Textbox
    kind: gr.Radio
    level: gr.Slider
    go: gr.Button
    turned: gr.HTML

    def read(self, base: str | None) -> str:
        """Tell of the kinds with the files that are there now."""
        return chapters(read_guide(self.studio, base or ""), self.labels.words)

    def arrive(self, base: str | None, picture: str | None) -> Updates:
        """Tell of the kinds, and lay out a picture if there is none."""
        words = self.labels.words
        if picture:
            return {self.chapters: self.read(base)}
        try:
            with Image.open(example_picture(self.studio).path) as kept:
                own = kept.convert("RGB")
        except WebuiError as error:
            return {self.chapters: self.read(base), self.turned: explain(error, words)}
        return {self.chapters: self.read(base), self.picture: own, self.caption: EXAMPLE_CAPTION}

    async def turn(self, values: dict[Block, Any], request: gr.Request) -> AsyncIterator[str]:
        """Noise, predict, compare and correct once."""
        owner, picture = person(request), values[self.picture]

        def order() -> JobView:
            given = self.studio.inputs.keep(Path(picture).read_bytes()) if picture else None
            wish = GuideStepRequest(
                kind=ModelKind(values[self.kind]),
                checkpoint=values[self.checkpoint] or "",
                picture=given.sha256 if given else "",
                caption=values[self.caption] or "",
                level=int(values[self.level] or 0),
            )
            return order_step(wish, self.studio, owner=owner)

        async for shown in followed(order, self.studio, self.labels.words, owner, turn_shown):
            yield shown


def chapters(guide: Guide, words: Words) -> str:
    """Return what each kind is, where it lives, and what it changes, with the person's files."""
    if not guide.checkpoint:
        head = words.html("guide.no_checkpoint")
    else:
        head = words.html("guide.painter", name=guide.checkpoint, numbers=counted(guide.numbers))
    legend = "".join(
        f'<span class="key {part}">{words.html(f"explain.part_{part}")}'
        f" <b>{guide.tensors.get(part, 0)}</b></span>"
        for part in PARTS
    )
    told = "".join(_chapter(chapter, guide, words) for chapter in guide.chapters)
    return (
        f'<div class="guide-painter"><p>{head}</p><div class="legend">{legend}</div></div>'
        f'<div class="chapters">{told}</div>'
    )


def _chapter(chapter: Chapter, guide: Guide, words: Words) -> str:
    kind = chapter.kind.value
    if chapter.example:
        own = words.html(
            "guide.own",
            count=chapter.count,
            name=chapter.example,
            numbers=counted(chapter.numbers),
        )
    else:
        own = words.html("guide.none")
    changed = sum(chapter.touched.values())
    touched = (
        words.html("guide.touches", changed=changed, total=sum(guide.tensors.values()))
        if changed
        else words.html(f"guide.touches_{kind}")
        if f"guide.touches_{kind}" in words.texts["en"]
        else ""
    )
    return (
        f'<article class="chapter" data-kind="{kind}"><h3>{words.html(f"models.{kind}")}'
        f"<code>{escape(chapter.folder)}</code></h3><p>{words.html(f'guide.{kind}')}</p>"
        f'<p class="corrects">{words.html(f"guide.corrects_{kind}")}</p>'
        f'{_map(chapter, guide)}<p class="quiet">{touched}</p><p class="quiet">{own}</p></article>'
    )


def _map(chapter: Chapter, guide: Guide) -> str:
    """Return the painter's three networks as one bar, and in it what a file of the kind changes."""
    whole = sum(guide.tensors.values())
    if not whole:
        return ""
    lanes = ""
    for part in PARTS:
        own = guide.tensors.get(part, 0)
        share = min(1.0, chapter.touched.get(part, 0) / own) if own else 0.0
        lanes += (
            f'<span class="{part}" style="flex-grow:{own}"><i style="width:{share:.1%}"></i></span>'
        )
    return f'<div class="painter-map" aria-hidden="true">{lanes}</div>'


def turn_shown(told: Told, words: Words) -> str:
    """Return one turn: its four pictures, how wrong it was, and what moved."""
    by_decoder = told["kind"] == ModelKind.VAE.value
    said = {
        "picture": words.html("guide.box_picture"),
        "noised": words.html(
            "guide.box_latents" if by_decoder else "guide.box_noised", level=told["level"]
        ),
        "guess": words.html("guide.box_guess"),
        "difference": words.html("guide.box_difference"),
    }
    moved = [
        (
            words.html(f"guide.part_{part['part']}"),
            part["moved"],
            f"{part['moved']} / {part['tensors']}",
        )
        for part in told["moved"]
    ]
    tensors = sum(part["tensors"] for part in told["moved"])
    weighed = [
        (
            words.html(f"models.{each['kind']}"),
            each["share"] ** 0.25,
            f"{each['tensors']} · {counted(each['numbers'])} · {small_share(each['share'])}",
        )
        for each in told["kinds"]
    ]
    pictures = [(picture_of(told["pictures"][box]), said[box]) for box in BOXES]
    loss = words.html("guide.loss", before=f"{told['loss']:.5f}", after=f"{told['after']:.5f}")
    return (
        f'<div class="explained">{figures(pictures)}'
        f"<p>{loss}</p><h3>{words.html('guide.moved')}</h3>{bars(moved, most=tensors)}"
        f"<h3>{words.html('guide.kinds')}</h3>{bars(weighed, most=1.0)}"
        f'<p class="quiet">{words.html("guide.kinds_mean")}</p></div>'
    )


def build_guide(labels: Labels, studio: Studio, checkpoint: gr.Dropdown) -> GuideTab:
    """Lay out the tab and say what happens in it."""
    words = labels.words
    with gr.Column(elem_id="guide"):
        plain_html(
            f"<h2>{words.html('guide.title')}</h2><p>{words.html('guide.intro')}</p>",
            elem_id="guide_head",
        )
        told = plain_html("", elem_id="guide_chapters")
        plain_html(
            f"<h2>{words.html('guide.turn_title')}</h2><p>{words.html('guide.turn_intro')}</p>",
            elem_id="guide_turn_head",
        )
        with gr.Row(elem_id="guide_turn"):
            with gr.Column(elem_id="guide_wish"):
                picture = labels.make(
                    gr.Image, {"label": "guide.picture"}, type="filepath", height=220,
                    sources=["upload", "clipboard"], elem_id="guide_picture",
                )  # fmt: skip
                caption = labels.make(
                    gr.Textbox, {"label": "guide.caption"}, elem_id="guide_caption", max_length=2000
                )
                kind = labels.make_choice(
                    gr.Radio, {"label": "guide.kind"}, TRAINED, value=ModelKind.LORA.value,
                    elem_id="guide_kind",
                )  # fmt: skip
                level = labels.make(
                    gr.Slider, {"label": "guide.level"}, minimum=0, maximum=999, step=1,
                    value=FIRST_LEVEL, elem_id="guide_level",
                )  # fmt: skip
                go = labels.make(
                    gr.Button, {"value": "guide.go"}, variant="primary", elem_id="guide_go"
                )
            turned = plain_html(
                f'<p class="quiet">{words.html("guide.turn_hint")}</p>', elem_id="guide_turned"
            )
    tab = GuideTab(
        studio=studio, labels=labels, checkpoint=checkpoint, chapters=told, picture=picture,
        caption=caption, kind=kind, level=level, go=go, turned=turned,
    )  # fmt: skip
    given: Any = {checkpoint, picture, caption, kind, level}
    go.click(tab.turn, given, turned, **FOLLOWING)
    checkpoint.change(tab.read, checkpoint, told, **QUICK)
    return tab
