"""The one gate in front of every route, Gradio's included: what it does not know, it refuses.

Each request is asked, in this order: is it meant for this server (Host), does it come from our own
page (Origin), who is it (cookie or password), may they (role), and is the body what it should be.
"""

import asyncio
import base64
import binascii
import hashlib
import logging
import re
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakValueDictionary

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.api import login_page
from webui.api.errors import answer, body
from webui.api.passwords import hashed, is_hashed, matches
from webui.api.roles import READ, Role, Rule, rule_for
from webui.api.sessions import LOCAL, SESSION_SECONDS, Sessions
from webui.api.tries import Tries
from webui.modules.errors import (
    AccessError,
    ForbiddenError,
    LoginNeededError,
    TooManyTriesError,
    UnknownNameError,
    WebuiError,
)
from webui.settings import Settings

log = logging.getLogger(__name__)

COOKIE: Final = "atelier_session"
"""Name of the cookie that holds the secret of a session."""

SESSIONS: Final = "/atelier/v1/sessions"
"""Where people see and end their own sessions."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""How this machine calls itself."""

MAX_STREAMS: Final = 100
"""Answers of one person that may stay open at once; a page has two."""

MAX_LOGIN_BYTES: Final = 4096
"""Size of a login form."""

FORM_BYTES: Final = 65_536
"""What a form may add to the file in it."""

HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": browsers then call the Origin of our own login form "null".
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Sent with every answer."""

PAGE_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""For Gradio's page, which evaluates its own inline scripts; nothing from elsewhere."""

