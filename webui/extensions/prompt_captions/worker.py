"""The prompt of a picture that was drawn, as its caption: without weights, tags and settings."""

import re
from typing import Final

from webui.hooks.spec import Uncaptioned

KEYS: Final = ("parameters", "UserComment", "Comment", "Description")
"""Under which names programs keep the settings text, the most usual first."""

_END: Final = re.compile(r"^(Negative prompt:|Steps: \d)", re.MULTILINE)
"""Where the prompt ends in A1111's settings text."""

_TAG: Final = re.compile(r"<[^<>\n]{1,200}>")
"""A LoRA or hypernetwork that was called: not something that is seen."""

_WEIGHT: Final = re.compile(r"(?<!\\)\(((?:\\.|[^()\\\n])*?)(?::\s*-?\d+(?:\.\d+)?)?\)")
_SIGNS: Final = re.compile(r"(?<!\\)[\[\]()]")
_COMMAS: Final = re.compile(r"\s*,[\s,]*")


def caption(picture: Uncaptioned) -> str:
    """Propose the prompt that the picture was drawn from; nothing if it carries none."""
    said = next((picture.texts[key] for key in KEYS if picture.texts.get(key)), "")
    if not _END.search(said):
        return ""  # a text, but not of settings
    prompt = _TAG.sub("", said[: _END.search(said).start()])  # pyright: ignore[reportOptionalMemberAccess] - found above
    while (plain := _WEIGHT.sub(r"\1", prompt)) != prompt:
        prompt = plain
    prompt = _SIGNS.sub("", prompt).replace("\\(", "(").replace("\\)", ")")
    return _COMMAS.sub(", ", " ".join(prompt.split())).strip(" ,")
