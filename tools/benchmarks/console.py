"""Measure the console's board, report and compare page in real Chromium: LCP, CLS and longest task.

The cache is empty. One web process serves the pages from SQLite.
"""

import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

import models
from models import Assessment
from tests.live.cast import Candidate, event, make_assessment, make_keys, send_copies
from tests.live.client import Client
from tests.live.service import Service
from tests.servers import free_port
from tools.benchmarks import data, report

ROUNDS = 5
CANDIDATES, EVENTS = 500, 20_000
GOALS = ["goal", "< 1000", "< 0.02", "<= 100"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Shifts within half a second of an input do not count.
OBSERVE = """
    window.measured = {lcp: 0, cls: 0, task: 0};
    const observe = (type, record) =>
      new PerformanceObserver((list) => list.getEntries().forEach(record)).observe({type, buffered: true});
    observe("largest-contentful-paint", ({startTime}) => (measured.lcp = startTime));
    observe("layout-shift", ({value, hadRecentInput}) => (measured.cls += hadRecentInput ? 0 : value));
    observe("longtask", ({duration}) => (measured.task = Math.max(measured.task, duration)));
"""
IS_SETTLED = """document.querySelector("main h1")
    && !document.querySelector("[aria-busy=true], main .loading")"""
# Scrolls to the end in a hundred steps.
SCROLL = """async () => {
    const list = document.querySelector('.event-list') ?? document.scrollingElement;
    for (let step = 1; step <= 100; step++) {
      list.scrollTop = (list.scrollHeight * step) / 100;
      await new Promise(requestAnimationFrame);
    }
}"""
# All copies have the same time. Spread them over 100 minutes.
SPREAD = "UPDATE events SET time_ns = time_ns + seq * 300000000 WHERE session_id = %s"


class MeasuredPage(NamedTuple):
    """A page of the console, and an interaction with it."""

    name: str
    path: str
    interact: Callable[[Page], None] = lambda page: None


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    port = free_port()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name), BASE_URL=f"http://localhost:{port}")
        with service.start(processes=1, port=port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            team = service.organization("Console Ltd")
            for page in _pages(service, team):
                _, *visits = [_visit(page, team, browser, port) for _ in range(ROUNDS + 1)]
                lcp, cls, task = map(median, zip(*visits, strict=True))
                rows.append([page.name, f"{lcp:.0f}", f"{cls:.3f}", f"{task:.0f}"])
            browser.close()
    document = _document([*rows, GOALS])
    report.write("console", document)
    print(document)


def _pages(service: Service, team: Client) -> list[MeasuredPage]:
    """Create an assessment whose candidates have all completed, one of them with many events."""
    assessment = make_assessment(team)
    candidate = Candidate(service, make_keys(team, assessment, 1)[0])
    send_copies(service, candidate, event(id="event-NUMBER", kind="command"), EVENTS)
    service.execute(SPREAD, service.stored_id(candidate.session_id))
    candidate.complete()
    data.bind(service.database_url)
    row = Assessment.get_by_id(assessment["id"])
    data.add_completed_sessions(row, data.add_keys(row, CANDIDATES - 1))
    models.db.close()
    results = team.get(f"/v1/assessments/{assessment['id']}/results?limit=2&order=desc")["results"]
    other = next(each["sessionId"] for each in results if each["sessionId"] != candidate.session_id)
    return [
        MeasuredPage(f"board, {CANDIDATES} candidates", f"/assessments/{assessment['id']}", _sort_by_name),
        MeasuredPage(
            f"report, {EVENTS:,} events", f"/sessions/{candidate.session_id}?tab=timeline", _open_event
        ),
        MeasuredPage(f"compare, {EVENTS:,} events", f"/compare/{candidate.session_id}/{other}"),
    ]


def _sort_by_name(page: Page) -> None:
    page.get_by_role("columnheader").get_by_role("button", name="Candidate", exact=True).click()


def _open_event(page: Page) -> None:
    page.locator(".event-list [role=option]").first.click()
    page.locator(".event-detail pre").wait_for()


def _visit(measured_page: MeasuredPage, team: Client, browser: Browser, port: int) -> tuple[float, ...]:
    """Return the largest contentful paint in ms, the cumulative layout shift, and the longest task in ms."""
    token: Any = {"Authorization": team.headers["Authorization"]}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, extra_http_headers=token)
    page = context.new_page()
    page.add_init_script(OBSERVE)
    page.goto(f"http://localhost:{port}/console#{measured_page.path}")
    page.wait_for_load_state("networkidle")
    page.wait_for_function(IS_SETTLED)
    measured_page.interact(page)
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    measured = page.evaluate("measured")
    context.close()
    return measured["lcp"], measured["cls"], measured["task"]


def _document(rows: list[list[str]]) -> str:
    head = ["page", "LCP, ms", "CLS", "longest task, ms"]
    return f"""## The console

`make bench options=--console`. Real Chromium with an empty cache, one web process, SQLite. The report and one side of
the comparison have {EVENTS:,} events; all pages belong to an assessment with {CANDIDATES} candidates. After loading,
the board sorts its rows, the report opens an event, and each page is scrolled to its end. LCP is the time of the
largest contentful paint, CLS the sum of layout shifts without an input. The longest task is 0 if none takes 50 ms or
more. Medians of {ROUNDS} rounds.

{report.markdown(head, rows)}

- {report.describe_machine()}; {date.today().isoformat()}. Browser and service share the machine.
"""
