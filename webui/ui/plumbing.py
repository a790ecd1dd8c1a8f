"""How events travel: never as a public interface, and never one person behind another."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import gradio as gr

FOLLOWING: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "multiple",
}
"""For an event that follows a job or a question: a second click begins a second one."""

QUICK: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
}
"""For an event that is answered at once."""


def asset(name: str) -> str:
    """Return the text of a script or style sheet that ships with the page."""
    return (files("webui.ui") / "assets" / name).read_text("utf-8")


def board(value: str, *, elem_id: str, render: bool = True) -> gr.HTML:
    """Make a piece of HTML whose pictures and buttons can be clicked; see ``board.js``."""
    return gr.HTML(
        value,
        elem_id=elem_id,
        apply_default_css=False,
        js_on_load=asset("board.js"),
        render=render,
    )


def plain_html(
    value: str, *, elem_id: str, elem_classes: Sequence[str] = (), render: bool = True
) -> gr.HTML:
    """Make a piece of HTML that is only looked at."""
    return gr.HTML(
        value,
        elem_id=elem_id,
        elem_classes=list(elem_classes),
        apply_default_css=False,
        js_on_load=None,
        render=render,
    )


def surely(elem_id: str) -> str:
    """Return a script that asks once more, in the button's own words; no means that none is named.

    Args:
        elem_id: Of the button.
    """
    return f"name => confirm(document.getElementById('{elem_id}').textContent + '?') ? name : null"
