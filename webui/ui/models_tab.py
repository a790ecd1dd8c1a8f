"""The models tab: every model file as a card, found, held against the checkpoint, put to use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.jobs.views import Failure
from webui.library.cards import ModelCard
from webui.modules.errors import WebuiError
from webui.modules.layers.fit import Fit
from webui.modules.types import ModelKind
from webui.services.browsing import Page, Search
from webui.services.studio import Studio
from webui.ui import model_cards as cards
from webui.ui.add_ons_bar import KINDS as CALLED
from webui.ui.add_ons_bar import call_of
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.model_texts import ModelTexts, build_texts
from webui.ui.plumbing import QUICK, asset, plain_html
from webui.ui.sections import Updates

PAGE: Final = 60
"""Cards on one page."""

SORTS: Final = {
    "models.by_name": "name",
    "models.by_date": "newest",
    "models.by_size": "largest",
}
"""Ways to sort, by their words."""

Chosen = dict[str, str]
"""The card that is open: its ``kind`` and its ``name``; empty without one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelsTab:
    """The tab.

    Attributes:
        chosen: The card that is open: ``{"kind": ..., "name": ...}``, or empty.
        offset: How many cards are passed over.
        beside: Where more can be shown of the card that is open.
    """

    studio: Studio
    labels: Labels
    checkpoint: gr.Dropdown
    drop: gr.HTML
    arrived: gr.HTML
    kind: gr.Radio
    search: gr.Textbox
    sort: gr.Dropdown
    fits: gr.Checkbox
    grid: gr.HTML
    newer: gr.Button
    older: gr.Button
    offset: gr.State
    chosen: gr.State
    detail: gr.HTML
    uses: Mapping[str, gr.Button]
    hashes: gr.Button
    hashed: gr.HTML
    texts: ModelTexts
    beside: gr.Column

    # ------------------------------------------------------------------ the list

    def asked(self) -> list[Block]:
        """Return what decides which cards are shown."""
        return [self.kind, self.search, self.sort, self.fits, self.checkpoint]

    def listed(self) -> list[Block]:
        """Return what shows them."""
        return [self.grid, self.newer, self.older, self.offset]

    def first_page(self, *asked: Any) -> Updates:
        """Show the first cards of what is looked for."""
        return self.page(*asked, 0)

    def next_page(self, *asked: Any) -> Updates:
        """Turn one page forward."""
        *told, offset = asked
        return self.page(*told, offset + PAGE)

    def last_page(self, *asked: Any) -> Updates:
        """Turn one page back."""
        *told, offset = asked
        return self.page(*told, offset - PAGE)

    def page(self, *asked: Any) -> Updates:
        """Show a page of what is looked for, from an offset on."""
        kind, text, sort, fits, base, offset = asked
        search = Search(
            kind=ModelKind(kind) if kind else None,
            text=text or "",
            order=sort or "name",
            fits=base if fits and base else "",
            offset=max(0, offset),
            limit=PAGE,
        )
        try:
            found = self.studio.catalogue.search(search)
        except WebuiError as error:
            return {self.grid: explain(error, self.labels.words)}
        return {
            self.grid: self._shown(found, search, base or ""),
            self.newer: gr.update(visible=search.offset > 0),
            self.older: gr.update(visible=found.more),
            self.offset: search.offset,
        }

    def _shown(self, found: Page, search: Search, base: str) -> str:
        words = self.labels.words
        if not found.cards:
            looked_for = search.text or search.fits or search.kind
            key = "models.no_match" if looked_for else "models.empty"
            return cards.nothing(key, words, text=search.text)
        fits = [self._fit(card, base) for card in found.cards]
        shown = cards.tiles(found.cards, fits, words)
        if found.total is None:
            return shown
        first, last = search.offset + 1, search.offset + len(found.cards)
        count = words.html("models.count", first=first, last=last, total=found.total)
        return f'<p class="count">{count}</p>{shown}'

    def _fit(self, card: ModelCard, base: str) -> Fit | None:
        return self.studio.catalogue.fit(card, base)

    # ------------------------------------------------------------------ one card

    def opened(self) -> list[Block]:
        """Return what shows one card."""
        return [
            self.chosen,
            self.detail,
            self.hashed,
            self.hashes,
            *self.uses.values(),
            *self.texts.outputs(),
        ]

    def open(self, base: str | None, before: Chosen, event: gr.EventData) -> Updates:
        """Show all about the card that was clicked."""
        kind, _, name = str(event.id).partition("/")
        return self.show({"kind": kind, "name": name}, base or "", before)

    def show(self, chosen: Chosen, base: str, before: Chosen) -> Updates:
        """Show all about a card, or why it is no longer there.

        The fields of one that was open before stay: somebody may be writing in them.
        """
        words, catalogue = self.labels.words, self.studio.catalogue
        try:
            card = self.card(chosen)
            metadata = catalogue.metadata(card)
        except WebuiError as error:
            return {**self._closed(), self.detail: explain(error, words)}
        fit = self._fit(card, base)
        partly = fit is not None and fit.share < 1
        call = call_of(card, catalogue.call_name(card)) if card.record.kind in CALLED else ""
        return {
            self.chosen: chosen,
            self.detail: cards.details(
                card, fit, words, cures=catalogue.cures(card) if partly else (), call=call
            )
            + cards.metadata_table(metadata, words),
            self.hashed: "",
            self.hashes: gr.update(visible=not card.problem),
            **self._uses(card),
            **({} if chosen == before else self.texts.fill(card)),
        }

    def card(self, chosen: Chosen) -> ModelCard:
        """Return the card that is open.

        Raises:
            UnknownNameError: If it is gone.
        """
        try:
            kind = ModelKind(chosen.get("kind", ""))
        except ValueError:
            kind = ModelKind.UNKNOWN
        return self.studio.catalogue.card(kind, chosen.get("name", ""))

    def count_hashes(self, chosen: Chosen) -> str:
        """Show the hashes of the open card."""
        try:
            return cards.hash_table(self.studio.catalogue.hashes(self.card(chosen)))
        except WebuiError as error:
            return explain(error, self.labels.words)

    def _uses(self, card: ModelCard) -> Updates:
        usable = card.problem is None
        pictured = card.record.kind in (*CALLED, ModelKind.VAE, ModelKind.AESTHETIC)
        return {
            self.uses["txt2img"]: gr.update(visible=usable),
            self.uses["img2img"]: gr.update(visible=usable and pictured),
        }

    def _closed(self) -> Updates:
        hidden = {button: gr.update(visible=False) for button in (*self.uses.values(), self.hashes)}
        return {self.chosen: {}, self.hashed: "", **hidden, **self.texts.hide()}

    # ------------------------------------------------------------------ files that come

    def take(self, base: str | None, before: Chosen, event: gr.EventData) -> Updates:
        """Say what became of a file that the browser has sent, and show its card."""
        words = self.labels.words
        told: Any = event.answer
        answer: dict[str, Any] = dict(told) if isinstance(told, Mapping) else {}  # pyright: ignore[reportUnknownArgumentType] - what the browser was told, shown escaped
        name = str(event.name)[:200]
        if "error" in answer or "kind" not in answer:
            return {self.arrived: self._refusal(name, answer)}
        file = str(answer.get("name", ""))
        kind, where = str(answer["kind"]), str(answer.get("file", ""))
        key = "already" if answer.get("already") else "renamed" if answer.get("renamed") else "new"
        said = notice(
            words.html(f"models.arrived_{key}", name=name, file=where),
            words.html(f"models.{kind}") if f"models.{kind}" in words.texts["en"] else "",
        )
        return {self.arrived: said, **self.show({"kind": kind, "name": file}, base or "", before)}

    def _refusal(self, name: str, answer: Mapping[str, Any]) -> str:
        words = self.labels.words
        code = str(answer.get("error", ""))
        if f"error.{code}.sentence" not in words.texts["en"]:
            code = "error"
        failure = Failure(
            code=code,
            message=str(answer.get("detail", "")) or name,
            hint=str(answer.get("hint", "")),
            value=name,
        )
        return explain(failure, words)

    # ------------------------------------------------------------------ events

    def connect(self) -> None:
        """Say what happens when something is used."""
        asked: list[Any] = self.asked()
        listed: list[Any] = self.listed()
        for part in (self.kind, self.sort, self.fits):
            part.input(self.first_page, asked, listed, **QUICK)
        self.search.change(self.first_page, asked, listed, trigger_mode="always_last", **QUICK)
        self.older.click(self.next_page, [*asked, self.offset], listed, **QUICK)
        self.newer.click(self.last_page, [*asked, self.offset], listed, **QUICK)
        self.checkpoint.change(self.page, [*asked, self.offset], listed, **QUICK)
        held: list[Any] = [self.checkpoint, self.chosen]
        self.grid.select(self.open, held, self.opened(), **QUICK)
        self.drop.submit(self.take, held, [self.arrived, *self.opened()], **QUICK).then(
            self.page, [*asked, self.offset], listed, **QUICK
        )
        self.hashes.click(self.count_hashes, self.chosen, self.hashed, **QUICK)
        self.texts.connect(self.card, self.chosen, self.show, [self.checkpoint], self.opened())


