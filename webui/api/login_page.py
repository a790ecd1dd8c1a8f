"""The login page: a few lines of HTML that need nothing else, in English and Chinese."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final

_SCRIPT: Final = """
const invitation = new URLSearchParams(location.hash.slice(1)).get("invite");
if (invitation) {
  document.querySelector("[name=invitation]").value = invitation;
  document.querySelector("[name=password]").autocomplete = "new-password";
  document.body.classList.add("invited");
  history.replaceState(null, "", location.pathname);
}
"""
"""The secret of an invitation stands after the ``#``, which no browser sends and no log shows."""

_STYLE: Final = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 90vh; margin: 0; padding: 1rem;
  background: light-dark(#f5f4f1, #191817); color: light-dark(#1c1b19, #f0eee9); }
form { display: grid; gap: .75rem; width: min(20rem, 100%); }
h1 { font-size: 1.4rem; font-weight: 600; margin: 0 0 .5rem; }
label { display: grid; gap: .25rem; }
input, button { font: inherit; padding: .6rem; border-radius: .5rem; border: 1px solid #8888; }
button { background: light-dark(#1c1b19, #f0eee9); color: light-dark(#fff, #1c1b19);
  font-weight: 600; cursor: pointer; }
[role=alert] { color: #c2410c; margin: 0; }
.welcome { display: none; margin: 0; }
.invited .welcome { display: block; }
"""


def _allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY: Final = (
    f"default-src 'none'; script-src {_allowed(_SCRIPT)}; style-src {_allowed(_STYLE)}; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)
"""What this page may load: its own script and style, known by their hashes, and nothing else."""

_TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "Log in to Atelier",
        "name": "Name",
        "password": "Password",
        "button": "Log in",
        "welcome": "You are invited. Choose a name and a password of at least 8 characters.",
    },
    "zh": {
        "title": "登录 Atelier",
        "name": "用户名",
        "password": "密码",
        "button": "登录",
        "welcome": "您已受邀。请选择用户名和至少 8 个字符的密码。",
    },
}

WRONG: Final[Mapping[str, str]] = {
    "en": "This name and password do not go together.",
    "zh": "用户名或密码不正确。",
}


def language(accept_language: str) -> str:
    """Return the language of the page for what a browser says that its reader understands."""
    return "zh" if accept_language.strip().lower().startswith("zh") else "en"


def render(*, tongue: str, problem: str = "") -> str:
    """Return the page.

    Args:
        tongue: "en" or "zh".
        problem: A sentence about the last try; empty at first.
    """
    texts = _TEXTS[tongue]
    alert = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return f"""<!doctype html>
<html lang="{tongue}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{texts["title"]}</title>
<style>{_STYLE}</style>
<body>
<form method="post" action="/login">
<h1>{texts["title"]}</h1>
<p class="welcome">{texts["welcome"]}</p>
{alert}
<input type="hidden" name="invitation">
<label>{texts["name"]}<input name="name" autocomplete="username" maxlength="64" required autofocus>
</label>
<label>{texts["password"]}
<input name="password" type="password" autocomplete="current-password" required></label>
<button>{texts["button"]}</button>
</form>
<script>{_SCRIPT}</script>
"""
