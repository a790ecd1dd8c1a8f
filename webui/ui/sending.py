"""Where a finished picture can go from here: back into a form, or straight into a larger one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.library.history import PictureView
from webui.modules.errors import WebuiError
from webui.services.ablation_offer import wish_of
from webui.services.pasted import pasted
from webui.services.requests import GenerationRequest
from webui.services.script_requests import AblationRequest, ScriptRequest
from webui.services.studio import Studio
from webui.ui.drawing_tab import DrawingTab
from webui.ui.messages import explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK
from webui.ui.sections import Updates
from webui.ui.start_fields import Mode, drawable

MODES = {"img2img": Mode.WHOLE, "inpaint": Mode.INPAINT}
"""How a picture is used that is sent there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """The ways between the tabs.

    Attributes:
        tabs: Shows another tab.
        dropped: Not shown: a file that was dropped on the page.
        place: Not shown: the tab on which it was dropped.
    """

    studio: Studio
    txt2img: DrawingTab
    img2img: DrawingTab
    tabs: gr.Tabs
    dropped: gr.UploadButton
    place: gr.Textbox

    def connect(self, *boards: gr.HTML) -> None:
        """Let the buttons under pictures on these boards, and dropped files, find their way."""
        inputs = self.txt2img.form.components()
        for board in boards:
            board.submit(self.send, inputs, self.outputs(), **FOLLOWING)
        self.dropped.upload(
            self.take,
            [self.dropped, self.place],
            self.outputs(),
            js="(file) => [file, atelier.tab()]",
            **QUICK,
        )

    def connect_png_info(
        self, text: gr.Textbox, to_img2img: gr.Button, to_inpaint: gr.Button
    ) -> None:
        """Let a picture whose settings were read go on to the easel."""
        picture = "document.querySelector('#pnginfo_picture img').src"
        for button, mode in ((to_img2img, Mode.WHOLE), (to_inpaint, Mode.INPAINT)):
            button.click(
                partial(self.to_img2img, mode=mode),
                text,
                self.outputs(),
                js=f"(said) => {{ atelier.begin({picture}, '{mode}'); return said; }}",
                **QUICK,
            )

    def outputs(self) -> list[Block]:
        """Return everything that sending touches."""
        tabs = (*self.txt2img.filled(), *self.img2img.filled())
        return list({*tabs, *self.txt2img.scenery.outputs(), self.tabs})

    async def send(
        self, values: dict[Block, Any], event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """Do with a saved picture what its button says."""
        owner, where = person(request), str(event.to)
        try:
            picture = await asyncio.to_thread(self.studio.gallery.get, str(event.id), owner=owner)
            wish, script = self._wish(picture, where, values, owner)
        except WebuiError as error:
            yield self._problem(error)
            return
        if wish:
            yield {self.tabs: gr.Tabs(selected="img2img" if wish.start else "txt2img")}
            async for updates in self.txt2img.scenery.draw([wish], owner, script=script):
                yield updates
        elif where == "hires":
            words = self.txt2img.labels.words
            said = notice(words.html("notice.not_larger"), words.html("notice.not_larger_hint"))
            yield {self.txt2img.notice: said}
        elif where in MODES:
            yield self.to_img2img(
                picture.infotext, size=(picture.width, picture.height), mode=MODES[where]
            )
        else:
            yield self.to_txt2img(picture.infotext)

    def to_txt2img(self, infotext: str) -> Updates:
        """Put a settings text into the form that starts from noise, and show it."""
        return {**self.txt2img.apply_text(infotext), self.tabs: gr.Tabs(selected="txt2img")}

    def to_img2img(
        self, infotext: str, *, size: tuple[int, int] | None = None, mode: Mode | None = None
    ) -> Updates:
        """Put a settings text into the form that starts from a picture, and show it.

        The browser itself puts the picture on the easel.

        Args:
            infotext: May be empty; then the form stays as it is.
            size: Of the picture.
            mode: How it shall be used; None for as before.
        """
        form = self.img2img.form
        updates = self.img2img.apply_text(infotext) if infotext else {}
        if size:
            width, height = drawable(*size)
            updates |= {form.width: gr.update(value=width), form.height: gr.update(value=height)}
        if mode and form.start:
            updates[form.start.mode] = gr.update(value=str(mode))
        said = str(updates.get(self.img2img.notice, ""))
        updates[self.img2img.notice] = said if "notice-error" in said else ""
        return {**updates, self.tabs: gr.Tabs(selected="img2img")}

    def take(self, path: str, place: str) -> Updates:
        """Read the settings of a picture that was dropped on the page."""
        words = self.txt2img.labels.words
        try:
            text, _ = self.studio.gallery.read_infotext(Path(path).read_bytes())
        except WebuiError as error:
            return self._problem(error)
        if not text:
            said = notice(words.html("png_info.nothing"), words.html("notice.drop_on_easel"))
            return {self.txt2img.notice: said}
        if place == "img2img":
            return self.img2img.apply_text(text)
        return self.to_txt2img(text)

    def _problem(self, error: WebuiError) -> Updates:
        return {self.txt2img.notice: explain(error, self.txt2img.labels.words)}

    def _wish(
        self, picture: PictureView, where: str, values: dict[Block, Any], owner: str
    ) -> tuple[GenerationRequest | None, ScriptRequest | None]:
        """Return what is drawn at once for a button, and as which script.

        Raises:
            RequestError: If something in the settings or in the form makes no sense.
        """
        if where == "ablation":
            return wish_of(self.studio, picture, owner=owner), AblationRequest()
        return (self._larger(picture, values, owner) if where == "hires" else None), None

    def _larger(
        self, picture: PictureView, values: dict[Block, Any], owner: str
    ) -> GenerationRequest | None:
        """Return the wish for the same picture with hires fix; None if it began with a picture.

        Raises:
            RequestError: If something in the settings or in the form makes no sense.
        """
        hires = self.txt2img.form.hires
        began = self.studio.gallery.plan(picture.id, owner=owner).start
        if began or not hires:
            return None
        wish = GenerationRequest(**pasted(picture.infotext))
        return replace(wish, hires=hires.read(values, always=True))
