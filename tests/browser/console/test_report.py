"""The report of a session: its facts, record, changes and hostile content; 20,000 events stay fluid."""

import hashlib
import io
import tarfile
from urllib.parse import urlsplit

import pytest

from tests.browser.console.hostile import MARKUP, hostile_events
from tests.live.cast import event, make_candidate, send_copies
from tests.live.client import call
from tests.live.service import wait_until

PHONE = 390
CODE = {
    "prompt": ({"text": "Where is the total computed?"}, "human", None),
    "ai_response": ({"lastAssistantMessage": "In orders.py.", "model": "claude-x"}, "ai", None),
    "file_diff": ({"path": "orders.py", "diff": "", "linesAdded": 2, "linesRemoved": 1}, "ai", "likely_ai"),
    "file_create": ({"path": "notes.md", "linesAdded": 1}, "human", "likely_human"),
    "command": ({"command": "pytest -q", "exitCode": 1}, "human", None),
    "test_run": ({"passed": 3, "failed": 0}, "human", None),
    "decision_event": ({"title": "Round once", "rationale": "It is exact."}, "human", None),
}


def work(second=0):
    """An event of each kind, ten seconds apart."""
    for number, (kind, (data, actor, attribution)) in enumerate(CODE.items()):
        members = {"provenance": {"attribution": attribution}} if attribution else {}
        yield event(kind, second=second + 10 * number, data=data, actor={"type": actor}, id=kind, **members)


@pytest.fixture
def candidate(site, team, assessment):
    return make_candidate(site, team, assessment)


@pytest.fixture
def open_report(open_console, team, candidate):
    def open_report(query="", **options):
        return open_console(team, f"/sessions/{candidate.session_id}{query}", **options)

    return open_report


def record(candidate, *events):
    for each in events:
        assert candidate.ingest(each).status == 201, each


def test_a_report_leads_from_the_lanes_to_an_event(candidate, open_report):
    record(candidate, *work())
    candidate.complete()
    visit = open_report()
    page = visit.page
    assert visit.shows("Nothing irregular in this record")
    assert visit.heading().startswith("Candidate ")
    page.locator(".lanes-scroll svg .phase").first.wait_for()
    names = page.locator(".lane-names").inner_text().split("\n")
    assert names == [
        *("Phases", "Prompts 1", "Agent's changes 1", "Changes by hand 1", "Commands 0", "Tests and checks 2")
    ]
    lanes = page.get_by_role("application")
    lanes.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    detail = page.get_by_role("region", name="Selected event")
    detail.get_by_text("Likely by hand").wait_for()
    assert '"path": "notes.md"' in detail.locator("pre").inner_text()
    assert page.url.endswith(f"{candidate.session_id}?event=file_create")
    page.get_by_label("Search").fill("total computed")
    visit.shows("1 of 7 events")
    page.get_by_role("option", name="Where is the total").click()
    detail.get_by_text("The candidate", exact=True).wait_for()
    assert visit.is_clean()


def test_an_address_opens_its_event(candidate, open_report):
    record(candidate, *work())
    visit = open_report("?event=command")
    visit.page.locator(".event-detail pre").get_by_text('"command": "pytest -q"').wait_for()
    assert visit.page.locator("[role=option][aria-selected=true]").inner_text().split() == [
        *("11:00:40", "Command", "pytest", "-q", "·", "exit", "1")
    ]
    assert visit.is_clean()


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_every_part_shows_its_content_or_why_there_is_none(candidate, open_report, width):
    record(candidate, *work())
    candidate.complete()
    visit = open_report(width=width)
    for tab, text in {
        "Conversation": "In orders.py.",
        "Final changes": "No final changes",
        "Time and cost": "Fixed",
        "Decisions": "It is exact.",
        "Hand-in": "Nothing was handed in",
        "Metrics": "Failed commands",
    }.items():
        visit.page.get_by_role("tab", name=tab).click()
        assert visit.shows(text), tab
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    assert visit.is_clean()


def test_witnesses_and_late_events_say_that_they_do_not_count(site, candidate, open_report):
    record(candidate, *work())
    key = site.stored_id(candidate.session_id)
    site.execute("UPDATE events SET channel = 'otlp' WHERE session_id = %s AND event_id = 'prompt'", key)
    site.execute("UPDATE events SET late = 1 WHERE session_id = %s AND event_id = 'command'", key)
    visit = open_report("?event=prompt")
    assert visit.shows("Only witnesses: recorded by the agent's telemetry")
    marks = visit.page.locator("[role=option] .mark").all_inner_texts()
    assert marks == ["witness", "late"]
    visit.page.get_by_label("Only events that count").check()
    assert visit.shows("5 of 7 events")
    visit.page.get_by_role("tab", name="Conversation").click()
    assert visit.shows("One message that repeats another")
    assert visit.is_clean()


def test_a_running_session_says_so_and_refreshes(candidate, open_report):
    visit = open_report()
    assert visit.shows("The session is running")
    assert visit.shows("Nothing was recorded")
    record(candidate, *work())
    visit.page.get_by_role("button", name="Refresh").click()
    assert visit.shows("7 of 7 events")
    assert visit.is_clean()


