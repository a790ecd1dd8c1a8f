"""A1111's user options under A1111's names: read, checked, changed and kept in ``config.json``.

``options.json`` beside this file holds every key with its default. The defaults are A1111's, but
for ``randn_source``: pictures here start from the CPU's noise, which is the same on all machines.
"""

import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from webui.library.saving import replace_file
from webui.modules.errors import ForbiddenError, RangeError, UnknownNameError, WebuiError
from webui.settings import Settings, read_config

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "CLIP_stop_at_last_layers": (1, 12),
    "comma_padding_backtrack": (0, 74),
    "eta_ancestral": (0, 1),
    "eta_ddim": (0, 1),
    "s_churn": (0, 100),
    "s_tmin": (0, 1000),
    "s_tmax": (0, 1000),
    "s_noise": (0, 10),
    "s_min_uncond": (0, 15),
    "skip_early_cond": (0, 1),
    "sigma_min": (0, 2),
    "sigma_max": (0, 1000),
    "rho": (0, 50),
    "beta_dist_alpha": (0.01, 5),
    "beta_dist_beta": (0.01, 5),
    "uni_pc_order": (1, 50),
    "eta_noise_seed_delta": (0, 2**62),
    "token_merging_ratio": (0, 0.9),
    "token_merging_ratio_img2img": (0, 0.9),
    "token_merging_ratio_hr": (0, 0.9),
    "img2img_extra_noise": (0, 1),
    "ESRGAN_tile": (0, 2048),
    "ESRGAN_tile_overlap": (0, 256),
    "jpeg_quality": (1, 100),
    "directories_max_prompt_words": (1, 20),
}
"""Lowest and highest value of options that act on pictures; other numbers are only finite."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "randn_source": ("CPU", "GPU", "NV"),
    "emphasis": ("Original", "No norm", "Ignore", "None"),
    "infotext_styles": ("Ignore", "Apply", "Discard", "Apply if any"),
    "samples_format": ("png", "jpg", "jpeg", "webp", "avif"),
    "hires_fix_refiner_pass": ("first pass", "second pass", "both passes"),
    "uni_pc_variant": ("bh1", "bh2", "vary_coeff"),
    "uni_pc_skip_type": ("time_uniform", "time_quadratic", "logSNR"),
}
"""Options that take one of a few words."""

PATTERNS: Final = frozenset({"samples_filename_pattern", "directories_filename_pattern"})
"""Options that name files; they must not lead out of the outputs folder."""

OWNERS: Final = frozenset({"temp_dir", "font", "outdir_save"})
"""Options that name places on this machine, beside all ``outdir_`` ones: not for visitors."""


@cache
def defaults() -> Mapping[str, Any]:
    """Return every option with its default."""
    text = files("webui.services").joinpath("options.json").read_text(encoding="utf-8")
    return MappingProxyType(json.loads(text))


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """One complete set of options; a change makes a new one."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        """Return the value of an option.

        Raises:
            UnknownNameError: If there is no such option.
        """
        if key not in self.values:
            raise _unknown(key)
        return self.values[key]

    def whole(self, key: str) -> int:
        """Return an option that is a whole number."""
        return int(self[key])

    def number(self, key: str) -> float:
        """Return an option that is a number."""
        return float(self[key])

    def text(self, key: str) -> str:
        """Return an option that is a text; a missing one is empty."""
        return str(self[key] or "")

    def flag(self, key: str) -> bool:
        """Return an option that is on or off."""
        return bool(self[key])

    def as_dict(self) -> dict[str, Any]:
        """Return a copy of all options, as ``GET /sdapi/v1/options`` answers them."""
        return dict(self.values)

    def with_overrides(self, values: Mapping[str, Any]) -> "Options":
        """Return the options that hold for one request; nothing is kept.

        Raises:
            UnknownNameError: If there is no option of a name.
            RangeError: If a value does not fit its option.
            ForbiddenError: If an option names a place on this machine.
        """
        checked = {key: _checked_of_visitor(key, value) for key, value in values.items()}
        return Options(values=MappingProxyType({**self.values, **checked}))


class OptionsStore:
    """The options that hold now, and the file that keeps them."""

    def __init__(self, settings: Settings, *, title_of: Callable[[str, str], str]) -> None:
        """Begin with what the config file says.

        Args:
            settings: Where the file is, what it holds and whether it may change.
            title_of: Returns the full title of a model that is named by an option; raises
                UnknownNameError if there is none.
        """
        self._file: Path = settings.folders.config_file
        self._frozen = settings.frozen_options
        self._title_of = title_of
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        values = dict(defaults())
        problems: list[str] = []
        for key, value in settings.options.items():
            # Keys of A1111's extensions are not ours to judge; they stay in the file.
            if key in values:
                try:
                    values[key] = _checked(key, value)
                except WebuiError as problem:
                    problems.append(str(problem))
        self._current = Options(values=MappingProxyType(values))
        self.problems = tuple(problems)

    def current(self) -> Options:
        """Return the options that hold now."""
        return self._current

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Call this after each change."""
        self._listeners.append(listener)

    def update(self, values: Mapping[str, Any]) -> Options:
        """Check these values, keep them in ``config.json`` and return the new options.

        Raises:
            UnknownNameError: If there is no option, or no model, of a name.
            RangeError: If a value does not fit its option.
            ForbiddenError: If the options are frozen or name a place on this machine.
            StorageError: If the file cannot be written; then nothing has changed.
        """
        if self._frozen:
            message = "the options of this server are frozen"
            raise ForbiddenError(message, hint="Start it without --freeze-settings.")
        with self._lock:
            fresh = self._current.with_overrides(values)
            changes = {key: self._settled(key, fresh[key]) for key in values}
            if changes:
                kept = {**read_config(self._file).values, **changes}
                text = json.dumps(kept, indent=4, ensure_ascii=False)
                replace_file(self._file, text.encode())
            self._current = Options(values=MappingProxyType({**fresh.values, **changes}))
        for listener in self._listeners:
            listener()
        return self._current

    def _settled(self, key: str, value: Any) -> Any:
        named = key in ("sd_model_checkpoint", "sd_vae")
        return self._title_of(key, value) if named and value else value


