"""The training tab: pictures in, a training followed, its best step put to use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.blocks import Block

from webui.library.cards import ModelCard
from webui.modules.errors import WebuiError
from webui.modules.types import ModelKind
from webui.services.models import Suggested
from webui.services.studio import Studio
from webui.services.training_runs import Run
from webui.ui import training_pictures
from webui.ui.add_ons_bar import KINDS as CALLED
from webui.ui.add_ons_bar import with_call
from webui.ui.drawing_fields import VAE_RULES
from webui.ui.drawing_tab import DrawingTab, checkpoint_choices, vae_names
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK, asset, plain_html, surely
from webui.ui.sections import Updates
from webui.ui.training_form import TrainingForm, build_form
from webui.ui.training_sets_panel import SetsPanel, build_sets
from webui.ui.training_view import ACTIVE, minutes, nothing, shown

LOOK_SECONDS: Final = 1.5
"""How often a running training is looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingTab:
    """The tab.

    Attributes:
        seen: What of the run is shown already, so that nothing is sent twice.
    """

    studio: Studio
    labels: Labels
    sets: SetsPanel
    form: TrainingForm
    forecast: gr.Button
    start: gr.Button
    answer: gr.HTML
    run: gr.Dropdown
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    erase: gr.Button
    board: gr.HTML
    timer: gr.Timer
    seen: gr.State

    def arrive(self, request: gr.Request) -> Updates:
        """Show what a person finds here: their sets, their trainings, the last of each."""
        owner = person(request)
        training = self.studio.training
        runs = training.runs.all(training.school, owner=owner)
        return {
            **self.sets.arrive(owner),
            **self._listed([each.name for each in runs]),
            **self._show(runs[0].name if runs else "", owner, ""),
        }

    # ------------------------------------------------------------------ before it starts

    def look(self, values: dict[Block, Any], request: gr.Request) -> Updates:
        """Look the pictures over, and tell how long it will take; the first time it is measured."""
        owner, words, training = person(request), self.labels.words, self.studio.training
        try:
            wish = self.form.wish(values)
            over = training.look_over(wish, owner=owner)
            told = training.forecast(wish, owner=owner)
            if told.job:
                self.studio.drawing.wait(told.job, owner=owner, timeout=240)
                job = self.studio.drawing.view(told.job, owner=owner)
                if job.failure is not None:
                    return {self.answer: explain(job.failure, words)}
                told = training.forecast(wish, owner=owner)
        except WebuiError as error:
            return {self.answer: explain(error, words)}
        looked = {self.sets.over: training_pictures.looked_over(over, words)}
        if told.seconds is None:
            return {**looked, self.answer: notice(words.html("train.measuring"))}
        step = f"{told.step_seconds or 0:.2f}"
        memory = f"{(told.memory or 0) / 1e9:.1f}"
        said = minutes(told.seconds, words) + words.html("train.forecast", step=step, memory=memory)
        basis = words.html("train.basis", count=told.measured_steps)
        return {**looked, self.answer: notice(said, basis)}

    def fit(self, checkpoint: str | None) -> int:
        """Return the size on which a checkpoint draws well."""
        return native_side(self.studio, checkpoint)

    def begin(self, values: dict[Block, Any], request: gr.Request) -> Updates:
        """Begin the training and show it."""
        owner, words, training = person(request), self.labels.words, self.studio.training
        try:
            run = training.start(self.form.wish(values), owner=owner)
        except WebuiError as error:
            return {self.answer: explain(error, words)}
        runs = training.runs.all(training.school, owner=owner)
        return {
            self.answer: "",
            **self._listed([each.name for each in runs]),
            **self._show(run.name, owner, ""),
        }

    # ------------------------------------------------------------------ while it goes on

    def open_run(self, name: str, request: gr.Request) -> Updates:
        """Show another training."""
        return self._show(name or "", person(request), "")

    def follow(self, name: str, seen: str, request: gr.Request) -> Updates:
        """Show what is new of the training, if anything is."""
        return self._show(name or "", person(request), seen)

    def pause_it(self, name: str, request: gr.Request) -> Updates:
        """Let it save its state and wait."""
        return self._do(self.studio.training.runs.pause, name, request)

    def resume_it(self, name: str, request: gr.Request) -> Updates:
        """Let it go on."""
        return self._do(self.studio.training.runs.resume, name, request)

    def stop_it(self, name: str, request: gr.Request) -> Updates:
        """End it with what is learnt so far."""
        return self._do(self.studio.training.runs.stop, name, request)

    def forget_run(self, name: str | None, request: gr.Request) -> Updates:
        """Forget a training, unless the person has thought better of it: then none is named."""
        owner, training = person(request), self.studio.training
        if not name:
            return {self.answer: ""}
        try:
            training.runs.delete(name, training.school, owner=owner)
        except WebuiError as error:
            return {self.answer: explain(error, self.labels.words)}
        left = [each.name for each in training.runs.all(training.school, owner=owner)]
        return {**self._listed(left), **self._show(left[0] if left else "", owner, "")}

    def _do(self, action: Callable[..., Run], name: str, request: gr.Request) -> Updates:
        owner = person(request)
        try:
            action(name, self.studio.training.school, owner=owner)
        except WebuiError as error:
            return {self.answer: explain(error, self.labels.words)}
        return self._show(name, owner, "")

    def _listed(self, names: list[str]) -> Updates:
        first = names[0] if names else None
        return {self.run: gr.update(choices=names, value=first, visible=len(names) > 1)}

    def _show(self, name: str, owner: str, seen: str) -> Updates:
        words, training = self.labels.words, self.studio.training
        if not name:
            return {self.board: nothing(words), self.seen: "", **self._buttons("")}
        try:
            run = training.runs.view(name, training.school, owner=owner)
            lines = training.runs.log(name, training.school, owner=owner)
        except WebuiError as error:
            return {self.board: explain(error, words), self.seen: "", **self._buttons("")}
        now = f"{name} {run.state} {len(lines)} {run.progress.text} {run.file}"
        if now == seen:
            return {self.seen: seen}  # Gradio wants at least one
        return {self.board: shown(run, lines, words), self.seen: now, **self._buttons(run.state)}

    def _buttons(self, state: str) -> Updates:
        going = state in ("queued", "running")
        return {
            self.pause: gr.update(visible=going),
            self.stop: gr.update(visible=state in ACTIVE),
            self.resume: gr.update(visible=state in ("paused", "stopped", "failed", "cancelled")),
            self.erase: gr.update(visible=bool(state) and state not in ACTIVE),
            self.timer: gr.Timer(active=state in ACTIVE),
        }

    # ------------------------------------------------------------------ its file

    def used(self, tab: DrawingTab, tabs: gr.Tabs) -> list[Block]:
        """Return what changes when a step is put to use."""
        form = tab.form
        return [tabs, self.answer, form.prompt, form.checkpoint, form.vae]

    def use(
        self, tab: DrawingTab, tabs: gr.Tabs, name: str, prompt: str, event: gr.EventData,
        request: gr.Request,
    ) -> Updates:  # fmt: skip
        """Put the file of a step where pictures are drawn with it."""
        training, owner, words = self.studio.training, person(request), self.labels.words
        try:
            run = training.runs.view(name, training.school, owner=owner)
            file = training.runs.use(name, int(event.step), training.school, owner=owner)
            card = self.studio.catalogue.card(run.kind, file)
        except WebuiError as error:
            return {self.answer: explain(error, words)}
        said: Updates = {self.answer: notice(words.html("train.in_use", file=file))}
        if run.kind is ModelKind.AESTHETIC:
            return said
        return {**said, tabs: gr.Tabs(selected="txt2img"), **self._put(tab, card, prompt or "")}

    def _put(self, tab: DrawingTab, card: ModelCard, prompt: str) -> Updates:
        form, name = tab.form, card.record.name
        if card.record.kind in CALLED:
            call = self.studio.catalogue.call_name(card)
            return {form.prompt: with_call(prompt, card, name=call)}
        if card.record.kind is ModelKind.VAE:
            choices = [*VAE_RULES, *vae_names(self.studio)]
            return {form.vae: gr.update(choices=choices, value=name)}
        return {form.checkpoint: gr.update(choices=checkpoint_choices(self.studio), value=name)}

    # ------------------------------------------------------------------ events

    def everything(self) -> list[Any]:
        """Return what arriving changes."""
        return [*self.sets.everything(), self.run, *self.watched()]

    def watched(self) -> list[Any]:
        """Return what shows a training."""
        return [
            self.board, self.seen, self.pause, self.stop, self.resume, self.erase, self.timer,
            self.answer,
        ]  # fmt: skip

    def connect(self, tab: DrawingTab, tabs: gr.Tabs) -> None:
        """Say what happens when something is used."""
        form = self.form
        self.sets.connect()
        for part in (form.kind, form.subject):
            part.input(form.fill, [form.kind, form.subject], form.filled(), **QUICK)
        form.checkpoint.change(self.fit, form.checkpoint, form.resolution, **QUICK)
        self.forecast.click(self.look, set(form.parts()), [self.answer, self.sets.over], **QUICK)
        self.start.click(self.begin, set(form.parts()), [self.run, *self.watched()], **QUICK)
        self.run.input(self.open_run, self.run, self.watched(), **QUICK)
        self.timer.tick(self.follow, [self.run, self.seen], self.watched(), **QUICK)
        for button, action in (
            (self.pause, self.pause_it),
            (self.resume, self.resume_it),
            (self.stop, self.stop_it),
        ):
            button.click(action, self.run, self.watched(), **QUICK)
        self.erase.click(
            self.forget_run, self.run, [self.run, *self.watched()], js=surely("train_erase"),
            **FOLLOWING,
        )  # fmt: skip

        def use(name: str, prompt: str, event: gr.EventData, request: gr.Request) -> Updates:
            return self.use(tab, tabs, name, prompt, event, request)

        given: list[Any] = [self.run, tab.form.prompt]
        done = self.board.select(use, given, self.used(tab, tabs), **QUICK)
        every: Any = tab.form.components()
        touched: list[Any] = [*tab.filled(), tab.offer]
        done.then(tab.change_checkpoint, every, touched, **QUICK)


