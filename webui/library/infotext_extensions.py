"""What settings texts say of extensions: written as the plan tells it, read by their own keys."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from webui.hooks.host import Extension, collected
from webui.hooks.spec import NOTHING, Setting
from webui.library.infotext_passes import Entries
from webui.library.infotext_values import Parsed, flag, number, read, wording
from webui.modules.types import GenerationPlan

READERS: Final[Mapping[type, Callable[[str], Any]]] = {bool: flag, int: int, float: number}
"""How the value of a setting is read, by the type of its default; a text is left as it is."""


def extension_entries(plan: GenerationPlan) -> Entries:
    """Yield what each extension wants to have told."""
    for use in plan.extensions:
        yield from use.told


def extension_keys(extensions: Iterable[Extension] | None = None) -> frozenset[str]:
    """Return every key that an extension of this installation understands."""
    return frozenset(
        setting.key for extension in _given(extensions) for setting in _settings(extension)
    )


def read_extensions(
    parsed: Parsed, extensions: Iterable[Extension] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the field ``extensions`` of a request that a text asks for.

    Args:
        parsed: The settings of the text.
        extensions: Those of this installation, unless others are meant.

    Raises:
        InfotextError: If a setting has a value that it cannot have.
    """
    found: dict[str, dict[str, Any]] = {}
    for extension in _given(extensions):
        asked = {
            setting.name: _value(parsed, setting)
            for setting in _settings(extension)
            if wording(parsed, setting.key)
        }
        if extension.section and asked.get(extension.section.switch) not in NOTHING:
            found[extension.name] = asked
    return found


def _given(extensions: Iterable[Extension] | None) -> Iterable[Extension]:
    return collected() if extensions is None else extensions


def _settings(extension: Extension) -> tuple[Setting, ...]:
    return extension.section.settings if extension.section else ()


def _value(parsed: Parsed, setting: Setting) -> Any:
    how = READERS.get(type(setting.value))
    return wording(parsed, setting.key) if how is None else read(parsed, setting.key, how)
