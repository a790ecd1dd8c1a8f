"""How this server was started: defaults < config file < environment < flags, built once, frozen.

Sections of ``config.json`` (``server``, ``device``, ``limits``, ``folders``) hold what the owner of
the machine decides; every other key of that file is one of A1111's user options and belongs to
``services/options``. The environment says the same as the flags: ``ATELIER_PORT`` is ``--port``.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

import psutil
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from webui.modules.errors import SettingsError, StorageError

ENVIRONMENT_PREFIX: Final = "ATELIER_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Where files lie.

    Attributes:
        data_dir: Holds everything that is not given elsewhere.
        config_file: A1111 options and the sections of these settings, as JSON.
        a1111_home: An A1111 tree whose model folders are read as well; never written to.
        ckpt_dir: One more checkpoint folder; likewise the next four for their kinds.
    """

    data_dir: Path
    config_file: Path
    a1111_home: Path | None = None
    ckpt_dir: Path | None = None
    vae_dir: Path | None = None
    lora_dir: Path | None = None
    hypernetwork_dir: Path | None = None
    embeddings_dir: Path | None = None

    @property
    def outputs(self) -> Path:
        """Where finished pictures go."""
        return self.data_dir / "outputs"

    @property
    def training(self) -> Path:
        """Where training runs keep their pictures, states and logs."""
        return self.data_dir / "training"

    @property
    def inputs(self) -> Path:
        """Pictures that people gave to draw from; jobs and the history name them."""
        return self.data_dir / "inputs"

    @property
    def cache(self) -> Path:
        """What can be made again: thumbnails, pictures that nobody asked to keep."""
        return self.data_dir / "cache"

    @property
    def database(self) -> Path:
        """Jobs, history, people and the model index."""
        return self.data_dir / "atelier.sqlite3"

    @property
    def log_file(self) -> Path:
        """Where the server tells what went wrong."""
        return self.data_dir / "atelier.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody who may log in."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """How the page and the routes are reached.

    Attributes:
        port: First port to try.
        listen: Answer on every network address, not only on this machine's own.
        api: Offer the ``/sdapi/v1`` routes.
        invite: Print a one-time invitation link at start.
        browser: Open the page at start.
        auth: People as ``name:password``.
        auth_file: More of them, one a line.
        api_auth: People for the ``/sdapi/v1`` routes alone.
        allowed_hosts: Names beside its own under which the server may be called.
        uploads: Whether model files can be brought over the network.
        uploaders: Only these people may; empty for everybody whom the gate lets in.
    """

    port: int = 7860
    listen: bool = False
    api: bool = True
    invite: bool = False
    browser: bool = True
    auth: tuple[str, ...] = field(default=(), repr=False)
    auth_file: Path | None = None
    api_auth: tuple[str, ...] = field(default=(), repr=False)
    allowed_hosts: tuple[str, ...] = ()
    uploads: bool = True
    uploaders: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The address to listen on."""
        return "0.0.0.0" if self.listen else "127.0.0.1"  # noqa: S104 - only with people, see below

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody who may log in to the page."""
        return tuple(_people((*self.auth, *_lines(self.auth_file))))

    @property
    def api_people(self) -> tuple[Person, ...]:
        """Everybody who may use the ``/sdapi/v1`` routes with a password of their own."""
        return tuple(_people(self.api_auth))


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceSettings:
    """What to compute on; 0 threads: one for each physical core, one for small networks."""

    device: str = "auto"
    precision: Literal["auto", "exact", "bf16", "fp16"] = "auto"
    attention: str = "auto"
    threads: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much one request may ask for.

    Attributes:
        max_pixels: Width times height of one picture.
        max_side: Width or height in pixels.
        max_steps: Denoising steps.
        max_batch_size: Pictures denoised together.
        max_batch_count: Batches of one job.
        max_body_bytes: Size of one HTTP request.
        max_model_bytes: Size of a model file that somebody sends.
        max_training_bytes: Size of a set of pictures to train on, unpacked.
        max_training_files: Files of such a set.
        max_prompt_chars: Length of a prompt.
        max_queued_per_person: Jobs of one person that wait or run.
        turn_seconds: How long a training keeps the painter before it makes way for pictures.
    """

    max_pixels: int = 4_194_304
    max_side: int = 2048
    max_steps: int = 150
    max_batch_size: int = 16
    max_batch_count: int = 100
    max_body_bytes: int = 25_000_000
    max_model_bytes: int = 32_000_000_000
    max_training_bytes: int = 2_000_000_000
    max_training_files: int = 10_000
    max_prompt_chars: int = 20_000
    max_queued_per_person: int = 100
    turn_seconds: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that was decided at start.

    Attributes:
        folders: Where files lie.
        server: How the program is reached.
        device: What to compute on.
        limits: How much one request may ask for.
        hashing: Compute SHA-256 of model files.
        frozen_options: Nobody can change the user options.
        options: The user options found in the config file.
        problems: What was wrong in the config file, for people to read.
    """

    folders: Folders
    server: Server = field(default_factory=Server)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    limits: Limits = field(default_factory=Limits)
    hashing: bool = True
    frozen_options: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[str, ...] = ()


