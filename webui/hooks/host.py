"""Find extensions, check them, and switch off those that do not load; each for itself.

What is found is a frozen value. It depends on what is installed and on nothing else, so that the
server, the worker and a command line come to the same.
"""

import inspect
import logging
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Final, cast

from webui.hooks.spec import (
    API,
    GROUP,
    SERVER_POINTS,
    WORKER_POINTS,
    Asked,
    Said,
    Section,
    ServerHooks,
    Settled,
    WorkerHooks,
)
from webui.modules.errors import SettingsError

BUILT_IN: Final = "webui.extensions"
"""The package whose packages are the extensions that come with the program."""

LANGUAGES: Final = ("en", "zh")
"""In which every text of an extension must be said."""

Settle = Callable[[Asked], Settled]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """An extension as it was found.

    Attributes:
        name: Of its package or entry point.
        module: Where its server part is.
        built_in: Whether it came with the program.
        section: What people can set; None if it did not load, or only proposes captions.
        settle: Holds wishes against what is there; None if it has no such function.
        captions: Where the captions come from that it proposes; None if it proposes none.
        worker: The module of its worker part; empty if it has none.
        problem: Why it is switched off; empty if it is not.
    """

    name: str
    module: str
    built_in: bool
    section: Section | None = None
    settle: Settle | None = None
    captions: Said | None = None
    worker: str = ""
    problem: str = ""


@cache
def collected() -> tuple[Extension, ...]:
    """Return the extensions of this installation, the built-in ones first."""
    return collect(candidates())


def candidates() -> Iterator[tuple[str, str, bool]]:
    """Yield name, module and "built in" of everything that says it is an extension."""
    package = import_module(BUILT_IN)
    for found in pkgutil.iter_modules(package.__path__):
        yield found.name, f"{BUILT_IN}.{found.name}", True
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        yield point.name, point.value, False


def collect(found: Iterable[tuple[str, str, bool]]) -> tuple[Extension, ...]:
    """Load these; one that cannot be loaded says why, and one whose name is taken is switched off.

    Args:
        found: Name, module and "built in" of each.
    """
    loaded: dict[str, Extension] = {}
    for name, module, built_in in found:
        if name in loaded:
            log.warning("a second extension is called %s: %s is left out", name, module)
            continue
        try:
            loaded[name] = _load(name, module, built_in=built_in)
        except (Exception, SystemExit) as problem:
            log.warning("extension %s is switched off", name, exc_info=problem)
            reason = reason_of(problem)
            loaded[name] = Extension(name=name, module=module, built_in=built_in, problem=reason)
    return tuple(loaded.values())


def reason_of(problem: BaseException) -> str:
    """Return in one line what went wrong in an extension."""
    said = " ".join(str(problem).split())
    foreseen = isinstance(problem, SettingsError)
    return said[:300] if foreseen else f"{type(problem).__name__}: {said}"[:300]


def worker_hooks(extension: Extension) -> WorkerHooks | None:
    """Return the part that draws; None if there is none.

    Raises:
        SettingsError: If its functions are not those of the points.
        Exception: Whatever its module raises.
    """
    if not extension.worker:
        return None
    module = import_module(extension.worker)
    _refuse(_unlike(module, WORKER_POINTS, WorkerHooks))
    return cast("WorkerHooks", module)


def _load(name: str, where: str, *, built_in: bool) -> Extension:
    module = import_module(where)
    hooks: Any = module
    _refuse(_of_another_time(module))
    _refuse(_unlike(module, SERVER_POINTS, ServerHooks))
    section = hooks.section() if hasattr(module, "section") else None
    captions = hooks.captions() if hasattr(module, "captions") else None
    _refuse(_unsaid(captions))
    if section is not None or captions is None:
        _refuse(_amiss(section))
    return Extension(
        name=name,
        module=where,
        built_in=built_in,
        section=section,
        settle=getattr(module, "settle", None),
        captions=captions,
        worker=str(getattr(module, "WORKER", "")),
    )


def _refuse(reasons: Iterator[str]) -> None:
    for reason in reasons:
        raise SettingsError(reason, hint="See docs/extensions.md.")


def _of_another_time(module: ModuleType) -> Iterator[str]:
    wanted = getattr(module, "API", None)
    if wanted != API:
        yield f"it was made for version {wanted} of the points; this program has version {API}"


def _unlike(module: ModuleType, points: Iterable[str], protocol: type[Any]) -> Iterator[str]:
    """Say which functions of a module do not take what their points are given."""
    theirs = {name: getattr(module, name) for name in points if hasattr(module, name)}
    if not theirs:
        yield f"{module.__name__} has none of the functions {', '.join(points)}"
    for name, function in theirs.items():
        wanted = list(inspect.signature(getattr(protocol, name)).parameters)[1:]
        given = list(inspect.signature(function).parameters)
        if wanted != given:
            yield f"{name} takes ({', '.join(given)}), not ({', '.join(wanted)})"


def _unsaid(captions: Said | None) -> Iterator[str]:
    """Say in which language the name of a source of captions is missing."""
    for code in LANGUAGES if captions is not None else ():
        if not captions or not captions.get(code):
            yield f"where its captions come from is not said in {code!r}"


def _amiss(section: Section | None) -> Iterator[str]:
    """Say what a section lacks."""
    if not isinstance(section, Section):
        yield "it has no section, so that nobody could ask for it"
        return
    names = [setting.name for setting in section.settings]
    for name in (section.switch, *section.arguments):
        if names.count(name) != 1:
            yield f"its section speaks of {name!r}, which is not one of its settings"
    said = [section.title, section.note, *(setting.label for setting in section.settings)]
    for code in LANGUAGES:
        if not all(text.get(code) for text in said):
            yield f"not all of its section is said in {code!r}"
