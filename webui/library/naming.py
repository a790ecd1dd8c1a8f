"""File and folder names of pictures from A1111's patterns: ``[seed]-[prompt_words]``."""

import hashlib
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webui.modules.sampling.catalogue import find_scheduler
from webui.modules.types import GenerationPlan, Picture

MAX_NAME_BYTES: Final = 200
"""Of one name in UTF-8; file systems hold 255, and a number and an ending come on top."""

MAX_PART: Final = 128
"""Characters that one token may add, as in A1111."""

RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
)
"""Names that Windows keeps for devices."""

_FORBIDDEN: Final = str.maketrans(dict.fromkeys([*'#<>:"/\\|?*\n\r\t', *map(chr, range(32))], "_"))
_TOKEN: Final = re.compile(r"([^\[\]]*)(?:\[([^\[\]]+)\]|([\[\]])|$)")
_ARGUMENT: Final = re.compile(r"<([^<>]*)>$")
_NOT_LETTERS: Final = re.compile(rf"[\s{re.escape(string.punctuation)}]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedPicture:
    """What a name may be made from.

    Attributes:
        picture: Finished pixels.
        plan: What was drawn.
        moment: When it was finished, in the server's time zone.
        user: Who asked for it.
        words: How many words ``[prompt_words]`` keeps.
    """

    picture: Picture
    plan: GenerationPlan
    moment: datetime
    user: str = ""
    words: int = 8


def file_stem(pattern: str, subject: NamedPicture) -> str:
    """Return a file name without number and ending; safe on every system, may be empty."""
    return _safe(_fill(pattern, subject))


def folder_parts(pattern: str, subject: NamedPicture) -> tuple[str, ...]:
    """Return the sub-folders of a pattern such as ``[date]/[model_name]``, each name safe."""
    filled = [_fill(part, subject) for part in re.split(r"[/\\]", pattern)]
    return tuple(safe for part in filled if (safe := _safe(part)))


def clean(text: str, *, spaces: bool = False) -> str:
    """Return text for one token: without signs that file names cannot hold.

    Args:
        text: Any text.
        spaces: Keep spaces instead of underscores.
    """
    kept = text if spaces else text.replace(" ", "_")
    return kept.translate(_FORBIDDEN).lstrip(" ")[:MAX_PART].rstrip(" .")


def _safe(text: str) -> str:
    cut = text.translate(_FORBIDDEN).encode("utf-8", errors="replace")[:MAX_NAME_BYTES]
    name = cut.decode("utf-8", errors="ignore").lstrip(" .").rstrip(" .")
    return f"_{name}" if name.split(".")[0].lower() in RESERVED else name


def _fill(pattern: str, subject: NamedPicture) -> str:
    filled = ""
    for text, token, stray in _TOKEN.findall(pattern):
        if not token:
            filled += text + stray
            continue
        name, arguments = _split(token)
        maker = _MAKERS.get(name.lower())
        value = None if maker is None else maker(subject, arguments)
        if value is None:
            filled += f"{text}[{token}]"
        elif value is not _SKIP:
            filled += text + value
    return filled


def _split(token: str) -> tuple[str, list[str]]:
    arguments: list[str] = []
    while match := _ARGUMENT.search(token):
        arguments.insert(0, match[1])
        token = token[: match.start()]
    return token, arguments


_SKIP: Final = "\0"
"""A token that does not apply; the text before it is left out with it."""

_Maker = Callable[[NamedPicture, list[str]], str | None]


def _prompt(subject: NamedPicture) -> str:
    return subject.plan.prompts[subject.picture.index]


def _negative(subject: NamedPicture) -> str:
    return subject.plan.negative_prompts[subject.picture.index]


def _words(subject: NamedPicture) -> str:
    words = [word for word in _NOT_LETTERS.split(_prompt(subject)) if word]
    return clean(" ".join(words[: subject.words]) or "empty", spaces=True)


def _moment(subject: NamedPicture, arguments: list[str]) -> str:
    """``[datetime<format><time zone>]``; what cannot be understood falls back to A1111's form."""
    layout = arguments[0] if arguments and arguments[0] else "%Y%m%d%H%M%S"
    moment = subject.moment
    try:
        if len(arguments) > 1:
            moment = moment.astimezone(ZoneInfo(arguments[1]))
        text = moment.strftime(layout)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        text = moment.strftime("%Y%m%d%H%M%S")
    return clean(text, spaces=True)


def _hash(text: str, arguments: list[str]) -> str:
    digits = int(arguments[0]) if arguments and arguments[0].isdecimal() else 8
    return hashlib.sha256(text.encode()).hexdigest()[: digits or None]


def _has(subject: NamedPicture, arguments: list[str]) -> str:
    """``[hasprompt<cat|feline><dog>]``: the words that the prompt has, or their substitutes."""
    lowered = _prompt(subject).lower()
    found: list[str] = []
    for argument in arguments:
        word, _, otherwise = argument.partition("|")
        found.append(word if word.lower() in lowered else otherwise)
    return clean("".join(found))


def _walk(subject: NamedPicture) -> str:
    sampling = subject.plan.sampling
    scheduler = find_scheduler(sampling.scheduler)
    plain = scheduler.name == "automatic"
    return sampling.sampler if plain else f"{sampling.sampler} {scheduler.label}"


def _batch_number(subject: NamedPicture) -> str:
    size = subject.plan.batch_size
    return _SKIP if size == 1 else str(subject.picture.index % size + 1)


def _generation_number(subject: NamedPicture) -> str:
    return _SKIP if len(subject.plan.seeds) == 1 else str(subject.picture.index + 1)


def _vae(subject: NamedPicture) -> str:
    vae = subject.plan.vae
    return clean(vae.stem, spaces=True) if vae else "NoneType"


_MAKERS: Final[Mapping[str, _Maker]] = {
    "seed": lambda it, _: str(it.plan.seeds[it.picture.index]),
    "seed_first": lambda it, _: str(it.plan.seeds[0]),
    "seed_last": lambda it, _: str(it.plan.seeds[-1]),
    "steps": lambda it, _: str(it.plan.sampling.steps),
    "cfg": lambda it, _: str(it.plan.sampling.guidance),
    "width": lambda it, _: str(it.picture.width),
    "height": lambda it, _: str(it.picture.height),
    "sampler": lambda it, _: clean(it.plan.sampling.sampler),
    "scheduler": lambda it, _: clean(find_scheduler(it.plan.sampling.scheduler).label),
    "sampler_scheduler": lambda it, _: clean(_walk(it)),
    "model_hash": lambda it, _: it.plan.checkpoint.shorthash,
    "model_name": lambda it, _: clean(it.plan.checkpoint.stem, spaces=True),
    "vae_filename": lambda it, _: _vae(it),
    "date": lambda it, _: it.moment.strftime("%Y-%m-%d"),
    "datetime": _moment,
    "job_timestamp": lambda it, _: it.moment.strftime("%Y%m%d%H%M%S"),
    "prompt": lambda it, _: clean(_prompt(it)),
    "prompt_no_styles": lambda it, _: clean(_prompt(it)),
    "prompt_spaces": lambda it, _: clean(_prompt(it), spaces=True),
    "prompt_words": lambda it, _: _words(it),
    "prompt_hash": lambda it, more: _hash(_prompt(it), more),
    "negative_prompt_hash": lambda it, more: _hash(_negative(it), more),
    "full_prompt_hash": lambda it, more: _hash(f"{_prompt(it)} {_negative(it)}", more),
    "image_hash": lambda it, more: hashlib.sha256(it.picture.rgb).hexdigest()[
        : int(more[0]) if more and more[0].isdecimal() else None
    ],
    "hasprompt": _has,
    "clip_skip": lambda it, _: str(it.plan.text.clip_skip),
    "batch_size": lambda it, _: str(it.plan.batch_size),
    "batch_number": lambda it, _: _batch_number(it),
    "generation_number": lambda it, _: _generation_number(it),
    "user": lambda it, _: clean(it.user),
    "none": lambda _it, _: "",
}
