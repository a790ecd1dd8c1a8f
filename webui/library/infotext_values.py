"""Single values of an infotext: quoted where they must be, and read with their key in mind."""

import json
from collections.abc import Callable, Mapping
from typing import TypeVar

from webui.modules.errors import InfotextError

Parsed = Mapping[str, str | int | bool]
"""Settings by key, as ``infotext.parse`` returns them."""

Value = TypeVar("Value")


def quote(value: object) -> str:
    """Return a value as it stands in the settings line; quoted as JSON where it must be.

    A1111 leaves texts alone that begin with a quotation mark or end in a space, and then cannot
    read them; these are quoted here.
    """
    text = str(value)
    plain = not any(mark in text for mark in ",\n:") and text == text.strip()
    if plain and not text.startswith('"'):
        return text
    return json.dumps(text, ensure_ascii=False)


def unquote(text: str) -> str:
    """Return the value of a quoted text; any other text as it is."""
    if len(text) < len('""') or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def flag(text: str) -> bool:
    """Return what a text that says yes or no says.

    Raises:
        KeyError: If it says neither.
    """
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def number(text: str) -> float:
    """Return a number; infinity and not-a-number are none.

    Raises:
        ValueError: If it is no number.
    """
    value = float(text)
    if value - value != 0:
        raise ValueError(text)
    return value


def read(parsed: Parsed, key: str, how: Callable[[str], Value]) -> Value:
    """Return the value of a key that is there.

    Raises:
        InfotextError: If it cannot be read in this way.
    """
    text = str(parsed[key])
    try:
        return how(text)
    except (ValueError, KeyError) as error:
        message = f"the settings text says {key}: {text[:80]!r}"
        hint = "Correct this value in the text."
        raise InfotextError(message, hint=hint, value=text[:80]) from error


def wording(parsed: Parsed, key: str) -> str:
    """Return a text; empty if it is not there.

    A name such as "512x512" was split like a size when it was parsed, and is joined again.
    """
    if key in parsed:
        return str(parsed[key])
    if f"{key}-1" in parsed and f"{key}-2" in parsed:
        return f"{parsed[f'{key}-1']}x{parsed[f'{key}-2']}"
    return ""


def pair(parsed: Parsed, key: str) -> tuple[int, int]:
    """Return width and height, (0, 0) if they are not there.

    Raises:
        InfotextError: If one of them is no whole number.
    """
    if f"{key}-1" not in parsed:
        return 0, 0
    return read(parsed, f"{key}-1", int), read({f"{key}-2": 0, **parsed}, f"{key}-2", int)


def when(value: object, *, said: bool) -> object:
    """Return the value if it is to be said, else the empty text, which leaves its key out."""
    return value if said else ""