def test_a_changed_record_is_loud(site, candidate, open_report):
    record(candidate, *work())
    with site.worker():
        sealed = "SELECT sealed_count FROM sessions WHERE id = %s"
        key = site.stored_id(candidate.session_id)
        wait_until(lambda: site.execute(sealed, key)[0][0] == len(CODE), "The worker does not seal.")
    change = "UPDATE events SET envelope = replace(envelope, 'orders.py', 'orderz.py') WHERE session_id = %s"
    site.execute(change, key)
    visit = open_report()
    assert (
        visit.page.get_by_role("alert")
        .inner_text()
        .startswith("This record is not what the service accepted")
    )
    visit.page.get_by_role("alert").get_by_role("link", name="event 1").first.click()
    visit.page.locator(".event-detail pre").get_by_text("orderz.py").first.wait_for()
    assert visit.is_clean()


def test_an_erased_session_keeps_its_numbers(team, candidate, open_report):
    record(candidate, *work())
    candidate.complete()
    assert team.delete(f"/v1/candidates/{candidate.id}/data").status == 200
    visit = open_report()
    assert visit.shows("The candidate's data was erased")
    assert visit.page.get_by_role("tab").all_inner_texts() == ["Metrics"]
    assert visit.is_clean()


def test_nothing_that_a_candidate_wrote_runs_or_hides(candidate, open_report):
    record(candidate, *hostile_events())
    submit(candidate, {"../../etc/passwd": b"a", "gpj.\u202eexe": b"b"}, repo_url="javascript:alert(1)")
    candidate.complete()
    visit = open_report(width=PHONE)
    page = visit.page
    visit.shows("42 of 42 events")
    for option in range(3):
        page.locator("[role=option]").nth(option).click()
    page.locator(".event-detail pre").get_by_text("onerror").first.wait_for()
    for tab, text in {
        "Conversation": "U+202E",
        "Time and cost": "Still failing",
        "Decisions": "U+202E",
        "Hand-in": "unsafe to unpack",
    }.items():
        page.get_by_role("tab", name=tab).click()
        assert visit.shows(text)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    assert page.locator("main img, main script, main a[href^=javascript], main b").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
    assert page.title().startswith("Candidate ")
    assert MARKUP in page.locator("main").inner_text() or page.get_by_text(MARKUP[:40]).count()
    assert visit.is_clean()


def submit(candidate, files, repo_url):
    """Upload a bundle as the candidate's client does."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    content = archive.getvalue()
    upload = candidate.post("/v1/candidate/upload-url", {"sessionId": candidate.session_id}).json
    url = urlsplit(upload["uploadUrl"])
    gzip = {"Content-Type": "application/gzip"}
    put = call(candidate.port, "PUT", f"{url.path}?{url.query}", content, headers=gzip, seconds=60)
    assert put.status == 200
    facts = {"bundleSize": len(content), "bundleSha256": hashlib.sha256(content).hexdigest()}
    body = {"sessionId": candidate.session_id, "bundleKey": upload["objectKey"], "repoUrl": repo_url} | facts
    assert candidate.post("/v1/candidate/submit-code", body).json["verified"]


LONG_TASKS = """
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((each) => each.duration)))
        .observe({type: "longtask"});
"""
SCROLL = """async () => {
    const list = document.querySelector(".event-list");
    const frame = () => new Promise(requestAnimationFrame);
    for (let step = 0; step < 120; step += 1) {
        list.scrollTop = step < 60 ? step * 90 : (step - 60) * 9000;
        await frame();
    }
    await frame();
    return list.innerText;
}"""


@pytest.mark.slow
def test_20000_events_open_in_two_seconds_and_scroll_without_a_pause(site, candidate, open_report):
    copied = ["prompt", "file_diff", "command", "test_run"]
    record(candidate, *(each | {"id": f"{each['kind']}-NUMBER"} for each in work() if each["kind"] in copied))
    last = event("command", id="last-NUMBER", data={"command": "git diff NUMBER", "exitCode": 0})
    send_copies(site, candidate, last, 4_000)
    spread = "UPDATE events SET time_ns = time_ns + (seq %% 4000) * 1500000000 WHERE session_id = %s"
    site.execute(spread.replace("%%", "%"), site.stored_id(candidate.session_id))
    visit = open_report()
    visit.shows("20,000 of 20,000 events")
    page = visit.page
    # The service has finished what this first visit asked for.
    page.locator(".report-integrity .notice").wait_for()
    page.locator(".lanes-scroll .episode").wait_for()
    page.add_init_script(LONG_TASKS)
    page.reload()
    page.locator(".event-list [role=option]").first.wait_for()
    opened = page.evaluate("performance.now()")
    page.locator(".lanes-scroll .episode").wait_for()
    page.evaluate("window.longTasks.length = 0")
    text = page.evaluate(SCROLL)
    pauses = page.evaluate("window.longTasks")
    print(f"opened in {opened:.0f} ms, long tasks while scrolling: {pauses}")
    assert "git diff" in text
    assert page.locator(".event-list [role=option]").count() < 60
    assert page.locator(".lanes-scroll svg *").count() < 200
    assert opened < 2_000
    assert max(pauses, default=0) <= 50
    assert visit.is_clean()
