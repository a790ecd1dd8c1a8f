"""All captions changed in one way: words put before or behind, replaced, tags taken out."""

from collections.abc import Callable, Mapping
from typing import Final

from webui.modules.errors import RequestError


def _before(caption: str, text: str, _into: str) -> str:
    return ", ".join(filter(None, (text.strip(" ,"), caption)))


def _behind(caption: str, text: str, _into: str) -> str:
    return ", ".join(filter(None, (caption, text.strip(" ,"))))


def _replaced(caption: str, text: str, into: str) -> str:
    return caption.replace(text, into)


def _without(caption: str, text: str, _into: str) -> str:
    tags = [tag.strip() for tag in caption.split(",")]
    return ", ".join(tag for tag in tags if tag and tag.lower() != text.strip().lower())


WAYS: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "prefix": _before,
    "suffix": _behind,
    "replace": _replaced,
    "remove_tag": _without,
}
"""What can be done to all captions; tags are what stands between commas."""


def changed(caption: str, action: str, text: str, into: str = "") -> str:
    """Return a caption changed.

    Args:
        caption: As it is.
        action: A key of ``WAYS``.
        text: What is put there, looked for, or taken out.
        into: What takes its place, for "replace".

    Raises:
        RequestError: If there is no such way, or no text.
    """
    way = WAYS.get(action)
    if way is None:
        message = f"captions cannot be changed by {action[:80]!r}"
        raise RequestError(message, hint=f"Use {', '.join(WAYS)}.", value=action[:80])
    if not text.strip(" ,"):
        message = "there is no text to change captions by"
        raise RequestError(message, hint="Write one.", value=action)
    return way(caption, text, into)
