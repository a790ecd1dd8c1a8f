"""A name from a stranger as a name for a file: one part, safe on every system, never hidden."""

import re
import unicodedata
from typing import Final

from webui.library.naming import MAX_NAME_BYTES, RESERVED

FALLBACK: Final = "model"
"""For a name of which nothing is left."""

_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*,\x00-\x1f\x7f]+')
_SPACE: Final = re.compile(r"\s+")


def safe_stem(name: str) -> str:
    """Return a file name without folder and ending; letters of all languages stay.

    What a path, a prompt's tag or a foreign system would read as something else becomes ``_``:
    slashes, colons, commas, angle brackets, control characters; invisible marks that turn the
    direction of writing are left out.

    Args:
        name: As it was sent, perhaps a whole path.
    """
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    plain = unicodedata.normalize("NFC", last.encode("utf-8", "ignore").decode("utf-8"))
    shown = "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cf", "Co", "Cn"))
    stem = shown.rpartition(".")[0] if "." in shown.strip(".") else shown
    stem = _SPACE.sub(" ", _FORBIDDEN.sub("_", stem)).strip(" .")
    stem = stem.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    if stem.split(".")[0].lower().strip() in RESERVED:
        stem = f"_{stem}"
    return stem or FALLBACK


def ending(name: str) -> str:
    """Return the ending of a name with its dot, lower case, or nothing."""
    match = re.search(r"\.([A-Za-z0-9]{1,16})$", name)
    return f".{match[1].lower()}" if match else ""
