"""Write the two lock files from what is installed in this environment.

    python tools/lock.py            write requirements.lock and requirements-test.lock
    python tools/lock.py --check    exit 1 if they do not say what they should

A lock names the version of every package that pyproject.toml leads to, directly or through
others, on every system and Python that we support. It carries no hashes and no addresses,
because the wheel of torch is another one on each system; what torch brings along on a system with
a graphics card is pinned by torch itself.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parent.parent

SYSTEMS: Final = (
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64"},
)
PYTHONS: Final = ("3.11", "3.12", "3.13")

ELSEWHERE: Final = {"audioop-lts": "0.2.2", "colorama": "0.4.6"}
"""Versions of packages that another system or Python needs and this one may not have."""

LOCKS: Final = {"requirements.lock": (), "requirements-test.lock": ("test", "dev")}
"""Each lock file and the extras that it holds besides the run-time packages."""

HEAD: Final = "# Written by tools/lock.py from pyproject.toml; change that, then `make lock`.\n"


def lock(extras: Iterable[str]) -> str:
    """Return the text of a lock file for the run-time packages and these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted: list[str] = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    markers = closure([Requirement(line) for line in wanted])
    return HEAD + "".join(f"{line}\n" for line in sorted(_lines(markers)))


def closure(wanted: Iterable[Requirement]) -> dict[str, set[str]]:
    """Follow requirements to the end.

    Returns:
        For each package the conditions under which it is needed; an empty set says always.
    """
    needed: dict[str, set[str]] = {}
    waiting = [(requirement, "") for requirement in wanted]
    seen: set[tuple[str, str, str]] = set()
    while waiting:
        requirement, inherited = waiting.pop()
        name = canonicalize_name(requirement.name)
        condition = _condition(requirement.marker, inherited)
        step = (name, ",".join(sorted(requirement.extras)), condition)
        if condition == "never" or step in seen:
            continue
        seen.add(step)
        if not condition:
            needed[name] = set()
        elif needed.get(name, {condition}):
            needed.setdefault(name, set()).add(condition)
        waiting += [(child, condition) for child in _children(name, requirement.extras)]
    return needed


def _condition(marker: Marker | None, inherited: str) -> str:
    """Return when a requirement counts: "" for always, "never", or a marker."""
    if marker is None:
        return inherited
    verdicts = {
        marker.evaluate({**system, "python_version": python, "extra": ""})
        for system, python in itertools.product(SYSTEMS, PYTHONS)
    }
    if verdicts == {False}:
        return "never"
    if verdicts == {True}:
        return inherited
    return f"({inherited}) and ({marker})" if inherited else str(marker)


def _children(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield what an installed package asks for, with the extras it was asked for with."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        child = Requirement(line)
        if child.marker is None or "extra" not in str(child.marker):
            yield child
        elif any(child.marker.evaluate({"extra": extra}) for extra in extras):
            child.marker = None
            yield child


def _lines(needed: dict[str, set[str]]) -> Iterator[str]:
    """Yield ``name==version`` lines, with a marker where not every system needs the package."""
    for name, conditions in needed.items():
        try:
            version = Version(metadata.version(name)).public
        except metadata.PackageNotFoundError:
            version = ELSEWHERE[name]
        marker = " or ".join(sorted(conditions))
        yield f"{name}=={version}" + (f" ; {marker}" if marker else "")


def main() -> int:
    """Write the lock files, or say which one is out of date."""
    parser = argparse.ArgumentParser(description="Write the lock files from this environment.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    check = parser.parse_args().check
    stale = False
    for name, extras in LOCKS.items():
        path, text = ROOT / name, lock(extras)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if check:
            print(f"{name} does not say what pyproject.toml leads to: run `make lock`")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{name}: {text.count('==')} packages")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