STRICT_POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""For all other answers."""

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::(\d{1,5}))?")
_SIMPLE_TYPES: Final = frozenset(
    {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)
"""What a foreign page can send without being asked; our own routes take JSON."""

_REMEMBERED_LOGINS: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRules:
    """How strict the gate is.

    Attributes:
        login: Whether a login is needed; without, whoever reaches the server is "local".
        api_people: Names and passwords for the ``/sdapi/v1`` routes alone.
        allowed_hosts: More names, with or without a port, under which the server may be called.
        max_body_bytes: Size of one request.
        max_model_bytes: Size of a request that brings a model file.
    """

    login: bool = False
    api_people: Mapping[str, str] = field(default_factory=dict[str, str])
    allowed_hosts: frozenset[str] = frozenset()
    max_body_bytes: int = 25_000_000
    max_model_bytes: int = 32_000_000_000

    def most(self, rule: Rule) -> int:
        """Return how large a request under this line may be."""
        return self.max_model_bytes if rule.model else self.max_body_bytes


def rules_of(settings: Settings) -> GateRules:
    """Return how strict the gate of a server with these settings is."""
    server = settings.server
    names = {name.lower() for name in server.allowed_hosts}
    if server.listen:
        host = socket.gethostname().lower()
        names |= {host, f"{host}.local"}
    return GateRules(
        login=server.listen or server.invite or bool(server.people),
        api_people={person.name: person.password for person in server.api_people},
        allowed_hosts=frozenset(names),
        max_body_bytes=settings.limits.max_body_bytes,
        max_model_bytes=settings.limits.max_model_bytes + FORM_BYTES,
    )


def sessions_of(settings: Settings) -> Sessions:
    """Return the people and sessions of a server with these settings."""
    people = {person.name: person.password for person in settings.server.people}
    return Sessions(settings.folders.database, people)


class Gate:
    """ASGI middleware that admits, names and limits every request.

    ``scope["state"]["person"]`` tells the app who asks.

    Args:
        app: Everything behind the gate.
        sessions: Who is logged in.
        rules: How strict it is.
        tries: The wrong passwords of late.
    """

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions, rules: GateRules, tries: Tries | None = None
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._rules = rules
        self._tries = tries or Tries()
        self._api_people = {
            name: password if is_hashed(password) else hashed(password)
            for name, password in rules.api_people.items()
        }
        self._known_logins: dict[bytes, str] = {}
        self._streams: Counter[str] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, answer it here, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = rule_for(scope["path"])
        guarded = _Guarded(send, policy=PAGE_POLICY if rule.page else STRICT_POLICY)
        try:
            refusal = await self._admit(scope, rule)
        except WebuiError as error:
            refusal = self._refusal(scope, error)
        response = refusal or await self._own_answer(scope, receive)
        if response is None and rule.stream and self._streams[_named(scope)] >= MAX_STREAMS:
            hint = "Close some of the open pages."
            response = _refused(429, f"there are {MAX_STREAMS} open streams already", hint)
        if response:
            await response(scope, receive, guarded)
            return
        self._streams[_named(scope)] += rule.stream
        try:
            await self._behind(scope, receive, guarded, most=self._rules.most(rule))
        finally:
            self._streams[_named(scope)] -= rule.stream

    async def _behind(self, scope: Scope, receive: Receive, send: Send, *, most: int) -> None:
        limit = _Limited(receive, send, scope=scope, most=most)
        try:
            await self._app(scope, limit.receive, limit.send)
        except ClientDisconnect:
            if not limit.exceeded:
                raise

    async def _admit(self, scope: Scope, rule: Rule) -> Response | None:
        headers = Headers(scope=scope)
        self._check_host(scope, headers)
        _check_origin(scope, headers, rule)
        person = await self._person(scope, headers, rule)
        if rule.role is not Role.ANYONE and person is None:
            message = "nobody is logged in"
            raise LoginNeededError(message, hint="Log in on the page, or send a name and password.")
        if rule.role is Role.NOBODY:
            return _refused(404, f"there is no {scope['path'][:200]!r} here", "See /docs.")
        if scope["method"] not in rule.methods:
            hint = f"Use {' or '.join(sorted(rule.methods))}."
            return _refused(405, f"{scope['method'][:20]!r} is not offered here", hint)
        scope.setdefault("state", {})["person"] = person
        return self._body_refusal(scope, headers, rule)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        """Refuse names that are not ours: a foreign page can point its own name at this server."""
        told = headers.getlist("host")
        match = _HOST.fullmatch(told[0].lower()) if len(told) == 1 else None
        host = match[1] if match else ""
        server_host, server_port = scope.get("server") or ("", None)
        usual = 443 if scope.get("scheme") == "https" else 80
        port = int(match[2] or usual) if match else 0
        own = {*LOOPBACK, server_host, f"[{server_host}]"}
        allowed = self._rules.allowed_hosts
        if not host or not (
            (host in own and port == server_port) or host in allowed or f"{host}:{port}" in allowed
        ):
            message = f"this server is not called {', '.join(told)[:200]!r}"
            hint = "Use the address that was printed at start, or name it with --allowed-host."
            raise ForbiddenError(message, hint=hint, value=", ".join(told)[:200])

    async def _person(self, scope: Scope, headers: Headers, rule: Rule) -> str | None:
        authorization = headers.get("authorization", "")
        if authorization[:6].lower() == "basic " and rule.role is not Role.ANYONE:
            return await self._basic(scope, authorization[6:], rule)
        if rule.role is Role.API and self._api_people and not self._rules.login:
            return None
        if not self._rules.login:
            return LOCAL
        return self._sessions.person(Request(scope).cookies.get(COOKIE, ""))

    async def _basic(self, scope: Scope, encoded: str, rule: Rule) -> str | None:
        """Return who sends this name and password with the request itself."""
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not self._rules.login and not self._api_people:
            return LOCAL
        key = hashlib.sha256(f"{rule.role}\0{encoded}".encode()).digest()
        if key not in self._known_logins:
            await self._check_password(scope, name, password, api=rule.role is Role.API)
            if len(self._known_logins) >= _REMEMBERED_LOGINS:
                self._known_logins.clear()
            self._known_logins[key] = name
        return self._known_logins[key]

    async def _check_password(self, scope: Scope, name: str, password: str, *, api: bool) -> None:
        """Let a right password pass; one address tries one after the other."""
        address = (scope.get("client") or ("",))[0]
        turn = self._turns.setdefault(address, asyncio.Lock())
        async with turn:
            self._tries.check(address, name)
            fits = await asyncio.to_thread(self._password_fits, name, password, api=api)
            if not fits:
                self._tries.failed(address, name)
                log.warning("wrong password for %r from %s", name[:64], address)
                message = "this name and password do not go together"
                raise LoginNeededError(message, hint="Check both and try again.")
            self._tries.succeeded(address, name)

    def _password_fits(self, name: str, password: str, *, api: bool) -> bool:
        stored = self._api_people.get(name)
        if api and stored:
            return matches(password, stored)
        return self._sessions.password_fits(name, password)

    def _body_refusal(self, scope: Scope, headers: Headers, rule: Rule) -> Response | None:
        length = headers.get("content-length", "0")
        most = self._rules.most(rule)
        if not length.isdecimal() or len(length) > len("1" * 18):
            return _refused(400, f"the content length is {length[:40]!r}", "Send a number.")
        if int(length) > most:
            return _too_large(f"{length} bytes", most)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        upload = rule.upload and kind == "multipart/form-data"
        login = scope["path"].rstrip("/") in ("/login", "/logout")
        has_body = int(length) > 0 or "transfer-encoding" in headers
        if has_body and kind in _SIMPLE_TYPES and not upload and not login:
            return _refused(415, f"the content type is {kind!r}", "Send application/json.")
        return None

    def _refusal(self, scope: Scope, error: WebuiError) -> Response:
        headers = Headers(scope=scope)
        if isinstance(error, LoginNeededError) and _wants_page(scope, headers):
            tongue = login_page.language(headers.get("accept-language", ""))
            return _page(tongue=tongue, status=401)
        refusal = answer(error)
        if isinstance(error, LoginNeededError) and scope["path"].startswith("/sdapi/"):
            refusal.headers["WWW-Authenticate"] = 'Basic realm="Atelier"'
        return refusal

    async def _own_answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Answer what the gate answers itself: logging in and out."""
        path = scope["path"].rstrip("/")
        if path == "/login":
            if scope["method"] in READ:
                tongue = login_page.language(Headers(scope=scope).get("accept-language", ""))
                return _page(tongue=tongue) if self._rules.login else RedirectResponse("/", 303)
            return await self._log_in(scope, receive)
        if path == "/logout":
            self._sessions.close(Request(scope).cookies.get(COOKIE, ""))
            response = RedirectResponse("/login", 303)
            response.delete_cookie(COOKIE, httponly=True, samesite="strict")
            return response
        if path == SESSIONS and scope["method"] in READ:
            return JSONResponse([asdict(one) for one in self._sessions.of(_named(scope))])
        if path.startswith(f"{SESSIONS}/") and scope["method"] == "DELETE":
            return self._revoke(scope, path.removeprefix(f"{SESSIONS}/"))
        return None

    def _revoke(self, scope: Scope, session_id: str) -> Response:
        try:
            self._sessions.revoke(session_id, person=_named(scope))
        except UnknownNameError as error:
            return _refused(404, str(error), error.hint)
        return Response(status_code=204)

    async def _log_in(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope=scope)
        tongue = login_page.language(headers.get("accept-language", ""))
        form = await _form(receive)
        if form is None:
            return _too_large("the form", MAX_LOGIN_BYTES)
        name, password = form.get("name", ""), form.get("password", "")
        try:
            if form.get("invitation"):
                await asyncio.to_thread(
                    self._sessions.accept, form["invitation"], name=name, password=password
                )
            else:
                await self._check_password(scope, name, password, api=False)
        except LoginNeededError:
            return _page(tongue=tongue, problem=login_page.WRONG[tongue], status=401)
        except TooManyTriesError as error:
            page = _page(tongue=tongue, problem=f"{error}. {error.hint}", status=429)
            page.headers["Retry-After"] = error.value
            return page
        except AccessError as error:
            return _page(tongue=tongue, problem=f"{error}. {error.hint}", status=403)
        log.info("%r logged in from %s", name[:64], (scope.get("client") or ("",))[0])
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            self._sessions.open(name, browser=headers.get("user-agent", "")),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=scope.get("scheme") == "https",
        )
        return response


