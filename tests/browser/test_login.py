"""A team-mate's way in: the login page and the invitation, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.conftest import Program, running, until
from tests.tiny import furnish

SECRET = "a secret of some length"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A server that asks for logins, and the invitation that it printed."""
    home = furnish(tmp_path_factory.mktemp("login"))
    with running(home, "--auth", f"anna:{SECRET}", "--invite") as program:
        said = program.said
        found = until(lambda: re.search(r"/login(#invite=\S+)", said.read_text("utf-8")))
        yield program, found[1]


@pytest.fixture
def stranger(browser: Browser, house: tuple[Program, str]) -> Iterator[Page]:
    context = browser.new_context(base_url=f"http://127.0.0.1:{house[0].port}")
    yield context.new_page()
    context.close()


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_wrong_password_is_told_and_the_right_one_opens_the_page(stranger: Page) -> None:
    stranger.goto("/")
    log_in(stranger, "anna", "a guess")
    expect(stranger.get_by_role("alert")).to_contain_text("do not go together")

    log_in(stranger, "anna", SECRET)
    expect(stranger.get_by_role("button", name="Generate")).to_be_visible(timeout=60_000)


def test_an_invited_guest_chooses_a_name_and_is_in(
    stranger: Page, house: tuple[Program, str]
) -> None:
    stranger.goto(f"/login{house[1]}")
    expect(stranger.get_by_text("You are invited")).to_be_visible()
    assert "invite" not in stranger.url

    log_in(stranger, "carla", "long enough")
    expect(stranger.get_by_role("button", name="Generate")).to_be_visible(timeout=60_000)
