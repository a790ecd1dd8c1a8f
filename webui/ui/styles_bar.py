"""Styles: named pieces of prompts to choose, to write into the prompts, and to save."""

from dataclasses import dataclass

import gradio as gr

from webui.modules.errors import WebuiError
from webui.services.studio import Studio
from webui.services.styles import Style, keep_style, read_styles, styled, styles_file
from webui.ui.drawing_fields import glyph
from webui.ui.labels import Labels
from webui.ui.messages import explain
from webui.ui.messages import notice as said
from webui.ui.plumbing import QUICK
from webui.ui.sections import Updates


@dataclass(frozen=True, kw_only=True, slots=True)
class StylesBar:
    """The line below the prompts.

    Attributes:
        chosen: The styles of the next pictures; a new name may be typed to save one.
        write_out: Writes them into the prompts.
        save: Saves the prompts as a style.
    """

    studio: Studio
    labels: Labels
    chosen: gr.Dropdown
    write_out: gr.Button
    save: gr.Button

    def connect(self, prompt: gr.Textbox, negative: gr.Textbox, notice: gr.HTML) -> None:
        """Say what happens when something is used."""
        words, settings = self.labels.words, self.studio.settings

        def write_out(text: str, avoid: str, names: list[str]) -> Updates:
            try:
                known = read_styles(styles_file(settings.folders))
            except WebuiError as error:
                return {notice: explain(error, words)}
            text, avoid = styled(text, avoid, names=names, styles=known)
            return {prompt: text, negative: avoid, self.chosen: [], notice: ""}

        def save(text: str, avoid: str, names: list[str]) -> Updates:
            if not names:
                return {
                    notice: said(words.html("styles.no_name"), words.html("styles.no_name_hint"))
                }
            name = names[-1]
            try:
                keep_style(settings, name, Style(prompt=text, negative_prompt=avoid))
            except WebuiError as error:
                return {notice: explain(error, words)}
            # The words are in the prompts already: chosen as well they would act twice.
            left = gr.update(choices=self.names(), value=names[:-1])
            return {self.chosen: left, notice: said(words.html("styles.saved", name=name))}

        given = [prompt, negative, self.chosen]
        self.write_out.click(write_out, given, [*given, notice], **QUICK)
        self.save.click(save, given, [self.chosen, notice], **QUICK)

    def names(self) -> list[str]:
        """Return the names of all styles; none while the file cannot be read."""
        return style_names(self.studio)


def build_styles(labels: Labels, studio: Studio, name: str) -> StylesBar:
    """Lay out the line."""
    with gr.Row(elem_classes=["styles", "tight"]):
        chosen = labels.make(
            gr.Dropdown,
            {"label": "styles.title"},
            choices=style_names(studio),
            value=[],
            multiselect=True,
            allow_custom_value=True,
            elem_id=f"{name}_styles",
            min_width=120,
        )
        write_out = glyph(labels, "styles.write_out", "write", f"{name}_style_apply")
        save = glyph(labels, "styles.save", "save", f"{name}_style_create")
    return StylesBar(studio=studio, labels=labels, chosen=chosen, write_out=write_out, save=save)


def style_names(studio: Studio) -> list[str]:
    """Return the names of all styles; none while the file cannot be read."""
    try:
        return list(read_styles(styles_file(studio.settings.folders)))
    except WebuiError:
        return []
