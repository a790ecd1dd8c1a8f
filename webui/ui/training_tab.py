"""The training tab: pictures in, a training followed, its best step put to use."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Final, cast

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
from webui.ui.plumbing import QUICK, asset, plain_html
from webui.ui.sections import Updates
from webui.ui.training_form import TrainingForm, build_form
from webui.ui.training_view import ACTIVE, minutes, nothing, shown

LOOK_SECONDS: Final = 1.5
"""How often a running training is looked at."""

PATIENCE: Final = 60.0
"""So many seconds the page waits for captions; a longer job goes on without it."""

WAYS: Final = {
    "train.way_prefix": "prefix",
    "train.way_suffix": "suffix",
    "train.way_replace": "replace",
    "train.way_remove_tag": "remove_tag",
}
"""What can be done to all captions, by its words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingTab:
    """The tab.

    Attributes:
        seen: What of the run is shown already, so that nothing is sent twice.
    """

    studio: Studio
    labels: Labels
    form: TrainingForm
    drop: gr.HTML
    told: gr.HTML
    grid: gr.HTML
    over: gr.HTML
    way: gr.Dropdown
    text: gr.Textbox
    into: gr.Textbox
    change: gr.Button
    captioner: gr.Dropdown
    propose: gr.Button
    forecast: gr.Button
    start: gr.Button
    answer: gr.HTML
    run: gr.Dropdown
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    board: gr.HTML
    timer: gr.Timer
    seen: gr.State

    # ------------------------------------------------------------------ pictures

    def arrive(self, request: gr.Request) -> Updates:
        """Show what a person finds here: their sets, their trainings, the last of each."""
        owner = person(request)
        training = self.studio.training
        sets = training.sets.all(owner=owner)
        runs = training.runs.all(training.school, owner=owner)
        listed = [(each.name or f"{each.count} · {each.id[:6]}", each.id) for each in sets]
        chosen = sets[0].id if sets else None
        return {
            self.form.pictures: gr.update(
                choices=listed, value=chosen, visible=len(listed) > 1
            ),
            self.form.regular: gr.update(choices=[("–", ""), *listed]),
            **self._pictures(chosen or "", owner),
            **self._listed([each.name for each in runs]),
            **self._show(runs[0].name if runs else "", owner, ""),
        }  # fmt: skip

    def take(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Show the set that the browser has sent, or why it was refused."""
        words, owner = self.labels.words, person(request)
        told = cast("dict[str, Any]", event.answer if isinstance(event.answer, dict) else {})
        if "id" not in told:
            said = str(told.get("detail") or words.say("train.lost", "en"))
            return {self.told: notice(_escaped(said), _escaped(told.get("hint", "")), kind="error")}
        set_id = str(told["id"])
        sets = self.studio.training.sets.all(owner=owner)
        listed = [(each.name or f"{each.count} · {each.id[:6]}", each.id) for each in sets]
        skipped = cast("list[dict[str, str]]", told.get("skipped") or [])
        reasons = "; ".join(f"{each['file']}: {each['why']}" for each in skipped[:5])
        said = notice(words.html("train.skipped", count=len(skipped)), _escaped(reasons))
        return {
            self.told: said if skipped else "",
            self.form.pictures: gr.update(choices=listed, value=set_id, visible=len(listed) > 1),
            self.form.regular: gr.update(choices=[("–", ""), *listed]),
            **self._pictures(set_id, owner),
        }

    def open_set(self, set_id: str, request: gr.Request) -> Updates:
        """Show the pictures of another set."""
        return self._pictures(set_id or "", person(request))

    def change_all(
        self, set_id: str, way: str, text: str, into: str, request: gr.Request
    ) -> Updates:
        """Change all captions in one way."""
        owner = person(request)
        try:
            self.studio.training.sets.change(set_id or "", way, text or "", into or "", owner=owner)
        except WebuiError as error:
            return {self.told: explain(error, self.labels.words)}
        return self._pictures(set_id, owner)

    def propose_all(self, set_id: str, by: str, request: gr.Request) -> Updates:
        """Let an extension describe the pictures that nobody has described."""
        owner, words, training = person(request), self.labels.words, self.studio.training
        try:
            job = training.propose_captions(set_id or "", by or "", owner=owner)
            job = self.studio.drawing.wait(job.id, owner=owner, timeout=PATIENCE)
        except WebuiError as error:
            return {self.told: explain(error, words)}
        if job.failure is not None:
            said = explain(job.failure, words)
        elif job.state.ended:
            count = int(str(job.result.get("written", 0)))
            said = notice(words.html("train.proposed", count=count), _escaped("; ".join(job.notes)))
        else:
            said = notice(words.html("train.proposing"))
        return {**self._pictures(set_id, owner), self.told: said}

    def _pictures(self, set_id: str, owner: str) -> Updates:
        sets, words = self.studio.training.sets, self.labels.words
        if not set_id:
            return {self.grid: "", self.over: ""}
        try:
            view = sets.view(set_id, owner=owner)
            pictures = sets.pictures(set_id, owner=owner)
        except WebuiError as error:
            return {self.grid: "", self.over: explain(error, words)}
        return {self.grid: training_pictures.cards(view, pictures, words), self.over: ""}

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
        looked = {self.over: training_pictures.looked_over(over, words)}
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
            return {}
        return {self.board: shown(run, lines, words), self.seen: now, **self._buttons(run.state)}

    def _buttons(self, state: str) -> Updates:
        going = state in ("queued", "running")
        return {
            self.pause: gr.update(visible=going),
            self.stop: gr.update(visible=state in ACTIVE),
            self.resume: gr.update(visible=state in ("paused", "stopped", "failed", "cancelled")),
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
        return [
            self.form.pictures, self.form.regular, self.grid, self.over, self.told, self.run,
            *self.watched(),
        ]  # fmt: skip

    def watched(self) -> list[Any]:
        """Return what shows a training."""
        return [self.board, self.seen, self.pause, self.stop, self.resume, self.timer, self.answer]

    def connect(self, tab: DrawingTab, tabs: gr.Tabs) -> None:
        """Say what happens when something is used."""
        form = self.form
        pictures: list[Any] = [self.told, form.pictures, form.regular, self.grid, self.over]
        self.drop.submit(self.take, None, pictures, **QUICK)
        form.pictures.input(self.open_set, form.pictures, [self.grid, self.over], **QUICK)
        changing: list[Any] = [form.pictures, self.way, self.text, self.into]
        self.change.click(self.change_all, changing, [self.told, self.grid, self.over], **QUICK)
        proposing: list[Any] = [form.pictures, self.captioner]
        self.propose.click(self.propose_all, proposing, [self.told, self.grid, self.over], **QUICK)
        for part in (form.kind, form.subject):
            part.input(form.fill, [form.kind, form.subject], form.filled(), **QUICK)
        form.checkpoint.change(self.fit, form.checkpoint, form.resolution, **QUICK)
        self.forecast.click(self.look, set(form.parts()), [self.answer, self.over], **QUICK)
        self.start.click(self.begin, set(form.parts()), [self.run, *self.watched()], **QUICK)
        self.run.input(self.open_run, self.run, self.watched(), **QUICK)
        self.timer.tick(self.follow, [self.run, self.seen], self.watched(), **QUICK)
        for button, action in (
            (self.pause, self.pause_it),
            (self.resume, self.resume_it),
            (self.stop, self.stop_it),
        ):
            button.click(action, self.run, self.watched(), **QUICK)

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
            parts = _pictures(labels, studio)
            listed = parts.pop("pictures")
            host = not studio.settings.server.listen
            checkpoint = tab.form.checkpoint
            side = native_side(studio, checkpoint.value)
            form = TrainingForm(
                pictures=listed, **build_form(labels, checkpoint, side=side, host=host)
            )
            with gr.Row(elem_classes=["act"]):
                parts["forecast"] = _button(labels, "train.look", "train_look")
                parts["start"] = _button(labels, "train.start", "train_start", variant="primary")
            parts["answer"] = plain_html("", elem_id="train_answer")
        with gr.Column(elem_id="train_show"):
            parts["run"] = labels.make(
                gr.Dropdown, {"label": "train.run"}, choices=[], visible=False, elem_id="train_run"
            )
            with gr.Row(elem_classes=["act"]):
                for name in ("pause", "resume", "stop"):
                    parts[name] = _button(labels, f"train.{name}", f"train_{name}", visible=False)
            parts["board"] = gr.HTML(
                nothing(labels.words), elem_id="train_board", apply_default_css=False,
                js_on_load=asset("training_board.js"),
            )  # fmt: skip
    made = TrainingTab(
        studio=studio, labels=labels, form=form, timer=gr.Timer(LOOK_SECONDS, active=False),
        seen=gr.State(""), **parts,
    )  # fmt: skip
    made.connect(tab, tabs)
    return made


def _pictures(labels: Labels, studio: Studio) -> dict[str, Any]:
    words = labels.words
    drop = gr.HTML(
        '<label class="model-drop"><input type="file" multiple aria-label="pictures"'
        ' accept="image/*,.txt,.zip">'
        f"<strong>{words.html('train.drop')}</strong><span>{words.html('train.drop_hint')}</span>"
        '</label><div class="sending"></div>',
        elem_id="train_drop",
        apply_default_css=False,
        js_on_load=asset("training_drop.js"),
    )
    told = plain_html("", elem_id="train_told")
    pictures = labels.make(
        gr.Dropdown, {"label": "train.set"}, choices=[], visible=False, elem_id="train_set"
    )
    grid = gr.HTML(
        "", elem_id="train_pictures", apply_default_css=False,
        js_on_load=asset("training_captions.js"),
    )  # fmt: skip
    with labels.make(gr.Accordion, {"label": "train.bulk"}, open=False, elem_id="train_bulk"):
        with gr.Row(elem_classes=["tight"]):
            way = labels.make_choice(
                gr.Dropdown, {"label": "train.way"}, WAYS, value="prefix", min_width=110
            )
            text = labels.make(gr.Textbox, {"label": "train.text"}, min_width=100,
                               elem_id="train_bulk_text")  # fmt: skip
            into = labels.make(gr.Textbox, {"label": "train.into"}, min_width=100)
        change = _button(labels, "train.change", "train_change")
        captioner, propose = _captioners(labels, studio)
    over = plain_html("", elem_id="train_over")
    return {
        "drop": drop, "told": told, "pictures": pictures, "grid": grid, "way": way, "text": text,
        "into": into, "change": change, "captioner": captioner, "propose": propose, "over": over,
    }  # fmt: skip


def _captioners(labels: Labels, studio: Studio) -> tuple[gr.Dropdown, gr.Button]:
    """Lay out who proposes captions for pictures that have none."""
    found = studio.training.captioners()
    choices = [(f"{each.title['en']} · {each.title['zh']}", each.name) for each in found]
    captioner = labels.make(
        gr.Dropdown, {"label": "train.captioner"}, choices=choices, visible=bool(choices),
        value=choices[0][1] if choices else None, min_width=160, elem_id="train_captioner",
    )  # fmt: skip
    propose = _button(labels, "train.propose", "train_propose")
    return captioner, propose


def _button(labels: Labels, key: str, elem_id: str, **options: Any) -> gr.Button:
    return labels.make(gr.Button, {"value": key}, elem_id=elem_id, min_width=0, **options)


def _escaped(text: object) -> str:
    return escape(str(text)[:500])
