"""The console in a real browser. The service's BASE_URL is the address that the browser opens."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import DESKTOP, TIMEOUT_MS, Visit
from tests.browser.console.organization import Organization, add_person, fill
from tests.live.cast import ASSESSMENT
from tests.live.client import Client
from tests.live.service import Service
from tests.servers import free_port

LEVELS = [{"value": value, "label": label} for value, label in ((1, "Weak"), (2, "Fair"), (3, "Strong"))]
RUBRIC = {"name": "Engineers", "criteria": [{"key": "quality", "title": "Quality", "levels": LEVELS}]}
IS_SETTLED = """() => Boolean(document.querySelector("main h1"))
  && !document.querySelector("[aria-busy=true], main .loading")"""
TWO_FRAMES = "() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"


class ConsoleVisit(Visit):
    """A window of the console."""

    def __init__(self, context: BrowserContext, address: str):
        super().__init__(context, address)
        self.pending: set[Any] = set()
        self.started_count = 0
        self.page.on("request", self._add)
        self.page.on("requestfinished", lambda request: self.pending.discard(request))
        self.page.on("requestfailed", lambda request: self.pending.discard(request))

    def _add(self, request: Any) -> None:
        self.pending.add(request)
        self.started_count += 1

    def go(self, path: str) -> "ConsoleVisit":
        """Open a console page."""
        self.page.goto(f"{self.address}/console#{path}")
        return self

    def settle(self) -> "ConsoleVisit":
        """Wait until nothing is loading, and for two frames nothing starts."""
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        while True:
            self.page.wait_for_function(IS_SETTLED)
            is_idle, started_count = not self.pending, self.started_count
            self.page.evaluate(TWO_FRAMES)
            if is_idle and started_count == self.started_count and self.page.evaluate(IS_SETTLED):
                return self
            assert time.monotonic() < deadline, [request.url for request in self.pending]


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Service]:
    """The service under gunicorn on SQLite, at http://localhost."""
    folder, port = tmp_path_factory.mktemp("console"), free_port()
    with Service(folder, BASE_URL=f"http://localhost:{port}") as service:
        yield service.start(processes=1, port=port)


@pytest.fixture(scope="session")
def hostile(site) -> Organization:
    """An organization with everything that the console shows, with hostile texts. Do not change it."""
    return fill(site)


@pytest.fixture
def team(site) -> Client:
    """The service account of a new organization."""
    return site.organization("Northwind Traders")


@pytest.fixture
def bob(team) -> Client:
    """A person with the reviewer role."""
    return add_person(team, "Bob")


@pytest.fixture
def assessment(team) -> dict[str, Any]:
    return team.post("/v1/assessments", ASSESSMENT | {"timeLimitMinutes": 90})["assessment"]


def add_rubric(
    team: Client, assessment: dict[str, Any], criteria: list[dict[str, Any]] = RUBRIC["criteria"]
) -> dict[str, Any]:
    rubric = team.post("/v1/rubrics", RUBRIC | {"criteria": criteria})["rubric"]
    path = f"/v1/assessments/{assessment['id']}"
    assert team.request("PATCH", path, {"rubricId": rubric["id"]}).status == 200
    return rubric


def all_recorded(client: Client, session_path: str) -> bool:
    """Return whether the ledger lists all events of a session."""
    counts = client.get(f"{session_path}/integrity")["counts"]
    return counts["recorded"] == counts["events"] > 0


def open_tab(visit: ConsoleVisit, name: str) -> None:
    """Open a tab of the report, or a section of its tab “More”."""
    more = visit.page.get_by_role("tab", name="More")
    more.wait_for()
    tab = visit.page.get_by_role("tab", name=name, exact=True)
    if tab.count():
        return tab.click()
    more.click()
    return visit.page.locator(".report-section > summary", has_text=name).click()


@pytest.fixture
def open_console(browser, site) -> Iterator[Callable[..., ConsoleVisit]]:
    """`open_console(client, "/todo")`: a console window that sends the client's token with each request.

    client -- None to send no token
    before -- called with the Playwright page before it loads
    """
    contexts = []

    def open_console(
        client: Client | None,
        path: str = "/assessments",
        width: int = DESKTOP,
        before: Callable[..., None] | None = None,
        **options: Any,
    ) -> ConsoleVisit:
        token = {"Authorization": client.headers["Authorization"]} if client else {}
        size = {"width": width, "height": 900}
        context = browser.new_context(
            viewport=size, timezone_id="Europe/Berlin", extra_http_headers=token, **options
        )
        contexts.append(context)
        visit = ConsoleVisit(context, f"http://localhost:{site.port}")
        if before:
            before(visit.page)
        return visit.go(path)

    yield open_console
    for context in contexts:
        context.close()
