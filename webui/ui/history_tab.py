"""The history tab: a person's own pictures, found again by their words."""

from dataclasses import dataclass
from typing import Final

import gradio as gr

from webui.library.history import PictureView
from webui.modules.errors import WebuiError
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.ablation_panel import panels
from webui.ui.labels import Labels
from webui.ui.messages import explain
from webui.ui.people import person
from webui.ui.plumbing import QUICK, board
from webui.ui.sections import Updates

PAGE: Final = 60
"""Pictures on one page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryTab:
    """The tab.

    Attributes:
        trail: For each page turned, the id of the last picture before it.
    """

    studio: Studio
    labels: Labels
    search: gr.Textbox
    grid: gr.HTML
    detail: gr.HTML
    older: gr.Button
    newer: gr.Button
    trail: gr.State

    def first_page(self, text: str, request: gr.Request) -> Updates:
        """Show the newest pictures that say these words."""
        return self._page(text, [], request)

    def older_page(self, text: str, trail: list[str], request: gr.Request) -> Updates:
        """Turn one page back in time."""
        before = trail[-1] if trail else ""
        page = self._find(text, before, request)
        return self._page(text, [*trail, page[PAGE - 1].id] if len(page) > PAGE else trail, request)

    def newer_page(self, text: str, trail: list[str], request: gr.Request) -> Updates:
        """Turn one page forward in time."""
        return self._page(text, trail[:-1], request)

    def open(self, event: gr.EventData, request: gr.Request) -> str:
        """Show one picture large."""
        words, owner = self.labels.words, person(request)
        try:
            picture = self.studio.gallery.get(str(event.id), owner=owner)
            shown = panels(self.studio.gallery, [picture], words, owner=owner)
        except WebuiError as error:
            return explain(error, words)
        return stage.card(picture, words, panel=shown.get(picture.id, ""))

    def _page(self, text: str, trail: list[str], request: gr.Request) -> Updates:
        found = self._find(text, trail[-1] if trail else "", request)
        return {
            self.grid: _tiles(found[:PAGE]) if found else self._nothing(text),
            self.trail: trail,
            self.older: gr.update(visible=len(found) > PAGE),
            self.newer: gr.update(visible=bool(trail)),
        }

    def _find(self, text: str, before: str, request: gr.Request) -> list[PictureView]:
        """Return one page and one picture more, which tells whether there is a next page."""
        return self.studio.gallery.search(
            owner=person(request), text=text, before=before, limit=PAGE + 1
        )

    def _nothing(self, text: str) -> str:
        words, found = self.labels.words, "no_match" if text else "empty"
        return (
            f'<div class="stage invitation"><h2>{words.html(f"history.{found}", text=text)}</h2>'
            f"<p>{words.html(f'history.{found}_hint')}</p></div>"
        )


def build_history(labels: Labels, studio: Studio) -> HistoryTab:
    """Lay out the tab and say what happens in it."""
    search = labels.make(
        gr.Textbox,
        {"label": "history.search", "placeholder": "history.search_hint"},
        show_label=False,
        elem_id="history_search",
    )
    with gr.Row(elem_id="history"):
        with gr.Column(elem_id="history_pictures"):
            grid = board("", elem_id="history_grid")
            with gr.Row(elem_id="history_pages"):
                newer = labels.make(
                    gr.Button, {"value": "action.newer"}, visible=False, elem_id="history_newer"
                )
                older = labels.make(
                    gr.Button, {"value": "action.older"}, visible=False, elem_id="history_older"
                )
        with gr.Column(elem_id="history_detail"):
            detail = board(
                f'<p class="quiet">{labels.words.html("history.choose")}</p>',
                elem_id="history_picture",
            )
    tab = HistoryTab(
        studio=studio,
        labels=labels,
        search=search,
        grid=grid,
        detail=detail,
        older=older,
        newer=newer,
        trail=gr.State([]),
    )
    _connect(tab)
    return tab


def _connect(tab: HistoryTab) -> None:
    page = [tab.grid, tab.trail, tab.older, tab.newer]
    tab.search.change(tab.first_page, tab.search, page, trigger_mode="always_last", **QUICK)
    tab.older.click(tab.older_page, [tab.search, tab.trail], page, **QUICK)
    tab.newer.click(tab.newer_page, [tab.search, tab.trail], page, **QUICK)
    tab.grid.select(tab.open, None, tab.detail, **QUICK)


def _tiles(pictures: list[PictureView]) -> str:
    tiles = "".join(
        f'<button class="tile" type="button" data-open="{picture.id}">'
        f'<img src="{stage.thumbnail_url(picture.id)}" loading="lazy"'
        f' alt="{stage.first_line(picture)}"></button>'
        for picture in pictures
    )
    return f'<div class="grid">{tiles}</div>'
