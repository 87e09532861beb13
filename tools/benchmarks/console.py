"""The console in real Chromium: time to interactive, longest task and bytes of the board and of a session's report.

One web process on SQLite, which the browser shares the machine with. Times count from the navigation, with an empty
cache.
"""

import shutil
import socket
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
from tests.live.service import HOST, Service
from tools.benchmarks import data, report

ROUNDS = 5
CANDIDATES, EVENTS = 500, 20_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONG_TASKS = """
    window.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
      .observe({type: "longtask", buffered: true});
"""
# To the end in a hundred steps.
SCROLL = """async () => {
    const scrolled = document.querySelector('.event-list') ?? document.scrollingElement;
    for (let step = 1; step <= 100; step++) {
      scrolled.scrollTop = (scrolled.scrollHeight * step) / 100;
      await new Promise(requestAnimationFrame);
    }
}"""
# The page and everything that it has requested so far, as sent.
BYTES_SENT = """performance.getEntries().filter(({transferSize}) => transferSize)
    .reduce((sum, {transferSize}) => sum + transferSize, 0)"""
# Over 100 minutes: copies have the time of the first.
SPREAD = "UPDATE events SET time_ns = time_ns + seq * 300000000 WHERE session_id = %s"


class MeasuredPage(NamedTuple):
    """A page of the console, when it is shown, and what a person then does."""

    name: str
    client: Client
    path: str
    is_shown: Callable[[Page], None]
    interact: Callable[[Page], None]


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name), BASE_URL=f"http://localhost:{port}")
        with service.start(processes=1, port=port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            rows = [_row(page, browser, service) for page in (_board(service), _report(service))]
            browser.close()
    text = _document(rows)
    report.write("console", text)
    print(text)


def _board(service: Service) -> MeasuredPage:
    """An assessment whose candidates have all completed."""
    team = service.organization("Board Ltd")
    assessment_id = make_assessment(team)["id"]
    models.bind(service.database_url)
    assessment = Assessment.get_by_id(assessment_id)
    data.complete(assessment, data.add_keys(assessment, CANDIDATES))
    models.db.close()
    path = f"/assessments/{assessment_id}"
    return MeasuredPage(f"board, {CANDIDATES} candidates", team, path, _rows_shown, _sorts)


def _rows_shown(page: Page) -> None:
    has_all = "count => document.querySelectorAll('table.data tbody tr').length === count"
    page.wait_for_function(has_all, arg=CANDIDATES)


def _sorts(page: Page) -> None:
    """Sort by the name, and wait for the first row of the new order."""
    first = page.locator("table.data tbody tr").first.get_attribute("data-id")
    page.get_by_role("columnheader").get_by_role("button", name="Candidate", exact=True).click()
    differs = "first => document.querySelector('table.data tbody tr')?.dataset.id !== first"
    page.wait_for_function(differs, arg=first)


def _report(service: Service) -> MeasuredPage:
    """A completed session with many events."""
    team = service.organization("Report Ltd")
    candidate = Candidate(service, make_keys(team, make_assessment(team), 1)[0])
    send_copies(service, candidate, event(id="event-NUMBER", kind="command"), EVENTS)
    service.execute(SPREAD, service.stored_id(candidate.session_id))
    candidate.complete()
    path = f"/sessions/{candidate.session_id}"
    return MeasuredPage(f"report, {EVENTS:,} events", team, path, _lanes_shown, _opens_event)


def _lanes_shown(page: Page) -> None:
    status = "document.querySelector('.timeline [role=status]')?.textContent.includes(count)"
    page.wait_for_function(
        f"count => document.querySelector('main.report svg path') && {status}", arg=f"{EVENTS:,}"
    )


def _opens_event(page: Page) -> None:
    """Open the first event of the list, and wait for its JSON."""
    page.locator(".event-list [role=option]").first.click()
    page.locator(".event-detail pre").wait_for()


def _row(page: MeasuredPage, browser: Browser, service: Service) -> list[str]:
    openings = [_open(page, browser, service) for _ in range(ROUNDS + 1)][1:]
    return [page.name, *(f"{median(values):.0f}" for values in zip(*openings, strict=True))]


def _open(measured: MeasuredPage, browser: Browser, service: Service) -> tuple[float, ...]:
    """Milliseconds until everything is shown, until the interaction, and of the longest task; KiB of all responses."""
    token: Any = {"Authorization": measured.client.headers["Authorization"]}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, extra_http_headers=token)
    page = context.new_page()
    page.add_init_script(LONG_TASKS)
    page.goto(f"http://localhost:{service.port}/console#{measured.path}")
    measured.is_shown(page)
    shown = page.evaluate("performance.now()")
    measured.interact(page)
    interactive = page.evaluate("performance.now()")
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    sent, longest = page.evaluate(BYTES_SENT), page.evaluate("Math.max(0, ...longTasks)")
    context.close()
    return shown, interactive, longest, sent / 1024


def _document(rows: list[list[str]]) -> str:
    head = ["page", "all rows, ms", "answered, ms", "longest task, ms", "KiB sent"]
    return f"""## The console

`make bench options=--console`. Real Chromium without a cache, one web process, SQLite. "All rows" is the time from the
navigation until everything is there: the board's {CANDIDATES} rows, the report's lanes. "Answered" is when the board
also shows another order after a click, and the report an event; then the rows are scrolled to the end. Browsers report
tasks from 50 ms; 0 means that none was longer. "KiB sent" are the bytes of all responses as sent. Medians of {ROUNDS}
rounds.

{report.markdown(head, rows)}

- {report.machine()}; {date.today().isoformat()}. Browser and service share the machine.
"""
