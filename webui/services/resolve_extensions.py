"""What a wish asks of extensions: every setting checked, every file found."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from webui.hooks.host import Extension, reason_of
from webui.hooks.spec import (
    NOTHING,
    Asked,
    FileFacts,
    Resource,
    Section,
    Setting,
    SettingValue,
    Settled,
)
from webui.modules.errors import (
    ModelError,
    RangeError,
    UnknownNameError,
    UnsupportedError,
    WebuiError,
)
from webui.modules.types import ExtensionUse, GenerationPlan, ModelKind, ModelRecord
from webui.modules.weights.architecture import derive
from webui.modules.weights.diffusers_folder import derive_folder
from webui.modules.weights.header import read_header
from webui.services import limits as allowed
from webui.services.extensions import Roster
from webui.services.models import Models
from webui.settings import Limits

ANY_NUMBER: Final = (-1e9, 1e9, 0.0)

log = logging.getLogger(__name__)

Wished = Mapping[str, Mapping[str, Any]]
"""By name of the extension, its settings; those left out have their defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """What wishes are held against."""

    roster: Roster
    models: Models
    limits: Limits


def with_extensions(plan: GenerationPlan, wished: Wished, stock: Stock) -> GenerationPlan:
    """Return the plan with what extensions shall do to its prompts.

    Raises:
        RequestError: If an extension or setting is unknown, switched off or outside its range.
        ModelError: If a file is refused, or does not fit; the message says why.
    """
    uses: list[ExtensionUse] = []
    notes: list[str] = []
    for name, given in wished.items():
        extension = stock.roster.find(name)
        settings = settings_of(extension, given, stock.limits)
        if extension.section is None or settings[extension.section.switch] in NOTHING:
            continue
        use, told = _use(extension, settings, plan, stock)
        uses.append(use)
        notes += told
    return replace(plan, extensions=tuple(uses), notes=(*plan.notes, *notes))


def here(wished: Wished, roster: Roster, models: Models) -> dict[str, Mapping[str, Any]]:
    """Return what is asked of those extensions that are on and whose files are there."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, given in wished.items():
        try:
            extension = roster.find(name)
            for setting in _settings(extension):
                if setting.kind and given.get(setting.name) not in NOTHING:
                    models.add_on(setting.kind, str(given[setting.name]))
        except WebuiError:
            continue
        found[name] = given
    return found


def settings_of(
    extension: Extension, given: Mapping[str, Any], limits: Limits
) -> dict[str, SettingValue]:
    """Return all settings of an extension, each checked; those not given have their defaults.

    Raises:
        UnknownNameError: If it has no setting of a name.
        RangeError: If a value does not fit its setting.
        LimitError: If a text is too long.
    """
    known = {setting.name: setting for setting in _settings(extension)}
    for name in given:
        if name not in known:
            message = f"{extension.name} has no setting {name[:80]!r}"
            hint = f"There are: {', '.join(known)}."
            raise UnknownNameError(message, hint=hint, value=name[:80])
    return {
        name: _checked(setting, given.get(name, setting.value), limits)
        for name, setting in known.items()
    }


def _settings(extension: Extension) -> tuple[Setting, ...]:
    return extension.section.settings if extension.section else ()


def _checked(setting: Setting, value: Any, limits: Limits) -> SettingValue:
    usual, (low, high, _) = setting.value, setting.bounds or ANY_NUMBER
    if isinstance(usual, bool):
        if isinstance(value, bool):
            return value
        message = f"{setting.name} is {str(value)[:80]!r}, not true or false"
        raise RangeError(message, hint="Use true or false.", value=str(value)[:80])
    if isinstance(usual, int):
        return allowed.whole(setting.name, value, low=int(low), high=int(high))
    if isinstance(usual, float):
        return allowed.number(setting.name, value, low=low, high=high)
    return allowed.text(setting.name, str(value or ""), limits)


def _use(
    extension: Extension,
    settings: Mapping[str, SettingValue],
    plan: GenerationPlan,
    stock: Stock,
) -> tuple[ExtensionUse, tuple[str, ...]]:
    """Find the files and ask the extension itself."""
    section = extension.section
    if section is None:
        raise AssertionError  # ``with_extensions`` has looked
    models = dict(_named(section, settings, stock.models))
    settings = {**settings, **{name: models[name].stem for name in settings if name in models}}
    models |= dict(_shared(section, stock))
    asked = Asked(
        settings=settings,
        files={name: _facts(record) for name, record in models.items()},
        family=plan.checkpoint.family or "sd1",
        text_width=_text_width(plan.checkpoint),
    )
    settled = _settled(extension, asked, stock.roster)
    use = ExtensionUse(
        name=extension.name,
        settings=tuple(settings.items()),
        models=tuple((name, stock.models.hashed(models[name])) for name in settled.files),
        told=tuple(
            (setting.key, str(settings[setting.name]))
            for setting in section.settings
            if settings[setting.name] != ""
        ),
    )
    return use, settled.notes


def _settled(extension: Extension, asked: Asked, roster: Roster) -> Settled:
    """Ask the extension; one that fails is switched off, and the wish is refused.

    Raises:
        UnsupportedError: If it fails in a way that it does not explain.
        WebuiError: If it refuses the wish.
    """
    if extension.settle is None:
        return Settled(files=tuple(asked.files))
    try:
        settled = extension.settle(asked)
        if set(settled.files) <= set(asked.files):
            return settled
        reason = "it asks for files that are not there"
    except WebuiError:
        raise
    except Exception as problem:
        log.exception("extension %s is switched off", extension.name)
        reason = reason_of(problem)
    roster.switch_off(extension.name, reason)
    message = f"the extension {extension.name} failed: {reason}"
    hint = "It is switched off until the server is started again; ask without it."
    raise UnsupportedError(message, hint=hint, value=extension.name)


def _named(
    section: Section, settings: Mapping[str, SettingValue], models: Models
) -> Iterator[tuple[str, ModelRecord]]:
    for setting in section.settings:
        name = settings[setting.name]
        if setting.kind and name not in NOTHING:
            yield setting.name, models.add_on(setting.kind, str(name))


def _shared(section: Section, stock: Stock) -> Iterator[tuple[str, ModelRecord]]:
    for resource in section.resources:
        if path := _first(resource, stock.roster.roots):
            yield (
                resource.name,
                ModelRecord(path=path, kind=ModelKind.UNKNOWN, name=path.name),
            )


def _first(resource: Resource, roots: tuple[Path, ...]) -> Path | None:
    """Return the first file by name that holds the tensor; damaged ones are passed over."""
    for root in roots:
        for path in sorted((root / resource.folder).rglob("*.safetensors")):
            try:
                if path.is_file() and resource.tensor in read_header(path).tensors:
                    return path
            except ModelError:
                continue
    return None


def _facts(record: ModelRecord) -> FileFacts:
    header = read_header(record.path)
    return FileFacts(
        name=record.stem,
        tensors={name: tuple(tensor.shape) for name, tensor in header.tensors.items()},
        metadata=header.metadata,
    )


def _text_width(checkpoint: ModelRecord) -> int:
    """Return the width of a checkpoint's text encoder; 0 for a kind that is not drawn with."""
    try:
        if checkpoint.path.is_dir():
            return derive_folder(checkpoint.path).text.width
        return derive(read_header(checkpoint.path).tensors, checkpoint.config).text.width
    except ModelError:
        return 0
