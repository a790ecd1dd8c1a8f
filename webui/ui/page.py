"""The page: header, tabs, theme and language."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui import __version__
from webui.modules.errors import WebuiError
from webui.services.models import Suggested
from webui.services.studio import Studio
from webui.ui.drawing_layout import Picker, Site, build_drawing
from webui.ui.drawing_tab import DrawingTab, checkpoint_choices
from webui.ui.explain_panel import build_explain
from webui.ui.extension_fields import extension_texts, title_key
from webui.ui.guide_tab import build_guide
from webui.ui.history_tab import HistoryTab, build_history
from webui.ui.labels import Labels
from webui.ui.messages import LANGUAGES, Words, load_words
from webui.ui.models_tab import ModelsTab, build_models
from webui.ui.plumbing import FOLLOWING, QUICK, asset, plain_html
from webui.ui.png_info_tab import build_png_info
from webui.ui.scenery import build_scenery
from webui.ui.sending import Sending
from webui.ui.theme import paper_and_ink
from webui.ui.training_tab import build_training
from webui.ui.using import Using
from webui.ui.workshop_tab import WorkshopTab, build_workshop

DRAWING: Final = ("txt2img", "img2img")
"""The tabs that draw."""

LOGO: Final = (
    '<svg class="seal" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7"/>'
    '<path d="M9 24 16 7l7 17M11.8 18.2h8.4" fill="none" stroke="#fff" stroke-width="2.6"'
    ' stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def build_page(studio: Studio) -> gr.Blocks:
    """Build the page; ``app`` mounts it with ``mount_options``."""
    labels = Labels(page_words(studio))
    with gr.Blocks(title="Atelier", analytics_enabled=False, fill_width=True) as page:
        picker, refresh, language = _header(labels, studio)
        scenery = build_scenery(labels, studio, names=DRAWING)
        with gr.Row(elem_id="desk"):
            with gr.Tabs(selected="txt2img", elem_id="tabs") as tabs:
                txt2img, img2img = (
                    _drawing_tab(
                        Site(
                            name=name,
                            pictured=name == "img2img",
                            labels=labels,
                            studio=studio,
                            picker=picker,
                            scenery=scenery,
                        )
                    )
                    for name in DRAWING
                )
                using = _models_tab(txt2img, {"txt2img": txt2img, "img2img": img2img}, tabs)
                workshop = _workshop_tab(labels, studio, using)
                _training_tab(page, txt2img, tabs)
                with labels.make(gr.Tab, {"label": "tab.png_info"}, id="png_info"):
                    png_info = build_png_info(labels, studio, txt2img, tabs)
                history = _history_tab(labels, studio)
                _guide_tab(labels, studio, txt2img.form.checkpoint)
            with gr.Column(elem_id="show"):
                scenery.notice.render()
                with gr.Column(elem_id="scene"):
                    scenery.progress.render()
                    scenery.stage.render()
        sending = Sending(
            studio=studio,
            txt2img=txt2img,
            img2img=img2img,
            tabs=tabs,
            dropped=gr.UploadButton(visible="hidden", elem_id="dropped"),
            place=gr.Textbox(visible=False),
        )
        footer = plain_html(foot(studio, labels.words), elem_id="footer")
        scenery.connect()
        sending.connect(scenery.stage, history.detail)
        sending.connect_png_info(png_info.text, png_info.to_img2img, png_info.to_inpaint)
        scenery.stage.input(_example, None, txt2img.form.prompt, **QUICK)
        _connect_language(page, labels, language)
        _connect_files(page, picker, [txt2img, img2img, workshop], refresh, using.models)
        _connect_first(picker, [txt2img, img2img])
        page.load(scenery.arrive, None, scenery.outputs(), **FOLLOWING)
        for moment in (page.load, txt2img.generate.click, img2img.generate.click):
            moment(lambda: foot(studio, labels.words), None, footer, **QUICK)
    return page


def _drawing_tab(site: Site) -> DrawingTab:
    with site.labels.make(
        gr.Tab,
        {"label": f"tab.{site.name}"},
        id=site.name,
        elem_id=f"tab_{site.name}",
        elem_classes=["drawing"],
    ):
        return build_drawing(site)


def _models_tab(first: DrawingTab, drawing: Mapping[str, DrawingTab], tabs: gr.Tabs) -> Using:
    labels = first.labels
    with labels.make(gr.Tab, {"label": "tab.models"}, id="models", elem_id="tab_models") as tab:
        models = build_models(labels, first.studio, first.form.checkpoint)
    build_explain(labels, first.studio, models)
    using = Using(models=models, drawing=drawing, tabs=tabs)
    using.connect()
    tab.select(models.page, [*models.asked(), models.offset], models.listed(), **QUICK)
    return using


def _guide_tab(labels: Labels, studio: Studio, checkpoint: gr.Dropdown) -> None:
    name = {"label": "tab.guide"}
    with labels.make(gr.Tab, name, id="guide", elem_id="tab_guide") as tab:
        guide = build_guide(labels, studio, checkpoint)
    given: Any = [checkpoint, guide.picture]
    laid: Any = [guide.chapters, guide.picture, guide.caption, guide.turned]
    tab.select(guide.arrive, given, laid, **QUICK)


def _workshop_tab(labels: Labels, studio: Studio, using: Using) -> WorkshopTab:
    name = {"label": "tab.workshop"}
    with labels.make(gr.Tab, name, id="workshop", elem_id="tab_workshop") as tab:
        workshop = build_workshop(labels, studio, tab)
    using.connect_button(workshop.use, "txt2img", workshop.chosen)
    return workshop


def _training_tab(page: gr.Blocks, txt2img: DrawingTab, tabs: gr.Tabs) -> None:
    labels = txt2img.labels
    name = {"label": "tab.train"}
    with labels.make(gr.Tab, name, id="train", elem_id="tab_train") as tab:
        training = build_training(labels, txt2img.studio, txt2img, tabs)
    for moment in (page.load, tab.select):
        moment(training.arrive, None, training.everything(), **QUICK)


def _history_tab(labels: Labels, studio: Studio) -> HistoryTab:
    with labels.make(gr.Tab, {"label": "tab.history"}, id="history") as tab:
        history = build_history(labels, studio)
    shown = [history.grid, history.trail, history.older, history.newer]
    tab.select(history.first_page, history.search, shown, **QUICK)
    return history


def _example(event: gr.EventData) -> str:
    """Put an example into the prompt."""
    return str(event.text)


def _connect_language(page: gr.Blocks, labels: Labels, language: gr.Radio) -> None:
    # Nothing is said to a page that stands right already: an answer with every label takes the
    # browser seconds, and one that comes late would overrule the person who has just chosen.
    unpainted = gr.Textbox(visible="hidden")

    def greet(spoken: str) -> dict[Block, Any]:
        return {language: spoken, **labels.updates(spoken)}

    language.input(
        labels.updates, language, labels.components(), js="(l) => atelier.speak(l)", **QUICK
    )
    page.load(None, None, unpainted, js="() => atelier.unpainted()", **QUICK)
    unpainted.change(greet, unpainted, [language, *labels.components()], **QUICK)


def _connect_files(
    page: gr.Blocks,
    picker: Picker,
    offering: Sequence[DrawingTab | WorkshopTab],
    refresh: gr.Button,
    models: ModelsTab,
) -> None:
    """Keep the lists of files as the folders are; ``library.js`` asks and says when they change."""
    studio = models.studio
    lists = {component for tab in offering for component in tab.offered()}
    offered = [*lists, picker.checkpoint, picker.came]

    def offer(chosen: str | None) -> dict[Block, Any]:
        updates = {key: update for tab in offering for key, update in tab.offer_files().items()}
        return updates | _checkpoint_now(picker, studio, chosen)

    def look_again(chosen: str | None) -> dict[Block, Any]:
        studio.models.refresh()
        return offer(chosen)

    version = gr.Textbox(visible="hidden", elem_id="files_version")

    def offer_first(chosen: str | None) -> dict[Block, Any]:
        return {version: studio.catalogue.version(), **offer(chosen)}

    def show(chosen: str | None, *asked: Any) -> dict[Block, Any]:
        return {**offer_first(chosen), **models.page(*asked)}

    refresh.click(look_again, picker.checkpoint, offered, preprocess=False, **QUICK)
    page.load(offer_first, picker.checkpoint, [version, *offered], **QUICK)
    changed = gr.Button(visible="hidden", elem_id="files_changed")
    asked: list[Block] = [picker.checkpoint, *models.asked(), models.offset]
    listed: list[Block] = models.listed()
    changed.click(show, asked, [version, *offered, *listed], **FOLLOWING)


def _checkpoint_now(picker: Picker, studio: Studio, chosen: str | None) -> dict[Block, Any]:
    """Choose the first checkpoint that comes; list one that is gone until another is chosen.

    What is not on its list Gradio refuses in its own words, before ours can say what to do.
    """
    choices = checkpoint_choices(studio)
    if chosen and all(name != chosen for _, name in choices):
        choices.append((f"⚠ {chosen}", chosen))
    first = "" if chosen else _first_checkpoint(studio)[0]
    if not first:
        return {picker.checkpoint: gr.update(choices=choices)}
    return {picker.checkpoint: gr.update(choices=choices, value=first), picker.came: first}


def _connect_first(picker: Picker, drawing: Sequence[DrawingTab]) -> None:
    """Fill both forms with what the first checkpoint suggests, should it come later."""
    for tab in drawing:
        filled = [*tab.filled(), tab.offer]
        picker.came.change(tab.change_checkpoint, tab.form.components(), filled, **QUICK)


def foot(studio: Studio, words: Words) -> str:
    """Return which program this is, what it draws with, and which extensions are on and off."""
    told = [f"Atelier {__version__}", *map(escape, studio.worker().notes)]
    views = studio.extensions.views()
    if names := [words.html(title_key(view.name)) for view in views if view.on]:
        told.append(f"{words.html('page.extensions')} {', '.join(names)}")
    told += [
        words.html("page.extension_off", name=view.name, reason=view.reason)
        for view in views
        if not view.on
    ]
    return f"<p>{' · '.join(told)}</p>"


def page_words(studio: Studio) -> Words:
    """Return what the page says, extensions included."""
    return load_words(extension_texts(studio.extensions.named()))


def mount_options(studio: Studio) -> dict[str, Any]:
    """Return how ``gr.mount_gradio_app`` shall show the page: alone, offline, without telemetry."""
    return {
        "theme": paper_and_ink(),
        "head": _head(),
        "i18n": page_words(studio).for_gradio(),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "show_error": True,
    }


def _head() -> str:
    """Return style and script as they are: Gradio would rewrite what it gets as ``css``."""
    styles = "".join(
        f"<style>{asset(name)}</style>"
        for name in ("atelier.css", "models.css", "workshop.css", "guide.css", "training.css")
    )
    scripts = "".join(f"<script>{asset(name)}</script>" for name in ("atelier.js", "library.js"))
    return styles + scripts


def _header(labels: Labels, studio: Studio) -> tuple[Picker, gr.Button, gr.Radio]:
    name, first = _first_checkpoint(studio)
    with gr.Row(elem_id="top"):
        plain_html(f'<div class="brand">{LOGO}<h1>Atelier</h1></div>', elem_id="brand")
        with gr.Row(elem_id="pick"):
            checkpoint = labels.make(
                gr.Dropdown,
                {"label": "form.checkpoint"},
                choices=checkpoint_choices(studio),
                value=name or None,
                show_label=False,
                container=False,
                elem_id="setting_sd_model_checkpoint",
            )
            refresh = labels.make(
                gr.Button,
                {"value": "form.refresh"},
                elem_classes=["glyph", "glyph-refresh"],
                elem_id="refresh_sd_model_checkpoint",
                size="sm",
                min_width=36,
                scale=0,
            )
        language = gr.Radio(
            [(own, code) for code, own in LANGUAGES.items()],
            value=next(iter(LANGUAGES)),
            show_label=False,
            container=False,
            label="Language 语言",
            elem_id="language",
        )
        plain_html(
            '<button type="button" class="glyph glyph-theme" data-theme-switch>'
            f"{labels.words.html('page.theme')}</button>",
            elem_id="theme",
        )
    came = gr.Textbox(visible="hidden")
    picker = Picker(checkpoint=checkpoint, name=name, first=first, came=came)
    return picker, refresh, language


def _first_checkpoint(studio: Studio) -> tuple[str, Suggested]:
    """Return the checkpoint that a visitor finds chosen, and what it suggests."""
    chosen = studio.options.current().text("sd_model_checkpoint")
    names = [card.record.name for card in studio.models.checkpoints() if not card.problem]
    for name in (chosen, *names):
        try:
            record = studio.models.find_checkpoint(name)
        except WebuiError:
            continue
        return record.name, studio.models.suggested(record)
    return "", Suggested()
