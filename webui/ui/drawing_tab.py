"""A drawing tab: what happens when something in it is used."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.library import infotext
from webui.modules.errors import UnknownNameError, WebuiError
from webui.modules.pipeline.enlarging import LATENT_MODES, PLAIN_WAYS
from webui.modules.text.prompt import take_tags
from webui.modules.text.tokens import CHUNK, count
from webui.modules.types import PIXELS_PER_LATENT
from webui.services.called import with_names_here
from webui.services.models import Suggested
from webui.services.requests import GenerationRequest
from webui.services.script_requests import AblationRequest, ScriptRequest
from webui.services.studio import Studio
from webui.services.styles import pasted_styles, read_styles, styles_file
from webui.ui.ablation_button import AblationButton
from webui.ui.add_ons_bar import AddOnsBar
from webui.ui.drawing_fields import VAE_RULES
from webui.ui.drawing_form import DrawingForm
from webui.ui.hires_fields import SAME, final_size
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK
from webui.ui.scenery import Scenery
from webui.ui.sections import Updates
from webui.ui.styles_bar import StylesBar

SHAPES: Final = {"square": (1.0, 1.0), "portrait": (1.0, 1.5), "landscape": (1.5, 1.0)}
"""Size presets: width and height as multiples of the checkpoint's shorter side."""

LARGE_SIDE: Final = 768
"""From this side on a checkpoint keeps its number of pixels when the shape changes."""

