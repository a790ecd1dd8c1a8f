"""The sets of pictures in the training tab: brought, looked at, described, taken away."""

from dataclasses import dataclass
from html import escape
from typing import Any, Final, cast

import gradio as gr

from webui.modules.errors import WebuiError
from webui.services.studio import Studio
from webui.ui import training_pictures
from webui.ui.labels import Labels
from webui.ui.messages import explain, notice
from webui.ui.people import person
from webui.ui.plumbing import FOLLOWING, QUICK, asset, plain_html, surely
from webui.ui.sections import Updates

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
class SetsPanel:
    """The sets of one person.

    Attributes:
        listed: Which set is open; shown if there is another.
        regular: Which set shows the wider class; it stands further down in the form.
        over: What was found when the pictures were looked over.
    """

    studio: Studio
    labels: Labels
    drop: gr.HTML
    told: gr.HTML
    listed: gr.Dropdown
    regular: gr.Dropdown
    new: gr.Button
    forget: gr.Button
    grid: gr.HTML
    way: gr.Dropdown
    text: gr.Textbox
    into: gr.Textbox
    change: gr.Button
    captioner: gr.Dropdown
    propose: gr.Button
    over: gr.HTML

    def arrive(self, owner: str) -> Updates:
        """Show the newest set that a person has here."""
        sets = self.studio.training.sets.all(owner=owner)
        return self.opened(sets[0].id if sets else "", owner)

    def take(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Show the set that the browser has sent, or why it was refused."""
        words, owner = self.labels.words, person(request)
        told = cast("dict[str, Any]", event.answer if isinstance(event.answer, dict) else {})
        if "id" not in told:
            said = str(told.get("detail") or words.say("train.lost", "en"))
            return {self.told: notice(_escaped(said), _escaped(told.get("hint", "")), kind="error")}
        skipped = cast("list[dict[str, str]]", told.get("skipped") or [])
        reasons = "; ".join(f"{each['file']}: {each['why']}" for each in skipped[:5])
        said = notice(words.html("train.skipped", count=len(skipped)), _escaped(reasons))
        return {**self.opened(str(told["id"]), owner), self.told: said if skipped else ""}

    def open_set(self, set_id: str, request: gr.Request) -> Updates:
        """Show the pictures of another set."""
        return self.opened(set_id or "", person(request))

    def new_set(self, request: gr.Request) -> Updates:
        """Close the open set: what is dropped now makes a new one."""
        return {**self.opened("", person(request)), self.told: ""}

    def forget_set(self, set_id: str | None, request: gr.Request) -> Updates:
        """Delete a set, unless the person has thought better of it: then none is named."""
        owner = person(request)
        if not set_id:
            return {self.told: ""}
        try:
            self.studio.training.delete_set(set_id, owner=owner)
        except WebuiError as error:
            return {self.told: explain(error, self.labels.words)}
        left = self.studio.training.sets.all(owner=owner)
        return {**self.opened(left[0].id if left else "", owner), self.told: ""}

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

    def opened(self, set_id: str, owner: str) -> Updates:
        """Return the updates that list the sets, and open one of them, or none."""
        sets = self.studio.training.sets.all(owner=owner)
        listed = [(f"{each.name or each.id[:6]} · {each.count}", each.id) for each in sets]
        others = len(listed) > (1 if set_id else 0)
        return {
            self.listed: gr.update(choices=listed, value=set_id or None, visible=others),
            self.regular: gr.update(choices=[("–", ""), *listed]),
            self.new: gr.update(visible=bool(set_id)),
            self.forget: gr.update(visible=bool(set_id)),
            **self._pictures(set_id, owner),
        }

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

    # ------------------------------------------------------------------ events

    def everything(self) -> list[Any]:
        """Return what opening a set changes, and what tells why one cannot be."""
        return [
            self.told, self.listed, self.regular, self.new, self.forget, self.grid, self.over,
        ]  # fmt: skip

    def connect(self) -> None:
        """Say what happens when something is used."""
        self.drop.submit(self.take, None, self.everything(), **QUICK)
        self.listed.input(self.open_set, self.listed, self.everything(), **QUICK)
        self.new.click(self.new_set, None, self.everything(), **QUICK)
        asked = surely("train_forget")
        self.forget.click(self.forget_set, self.listed, self.everything(), js=asked, **FOLLOWING)
        shown: list[Any] = [self.told, self.grid, self.over]
        changing: list[Any] = [self.listed, self.way, self.text, self.into]
        self.change.click(self.change_all, changing, shown, **QUICK)
        self.propose.click(self.propose_all, [self.listed, self.captioner], shown, **QUICK)


def build_sets(labels: Labels, studio: Studio) -> dict[str, Any]:
    """Lay out the drop zone, the pictures of the open set, and what can be done to their captions.

    Args:
        labels: Makes components whose texts follow the language.
        studio: Knows who can propose captions.
    """
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
    listed = labels.make(
        gr.Dropdown, {"label": "train.set"}, choices=[], visible=False, elem_id="train_set"
    )
    with gr.Row(elem_classes=["aside"]):
        new = labels.button("train.new", "train_new", visible=False)
        forget = labels.button("train.forget", "train_forget", visible=False)
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
        change = labels.button("train.change", "train_change")
        captioner, propose = _captioners(labels, studio)
    over = plain_html("", elem_id="train_over")
    return {
        "drop": drop, "told": told, "listed": listed, "new": new, "forget": forget, "grid": grid,
        "way": way, "text": text, "into": into, "change": change, "captioner": captioner,
        "propose": propose, "over": over,
    }  # fmt: skip


def _captioners(labels: Labels, studio: Studio) -> tuple[gr.Dropdown, gr.Button]:
    """Lay out who proposes captions for pictures that have none."""
    found = studio.training.captioners()
    choices = [(f"{each.title['en']} · {each.title['zh']}", each.name) for each in found]
    captioner = labels.make(
        gr.Dropdown, {"label": "train.captioner"}, choices=choices, visible=bool(choices),
        value=choices[0][1] if choices else None, min_width=160, elem_id="train_captioner",
    )  # fmt: skip
    propose = labels.button("train.propose", "train_propose")
    return captioner, propose


def _escaped(text: object) -> str:
    return escape(str(text)[:500])