def _checked_of_visitor(key: str, value: Any) -> Any:
    if key in OWNERS or key.startswith("outdir_"):
        message = f"{key} names a place on this machine and cannot be set from outside"
        raise ForbiddenError(message, hint="Its owner can write it into config.json.", value=key)
    return _checked(key, value)


def _checked(key: str, value: Any) -> Any:
    known = defaults()
    if key not in known:
        raise _unknown(key)
    default = known[key]
    if key in CHOICES:
        return _chosen(key, value)
    if isinstance(default, bool):
        return _of_type(key, value, bool, "true or false")
    if isinstance(default, int | float):
        return _number(key, value, whole=isinstance(default, int))
    if isinstance(default, list):
        return _names(key, value)
    return _text(key, value)


def _unknown(key: str) -> UnknownNameError:
    message = f"there is no option {key[:100]!r}"
    hint = "GET /sdapi/v1/options lists all of them."
    return UnknownNameError(message, hint=hint, value=key[:100])


def _wrong(key: str, value: Any, wanted: str) -> RangeError:
    shown = repr(value)[:100]
    message = f"option {key} is {shown}, not {wanted}"
    return RangeError(message, hint=f"Use {wanted}.", value=shown)


def _of_type(key: str, value: Any, kind: type, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(key, value, wanted)
    return value


def _chosen(key: str, value: Any) -> str:
    if value not in CHOICES[key]:
        raise _wrong(key, value, "one of " + ", ".join(CHOICES[key]))
    return value


def _number(key: str, value: Any, *, whole: bool) -> float:
    low, high = RANGES.get(key, (-math.inf, math.inf))
    wanted = "a whole number" if whole else "a number"
    if key in RANGES:
        wanted += f" from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(key, value, wanted)
    if not math.isfinite(value) or not low <= value <= high or (whole and value != int(value)):
        raise _wrong(key, value, wanted)
    return int(value) if whole else float(value)


def _names(key: str, value: Any) -> list[str]:
    names: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
    if not all(isinstance(name, str) for name in names):
        raise _wrong(key, value, "a list of names")
    return names


def _text(key: str, value: Any) -> str | None:
    if value is None:
        return None
    text: str = _of_type(key, value, str, "a text")
    if key in PATTERNS and (".." in text or text.startswith(("/", "\\", "~")) or ":" in text[:2]):
        raise _wrong(key, value, "a pattern inside the outputs folder")
    return text
