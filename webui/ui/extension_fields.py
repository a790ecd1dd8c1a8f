"""Sections that extensions add to the drawing forms, laid out from what they say can be set."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from webui.hooks.host import Extension
from webui.hooks.spec import NOTHING, Section, Setting
from webui.modules.errors import RangeError
from webui.services.studio import Studio
from webui.ui.drawing_fields import slider
from webui.ui.labels import Labels
from webui.ui.plumbing import QUICK, plain_html
from webui.ui.sections import Updates, check_numbers
from webui.ui.switched import switched


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionFields:
    """One component for each setting of an extension.

    Attributes:
        name: Of the extension.
        section: What it says can be set.
        on: Whether it is asked for.
        settings: In the order of the section.
        place: The whole section; hidden while there is nothing to choose.
    """

    name: str
    section: Section
    on: gr.Checkbox
    settings: tuple[Block, ...]
    place: gr.Column

    def read(self, values: Mapping[Block, Any]) -> dict[str, Any] | None:
        """Turn what Gradio sends into the settings of a request; None if it is switched off.

        Raises:
            RangeError: If a number is missing, or what it cannot do without.
        """
        if not values[self.on]:
            return None
        found = {setting.name: values[part] for setting, part in self._pairs()}
        check_numbers(found, [each.name for each in self.section.settings if _is_number(each)])
        if found[self.section.switch] in NOTHING:
            message = f"no {self.section.switch} is chosen for {self.section.title['en']}"
            hint = "Choose one, or switch the section off."
            raise RangeError(message, hint=hint, value=self.section.switch)
        return {
            setting.name: int(found[setting.name])
            if type(setting.value) is int
            else found[setting.name]
            for setting in self.section.settings
        }

    def fill(self, wished: Mapping[str, Any] | None) -> Updates:
        """Return the updates that show these settings; None switches the section off."""
        if not wished:
            return {self.on: gr.update(value=False)}
        found = {setting.name: setting.value for setting in self.section.settings} | dict(wished)
        filled: Updates = {
            part: gr.update(value=found[setting.name]) for setting, part in self._pairs()
        }
        return {**filled, self.on: gr.update(value=True), self.place: gr.update(visible=True)}

    def connect(self, studio: Studio) -> None:
        """Say what happens when it is switched on: the first file is chosen if none is."""
        for setting, part in self._pairs():
            if setting.kind:
                self.on.change(_first_of(setting, studio), part, part, **QUICK)

    def offered(self) -> list[Block]:
        """Return everything that offers files, and the section itself."""
        return [self.place, *(part for setting, part in self._pairs() if setting.kind)]

    def offer(self, studio: Studio) -> Updates:
        """Return the lists of files as the folders are now."""
        updates: Updates = {self.place: gr.update(visible=is_shown(self.name, studio))}
        for setting, part in self._pairs():
            if setting.kind:
                updates[part] = gr.update(choices=file_names(setting, studio))
        return updates

    def _pairs(self) -> Iterable[tuple[Setting, Block]]:
        return zip(self.section.settings, self.settings, strict=True)


def extension_texts(extensions: Iterable[Extension]) -> dict[str, dict[str, str]]:
    """Return what extensions say on the page: texts by language and key."""
    texts: dict[str, dict[str, str]] = {"en": {}, "zh": {}}
    for extension in extensions:
        section = extension.section
        said = {} if extension.captions is None else {"title": extension.captions}
        if section is not None:
            said |= {"title": section.title, "note": section.note}
            said |= {f"setting_{each.name}": each.label for each in section.settings}
        for language, known in texts.items():
            # Curly brackets would be taken for blanks to fill.
            known |= {
                _key(extension.name, part): text[language].replace("{", "{{").replace("}", "}}")
                for part, text in said.items()
            }
    return texts


def build_extensions(labels: Labels, name: str, studio: Studio) -> tuple[ExtensionFields, ...]:
    """Lay out a section for each extension that loaded; those that are off are hidden."""
    return tuple(
        _build(labels, name, extension.name, extension.section, studio)
        for extension in studio.extensions.loaded()
        if extension.section
    )


def is_shown(name: str, studio: Studio) -> bool:
    """Tell whether an extension is on and has files to choose from, if it needs some."""
    on = {view.name for view in studio.extensions.views() if view.on}
    sections = {each.name: each.section for each in studio.extensions.loaded()}
    section = sections.get(name)
    if name not in on or section is None:
        return False
    switch = next(each for each in section.settings if each.name == section.switch)
    return not switch.kind or bool(file_names(switch, studio))


def file_names(setting: Setting, studio: Studio) -> list[str]:
    """Return the sound files that a setting can name."""
    cards = studio.models.add_ons(setting.kind) if setting.kind else []
    return [card.record.stem for card in cards if card.problem is None]


def _first_of(setting: Setting, studio: Studio) -> Callable[[str | None], str | None]:
    def choose(chosen: str | None) -> str | None:
        return chosen or next(iter(file_names(setting, studio)), None)

    return choose


def _build(
    labels: Labels, form: str, name: str, section: Section, studio: Studio
) -> ExtensionFields:
    elem_id = f"{form}_{name}"
    with switched(labels, title_key(name), elem_id, shown=is_shown(name, studio)) as head:
        note = labels.words.html(_key(name, "note"))
        plain_html(f'<p class="note">{note}</p>', elem_id=f"{elem_id}_note")
        parts = {
            setting.name: _component(labels, f"{elem_id}_{setting.name}", name, setting, studio)
            for row in _rows(section)
            for setting in row
        }
    settings = tuple(parts[setting.name] for setting in section.settings)
    return ExtensionFields(
        name=name, section=section, on=head.on, settings=settings, place=head.place
    )


def _rows(section: Section) -> Iterator[list[Setting]]:
    """Yield what stands side by side: what must be given first, then two numbers to a row."""
    rest = [setting for setting in section.settings if setting.name != section.switch]
    yield [setting for setting in section.settings if setting.name == section.switch]
    while rest:
        together = 2 if len(rest) > 1 and all(map(_is_number, rest[:2])) else 1
        with gr.Row():
            yield rest[:together]
        rest = rest[together:]


def _component(labels: Labels, elem_id: str, name: str, setting: Setting, studio: Studio) -> Block:
    key = _key(name, f"setting_{setting.name}")
    texts, value = {"label": key}, setting.value
    if setting.kind:
        files = file_names(setting, studio)
        return labels.make(
            gr.Dropdown,
            texts,
            choices=files,
            value=files[0] if files else None,
            allow_custom_value=True,
            elem_id=elem_id,
        )
    if isinstance(value, bool):
        return labels.make(gr.Checkbox, texts, value=value, elem_id=elem_id)
    if isinstance(value, str):
        return labels.make(gr.Textbox, texts, value=value, lines=1, max_lines=4, elem_id=elem_id)
    if setting.bounds and setting.bounds[2] > 0:
        return slider(labels, key, elem_id, setting.bounds, value=value)
    return labels.make(gr.Number, texts, value=value, elem_id=elem_id, min_width=120)


def _is_number(setting: Setting) -> bool:
    return isinstance(setting.value, int | float) and not isinstance(setting.value, bool)


def title_key(name: str) -> str:
    """Return the key of the text that is an extension's title."""
    return _key(name, "title")


def _key(name: str, part: str) -> str:
    return f"extension.{name}.{part}"
