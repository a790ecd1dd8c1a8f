"""The form of a training: its fields, what a preset puts into them, and the wish they make."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import gradio as gr
import yaml
from gradio.blocks import Block

from webui.modules.errors import RequestError
from webui.modules.training.plan import TRAINABLE
from webui.modules.types import ModelKind
from webui.services.training import Wish
from webui.services.training_presets import SUBJECTS, USUAL, Said, preset
from webui.services.training_request import RANK
from webui.services.training_settings import RANGES, known
from webui.ui.labels import Labels
from webui.ui.messages import Words, spoken
from webui.ui.plumbing import plain_html

KINDS: Final = {f"train.kind_{kind}": kind.value for kind in (ModelKind.LORA, *TRAINABLE)}
"""What can be trained, the usual first."""

METHODS: Final = {
    "train.method_lora": "lora",
    "train.method_dora": "dora",
    "train.method_loha": "loha",
    "train.method_lokr": "lokr",
}

PRESETS: Final = {f"train.preset_{subject}": subject for subject in SUBJECTS}

RATE: Final = "correction.rate"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingForm:
    """The components that make a wish; their names are those of its fields."""

    labels: Labels
    checkpoint: gr.Dropdown
    pictures: gr.Dropdown
    kind: gr.Radio
    method: gr.Dropdown
    subject: gr.Radio
    about: gr.HTML
    name: gr.Textbox
    trigger: gr.Textbox
    steps: gr.Number
    lr: gr.Textbox
    rank: gr.Number
    resolution: gr.Number
    batch_size: gr.Number
    seed: gr.Number
    prompts: gr.Textbox
    folder: gr.Textbox
    regular: gr.Dropdown
    more: gr.Code
    table: gr.HTML

    def parts(self) -> list[Any]:
        """Return what makes the wish."""
        return [
            self.checkpoint, self.pictures, self.kind, self.method, self.subject, self.name,
            self.trigger, self.steps, self.lr, self.rank, self.resolution, self.batch_size,
            self.seed, self.prompts, self.folder, self.regular, self.more,
        ]  # fmt: skip

    def wish(self, values: Mapping[Block, Any]) -> Wish:
        """Return the wish that stands in the form.

        Raises:
            RequestError: If the further settings are no YAML.
        """
        kind = ModelKind(values[self.kind])
        settings = _read(values[self.more] or "")
        if kind is ModelKind.LORA and values[self.method] != "lora":
            settings["what.method"] = values[self.method]
        prompts = [line.strip() for line in (values[self.prompts] or "").split("\n")]
        if any(prompts):
            settings["watch.sample.prompts"] = [line for line in prompts if line]
        numbers = {
            name: _whole(values[getattr(self, name)])
            for name in ("steps", "resolution", "batch_size", "seed", "rank")
        }
        if kind not in RANK:
            del numbers["rank"]
        return Wish(
            kind=kind,
            name=values[self.name] or "",
            pictures="" if values[self.folder] else values[self.pictures] or "",
            folder=values[self.folder] or "",
            regular=values[self.regular] or "",
            checkpoint=values[self.checkpoint] or "",
            subject=values[self.subject] or "",
            trigger=values[self.trigger] or "",
            words={**numbers, "lr": values[self.lr] or None},
            settings=settings,
        )

    def filled(self) -> list[Any]:
        """Return what a preset changes."""
        return [self.method, self.about, self.steps, self.lr, self.rank, self.table]

    def fill(self, kind: str, subject: str) -> dict[Block, Any]:
        """Put a preset into the form, and say why its values are good."""
        chosen = ModelKind(kind)
        found = preset(chosen, subject or USUAL)
        told = found.settings()
        rank = RANK.get(chosen)
        words = self.labels.words
        return {
            self.method: gr.update(visible=chosen is ModelKind.LORA),
            self.about: about(chosen, subject or USUAL, words),
            self.steps: told["steps"],
            self.lr: told[RATE],
            self.rank: gr.update(visible=bool(rank), value=told.get(rank or "", 1)),
            self.table: table(chosen, told),
        }


def about(kind: ModelKind, subject: str, words: Words) -> str:
    """Return what is corrected, and the reasons of a preset's values, as HTML."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_plain(choice.value))}</td>"
        f"<td>{_said(choice.why)}</td></tr>"
        for name, choice in preset(kind, subject).choices.items()
    )
    return (
        f'<p class="corrected">{words.html(f"train.about_{kind}")}</p>'
        f"<details><summary>{words.html('train.why')}</summary>"
        f'<table class="why">{rows}</table></details>'
    )