GRID: Final = 64
"""Preset sizes are multiples of this many pixels, or of 8 for small checkpoints."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawingTab:
    """The tab and what is around its form.

    Attributes:
        name: ``txt2img`` or ``img2img``; events and identifiers carry it.
        scenery: What it shares with the other drawing tab.
        shapes: Buttons for usual sizes.
        fit: Takes the size from the picture, times the factor.
        factor: See ``fit``.
    """

    name: str
    studio: Studio
    labels: Labels
    form: DrawingForm
    scenery: Scenery
    styles: StylesBar
    add_ons: AddOnsBar
    tokens: gr.HTML
    generate: gr.Button
    ablation: AblationButton
    apply: gr.Button
    offer: gr.Button
    swap: gr.Button
    random_seed: gr.Button
    last_seed: gr.Button
    shapes: Mapping[str, gr.Button] = field(default_factory=dict[str, gr.Button])
    fit: gr.Button | None = None
    factor: gr.Number | None = None

    @property
    def notice(self) -> gr.HTML:
        """Where the tab says what the person should know."""
        return self.scenery.notice

    def filled(self) -> list[Block]:
        """Return everything that filling the form touches."""
        places = [extension.place for extension in self.form.extensions]
        return [*self.form.components(), *places, self.notice]

    # ------------------------------------------------------------------ what happens

    def connect(self) -> None:
        """Say what happens when something is used."""
        form = self.form
        everything, filled = form.components(), self.filled()
        self.generate.click(self.draw, everything, self.scenery.outputs(), **FOLLOWING)
        self.ablation.connect(form)
        self.ablation.button.click(self.compare, everything, self.scenery.outputs(), **FOLLOWING)
        self.apply.click(self.paste, form.prompt, filled, **QUICK)
        form.prompt.change(
            self.count_tokens, form.prompt, self.tokens, trigger_mode="always_last", **QUICK
        )
        form.checkpoint.input(self.change_checkpoint, everything, [*filled, self.offer], **QUICK)
        self.offer.click(self.take_offer, form.checkpoint, [*filled, self.offer], **QUICK)
        self.styles.connect(form.prompt, form.negative_prompt, self.notice)
        self.add_ons.connect(form.prompt, form.checkpoint, self.notice)
        for extension in form.extensions:
            extension.connect(self.studio)
        self._connect_size()
        self._connect_hires()
        self.random_seed.click(None, None, form.seed, js="() => -1", **QUICK)
        self.last_seed.click(None, None, form.seed, js="() => atelier.seedOnShow()", **QUICK)

    def _connect_size(self) -> None:
        sides = [self.form.width, self.form.height]
        for name, button in self.shapes.items():
            button.click(self._shape(name), self.form.checkpoint, sides, **QUICK)
        self.swap.click(None, sides, sides, js="(w, h) => [h, w]", **QUICK)
        if self.fit and self.factor:
            fit = "(w, h, factor) => atelier.pictureSize(w, h, factor)"
            for moment in (self.fit.click, self.factor.input):
                moment(None, [*sides, self.factor], sides, js=fit, **QUICK)

    def _connect_hires(self) -> None:
        if not (hires := self.form.hires):
            return
        first = [self.form.width, self.form.height]
        told = [hires.on, *first, hires.scale, hires.width, hires.height]
        for component in told:
            component.change(
                self.say_final_size, told, hires.size, trigger_mode="always_last", **QUICK
            )

    async def draw(self, values: dict[Block, Any], request: gr.Request) -> AsyncIterator[Updates]:
        """Put the wish into the queue and follow it to its pictures."""
        async for updates in self._draw(values, request, self.form.script.read(values)):
            yield updates

    async def compare(
        self, values: dict[Block, Any], request: gr.Request
    ) -> AsyncIterator[Updates]:
        """Draw the wish with one add-on after the other, whatever script is chosen."""
        async for updates in self._draw(values, request, AblationRequest()):
            yield updates

    async def _draw(
        self, values: dict[Block, Any], request: gr.Request, script: ScriptRequest | None
    ) -> AsyncIterator[Updates]:
        owner, words = person(request), self.labels.words
        if self.form.start and (key := self.form.start.missing(values)):
            said = notice(words.html(key), words.html(f"{key}_hint"), kind="error")
            yield {self.notice: said}
            return
        try:
            wishes = await asyncio.to_thread(self.read, values)
        except WebuiError as error:
            yield {self.notice: explain(error, words)}
            return
        async for updates in self.scenery.draw(wishes, owner, script=script):
            yield updates

    def read(self, values: Mapping[Block, Any]) -> list[GenerationRequest]:
        """Return what the form asks for: one wish, or one for each picture of a batch.

        Raises:
            RangeError: If a number is missing.
            PictureError: If a picture cannot be read.
            StorageError: If a picture cannot be kept.
        """
        wish, start = self.form.read(values), self.form.start
        return start.wishes(wish, values, self.studio.inputs) if start else [wish]

    def paste(self, text: str) -> Updates:
        """Read the prompt as the settings text of a picture and put those into the form."""
        return self.apply_text(text)

    def apply_text(self, text: str) -> Updates:
        """Return the updates that put a settings text into the form."""
        words = self.labels.words
        try:
            parsed = infotext.parse(text)
            fields = with_names_here(infotext.request_fields(parsed), parsed, self.studio.models)
            wished = self._with_styles(fields)
            missing = self._name_checkpoints(wished)
            self._leave_out_usual_options(wished)
            updates = self.form.fill(wished)
        except WebuiError as error:
            return {self.notice: explain(error, words)}
        said = "notice.applied_start" if wished.get("start") else "notice.applied"
        return {
            **updates,
            self.notice: explain(missing, words) if missing else notice(words.html(said)),
        }

    def count_tokens(self, prompt: str) -> str:
        """Say how much of the text encoder's window the prompt fills."""
        used = count(take_tags(prompt)[0])
        room = CHUNK * max(1, -(-used // CHUNK))
        return f'<span class="tokens">{used}/{room}</span>'

    def say_final_size(self, *told: Any) -> str:
        """Say which size comes out of the second pass."""
        on, *sizes = told
        if not on or None in sizes:
            return ""
        width, height, scale, wide, high = sizes
        final = final_size((width, height), scale=scale, resize=(int(wide), int(high)))
        return f"{width} × {height} → {final[0]} × {final[1]}" if final else ""

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

    def offered(self) -> list[Block]:
        """Return everything that offers files, but for the page's own checkpoint picker."""
        form, hires = self.form, self.form.hires
        own: list[Block] = [hires.checkpoint, hires.upscaler] if hires else []
        lists = [form.vae, form.styles, form.refiner.checkpoint]
        added = [part for extension in form.extensions for part in extension.offered()]
        return [*lists, self.add_ons.chosen, self.add_ons.how, *own, *added]

    def offer_files(self) -> Updates:
        """Return the lists of files as the folders are now."""
        form, checkpoints = self.form, checkpoint_choices(self.studio)
        callable_files = self.add_ons.choices()
        updates: Updates = {
            form.vae: gr.update(choices=[*VAE_RULES, *vae_names(self.studio)]),
            form.styles: gr.update(choices=self.styles.names()),
            form.refiner.checkpoint: gr.update(choices=checkpoints),
            self.add_ons.chosen: gr.update(choices=callable_files, visible=bool(callable_files)),
            self.add_ons.how: gr.update(visible=bool(callable_files)),
        }
        if form.hires:
            updates[form.hires.checkpoint] = gr.update(choices=[SAME, *checkpoints])
            updates[form.hires.upscaler] = gr.update(choices=upscaler_names(self.studio))
        for extension in form.extensions:
            updates |= extension.offer(self.studio)
        return updates

    # ------------------------------------------------------------------ how

    def _suggested(self, checkpoint: str) -> Suggested:
        models = self.studio.models
        return models.suggested(models.find_checkpoint(checkpoint)) if checkpoint else Suggested()

    def _name_checkpoints(self, wished: dict[str, Any]) -> UnknownNameError | None:
        """Name checkpoints as the lists do; one that is not here leaves its list as it is."""
        missing = None
        for place in (wished, *(wished[part] for part in ("hires", "refiner") if part in wished)):
            if name := place.pop("checkpoint", None):
                try:
                    place["checkpoint"] = self.studio.models.find_checkpoint(name).name
                except UnknownNameError as error:
                    missing = missing or error
        return missing

    def _with_styles(self, wished: dict[str, Any]) -> dict[str, Any]:
        rule = self.studio.options.current().text("infotext_styles")
        known = read_styles(styles_file(self.studio.settings.folders))
        return pasted_styles(wished, rule=rule, styles=known)

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


def listed(studio: Studio) -> dict[str, list[str]]:
    """Return what scripts can go through: the names of all files and styles."""
    return {
        "checkpoint": [name for _, name in checkpoint_choices(studio)],
        "vae": [*VAE_RULES, *vae_names(studio)],
        "upscaler": upscaler_names(studio),
        "style": list(read_styles(styles_file(studio.settings.folders))),
    }


def upscaler_names(studio: Studio) -> list[str]:
    """Return the names of the upscalers: those that are built in, then the files."""
    files = (card.record.stem for card in studio.models.upscalers() if not card.problem)
    return [*LATENT_MODES, *PLAIN_WAYS, *files]
