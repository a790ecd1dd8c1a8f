"""Infotext: the settings of a picture as A1111 writes and reads them.

::

    a cat                                        the prompt, any number of lines
    Negative prompt: dog                         left out when empty
    Steps: 20, Sampler: Euler a, Seed: 1, ...    one line of settings

Keys, their order and the quoting are A1111's, so that its users' tools read our pictures and we
read theirs. Settings that change the picture but that A1111 leaves out are written as well.
What is written here is read again without a loss, but for the white space around a line.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from webui.library.infotext_entries import entries
from webui.library.infotext_keys import ASSUMED, OPTION_KEYS, fields_of_request
from webui.library.infotext_past import modern
from webui.library.infotext_values import quote, unquote
from webui.modules.errors import RangeError
from webui.modules.text.prompt import BREAK, weighted
from webui.modules.types import GenerationPlan

MIN_PAIRS: Final = 3
"""With fewer settings the last line is taken for a part of the prompt."""

_NEGATIVE: Final = "Negative prompt:"
_EMPTY: Final = '""'
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])+"(?=,|$)')
_PAIR: Final = re.compile(r"^(\d+)x(\d+)$")

Parsed = dict[str, str | int | bool]
"""What a text says: settings by key as text, and what A1111 assumes for those left out."""

__all__ = ["OPTION_KEYS", "Parsed", "parse", "quote", "request_fields", "unquote", "write"]


def write(
    plan: GenerationPlan, index: int, *, version: str, user: str = "", hash_start: bool = False
) -> str:
    """Return the infotext of one picture of a plan.

    Args:
        plan: What was drawn.
        index: Which of its pictures, from 0.
        version: Program and version that drew it.
        user: Who asked for it; empty leaves the key out.
        hash_start: Say from which picture it was drawn (``save_init_img``).
    """
    pairs: dict[str, object] = dict(_unreadable(plan, index))
    told = entries(plan, index, hash_start=hash_start)
    for key, value in (*told, ("Version", version), ("User", user)):
        if value != "":
            pairs.setdefault(key, value)
    settings = ", ".join(f"{key}: {quote(value) or _EMPTY}" for key, value in pairs.items())
    negative = plan.negative_prompts[index]
    negative_line = f"\n{_NEGATIVE} {negative}" if negative else ""
    return f"{plan.prompts[index]}{negative_line}\n{settings}".strip()


def _unreadable(plan: GenerationPlan, index: int) -> Iterator[tuple[str, str]]:
    """Yield prompts that the lines above the settings could not give back, as settings."""
    wanted = (plan.prompts[index], plan.negative_prompts[index])
    lines = f"{wanted[0]}\n{_NEGATIVE} {wanted[1]}" if wanted[1] else wanted[0]
    found = _split_prompts(lines.strip().split("\n"))
    for key, text, again in zip(("Prompt", "Negative prompt"), wanted, found, strict=True):
        if _bare(text) != _bare(again):
            yield key, text


def _bare(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def parse(text: str) -> Parsed:
    """Return what an infotext says, in time proportional to its length; never fails.

    The result has the keys "Prompt" and "Negative prompt", the settings by their keys, sizes
    split into "Size-1" and "Size-2", and A1111's assumptions for settings that are left out.
    """
    *lines, last = text.strip().split("\n")
    pairs = list(_pairs(last))
    if len(pairs) < MIN_PAIRS:
        lines.append(last)
        pairs = []
    prompt, negative = _split_prompts(lines)
    found: Parsed = {"Prompt": prompt, "Negative prompt": negative}
    for key, value in pairs:
        found.update(_setting(key, value))
    emphasis = _uses_emphasis(str(found["Prompt"])) or _uses_emphasis(str(found["Negative prompt"]))
    found |= modern(found)
    if "Emphasis" not in found and emphasis:
        found["Emphasis"] = "Original"
    return {key: value for key, value in ASSUMED.items() if key not in found} | found


def request_fields(parsed: Mapping[str, str | int | bool]) -> dict[str, Any]:
    """Return the fields of a ``GenerationRequest`` that ask for the same picture again.

    "start", "hires" and "refiner" are there if the text speaks of them: mappings with the names of
    the fields of ``StartRequest`` (with "masked" in it), ``HiresRequest`` and ``RefinerRequest``.
    So is "extensions": the settings of each, by its name.
    A text holds no pictures, so those of "start" are missing.

    Raises:
        InfotextError: If a setting has a value that it cannot have, such as "Steps: many".
    """
    return fields_of_request(parsed)


def _split_prompts(lines: list[str]) -> tuple[str, str]:
    texts: tuple[list[str], list[str]] = ([], [])
    which = 0
    for raw in lines:
        line = raw.strip()
        if line.startswith(_NEGATIVE):
            which = 1
            line = line.removeprefix(_NEGATIVE).strip()
        if texts[which] or line:
            texts[which].append(line)
    return "\n".join(texts[0]), "\n".join(texts[1])


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    r"""Yield what A1111 finds with ``\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)``.

    That expression takes quadratic time on long words; this walk looks at each letter once.
    """
    start = 0
    while (colon := line.find(":", start)) >= 0:
        key = _key_before(line, start, colon)
        start = colon + 1
        if len(key) < len("xx"):
            continue
        while start < len(line) and line[start].isspace():
            start += 1
        quoted = _QUOTED.match(line, start)
        comma = quoted.end() if quoted else line.find(",", start)
        end = len(line) if comma < 0 else comma
        yield key, line[start:end]
        start = end + 1


def _key_before(line: str, low: int, colon: int) -> str:
    start = colon
    while start > low and (_in_word(line[start - 1]) or line[start - 1] in " -/"):
        start -= 1
    while start < colon and not _in_word(line[start]):
        start += 1
    return line[start:colon]


def _in_word(letter: str) -> bool:
    return letter == "_" or letter.isalnum()


def _setting(key: str, value: str) -> dict[str, str]:
    if not value:
        return {}
    plain = unquote(value)
    size = _PAIR.match(plain)
    return {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: plain}


def _uses_emphasis(text: str) -> bool:
    if "(" not in text and "[" not in text:
        return False
    try:
        return any(piece.weight != 1 and piece.text != BREAK for piece in weighted(text))
    except RangeError:
        return True