SECTIONS: Final[Mapping[str, type]] = {
    "folders": Folders,
    "server": Server,
    "device": DeviceSettings,
    "limits": Limits,
}
"""The parts of the settings that have several fields, by their name in the config file."""

TOP_LEVEL: Final[Mapping[str, type]] = {"hashing": bool, "frozen_options": bool}
"""The settings that stand alone."""

NEVER_IN_CONFIG: Final = frozenset({"folders.data_dir", "folders.config_file", "server.auth"})
"""Where the config file is cannot stand in it, and passwords do not belong there."""


def load(
    flags: Mapping[str, Any], *, environment: Mapping[str, str], home: Path | None = None
) -> Settings:
    """Return the settings of this start.

    Args:
        flags: Values from the command line under dotted names, such as ``server.port``.
        environment: Usually the process's own.
        home: The data dir when nobody names one; the program's own folder by default.

    Raises:
        SettingsError: If a flag or variable has no meaning, or the values contradict each other.
    """
    spoken = {**_from_environment(environment), **flags}
    data_dir = Path(spoken.get("folders.data_dir", home or _own_folder())).expanduser().absolute()
    config_file = Path(spoken.get("folders.config_file", data_dir / "config.json")).expanduser()
    config = read_config(config_file)
    written, problems = _from_config(config.values)
    checked = {name: _checked(name, value) for name, value in spoken.items()}
    merged = _merged(written, checked) | {
        "folders.data_dir": data_dir,
        "folders.config_file": config_file.absolute(),
    }
    parts: dict[str, Any] = {
        name: kind(**_section(merged, name)) for name, kind in SECTIONS.items()
    }
    alone: dict[str, Any] = {name: merged[name] for name in TOP_LEVEL if name in merged}
    settings = Settings(
        **parts,
        **alone,
        options={key: value for key, value in config.values.items() if not _is_ours(key)},
        problems=config.problems + problems,
    )
    _require_people(settings.server)
    return settings


def thread_count(settings: DeviceSettings) -> int:
    """Return how many threads compute: as asked, else one for each physical core we may use."""
    if settings.threads:
        return settings.threads
    usable = len(psutil.Process().cpu_affinity() or [0]) if psutil.LINUX else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or usable, usable))


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


def has_display(environment: Mapping[str, str], *, platform: str) -> bool:
    """Tell whether a browser could be shown on this machine."""
    if platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def stay_private(*, cache: Path) -> None:
    """Tell the libraries, before they are imported, that nothing may leave this machine.

    Args:
        cache: Where Gradio keeps what people upload.
    """
    os.environ.update(
        {
            "GRADIO_TEMP_DIR": str(cache / "uploads"),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }
    )


def let_idle_threads_sleep() -> None:
    """Tell OpenMP, before torch is imported, that a thread that waits must not burn its core.

    It spins by default. On a machine that also does something else each small step then waits for
    a thread that others keep from its core, and a picture takes ten times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# ------------------------------------------------------------------- the config file


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigFile:
    """What could be read, and what could not."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[str, ...] = ()


