"""The gate: who may come in, from where, and with what."""

import base64
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from webui.api.access import COOKIE, MAX_STREAMS, Gate, GateRules
from webui.api.roles import NOTHING, Role, rule_for
from webui.api.sessions import Sessions
from webui.api.tries import FREE_TRIES, Tries
from webui.modules.errors import ForbiddenError, TooManyTriesError

HOME = "http://127.0.0.1:7860"
ANNA = {"anna": "a long secret"}
SECRETS = ANNA | {"ben": "also long enough", "carla": "long enough"}


async def told(request: Request) -> JSONResponse:
    """An app that would tell everything to everybody, as Gradio does."""
    size = len(await request.body())
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true"}
    return JSONResponse({"person": request.state.person, "size": size}, headers=headers)


def gate(folder: Path, people: dict[str, str] | None = None, **rules) -> Gate:
    app = Starlette(routes=[Route("/{path:path}", told, methods=["GET", "POST", "DELETE"])])
    sessions = Sessions(folder / "a.sqlite3", people or {})
    return Gate(app, sessions=sessions, rules=GateRules(login=bool(people), **rules))


def client(door: Gate, base: str = HOME) -> TestClient:
    return TestClient(door, base_url=base, follow_redirects=False, client=("10.0.0.5", 50000))


def logged_in(door: Gate, name: str = "anna") -> TestClient:
    visitor = client(door)
    answer = visitor.post("/login", data={"name": name, "password": SECRETS[name]})
    assert answer.status_code == 303, answer.text
    return visitor


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return client(gate(tmp_path_factory.mktemp("alone")))


@pytest.fixture
def door(tmp_path: Path) -> Gate:
    return gate(tmp_path, ANNA)


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


# --------------------------------------------------------------- on this machine, without people


def test_whoever_sits_at_this_machine_comes_in(alone: TestClient) -> None:
    assert alone.get("/config").json()["person"] == "local"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example:7860",
        "localhost.evil.example",
        "127.0.0.1:7861",
        "127.0.0.1",
        "0.0.0.0:7860",
        "192.168.1.5:7860",
        "127.0.0.1:7860@evil.example",
        "[::2]:7860",
        "localhost:99999999",
        "",
        "a b",
    ],
)
def test_a_foreign_name_is_refused(host: str, alone: TestClient) -> None:
    answer = alone.get("/", headers={"Host": host})

    assert answer.status_code == 403
    assert answer.json()["error"] == "access.forbidden"


@pytest.mark.parametrize("host", ["localhost:7860", "LOCALHOST:7860", "[::1]:7860"])
def test_this_machines_own_names_are_known(host: str, alone: TestClient) -> None:
    assert alone.get("/config", headers={"Host": host}).status_code == 200


def test_a_named_host_is_known(tmp_path: Path) -> None:
    visitor = client(gate(tmp_path, allowed_hosts=frozenset({"studio.lan"})))

    assert visitor.get("/config", headers={"Host": "studio.lan"}).status_code == 200


def test_a_forwarded_host_changes_nothing(alone: TestClient) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1:7860"}

    assert alone.get("/config", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:7861"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:7860.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_another_page_cannot_send_anything(
    headers: dict[str, str], method: str, alone: TestClient
) -> None:
    path = "/sdapi/v1/txt2img" if method != "GET" else "/atelier/v1/jobs/x/events"

    assert alone.request(method, path, headers=headers).status_code == 403


def test_our_own_page_can_send(alone: TestClient) -> None:
    headers = {"Origin": HOME, "Sec-Fetch-Site": "same-origin"}

    assert alone.post("/sdapi/v1/interrupt", headers=headers).status_code == 200


