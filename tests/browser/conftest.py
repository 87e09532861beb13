"""A running service in a real browser, Chromium driven by Playwright.

These tests are skipped if Chromium is not installed (`apt-get install chromium`).
"""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.live.cast import ASSESSMENT, event, make_keys, start_session
from tests.live.client import Client
from tests.live.service import Service

# Debian's shell without the browser's own window needs a fifth less processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
# Unreachable, so pages must print BASE_URL instead of the address they were loaded from.
PUBLIC_ADDRESS = "https://proofstone.example.com"
DESKTOP, PHONE = 1280, 320
TIMEOUT_MS = 30_000


class Visit:
    """A browser window, with its console messages and requests.

    cookies -- names of allowed cookies
    """

    cookies: frozenset[str] = frozenset()

    def __init__(self, context: BrowserContext, address: str):
        self.address = address
        self.page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def heading(self) -> str:
        """Return the heading of the loaded page."""
        return self.page.locator("h1:visible").inner_text()

    def shows(self, text: str) -> bool:
        """Wait until the text is visible."""
        self.page.locator(f"text={text} >> visible=true").first.wait_for()
        return True

    def is_clean(self) -> bool:
        """Check for console messages, foreign requests, other cookies, and horizontal scrolling."""
        assert self.messages == []
        assert [url for url in self.requests if not url.startswith((self.address, "data:"))] == []
        assert {cookie["name"] for cookie in self.page.context.cookies()} <= self.cookies
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed. Install it with `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def website(browser, tmp_path_factory) -> Iterator[Service]:
    """The service under gunicorn, with PUBLIC_ADDRESS as its BASE_URL."""
    database = tmp_path_factory.mktemp("website")
    with Service(database, f"sqlite:///{database}/proofstone.db", BASE_URL=PUBLIC_ADDRESS) as service:
        yield service.start(processes=1)


@pytest.fixture(scope="session")
def reviewer(website) -> Client:
    return website.organization("Northwind Traders")


@pytest.fixture(scope="session")
def assessment(reviewer) -> dict[str, Any]:
    return reviewer.post("/v1/assessments", ASSESSMENT | {"timeLimitMinutes": 90})["assessment"]


@pytest.fixture
def key(reviewer, assessment) -> str:
    """A new, unused key."""
    return make_keys(reviewer, assessment, 1)[0]["key"]


@pytest.fixture
def session_id(website, key) -> str:
    """`key`'s session, with two events."""
    session_id = start_session(website, key)
    for second in range(2):
        assert website.candidate(key).post("/v1/hooks/ingest", event(second=second)).status == 201
    return session_id


@pytest.fixture
def open_visit(browser, website):
    """`open_visit(path)`: a new, isolated window in Berlin's time zone."""
    contexts = []

    def open_visit(path: str, width: int = DESKTOP, **options: Any) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, timezone_id="Europe/Berlin", **options
        )
        contexts.append(context)
        visit = Visit(context, f"http://127.0.0.1:{website.port}")
        visit.page.goto(visit.address + path)
        return visit

    yield open_visit
    for context in contexts:
        context.close()