class _Guarded:
    """Sends answers with our headers and without anybody's leave for foreign pages."""

    def __init__(self, send: Send, *, policy: str) -> None:
        self._send = send
        self._policy = policy

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            headers.update(HEADERS)
            headers.setdefault("Content-Security-Policy", self._policy)
        await self._send(message)


class _Limited:
    """Passes a body on until it is too long; then answers 413 and hangs up on the app."""

    def __init__(self, receive: Receive, send: Send, *, scope: Scope, most: int) -> None:
        self._receive = receive
        self._send = send
        self._scope = scope
        self._most = most
        self._seen = 0
        self._started = False
        self.exceeded = False

    async def receive(self) -> Message:
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen <= self._most:
            return message
        self.exceeded = True
        if not self._started:
            refusal = _too_large(f"more than {self._most} bytes", self._most)
            await refusal(self._scope, self._receive, self._send)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self.exceeded:
            self._started = True
            await self._send(message)


def _check_origin(scope: Scope, headers: Headers, rule: Rule) -> None:
    """Refuse what another page sends; only following a link to our page is everybody's right."""
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "none")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower()
    by_link = (
        scope["method"] in READ
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
        and (rule.page or rule.role is Role.ANYONE or rule.path.startswith("/docs"))
    )
    if foreign or (site not in ("none", "same-origin") and not by_link):
        message = f"the request comes from another page: {origin or site!r}"
        hint = "Open the address of this server itself."
        raise ForbiddenError(message, hint=hint, value=origin or site)


def _named(scope: Scope) -> str:
    return scope["state"]["person"] or ""


def _wants_page(scope: Scope, headers: Headers) -> bool:
    programs = ("/sdapi/", "/atelier/", "/gradio_api/")
    asked = "text/html" in headers.get("accept", "") and scope["method"] in READ
    return asked and not scope["path"].startswith(programs)


def _page(*, tongue: str, problem: str = "", status: int = 200) -> Response:
    headers = {"Content-Security-Policy": login_page.POLICY, "Cache-Control": "no-store"}
    page = login_page.render(tongue=tongue, problem=problem)
    return HTMLResponse(page, status_code=status, headers=headers)


def _refused(status: int, message: str, hint: str) -> Response:
    content = body(code=ForbiddenError.code, message=message, hint=hint)
    return JSONResponse(content, status_code=status)


def _too_large(what: str, most: int) -> Response:
    hint = f"Send at most {most} bytes; the limits are the settings limits.max_..._bytes."
    content = body(code="request.limit", message=f"the request is too large: {what}", hint=hint)
    return JSONResponse(content, status_code=413, headers={"Connection": "close"})


async def _form(receive: Receive) -> dict[str, str] | None:
    """Return the fields of a login form; None if it is too large to be one."""
    data, more = b"", True
    while more:
        message = await receive()
        data += message.get("body", b"")
        more = message.get("more_body", False)
        if len(data) > MAX_LOGIN_BYTES:
            return None
    return dict(parse_qsl(data.decode("utf-8", errors="replace")))