def test_a_link_to_the_page_may_be_followed_but_not_framed(alone: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    assert alone.get("/", headers=headers | {"Sec-Fetch-Dest": "document"}).status_code == 200
    assert alone.get("/", headers=headers | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert alone.get("/sdapi/v1/options", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_bodies_that_need_no_leave_are_refused(kind: str, alone: TestClient) -> None:
    answer = alone.post("/sdapi/v1/txt2img", content=b"{}", headers={"Content-Type": kind})

    assert answer.status_code == 415


def test_a_body_that_says_it_is_too_large_is_refused(tmp_path: Path) -> None:
    visitor = client(gate(tmp_path, max_body_bytes=100))

    answer = visitor.post("/sdapi/v1/txt2img", json={"prompt": "x" * 200})

    assert answer.status_code == 413
    assert answer.json()["error"] == "request.limit"
    assert visitor.post("/sdapi/v1/txt2img", json={"prompt": "x"}).json()["size"] < 100


def test_a_body_without_an_end_is_cut(tmp_path: Path) -> None:
    visitor = client(gate(tmp_path, max_body_bytes=1000))
    sent = []

    def endless():
        for _ in range(1000):
            sent.append(1)
            yield b"x" * 100

    answer = visitor.post(
        "/sdapi/v1/txt2img", content=endless(), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 413


def test_no_answer_lets_foreign_pages_read(alone: TestClient) -> None:
    for path in ("/", "/sdapi/v1/options", "/healthz"):
        headers = alone.get(path).headers
        assert not [name for name in headers if name.startswith("access-control")]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/vibe-code",
        "/gradio_api/proxy=https://evil.example",
        "/gradio_api/run-history/records",
        "/gradio_api/component_server",
        "/monitoring",
        "/gradio_api/profiling/traces",
        "/gradio_api/call/draw",
        "/unknown",
        "/SDAPI/v1/options",
        "/sdapi//v1/options",
        "//sdapi/v1/options",
        "/sdapi/v1/%2e%2e/options",
        "/sdapi/v1/options%00",
        "/sdapi/v1/options;x=1",
        "/sdapi/v1\\options",
    ],
)
def test_what_no_line_names_is_not_there(path: str, alone: TestClient) -> None:
    assert alone.get(path).status_code in (403, 404, 405)


def test_methods_that_no_line_names_are_refused(alone: TestClient) -> None:
    for method in ("PUT", "PATCH", "TRACE", "DELETE", "OPTIONS"):
        assert alone.request(method, "/sdapi/v1/options").status_code == 405


def test_a_websocket_is_closed_at_once(alone: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), alone.websocket_connect("/gradio_api/queue/join"):
        pass


def test_one_person_cannot_hold_every_line_open(tmp_path: Path) -> None:
    door = gate(tmp_path)
    door._streams["local"] = MAX_STREAMS

    assert client(door).get("/atelier/v1/jobs/x/events").status_code == 429
    assert client(door).get("/atelier/v1/jobs/x").status_code == 200
    assert door._streams["local"] == MAX_STREAMS


# ------------------------------------------------------------------------------ with people


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/config"),
        ("HEAD", "/config"),
        ("OPTIONS", "/config"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/unknown"),
        ("GET", "/sdapi/v1/options"),
        ("GET", "/sdapi/v1/options/"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/reset"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("GET", "/gradio_api/startup-events"),
        ("POST", "/logout"),
        ("GET", "/atelier/v1/sessions"),
    ],
)
def test_without_a_login_nothing_is_told(method: str, path: str, door: Gate) -> None:
    answer = client(door).request(method, path)

    assert answer.status_code in (401, 403)
    assert "person" not in answer.text


def test_a_browser_gets_the_login_page_in_its_language(door: Gate) -> None:
    visitor = client(door)

    english = visitor.get("/", headers={"Accept": "text/html"})
    chinese = visitor.get("/", headers={"Accept": "text/html", "Accept-Language": "zh-CN"})

    assert english.status_code == chinese.status_code == 401
    assert "Log in" in english.text
    assert "登录" in chinese.text
    assert "script-src 'sha256-" in english.headers["content-security-policy"]


def test_programs_are_told_how_to_log_in(door: Gate) -> None:
    answer = client(door).get("/sdapi/v1/options")

    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.json()["error"] == "access.login"


def test_health_is_told_to_everybody(door: Gate) -> None:
    assert client(door).get("/healthz").status_code == 200


def test_the_right_password_opens_a_session(door: Gate) -> None:
    visitor = logged_in(door)

    assert visitor.get("/config").json()["person"] == "anna"
    cookie = visitor.cookies.jar
    assert len(list(cookie)) == 1


def test_the_cookie_is_for_our_page_alone(door: Gate) -> None:
    form = {"name": "anna", "password": "a long secret"}

    told = client(door).post("/login", data=form).headers["set-cookie"].lower()

    assert "httponly" in told
    assert "samesite=strict" in told


@pytest.mark.parametrize(
    "form",
    [
        {"name": "anna", "password": "wrong"},
        {"name": "nobody", "password": "a long secret"},
        {"name": "local", "password": ""},
        {},
    ],
)
def test_a_wrong_password_opens_nothing(form: dict[str, str], door: Gate) -> None:
    visitor = client(door)

    answer = visitor.post("/login", data=form)

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text


def test_another_page_cannot_log_somebody_in(door: Gate) -> None:
    form = {"name": "anna", "password": "a long secret"}

    answer = client(door).post("/login", data=form, headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403


def test_a_forged_cookie_opens_nothing(door: Gate, tmp_path: Path) -> None:
    token = logged_in(door).cookies[COOKIE]
    for forged in ("", "x", token[:-1], token + "x", token.swapcase(), "\x00"):
        visitor = client(door)
        answer = visitor.get("/config", headers={"Cookie": f"{COOKIE}={forged}"})
        assert answer.status_code == 401
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("a.sqlite3*"))
    assert token.encode() not in stored
    assert b"a long secret" not in stored


def test_logging_out_ends_the_session_for_good(door: Gate) -> None:
    visitor = logged_in(door)
    token = visitor.cookies[COOKIE]

    assert visitor.post("/logout").status_code == 303

    answer = client(door).get("/config", headers={"Cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 401


def test_a_changed_password_ends_old_sessions(tmp_path: Path) -> None:
    token = logged_in(gate(tmp_path, ANNA)).cookies[COOKIE]

    same = client(gate(tmp_path, ANNA)).get("/config", headers={"Cookie": f"{COOKIE}={token}"})
    other = client(gate(tmp_path, {"anna": "another secret"})).get(
        "/config", headers={"Cookie": f"{COOKIE}={token}"}
    )

    assert (same.status_code, other.status_code) == (200, 401)


def test_people_see_and_end_their_own_sessions(tmp_path: Path) -> None:
    door = gate(tmp_path, ANNA | {"ben": "also long enough"})
    here, elsewhere, ben = (
        logged_in(door),
        logged_in(door),
        logged_in(door, "ben"),
    )
    sessions = here.get("/atelier/v1/sessions").json()

    assert len(sessions) == 2
    assert ben.delete(f"/atelier/v1/sessions/{sessions[0]['id']}").status_code == 404
    assert here.delete(f"/atelier/v1/sessions/{sessions[0]['id']}").status_code == 204
    left = [here.get("/config").status_code, elsewhere.get("/config").status_code]
    assert sorted(left) == [200, 401]


def test_a_program_logs_in_with_each_request(door: Gate) -> None:
    visitor = client(door)

    right = visitor.get("/sdapi/v1/options", headers=basic("anna", "a long secret"))
    wrong = visitor.get("/sdapi/v1/options", headers=basic("anna", "wrong"))

    assert right.json()["person"] == "anna"
    assert wrong.status_code == 401


def test_an_api_password_opens_the_api_alone(tmp_path: Path) -> None:
    door = gate(tmp_path, ANNA, api_people={"robot": "robot secret"})
    robot = basic("robot", "robot secret")

    assert client(door).get("/sdapi/v1/options", headers=robot).json()["person"] == "robot"
    assert client(door).get("/config", headers=robot).status_code == 401
    assert client(door).get("/atelier/v1/jobs", headers=robot).status_code == 401


def test_with_an_api_password_the_api_needs_it_also_on_this_machine(tmp_path: Path) -> None:
    visitor = client(gate(tmp_path, api_people={"robot": "robot secret"}))

    assert visitor.get("/config").status_code == 200
    assert visitor.get("/sdapi/v1/options").status_code == 401
    robot = visitor.get("/sdapi/v1/options", headers=basic("robot", "robot secret"))
    assert robot.json()["person"] == "robot"


def test_who_logs_in_is_noted_and_a_name_cannot_forge_a_line(
    door: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="webui.api.access")

    logged_in(door)
    client(door).post("/login", data={"name": "x\nanna logged in", "password": "a guess"})

    assert "'anna' logged in from 10.0.0.5" in caplog.text
    assert "'x\\nanna logged in'" in caplog.text
    assert "secret" not in caplog.text
    assert "guess" not in caplog.text


def test_a_thousand_guesses_are_slowed_down_but_nobody_else_is(tmp_path: Path) -> None:
    door = gate(tmp_path, ANNA | {"ben": "also long enough"})
    guesser = client(door)

    statuses = [
        guesser.post("/login", data={"name": "anna", "password": f"guess {n}"}).status_code
        for n in range(FREE_TRIES + 3)
    ]

    assert statuses == [401] * FREE_TRIES + [429] * 3
    logged_in(door, "ben")


def test_waiting_helps_and_the_wait_grows() -> None:
    now = 0.0
    tries = Tries(clock=lambda: now)
    waits = []
    for _ in range(FREE_TRIES + 4):
        try:
            tries.check("10.0.0.5", "anna")
        except TooManyTriesError as error:
            waits.append(int(error.value))
            now += int(error.value)
        tries.failed("10.0.0.5", "anna")

    assert waits == sorted(waits)
    assert waits[-1] > waits[0]
    tries.check("10.0.0.6", "anna")
    tries.succeeded("10.0.0.5", "anna")
    tries.check("10.0.0.5", "anna")


# --------------------------------------------------------------------------------- invitations


def invited(door: Gate, sessions: Sessions, **form: str):
    values = {"invitation": sessions.invite(), "name": "carla", "password": "long enough", **form}
    return client(door).post("/login", data=values)


def test_an_invitation_makes_one_person(door: Gate) -> None:
    token = door._sessions.invite()
    form = {"invitation": token, "name": "carla", "password": "long enough"}

    first = client(door)
    assert first.post("/login", data=form).status_code == 303
    assert first.get("/config").json()["person"] == "carla"
    again = client(door).post("/login", data=form | {"name": "dora"})

    assert again.status_code == 403
    logged_in(door, "carla")


@pytest.mark.parametrize(
    "form",
    [
        {"name": "anna"},
        {"name": "local"},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 100},
        {"password": "short"},
        {"invitation": "guessed"},
    ],
)
def test_an_invitation_takes_no_name_over(form: dict[str, str], door: Gate) -> None:
    answer = invited(door, door._sessions, **form)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_an_old_invitation_is_void(door: Gate, tmp_path: Path) -> None:
    from webui.library.database import writing

    token = door._sessions.invite()
    with writing(tmp_path / "a.sqlite3") as connection:
        connection.execute("UPDATE invitations SET created = created - 901")

    with pytest.raises(ForbiddenError, match="not valid"):
        door._sessions.accept(token, name="carla", password="long enough")


# ---------------------------------------------------------------------------------- the table


def test_every_line_of_the_table_has_a_path_of_its_own() -> None:
    assert rule_for("/healthz").role is Role.ANYONE
    assert rule_for("/sdapi/v1/sd-models").role is Role.API
    assert rule_for("/atelier/v1/jobs/0a/events").role is Role.PERSON
    assert rule_for("/").page
    assert rule_for("/gradio_api/file=/tmp/a b.png").role is Role.PERSON
    assert rule_for("/gradio_api/file=/tmp/../etc/passwd") is NOTHING
    assert rule_for("/gradio_api/file=https://evil.example") is NOTHING
    assert rule_for("/gradio_api/upload").upload


@pytest.mark.parametrize(
    "path",
    [
        "/login/../config",
        "/healthz/./../sdapi/v1/options",
        "//healthz",
        "/sdapi/v1/..",
        "/healthz\x00",
        "/healthz\\..",
        "/healthz;/config",
        "/Healthz",
        "",
    ],
)
def test_no_spelling_of_a_path_leads_around_the_table(path: str) -> None:
    assert rule_for(path) is NOTHING or path == ""


def test_the_login_page_loads_nothing_from_elsewhere(door: Gate) -> None:
    page = client(door).get("/login").text

    assert not re.search(r"(src|href)=", page)