def native_side(studio: Studio, checkpoint: str | None) -> int:
    """Return the pixels on a side on which a checkpoint draws well."""
    try:
        fits = studio.models.suggested(studio.models.find_checkpoint(checkpoint or ""))
    except WebuiError:
        return Suggested().width
    return min(fits.width, fits.height)


def build_training(labels: Labels, studio: Studio, tab: DrawingTab, tabs: gr.Tabs) -> TrainingTab:
    """Lay out the tab and say what happens in it."""
    with gr.Row(elem_id="training"):
        with gr.Column(elem_id="train_form"):
            sets = build_sets(labels, studio)
            host = not studio.settings.server.listen
            checkpoint = tab.form.checkpoint
            side = native_side(studio, checkpoint.value)
            form = TrainingForm(
                pictures=sets["listed"], **build_form(labels, checkpoint, side=side, host=host)
            )
            parts: dict[str, Any] = {
                "sets": SetsPanel(studio=studio, labels=labels, regular=form.regular, **sets)
            }
            with gr.Row(elem_classes=["act"]):
                parts["forecast"] = labels.button("train.look", "train_look")
                parts["start"] = labels.button("train.start", "train_start", variant="primary")
            parts["answer"] = plain_html("", elem_id="train_answer")
        with gr.Column(elem_id="train_show"):
            parts["run"] = labels.make(
                gr.Dropdown, {"label": "train.run"}, choices=[], visible=False, elem_id="train_run"
            )
            with gr.Row(elem_classes=["act"]):
                for name in ("pause", "resume", "stop"):
                    parts[name] = labels.button(f"train.{name}", f"train_{name}", visible=False)
            parts["board"] = gr.HTML(
                nothing(labels.words), elem_id="train_board", apply_default_css=False,
                js_on_load=asset("training_board.js"),
            )  # fmt: skip
            with gr.Row(elem_classes=["aside"]):
                parts["erase"] = labels.button("train.erase", "train_erase", visible=False)
    made = TrainingTab(
        studio=studio, labels=labels, form=form, timer=gr.Timer(LOOK_SECONDS, active=False),
        seen=gr.State(""), **parts,
    )  # fmt: skip
    made.connect(tab, tabs)
    return made
