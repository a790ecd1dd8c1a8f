"""Who may use which path: one table for every route of the program, Gradio's included.

What stands in no line is for nobody. Gradio brings many routes that this program does not use
(recordings, profiling, proxies, a code writer ...): they are left out on purpose.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Who may use a route."""

    ANYONE = "anyone"
    """Also without a login; says nothing about anybody."""

    API = "api"
    """A person, or a program with a password for the ``/sdapi/v1`` routes."""

    PERSON = "person"
    """Somebody who is logged in, or who sits at this machine."""

    NOBODY = "nobody"
    """Not offered."""


READ: Final = frozenset({"GET", "HEAD"})
SEND: Final = frozenset({"POST"})
ANY: Final = READ | SEND
OURS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One line of the table.

    Attributes:
        path: A regular expression for the whole path.
        methods: Which methods are offered there.
        role: Who may.
        page: Whether Gradio's looser content policy holds: its page and scripts.
        upload: Whether a form with files may be sent there.
        stream: Whether the answer stays open; each person has a limited number of those.
        model: Whether the body may be as large as a model file.
    """

    path: str
    methods: frozenset[str]
    role: Role
    page: bool = False
    upload: bool = False
    stream: bool = False
    model: bool = False


RULES: Final = (
    Rule(path=r"/healthz", methods=READ, role=Role.ANYONE),
    Rule(path=r"/login", methods=ANY, role=Role.ANYONE),
    Rule(path=r"/favicon\.ico|/robots\.txt", methods=READ, role=Role.ANYONE),
    Rule(path=r"/logout", methods=SEND, role=Role.PERSON),
    Rule(path=r"/sdapi/v1/[a-z0-9/-]+", methods=ANY, role=Role.API),
    Rule(path=r"/atelier/v1/jobs/[^/]+/events", methods=READ, role=Role.PERSON, stream=True),
    Rule(path=r"/atelier/v1/models", methods=ANY, role=Role.PERSON, upload=True, model=True),
    Rule(
        path=r"/atelier/v1/training/sets(/[0-9a-f]{32})?",
        methods=OURS,
        role=Role.PERSON,
        upload=True,
        model=True,
    ),
    Rule(
        path=r"/atelier/v1/training/runs/[^/]+/events",
        methods=READ,
        role=Role.PERSON,
        stream=True,
    ),
    Rule(path=r"/atelier/v1/training/runs/.+", methods=OURS, role=Role.PERSON),
    Rule(path=r"/atelier/v1/[A-Za-z0-9/_.-]+", methods=OURS, role=Role.PERSON),
    Rule(path=r"/docs|/openapi\.json", methods=READ, role=Role.PERSON),
    # Gradio's page and what belongs to it
    Rule(path=r"/", methods=READ, role=Role.PERSON, page=True),
    Rule(path=r"/config|/theme\.css|/manifest\.json", methods=READ, role=Role.PERSON, page=True),
    Rule(path=r"/pwa_icon(/\d+)?", methods=READ, role=Role.PERSON, page=True),
    Rule(path=r"/(assets|static|svelte)/.+", methods=READ, role=Role.PERSON, page=True),
    Rule(
        path=r"/gradio_api/(startup-events|theme\.css|app_id|info)",
        methods=READ,
        role=Role.PERSON,
        page=True,
    ),
    Rule(
        path=r"/gradio_api/(heartbeat/[a-z0-9]+|queue/data|upload_progress)",
        methods=READ,
        role=Role.PERSON,
        stream=True,
    ),
    Rule(path=r"/gradio_api/file=.+", methods=READ, role=Role.PERSON),
    Rule(path=r"/gradio_api/(queue/join|reset|cancel)", methods=SEND, role=Role.PERSON),
    Rule(path=r"/gradio_api/upload", methods=SEND, role=Role.PERSON, upload=True),
)
"""Every path that is offered; the first line that fits decides."""

NOTHING: Final = Rule(path=r".*", methods=frozenset(), role=Role.NOBODY)
"""What holds for a path in no line."""

_PATTERNS: Final = tuple((re.compile(rule.path), rule) for rule in RULES)
_TRICKS: Final = re.compile(r"//|/\.{1,2}(/|$)|\\|;|[\x00-\x1f\x7f]")
_FILE: Final = "/gradio_api/file="


def rule_for(path: str) -> Rule:
    """Return the line for a path as the server decoded it; a slash at its end changes nothing.

    Doubled slashes, dots as folders, backslashes, semicolons and control characters fit no line,
    so that no two parts of the program can read one path in two ways.
    """
    windows_file = path.startswith(_FILE) and ":" in path
    if _TRICKS.search(path.replace("\\", "") if windows_file else path):
        return NOTHING
    plain = path.rstrip("/") or "/"
    return next((rule for pattern, rule in _PATTERNS if pattern.fullmatch(plain)), NOTHING)
