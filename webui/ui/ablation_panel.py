"""The strip of an ablation on the page: every step with its map and numbers, and all as a table."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from webui.library.figures import VISIBLE, Figures
from webui.library.history import PictureView
from webui.services.ablation_report import AblationReport, PlaceReport, report_of
from webui.services.gallery import Gallery
from webui.services.strips import STRIP_TITLE
from webui.ui.messages import Words
from webui.ui.stage import picture_url, thumbnail_url

KINDS: Final = {
    "embedding": "ablation.embedding",
    "lora": "ablation.lora",
    "hypernetwork": "ablation.hypernetwork",
    "vae": "ablation.vae",
    "aesthetic": "ablation.aesthetic",
}
"""What each kind of add-on is called."""

SIGNS: Final = {"with": "ablation.with", "without": "ablation.without"}
ENDS: Final = {"base": "ablation.base", "all": "ablation.all"}

ROWS: Final = (
    (("base", "with"), "ablation.one_by_one"),
    (("all", "without"), "ablation.all_but_one"),
)
"""Which places stand in which row, and its head."""

COLUMNS: Final = (
    "ablation.picture",
    "ablation.mean",
    "ablation.visible",
    "ablation.likeness",
    "ablation.furthest",
)
"""Heads of the table."""


def panels(
    gallery: Gallery, pictures: Iterable[PictureView], words: Words, *, owner: str
) -> dict[str, str]:
    """Return a panel for each of these pictures that is a strip, by its id."""
    strips = [picture for picture in pictures if STRIP_TITLE in picture.infotext]
    found = {picture.id: report_of(gallery, picture, owner=owner) for picture in strips}
    return {name: panel_html(report, words) for name, report in found.items() if report}


def panel_html(report: AblationReport, words: Words) -> str:
    """Return a strip as HTML: its rows, its numbers, and what they mean."""
    job = report.strip.job_id if report.strip else ""
    numbered = list(enumerate(report.places))
    rows = "".join(
        f'<section><h3>{words.html(head)}</h3><div class="steps">'
        + "".join(_step(job, number, place, words) for number, place in shown)
        + "</div></section>"
        for which, head in ROWS
        if (shown := [(number, place) for number, place in numbered if place.change in which])
    )
    return (
        f'<div class="ablation">{rows}{_table(report, words)}'
        f'<p class="note">{words.html("ablation.maps", brightest=report.brightest)}</p>'
        f"<details><summary>{words.html('ablation.meaning')}</summary>"
        f"<p>{words.html('ablation.numbers_mean', visible=VISIBLE)}</p>"
        f"<p>{words.html('ablation.without_means')}</p></details></div>"
    )


def label(place: PlaceReport, words: Words) -> str:
    """Return what a place shows, such as "+ LoRA name (0.8)"."""
    if place.change in ENDS:
        return words.html(ENDS[place.change])
    kind = words.html(KINDS[place.kind]) if place.kind in KINDS else escape(place.kind)
    strength = f" ({escape(place.strength)})" if place.strength else ""
    return f"{words.html(SIGNS[place.change])} {kind} <b>{escape(place.name)}</b>{strength}"


def _step(job: str, number: int, place: PlaceReport, words: Words) -> str:
    shown = '<span class="gap"></span>'
    if place.picture:
        url = picture_url(place.picture)
        shown = (
            f'<a href="{url}" target="_blank" rel="noopener">'
            f'<img src="{thumbnail_url(place.picture)}" alt="" loading="lazy"></a>'
        )
    if place.figures:
        source = escape(f"atelier/v1/ablation/{job}/differences/{number}", quote=True)
        shown += f'<img class="map" src="{source}" alt="" loading="lazy">'
        shown += f'<span class="numbers">{_short(place.figures, words)}</span>'
    return f"<figure><figcaption>{label(place, words)}</figcaption>{shown}</figure>"


def _short(figures: Figures, words: Words) -> str:
    return words.html(
        "ablation.short",
        mean=f"{figures.mean:.1f}",
        visible=f"{figures.visible:.0%}",
        likeness=f"{figures.likeness:.2f}",
    )


def _table(report: AblationReport, words: Words) -> str:
    heads = "".join(f"<th>{words.html(key)}</th>" for key in COLUMNS)
    lines = "".join(
        f"<tr><td>{label(place, words)}</td>{_cells(place.figures)}</tr>"
        for place in report.places
        if place.figures
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _cells(figures: Figures) -> str:
    values: Mapping[str, str] = {
        "mean": f"{figures.mean:.2f}",
        "visible": f"{figures.visible:.1%}",
        "likeness": f"{figures.likeness:.3f}",
        "furthest": f"{figures.furthest}",
    }
    return "".join(f'<td class="{name}">{value}</td>' for name, value in values.items())
