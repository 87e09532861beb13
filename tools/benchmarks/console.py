"""Measure the console's board and report in real Chromium: time to interactive, longest task and bytes.

Times start with the navigation, with an empty cache. One web process serves them from SQLite.
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
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LONG_TASKS = """
    window.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
      .observe({type: "longtask", buffered: true});
"""
# Scrolls to the end in a hundred steps.
SCROLL = """async () => {
    const list = document.querySelector('.event-list') ?? document.scrollingElement;
    for (let step = 1; step <= 100; step++) {
      list.scrollTop = (list.scrollHeight * step) / 100;
      await new Promise(requestAnimationFrame);
    }
}"""
BYTES_SENT = """performance.getEntries().filter(({transferSize}) => transferSize)
    .reduce((sum, {transferSize}) => sum + transferSize, 0)"""
# All copies have the same time. Spread them over 100 minutes.
SPREAD = "UPDATE events SET time_ns = time_ns + seq * 300000000 WHERE session_id = %s"


class MeasuredPage(NamedTuple):
    """A page of the console, the wait for its content, and an interaction with it."""

    name: str
    client: Client
    path: str
    wait_for_content: Callable[[Page], None]
    interact: Callable[[Page], None]


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    port = free_port()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name), BASE_URL=f"http://localhost:{port}")
        with service.start(processes=1, port=port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for page in (_board(service), _report(service)):
                _, *visits = [_visit(page, browser, service.port) for _ in range(ROUNDS + 1)]
                rows.append([page.name, *(f"{median(values):.0f}" for values in zip(*visits, strict=True))])
            browser.close()
    document = _document(rows)
    report.write("console", document)
    print(document)


def _board(service: Service) -> MeasuredPage:
    """Create an assessment whose candidates have all completed."""
    team = service.organization("Board Ltd")
    assessment_id = make_assessment(team)["id"]
    data.bind(service.database_url)
    assessment = Assessment.get_by_id(assessment_id)
    data.add_completed_sessions(assessment, data.add_keys(assessment, CANDIDATES))
    models.db.close()
    path = f"/assessments/{assessment_id}"
    return MeasuredPage(f"board, {CANDIDATES} candidates", team, path, _wait_for_rows, _sort_by_name)


def _wait_for_rows(page: Page) -> None:
    has_all_rows = "count => document.querySelectorAll('table.data tbody tr').length === count"
    page.wait_for_function(has_all_rows, arg=CANDIDATES)


def _sort_by_name(page: Page) -> None:
    first_id = page.locator("table.data tbody tr").first.get_attribute("data-id")
    page.get_by_role("columnheader").get_by_role("button", name="Candidate", exact=True).click()
    has_new_order = "first => document.querySelector('table.data tbody tr')?.dataset.id !== first"
    page.wait_for_function(has_new_order, arg=first_id)


def _report(service: Service) -> MeasuredPage:
    """Create a completed session with many events."""
    team = service.organization("Report Ltd")
    candidate = Candidate(service, make_keys(team, make_assessment(team), 1)[0])
    send_copies(service, candidate, event(id="event-NUMBER", kind="command"), EVENTS)
    service.execute(SPREAD, service.stored_id(candidate.session_id))
    candidate.complete()
    path = f"/sessions/{candidate.session_id}"
    return MeasuredPage(f"report, {EVENTS:,} events", team, path, _wait_for_lanes, _open_event)


def _wait_for_lanes(page: Page) -> None:
    status = "document.querySelector('.timeline [role=status]')?.textContent.includes(count)"
    page.wait_for_function(
        f"count => document.querySelector('main.report svg path') && {status}", arg=f"{EVENTS:,}"
    )


def _open_event(page: Page) -> None:
    page.locator(".event-list [role=option]").first.click()
    page.locator(".event-detail pre").wait_for()


def _visit(measured_page: MeasuredPage, browser: Browser, port: int) -> tuple[float, ...]:
    """Return the times to content and interaction, the longest task (all in ms), and the KiB sent."""
    token: Any = {"Authorization": measured_page.client.headers["Authorization"]}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, extra_http_headers=token)
    page = context.new_page()
    page.add_init_script(LONG_TASKS)
    page.goto(f"http://localhost:{port}/console#{measured_page.path}")
    measured_page.wait_for_content(page)
    loaded_ms = page.evaluate("performance.now()")
    measured_page.interact(page)
    interactive_ms = page.evaluate("performance.now()")
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    bytes_sent, longest_task = page.evaluate(BYTES_SENT), page.evaluate("Math.max(0, ...longTasks)")
    context.close()
    return loaded_ms, interactive_ms, longest_task, bytes_sent / 1024


def _document(rows: list[list[str]]) -> str:
    head = ["page", "all rows, ms", "after a click, ms", "longest task, ms", "KiB sent"]
    return f"""## The console

`make bench options=--console`. Real Chromium with an empty cache, one web process, SQLite. "All rows" is the time from
navigation until the page shows the board's {CANDIDATES} rows or the report's lanes. "After a click" adds the response
to a click: the board sorts its rows, the report opens an event. The rows are then scrolled to the end. The longest task
is 0 if none takes 50 ms or more. "KiB sent" is the size of all responses as transferred. Medians of {ROUNDS} rounds.

{report.markdown(head, rows)}

- {report.describe_machine()}; {date.today().isoformat()}. Browser and service share the machine.
"""
