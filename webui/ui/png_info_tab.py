"""The PNG-info tab: drop a picture, see how it was made, make it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from webui.modules.errors import WebuiError
from webui.services.studio import Studio
from webui.ui.drawing_tab import DrawingTab
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.plumbing import QUICK, plain_html
from webui.ui.replay_panel import ReplayPanel, build_replay
from webui.ui.sections import Updates

SENDS: Final = {
    "action.send": "pnginfo_send",
    "action.send_img2img": "pnginfo_send_img2img",
    "action.send_inpaint": "pnginfo_send_inpaint",
}
"""The buttons that take the picture along, by their words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PngInfoTab:
    """The tab."""

    studio: Studio
    labels: Labels
    file: gr.File
    picture: gr.HTML
    text: gr.Textbox
    items: gr.HTML
    send: gr.Button
    to_img2img: gr.Button
    to_inpaint: gr.Button
    replay: ReplayPanel

    def read(self, path: str | None) -> Updates:
        """Show what a dropped picture says about itself."""
        words = self.labels.words
        blank: Updates = {
            self.picture: "",
            self.items: "",
            self.text: gr.update(value="", visible=False),
            self.replay.shown: "",
            **self._sends(),
        }
        if not path:
            return blank
        try:
            data = Path(path).read_bytes()
            text, parsed = self.studio.gallery.read_infotext(data)
            _, others = self.studio.gallery.read_texts(data)
        except WebuiError as error:
            return {**blank, self.items: explain(error, words)}
        shown = {**blank, self.picture: f'<img src="gradio_api/file={quote(path)}" alt="">'}
        if not text:
            said = notice(words.html("png_info.nothing"), words.html("png_info.nothing_hint"))
            return {**shown, self.items: said, **self._sends(picture=True)}
        return {
            **shown,
            self.items: _table(_spoken(text, parsed) | others),
            self.text: gr.update(value=text, visible=True),
            **self._sends(picture=True, text=True),
        }

    def _sends(self, *, picture: bool = False, text: bool = False) -> Updates:
        """Show the buttons that take the picture along, and that which needs its settings."""
        seen = {
            self.send: text,
            self.replay.button: text,
            self.to_img2img: picture,
            self.to_inpaint: picture,
        }
        return {button: gr.update(visible=visible) for button, visible in seen.items()}


def build_png_info(
    labels: Labels, studio: Studio, txt2img: DrawingTab, tabs: gr.Tabs
) -> PngInfoTab:
    """Lay out the tab and say what happens in it."""
    with gr.Row(elem_id="png_info"):
        with gr.Column(elem_id="png_drop"):
            file = labels.make(
                gr.File,
                {"label": "png_info.drop"},
                file_types=["image"],
                type="filepath",
                show_label=False,
                elem_id="pnginfo_image",
                height=200,
            )
            plain_html(labels.words.html("png_info.drop_hint"), elem_id="pnginfo_hint")
            picture = plain_html("", elem_id="pnginfo_picture")
        with gr.Column(elem_id="png_said"):
            text = labels.make(
                gr.Textbox,
                {"label": "png_info.infotext"},
                visible=False,
                interactive=False,
                lines=4,
                max_lines=14,
                buttons=["copy"],
                elem_id="pnginfo_text",
            )
            with gr.Row(elem_id="pnginfo_sends"):
                send, to_img2img, to_inpaint = (
                    labels.button(key, elem_id, visible=False) for key, elem_id in SENDS.items()
                )
            replay = build_replay(labels, studio)
            items = plain_html("", elem_id="pnginfo_items")
    tab = PngInfoTab(
        studio=studio,
        labels=labels,
        file=file,
        picture=picture,
        text=text,
        items=items,
        send=send,
        to_img2img=to_img2img,
        to_inpaint=to_inpaint,
        replay=replay,
    )
    seen = [replay.button, replay.shown, to_img2img, to_inpaint]
    shown: list[Any] = [picture, text, items, send, *seen]
    replay.connect(file)
    file.change(tab.read, file, shown, **QUICK)
    restored = [*txt2img.form.components(), txt2img.notice, tabs]

    def to_form(said: str) -> Updates:
        return {**txt2img.apply_text(said), tabs: gr.Tabs(selected="txt2img")}

    send.click(to_form, text, restored, **QUICK)
    return tab


def _spoken(text: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that stand in the text, without what is assumed or shown above."""
    found = dict(parsed)
    if "Size-1" in found:
        found["Size"] = f"{found['Size-1']}x{found['Size-2']}"
    last = text.rsplit("\n", 1)[-1]
    return {name: value for name, value in found.items() if f"{name}: " in last}


def _table(items: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in items.items()
    )
    return f'<table class="items">{rows}</table>'
