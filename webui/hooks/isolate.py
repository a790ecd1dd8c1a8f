"""Steps of extensions inside the process that draws: what goes wrong there costs the step alone."""

import logging
from collections.abc import Iterable
from typing import Any

import torch

from webui.hooks.host import Extension, collected, reason_of, worker_hooks
from webui.hooks.spec import ExtensionUse, WorkerHooks
from webui.modules.conditioning import Reworked, TextChunk
from webui.modules.errors import SettingsError, WebuiError

log = logging.getLogger(__name__)


class IsolatedSteps:
    """The conditioning steps of all extensions.

    A wish that a step refuses is left out with a note. A step that raises anything else is switched
    off until this process ends; whoever asks ``faults`` learns why.
    """

    def __init__(self, extensions: Iterable[Extension] | None = None) -> None:
        found = collected() if extensions is None else extensions
        self._extensions = {extension.name: extension for extension in found}
        self._hooks: dict[str, WorkerHooks | None] = {}
        self._faults: dict[str, str] = {}

    def __call__(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        """Carry out what a use asks for; see ``modules.conditioning.Steps``."""
        if use.name in self._faults:
            return _left_out(use, chunk, f"it is switched off: {self._faults[use.name]}")
        try:
            return self._carried_out(use, chunk)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except WebuiError as problem:
            return _left_out(use, chunk, f"{problem}. {problem.hint}")
        except Exception as problem:
            log.exception("extension %s is switched off", use.name)
            self._faults[use.name] = reason_of(problem)
            return _left_out(use, chunk, f"it is switched off: {self._faults[use.name]}")

    def faults(self) -> dict[str, str]:
        """Return why extensions were switched off here, by their names."""
        return dict(self._faults)

    def _carried_out(self, use: ExtensionUse, chunk: TextChunk) -> Reworked:
        if use.name not in self._extensions:
            message = "there is no such extension here"
            raise SettingsError(message, hint="Install it, or ask without it.", value=use.name)
        if use.name not in self._hooks:
            self._hooks[use.name] = worker_hooks(self._extensions[use.name])
        hooks = self._hooks[use.name]
        if hooks is None:
            return Reworked(states=chunk.states)
        return _checked(hooks.condition(use, chunk), chunk)


def _checked(found: Any, chunk: TextChunk) -> Reworked:
    """Let only such states through as the network can read."""
    if not isinstance(found, Reworked) or found.states.shape != chunk.states.shape:
        message = "it did not return states of the shape that it was given"
        raise TypeError(message)
    if not torch.isfinite(found.states).all():
        message = "not-a-number came out of it"
        raise ArithmeticError(message)
    return found


def _left_out(use: ExtensionUse, chunk: TextChunk, why: str) -> Reworked:
    return Reworked(states=chunk.states, notes=(f"{use.name} was left out: {why}",))
