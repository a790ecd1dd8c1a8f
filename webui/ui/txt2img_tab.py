"""The txt2img tab: where things stand, and what happens when they are used."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.jobs.views import JobState
from webui.library import infotext
from webui.modules.errors import UnknownNameError, WebuiError
from webui.modules.text.tokens import CHUNK, count
from webui.modules.types import PIXELS_PER_LATENT
from webui.services.models import Suggested
from webui.services.studio import Studio
from webui.ui import stage
from webui.ui.desk import Desk, Scene
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK
from webui.ui.txt2img_fields import VAE_RULES
from webui.ui.txt2img_form import Txt2ImgForm, Updates

SHAPES: Final = {"square": (1.0, 1.0), "portrait": (1.0, 1.5), "landscape": (1.5, 1.0)}
"""Size presets: width and height as multiples of the checkpoint's shorter side."""

LARGE_SIDE: Final = 768
"""From this side on a checkpoint keeps its number of pixels when the shape changes."""

GRID: Final = 64
"""Preset sizes are multiples of this many pixels, or of 8 for small checkpoints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Txt2ImgTab:
    """The tab and what is around its form."""

    studio: Studio
    labels: Labels
    form: Txt2ImgForm
    notice: gr.HTML
    stage: gr.HTML
    progress: gr.HTML
    tokens: gr.HTML
    generate: gr.Button
    interrupt: gr.Button
    skip: gr.Button
    apply: gr.Button
    offer: gr.Button
    swap: gr.Button
    random_seed: gr.Button
    last_seed: gr.Button
    shapes: Mapping[str, gr.Button]

    # ------------------------------------------------------------------ what happens

    def connect(self) -> None:
        """Say what happens when something is used."""
        form = self.form
        everything = form.components()
        filled = [*everything, self.notice]
        self.generate.click(self.draw, everything, self._scenery(), **FOLLOWING)
        self.interrupt.click(self.stop, None, None, **QUICK)
        self.skip.click(self.next_batch, None, None, **QUICK)
        self.progress.clear(self.cancel_waiting, None, None, **QUICK)
        self.stage.input(self.example, None, form.prompt, **QUICK)
        self.stage.submit(self.restore, None, filled, **QUICK)
        self.apply.click(self.paste, form.prompt, filled, **QUICK)
        form.prompt.change(
            self.count_tokens, form.prompt, self.tokens, trigger_mode="always_last", **QUICK
        )
        form.checkpoint.input(self.change_checkpoint, everything, [*filled, self.offer], **QUICK)
        self.offer.click(self.take_offer, form.checkpoint, [*filled, self.offer], **QUICK)
        for name, button in self.shapes.items():
            button.click(self._shape(name), form.checkpoint, [form.width, form.height], **QUICK)
        sides = [form.width, form.height]
        self.swap.click(None, sides, sides, js="(w, h) => [h, w]", **QUICK)
        self.random_seed.click(None, None, form.seed, js="() => -1", **QUICK)
        self.last_seed.click(None, None, form.seed, js="() => atelier.seedOnShow()", **QUICK)

    async def draw(self, values: dict[Block, Any], request: gr.Request) -> AsyncIterator[Updates]:
        """Put the wish into the queue and follow it to its pictures."""
        owner = person(request)
        try:
            wish = self.form.read(values)
            job = await asyncio.to_thread(self.studio.drawing.submit, wish, owner=owner)
        except WebuiError as error:
            yield {self.notice: explain(error, self.labels.words)}
            return
        async for scene in self._desk(owner).follow(job.id):
            yield self._show(scene)

    async def arrive(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Show a visitor the desk as it was left: the last pictures, and the job in work."""
        desk = self._desk(person(request))
        pictures = await asyncio.to_thread(desk.latest)
        failure = self.studio.worker().failure
        yield {
            **await asyncio.to_thread(self.offer_files),
            self.stage: stage.pictures_on_stage(pictures, self.labels.words),
            self.notice: explain(failure, self.labels.words) if failure else "",
        }
        async for scene in desk.resume():
            yield self._show(scene)

    def stop(self, request: gr.Request) -> None:
        """End the job in work now and keep what is drawn; drop it if it has not begun."""
        owner = person(request)
        for job in self._desk(owner).active()[:1]:
            waits = job.state is JobState.QUEUED
            end = self.studio.drawing.cancel if waits else self.studio.drawing.interrupt
            end(job.id, owner=owner)

    def next_batch(self, request: gr.Request) -> None:
        """End this batch now and go on with the next."""
        owner = person(request)
        for job in self._desk(owner).active()[:1]:
            self.studio.drawing.skip(job.id, owner=owner)

    def cancel_waiting(self, request: gr.Request) -> None:
        """Drop all waiting jobs; the one in work goes on."""
        owner = person(request)
        for job in self._desk(owner).active():
            if job.state is JobState.QUEUED:
                self.studio.drawing.cancel(job.id, owner=owner)

    def example(self, event: gr.EventData) -> str:
        """Put an example into the prompt."""
        return str(event.text)

    def restore(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Put the settings of a saved picture into the form."""
        try:
            picture = self.studio.gallery.get(str(event.id), owner=person(request))
        except WebuiError as error:
            return {self.notice: explain(error, self.labels.words)}
        return self.apply_text(picture.infotext)

    def paste(self, text: str) -> Updates:
        """Read the prompt as the settings text of a picture and put those into the form."""
        return self.apply_text(text)

    def apply_text(self, text: str) -> Updates:
        """Return the updates that put a settings text into the form."""
        words = self.labels.words
        try:
            wished = infotext.request_fields(infotext.parse(text))
            missing = self._name_checkpoint(wished)
            self._leave_out_usual_options(wished)
            updates = self.form.fill(wished)
        except WebuiError as error:
            return {self.notice: explain(error, words)}
        said = explain(missing, words) if missing else notice(words.html("notice.applied"))
        return {**updates, self.notice: said}

    def count_tokens(self, prompt: str) -> str:
        """Say how much of the text encoder's window the prompt fills."""
        used = count(prompt)
        room = CHUNK * max(1, -(-used // CHUNK))
        return f'<span class="tokens">{used}/{room}</span>'

    def change_checkpoint(self, values: dict[Block, Any]) -> Updates:
        """Move untouched fields to the new checkpoint's values and offer those of the others."""
        form, words = self.form, self.labels.words
        name = values[form.checkpoint]
        try:
            new, old = self._suggested(name), self._suggested(values[form.filled_for])
        except WebuiError as error:
            return {self.notice: explain(error, words)}
        updates, differs = form.follow(values, old=old, new=new)
        updates |= {form.filled_for: name, self.offer: gr.update(visible=differs), self.notice: ""}
        return updates

    def take_offer(self, checkpoint: str) -> Updates:
        """Put all values into the form that the checkpoint suggests."""
        updates = self.form.suggest(self._suggested(checkpoint))
        return {**updates, self.offer: gr.update(visible=False)}

    def refresh(self) -> Updates:
        """Look into the model folders again."""
        self.studio.models.refresh()
        return self.offer_files()

    def offer_files(self) -> Updates:
        """Return the lists of checkpoints and VAEs as the folders are now."""
        return {
            self.form.checkpoint: gr.update(choices=checkpoint_choices(self.studio)),
            self.form.vae: gr.update(choices=[*VAE_RULES, *vae_names(self.studio)]),
        }

    # ------------------------------------------------------------------ how

    def _desk(self, owner: str) -> Desk:
        return Desk(studio=self.studio, words=self.labels.words, owner=owner)

    def _scenery(self) -> list[Block]:
        return [self.stage, self.progress, self.notice, self.interrupt, self.skip]

    def _show(self, scene: Scene) -> Updates:
        return {
            self.stage: scene.stage,
            self.progress: scene.progress,
            self.notice: scene.notice,
            self.interrupt: gr.update(visible=scene.busy),
            self.skip: gr.update(visible=scene.several),
        }

    def _suggested(self, checkpoint: str) -> Suggested:
        models = self.studio.models
        return models.suggested(models.find_checkpoint(checkpoint)) if checkpoint else Suggested()

    def _name_checkpoint(self, wished: dict[str, Any]) -> UnknownNameError | None:
        """Name the checkpoint as the list does; one that is not here leaves the list as it is."""
        if name := wished.pop("checkpoint", None):
            try:
                wished["checkpoint"] = self.studio.models.find_checkpoint(name).name
            except UnknownNameError as error:
                return error
        return None

    def _leave_out_usual_options(self, wished: dict[str, Any]) -> None:
        """Keep only the options that differ from those that hold here."""
        usual = self.studio.options.current().as_dict()
        wished["options"] = {
            name: value for name, value in wished["options"].items() if value != usual.get(name)
        }

    def _shape(self, name: str) -> Any:
        def resize(checkpoint: str) -> tuple[int, int]:
            return preset(self._suggested(checkpoint), name)

        return resize


def preset(native: Suggested, shape: str) -> tuple[int, int]:
    """Return width and height of a preset that suits a checkpoint."""
    side = min(native.width, native.height)
    wide, high = SHAPES[shape]
    shrink = (wide * high) ** -0.5 if side >= LARGE_SIDE else 1.0
    grid = GRID if side >= 2 * GRID else PIXELS_PER_LATENT
    width, height = (max(grid, round(side * part * shrink / grid) * grid) for part in (wide, high))
    return width, height


def checkpoint_choices(studio: Studio) -> list[tuple[str, str]]:
    """Return what the checkpoint picker lists: a label and the name of the file."""
    return [
        (f"⚠ {card.record.name}" if card.problem else card.record.name, card.record.name)
        for card in studio.models.checkpoints()
    ]


def vae_names(studio: Studio) -> list[str]:
    """Return the names of the VAE files."""
    return [card.record.name for card in studio.models.vaes()]
