"""Whose request this is: the gate in front of everything has written it down."""

import gradio as gr

from webui.modules.errors import LoginNeededError


def person(request: gr.Request) -> str:
    """Return the name under which this person's jobs and pictures are kept.

    Raises:
        LoginNeededError: If the request did not come through the gate.
    """
    name = getattr(request.request.state, "person", None) if request.request else None
    if not name:
        message = "nobody is logged in"
        raise LoginNeededError(message, hint="Log in and try again.")
    return str(name)