def table(kind: ModelKind, told: Mapping[str, Any]) -> str:
    """Return every setting of a kind with its range and the preset's value."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{_range(name)}</td>"
        f"<td>{escape(_plain(told[name])) if name in told else ''}</td></tr>"
        for name in sorted(known(kind))
    )
    return f'<table class="why all">{rows}</table>'


def build_form(labels: Labels, checkpoint: gr.Dropdown, *, side: int, host: bool) -> dict[str, Any]:
    """Lay out everything below the pictures.

    Args:
        labels: Makes components whose texts follow the language.
        checkpoint: The page's own.
        side: Pixels on which the first checkpoint draws well.
        host: Whether folders of the server can be named.
    """
    first = preset(ModelKind.LORA)
    kind = labels.make_choice(
        gr.Radio, {"label": "train.kind"}, KINDS, value="lora", elem_id="train_kind"
    )
    method = labels.make_choice(
        gr.Dropdown, {"label": "train.method"}, METHODS, value="lora", elem_id="train_method"
    )
    subject = labels.make_choice(
        gr.Radio, {"label": "train.preset"}, PRESETS, value=USUAL, elem_id="train_preset"
    )
    about_it = plain_html(about(ModelKind.LORA, USUAL, labels.words), elem_id="train_about")
    with gr.Row(elem_classes=["tight"]):
        name = labels.make(
            gr.Textbox, {"label": "train.name", "placeholder": "train.name_hint"},
            elem_id="train_name", max_lines=1,
        )  # fmt: skip
        trigger = labels.make(
            gr.Textbox, {"label": "train.trigger", "placeholder": "train.trigger_hint"},
            elem_id="train_trigger", max_lines=1,
        )  # fmt: skip
    told = first.settings()
    with gr.Row(elem_classes=["tight"]):
        steps = _number(labels, "steps", told["steps"])
        lr = labels.make(gr.Textbox, {"label": "train.lr"}, value=told[RATE], elem_id="train_lr",
                         min_width=80)  # fmt: skip
        rank = _number(labels, "rank", told["what.rank"])
    with gr.Row(elem_classes=["tight"]):
        resolution = _number(labels, "resolution", side)
        batch_size = _number(labels, "batch_size", told["batch_size"])
        seed = _number(labels, "seed", 0)
    with labels.make(gr.Accordion, {"label": "train.expert"}, open=False, elem_id="train_expert"):
        prompts = labels.make(
            gr.Textbox, {"label": "train.prompts", "placeholder": "train.prompts_hint"}, lines=2,
            elem_id="train_prompts",
        )  # fmt: skip
        regular = labels.make(gr.Dropdown, {"label": "train.regular"}, choices=[("–", "")],
                              value="", elem_id="train_regular")  # fmt: skip
        folder = labels.make(gr.Textbox, {"label": "train.folder"}, visible=host,
                             elem_id="train_folder", max_lines=1)  # fmt: skip
        more = labels.make(gr.Code, {"label": "train.more_settings"}, language="yaml", lines=4,
                           elem_id="train_more")  # fmt: skip
        with labels.make(gr.Accordion, {"label": "train.all_settings"}, open=False):
            every = plain_html(table(ModelKind.LORA, told), elem_id="train_table")
    return {
        "labels": labels, "checkpoint": checkpoint, "kind": kind, "method": method,
        "subject": subject, "about": about_it, "name": name, "trigger": trigger, "steps": steps,
        "lr": lr, "rank": rank, "resolution": resolution, "batch_size": batch_size, "seed": seed,
        "prompts": prompts, "folder": folder, "regular": regular, "more": more, "table": every,
    }  # fmt: skip


def _number(labels: Labels, name: str, value: int | None) -> gr.Number:
    return labels.make(
        gr.Number, {"label": f"train.{name}"}, value=value, precision=0, min_width=80,
        elem_id=f"train_{name}",
    )  # fmt: skip


def _read(text: str) -> dict[str, Any]:
    """Return further settings as written.

    Raises:
        RequestError: If they are no YAML mapping.
    """
    hint = "Write one setting a line, such as data.flip: true"
    try:
        said: object = yaml.safe_load(text) if text.strip() else {}
    except (yaml.YAMLError, RecursionError) as error:
        message = f"the further settings cannot be read: {str(error).splitlines()[0][:200]}"
        raise RequestError(message, hint=hint) from error
    if not isinstance(said, dict):
        message = "the further settings name none"
        raise RequestError(message, hint=hint)
    return {str(key): value for key, value in said.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any YAML


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _said(why: Said) -> str:
    return spoken({"en": why.en, "zh": why.zh})


def _plain(value: Any) -> str:
    return " / ".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType] - any tuple


def _range(name: str) -> str:
    low, high = RANGES.get(name, (0, 0))
    return f"{low:g} – {high:g}" if name in RANGES else ""
