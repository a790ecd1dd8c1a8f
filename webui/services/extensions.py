"""Which extensions there are, which are switched off, and why."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from webui.hooks.host import Extension
from webui.modules.errors import UnknownNameError, UnsupportedError
from webui.services.options import Options

ALL: Final = "all"
"""Value of A1111's option ``disable_all_extensions`` that switches every extension off."""

EXTRA: Final = "extra"
"""The same for those that did not come with the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionView:
    """An extension as people see it.

    Attributes:
        name: Of its package or entry point.
        title: What the page calls it, in English; its name if it did not load.
        built_in: Whether it came with the program.
        on: Whether it can be asked for.
        reason: Why it is switched off; empty if it is on.
    """

    name: str
    title: str
    built_in: bool
    on: bool
    reason: str = ""


class Roster:
    """The extensions of this server.

    Args:
        extensions: Those that were found.
        options: Returns the options that hold now; two of them switch extensions off.
        roots: The folders ``models`` in which shared files are looked for.
    """

    def __init__(
        self,
        extensions: Iterable[Extension],
        *,
        options: Callable[[], Options],
        roots: Sequence[Path],
    ) -> None:
        self._extensions = {extension.name: extension for extension in extensions}
        self._options = options
        self._faults: dict[str, str] = {}
        self._lock = threading.Lock()
        self.roots = tuple(roots)

    def loaded(self) -> list[Extension]:
        """Return the extensions that loaded, switched off or not."""
        return [each for each in self._extensions.values() if each.section]

    def named(self) -> list[Extension]:
        """Return the extensions that have something to say on the page, switched off or not."""
        return [each for each in self._extensions.values() if each.section or each.captions]

    def captioners(self) -> list[Extension]:
        """Return the extensions that propose captions and are not switched off."""
        return [
            each for each in self._extensions.values() if each.captions and not self.reason(each)
        ]

    def views(self) -> list[ExtensionView]:
        """Return all extensions as they are now."""
        return [self._view(extension) for extension in self._extensions.values()]

    def find(self, name: str) -> Extension:
        """Return an extension that can be asked for.

        Raises:
            UnknownNameError: If there is none of this name.
            UnsupportedError: If it is switched off; the message says why.
        """
        extension = self._extensions.get(name)
        if extension is None:
            message = f"there is no extension {name[:80]!r}"
            hint = f"There are: {', '.join(self._extensions) or 'none'}."
            raise UnknownNameError(message, hint=hint, value=name[:80])
        if reason := self.reason(extension):
            message = f"the extension {name} is switched off: {reason}"
            hint = "Ask without it, or see GET /atelier/v1/extensions."
            raise UnsupportedError(message, hint=hint, value=name)
        return extension

    def reason(self, extension: Extension) -> str:
        """Return why an extension is switched off; empty if it is on."""
        options = self._options()
        everything = options.text("disable_all_extensions")
        if everything == ALL or (everything == EXTRA and not extension.built_in):
            return f"the option disable_all_extensions is {everything!r}"
        if extension.name in options["disabled_extensions"]:
            return "the option disabled_extensions names it"
        return extension.problem or self._faults.get(extension.name, "")

    def switch_off(self, name: str, reason: str) -> None:
        """Switch an extension off until the server is started again: it failed."""
        with self._lock:
            self._faults = {**self._faults, name: f"it failed: {reason}"}

    def problems(self) -> tuple[str, ...]:
        """Return why extensions did not load, in sentences for whoever starts the server."""
        return tuple(
            f"The extension {each.name} is switched off: {each.problem}"
            for each in self._extensions.values()
            if each.problem
        )

    def _view(self, extension: Extension) -> ExtensionView:
        reason = self.reason(extension)
        said = extension.section.title if extension.section else extension.captions
        title = said["en"] if said else extension.name
        return ExtensionView(
            name=extension.name,
            title=title,
            built_in=extension.built_in,
            on=not reason,
            reason=reason,
        )