def read_config(path: Path) -> ConfigFile:
    """Return every readable key; a damaged file is copied to ``.bad-N`` and stays where it is.

    Raises:
        SettingsError: If there is a file that cannot be opened.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        return ConfigFile()
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}"
        raise SettingsError(message, hint="Check its permissions.", value=path) from problem
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as damage:
        values, reason = dict(_salvaged(text)), str(damage)
    else:
        if isinstance(values, dict):
            return ConfigFile(values=cast("dict[str, Any]", values))
        values, reason = {}, "it does not hold settings by name"
    kept = _copied_aside(path)
    problem = (
        f"{path.name} is damaged ({reason}); "
        f"{len(values)} settings could be kept, a copy of the file is {kept.name}"
    )
    return ConfigFile(values=values, problems=(problem,))


_KEY: Final = re.compile(r'[\s,{]*("(?:[^"\\]|\\.){1,200}")\s*:\s*')
_END_OF_VALUE: Final = re.compile(r"\s*[,}]")
_NEXT_LINE: Final = re.compile(r'\n {0,4}(?=")')


def _salvaged(text: str) -> Iterator[tuple[str, Any]]:
    """Yield every setting that is written whole; the rest of a damaged line is passed over."""
    decoder, position = json.JSONDecoder(), 0
    while key := _KEY.match(text, position):
        try:
            value, end = decoder.raw_decode(text, key.end())
            whole = _END_OF_VALUE.match(text, end) is not None
        except (ValueError, RecursionError):
            value, end, whole = None, key.end(), False
        if whole:
            yield json.loads(key[1]), value
            position = end
        elif following := _NEXT_LINE.search(text, end):
            position = following.end()
        else:
            return


def _copied_aside(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.bad-{number}")).exists():
        if copy.read_bytes() == path.read_bytes():
            return copy
        number += 1
    try:
        shutil.copy2(path, copy)
    except OSError as problem:
        message = f"{path} is damaged and cannot be copied to {copy.name}: {problem.strerror}"
        raise StorageError(message, hint="Free some space or repair the file.") from problem
    return copy


# ----------------------------------------------------------------------- the layers


def _from_config(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    good: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in _leaves(values):
        try:
            if name in NEVER_IN_CONFIG:
                message = f"{name} cannot stand in the config file"
                raise SettingsError(message, hint="Give it as a flag.", value=name)
            good[name] = _checked(name, value)
        except SettingsError as problem:
            problems.append(str(problem))
    return good, tuple(problems)


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if key in SECTIONS and isinstance(value, dict):
            section = cast("dict[str, Any]", value)
            yield from ((f"{key}.{name}", leaf) for name, leaf in section.items())
        elif _is_ours(key):
            yield key, value


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    named = {
        f"{ENVIRONMENT_PREFIX}{name.rpartition('.')[2].upper()}": name for name in _field_types()
    }
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable in named:
            name = named[variable]
            several = str(_field_types()[name]).startswith("tuple")
            found[name] = tuple(text.split(",")) if several else text
    return found


def _field_types() -> dict[str, Any]:
    inside = {
        f"{section}.{part.name}": part.type
        for section, kind in SECTIONS.items()
        for part in fields(kind)
    }
    return inside | dict(TOP_LEVEL)


def _checked(name: str, value: Any) -> Any:
    kind = _field_types().get(name)
    if kind is None:
        message = f"there is no setting {name}"
        raise SettingsError(message, hint="See docs for the list of settings.", value=name)
    try:
        checked = TypeAdapter(kind).validate_python(value)
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"]
        message = f"{name} is {value!r}: {reason}"
        raise SettingsError(message, hint="Correct or remove it.", value=value) from problem
    lowest = 0 if name == "device.threads" else 1
    if isinstance(checked, int) and not isinstance(checked, bool) and checked < lowest:
        message = f"{name} is {value!r}: it must be at least {lowest}"
        raise SettingsError(message, hint="Correct or remove it.", value=value)
    return checked


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one over the other without ever resolving ``${...}``: a file must not read secrets."""
    try:
        together = OmegaConf.merge(*(OmegaConf.create(dict(layer)) for layer in layers))
    except OmegaConfBaseException as problem:
        message = f"a setting cannot be read: {str(problem).splitlines()[0]}"
        raise SettingsError(message, hint="Write $ only before a letter.") from problem
    plain = cast("dict[str, Any]", OmegaConf.to_container(together, resolve=False))
    return {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in plain.items()
    }


def _section(merged: Mapping[str, Any], section: str) -> dict[str, Any]:
    prefix = f"{section}."
    return {
        name.removeprefix(prefix): value
        for name, value in merged.items()
        if name.startswith(prefix)
    }


def _is_ours(key: str) -> bool:
    return key in SECTIONS or key in TOP_LEVEL


def _own_folder() -> Path:
    """Return the folder of ``launch.py``, or the current one when installed as a package."""
    beside = Path(__file__).resolve().parents[1]
    return beside if (beside / "launch.py").is_file() else Path.cwd()


# ----------------------------------------------------------------------- the people


def _require_people(server: Server) -> None:
    people = server.people + server.api_people
    if server.listen and not people and not server.invite:
        message = "--listen opens the server to the network, and nobody is named who may log in"
        raise SettingsError(
            message,
            hint="Add --auth name:password, --auth-file FILE, or --invite for a one-time link.",
            value="--listen",
        )


def _people(texts: tuple[str, ...]) -> Iterator[Person]:
    for text in texts:
        name, colon, password = text.partition(":")
        if not (name.strip() and colon and password):
            message = f"a login must be written name:password, not {name!r}"
            raise SettingsError(message, hint="Write for example --auth anna:secret.", value=name)
        yield Person(name=name.strip(), password=password)


def _lines(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        message = f"{path} cannot be read: {problem}"
        raise SettingsError(message, hint="Give a text file of name:password lines.") from problem
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))