def build_models(labels: Labels, studio: Studio, checkpoint: gr.Dropdown) -> ModelsTab:
    """Lay out the tab and say what happens in it."""
    with gr.Row(elem_id="models"):
        with gr.Column(elem_id="models_list"):
            parts = _list(labels)
        with gr.Column(elem_id="models_detail") as beside:
            quiet = f'<p class="quiet">{labels.words.html("models.choose")}</p>'
            detail = gr.HTML(quiet, elem_id="model_card", apply_default_css=False)
            with gr.Row(elem_id="model_uses"):
                uses = {
                    name: _button(labels, f"models.use_{name}", f"model_use_{name}")
                    for name in ("txt2img", "img2img")
                }
                hashes = _button(labels, "models.hashes", "model_hashes")
            hashed = plain_html("", elem_id="model_hash_table")
            texts = build_texts(labels, studio)
    tab = ModelsTab(
        studio=studio,
        labels=labels,
        checkpoint=checkpoint,
        detail=detail,
        uses=uses,
        hashes=hashes,
        hashed=hashed,
        texts=texts,
        beside=beside,
        offset=gr.State(0),
        chosen=gr.State({}),
        **parts,
    )
    tab.connect()
    return tab


def _list(labels: Labels) -> dict[str, Any]:
    """Lay out the drop zone, the search and the cards."""
    words = labels.words
    drop = gr.HTML(
        f'<label class="model-drop"><input type="file" multiple aria-label="model files">'
        f"<strong>{words.html('models.drop')}</strong>"
        f"<span>{words.html('models.drop_hint')}</span></label>"
        '<div class="sending"></div>',
        elem_id="models_drop",
        apply_default_css=False,
        js_on_load=asset("shelf.js"),
    )
    arrived = plain_html("", elem_id="models_arrived")
    kinds = {"models.all": "", **{key: kind.value for kind, key in cards.KINDS.items()}}
    kind = labels.make_choice(
        gr.Radio, {"label": "models.kind"}, kinds, value="", show_label=False, container=False,
        elem_id="models_kind",
    )  # fmt: skip
    with gr.Row(elem_id="models_filters"):
        search = labels.make(
            gr.Textbox, {"label": "models.search", "placeholder": "models.search_hint"},
            show_label=False, elem_id="models_search", scale=3, min_width=160,
        )  # fmt: skip
        sort = labels.make_choice(
            gr.Dropdown, {"label": "models.sort"}, SORTS, value="name", show_label=False,
            elem_id="models_sort", scale=1, min_width=130,
        )  # fmt: skip
        fits = labels.make(
            gr.Checkbox, {"label": "models.only_fitting"}, elem_id="models_fits", scale=1,
            min_width=160,
        )  # fmt: skip
    grid = gr.HTML("", elem_id="models_grid", apply_default_css=False, js_on_load=asset("shelf.js"))
    with gr.Row(elem_id="models_pages"):
        newer = _button(labels, "models.previous", "models_previous")
        older = _button(labels, "models.next", "models_next")
    return {
        "drop": drop, "arrived": arrived, "kind": kind, "search": search, "sort": sort,
        "fits": fits, "grid": grid, "newer": newer, "older": older,
    }  # fmt: skip


def _button(labels: Labels, key: str, elem_id: str) -> gr.Button:
    return labels.button(key, elem_id, visible=False, size="sm")
