"""The console in real Chromium: time to interactive, longest task and bytes of the board and of a session's report.

One web process on SQLite, which the browser shares the machine with. Times count from the navigation, with an empty
cache.
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
from tools.benchmarks import bulk, report, services

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


class Opening(NamedTuple):
    """One opening of a page: in milliseconds, and bytes of all responses."""

    shown: float
    interactive: float
    longest_task: float
    bytes: int


def measure(rounds: int = ROUNDS) -> None:
    """Measure, print the table and write it to RESULTS.md."""
    port = services.free_port()
    with tempfile.TemporaryDirectory() as name:
        service = Service(Path(name), f"sqlite:///{name}/proofstone.db", BASE_URL=f"http://localhost:{port}")
        with service.start(processes=1, port=port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            rows = [_row(*page, rounds, browser, service) for page in (_board(service), _report(service))]
            browser.close()
    text = _document(rows, rounds)
    report.write("console", text)
    print(text)


MeasuredPage = tuple[str, Client, str, Callable[[Page], None], Callable[[Page], None]]


def _board(service: Service) -> MeasuredPage:
    """An assessment whose candidates have all completed."""
    team = service.organization("Board Ltd")
    assessment = make_assessment(team)
    _complete_candidates(service, assessment["id"])
    return f"board, {CANDIDATES} candidates", team, f"/assessments/{assessment['id']}", _rows_shown, _sorts


def _complete_candidates(service: Service, assessment_id: str) -> None:
    models.bind(service.database_url)
    assessment = Assessment.get_by_id(assessment_id)
    bulk.sessions(bulk.keys(assessment, CANDIDATES), CANDIDATES)
    models.db.close()


def _rows_shown(page: Page) -> None:
    page.wait_for_function(
        "count => document.querySelectorAll('table.data tbody tr').length === count", arg=CANDIDATES
    )


def _sorts(page: Page) -> None:
    """Sort by the name, and wait for the first row of the new order."""
    first = page.locator("table.data tbody tr").first.get_attribute("data-id")
    page.get_by_role("columnheader").get_by_role("button", name="Candidate").click()
    page.wait_for_function(
        "first => document.querySelector('table.data tbody tr')?.dataset.id !== first", arg=first
    )


def _report(service: Service) -> MeasuredPage:
    """A completed session with many events."""
    team = service.organization("Report Ltd")
    candidate = Candidate(service, make_keys(team, make_assessment(team), 1)[0])
    send_copies(service, candidate, event(id="event-NUMBER", kind="command"), EVENTS)
    service.execute(SPREAD, service.stored_id(candidate.session_id))
    candidate.complete()
    return (
        f"report, {EVENTS:,} events",
        team,
        f"/sessions/{candidate.session_id}",
        _report_shown,
        _opens_event,
    )


def _report_shown(page: Page) -> None:
    page.wait_for_function(
        "count => document.querySelector('main.report svg path') && document.querySelector('.timeline [role=status]')"
        "?.textContent.includes(count)",
        arg=f"{EVENTS:,}",
    )


def _opens_event(page: Page) -> None:
    """Open the first event of the list, and wait for its JSON."""
    page.locator(".event-list [role=option]").first.click()
    page.locator(".event-detail pre").wait_for()


def _row(
    name: str, client: Client, path: str, is_shown: Any, interact: Any, rounds: int, browser: Browser,
    service: Service,
) -> list[str]:  # fmt: skip
    openings = [_open(browser, service, client, path, is_shown, interact) for _ in range(rounds + 1)][1:]
    shown, interactive, longest, _ = (median(values) for values in zip(*openings, strict=True))
    return [
        name,
        f"{shown:.0f}",
        f"{interactive:.0f}",
        f"{longest:.0f}",
        f"{median(each.bytes for each in openings) / 1024:.0f}",
    ]


def _open(
    browser: Browser, service: Service, client: Client, path: str, is_shown: Any, interact: Any
) -> Opening:
    token = {"Authorization": client.headers["Authorization"]}
    context = browser.new_context(viewport={"width": 1280, "height": 900}, extra_http_headers=token)
    page = context.new_page()
    page.add_init_script(LONG_TASKS)
    page.goto(f"http://localhost:{service.port}/console#{path}")
    is_shown(page)
    shown = page.evaluate("performance.now()")
    interact(page)
    interactive = page.evaluate("performance.now()")
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    sent = page.evaluate(BYTES_SENT)
    longest = page.evaluate("Math.max(0, ...longTasks)")
    context.close()
    return Opening(shown, interactive, longest, sent)


def _document(rows: list[list[str]], rounds: int) -> str:
    head = ["page", "all rows, ms", "answered, ms", "longest task, ms", "KiB sent"]
    return f"""## The console

`make bench options=--console`. Real Chromium without a cache, one web process, SQLite. "All rows" is the time from the
navigation until everything is there: the board's {CANDIDATES} rows, the report's lanes. "Answered" is when the board
also shows another order after a click, and the report an event; then the rows are scrolled to the end. Browsers report
tasks from 50 ms; 0 means that none was longer. "KiB sent" are the bytes of all responses as sent. Medians of {rounds}
rounds.

{report.markdown(head, rows)}

- {report.machine()}; {date.today().isoformat()}. Browser and service share the machine.
"""
