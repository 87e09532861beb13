"""A real browser before the running service: Debian's chromium, driven by Playwright.

Where there is no chromium these tests skip and say so; `apt-get install chromium` brings it.
"""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.live.cast import event, make_keys, start_session
from tests.live.client import Client
from tests.live.service import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Nobody can reach it: what the pages print as the service's address is this setting, and not where they came from.
PUBLIC_ADDRESS = "https://proofstone.example.com"
WIDE, NARROW = 1280, 360
PATIENCE_MS = 10_000


class Visit:
    """One visitor's window, and everything that it said or asked for."""

    def __init__(self, context: BrowserContext, address: str):
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.messages: list[str] = []
        self.asked_elsewhere: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", self._note_request)

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.asked_elsewhere.append(request.url)

    def open(self, path: str) -> "Visit":
        self.page.goto(self.address + path)
        return self

    def heading(self) -> str:
        """The page's heading, once it has found out what to show."""
        return self.page.locator("h1:visible").inner_text()

    def is_sound(self) -> bool:
        """Nothing on the console, nothing asked of others, no cookie, and nothing wider than the window."""
        assert self.messages == []
        assert self.asked_elsewhere == []
        assert self.page.context.cookies() == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `apt-get install chromium` installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def website(browser, tmp_path_factory) -> Iterator[Service]:
    """The service as it runs in earnest, under a public address of its own."""
    database = tmp_path_factory.mktemp("website")
    with Service(database, f"sqlite:///{database}/proofstone.db", BASE_URL=PUBLIC_ADDRESS) as service:
        yield service.start(processes=1)


@pytest.fixture(scope="session")
def reviewer(website) -> Client:
    return website.organization("Northwind Traders")


@pytest.fixture(scope="session")
def assessment(reviewer) -> dict[str, Any]:
    body = {
        "title": "Backend API Challenge",
        "role": "Engineer",
        "taskBrief": "Fix it.",
        "timeLimitMinutes": 90,
    }
    return reviewer.post("/v1/assessments", body)["assessment"]


@pytest.fixture
def key(reviewer, assessment) -> str:
    """A new key that nobody has used."""
    return make_keys(reviewer, assessment, 1)[0]["key"]


@pytest.fixture
def session_id(website, key) -> str:
    """The session of `key`, with two events."""
    session_id = start_session(website, key)
    for second in range(2):
        assert website.candidate(key).post("/v1/hooks/ingest", event(second=second)).status == 201
    return session_id


@pytest.fixture
def open_visit(browser, website):
    """`open_visit(path)`: a window of a given width, in Berlin, with nothing left over from others."""
    contexts = []

    def open_visit(path: str, width: int = WIDE, **options: Any) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, timezone_id="Europe/Berlin", **options
        )
        contexts.append(context)
        return Visit(context, f"http://127.0.0.1:{website.port}").open(path)

    yield open_visit
    for context in contexts:
        context.close()
