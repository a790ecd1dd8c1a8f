"""A1111's user options under A1111's names: read, checked, changed and kept in ``config.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """One complete set of options; a change makes a new one."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """Return the value of an option; UnknownNameError if there is no such option."""
        raise NotImplementedError

    def whole(self, key: str) -> int:
        """Return an option that is a whole number."""
        raise NotImplementedError

    def number(self, key: str) -> float:
        """Return an option that is a number."""
        raise NotImplementedError

    def text(self, key: str) -> str:
        """Return an option that is a text; a missing one is empty."""
        raise NotImplementedError

    def flag(self, key: str) -> bool:
        """Return an option that is on or off."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """Return a copy of all options, as ``GET /sdapi/v1/options`` answers them."""
        raise NotImplementedError

    def with_overrides(self, values: Mapping[str, Any]) -> "Options":
        """Return the options that hold for one request; nothing is kept."""
        raise NotImplementedError


class OptionsStore:
    """The options that hold now."""

    def current(self) -> Options:
        """Return the options that hold now."""
        raise NotImplementedError

    def update(self, values: Mapping[str, Any]) -> Options:
        """Check these values, keep them in ``config.json`` and return the new options."""
        raise NotImplementedError
