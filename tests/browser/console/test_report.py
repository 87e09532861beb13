"""The session's report: findings, recording, changes and hostile content."""

import re

import pytest

from tests.browser.console.conftest import RUBRIC, add_rubric, all_recorded, open_tab
from tests.browser.console.organization import MARKUP, hostile_events
from tests.git_bundles.bundles import bundle_of_blobs
from tests.live.cast import ASSESSMENT, Candidate, event, make_candidate, make_keys, pack, send_copies
from tests.live.service import wait_until

PHONE = 390
MINUS = "\u2212"
# Reads that the service limits for large sessions.
WHOLE_SESSION = re.compile(
    r"/v1/sessions/[^/]+(/(timeline|analytics|moments|integrity|final-diff|decisions).*)?$"
)
EVENTS = {
    "prompt": ({"text": "Where is the total computed?"}, "human", None),
    "ai_response": ({"lastAssistantMessage": "In orders.py.", "model": "claude-x"}, "ai", None),
    "file_diff": ({"path": "orders.py", "diff": "", "linesAdded": 2, "linesRemoved": 1}, "ai", "likely_ai"),
    "file_create": ({"path": "notes.md", "linesAdded": 1}, "human", "likely_human"),
    "command": ({"command": "pytest -q", "exitCode": 1}, "human", None),
    "test_run": ({"passed": 3, "failed": 0}, "human", None),
    "decision_event": ({"title": "Round once", "rationale": "It is exact."}, "human", None),
}


def work():
    """Build an event of each kind, ten seconds apart."""
    for number, (kind, (data, actor, attribution)) in enumerate(EVENTS.items()):
        fields = {"provenance": {"attribution": attribution}} if attribution else {}
        yield event(kind, second=10 * number, data=data, actor={"type": actor}, id=kind, **fields)


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


def test_lanes_and_search_lead_to_an_event(candidate, open_report):
    record(candidate, *work())
    candidate.complete()
    visit = open_report()
    page = visit.page
    assert visit.shows("No findings")
    assert visit.heading().startswith("Candidate ")
    page.locator(".lanes-scroll svg .phase").first.wait_for()
    names = page.locator(".lane-names").inner_text().split("\n")
    assert names == [
        *("Phases", "Prompts 1", "Agent's changes 1", "Candidate's changes 1"),
        *("Commands 0", "Tests and checks 2"),
    ]
    lanes = page.get_by_role("application")
    lanes.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    detail = page.get_by_role("region", name="Selected event")
    detail.locator("div", has_text="Likely author").get_by_text("Candidate", exact=True).wait_for()
    assert '"path": "notes.md"' in detail.locator("pre").inner_text()
    assert page.url.endswith(f"{candidate.session_id}?event=file_create")
    page.get_by_label("Search").fill("total computed")
    visit.shows("1 of 7 events")
    page.get_by_role("option", name="Where is the total").click()
    detail.locator("div", has_text="Actor").get_by_text("Candidate", exact=True).wait_for()
    assert visit.is_clean()


def test_an_address_opens_its_event(candidate, open_report):
    record(candidate, *work())
    visit = open_report("?event=command")
    visit.page.locator(".event-detail pre").get_by_text('"command": "pytest -q"').wait_for()
    assert visit.page.locator("[role=option][aria-selected=true]").inner_text().split() == [
        *("11:00:40", "Command", "pytest", "-q", "·", "exit", "1")
    ]
    assert visit.is_clean()


def test_an_action_is_one_row(candidate, open_report):
    for name, fields in {"PreToolUse": {}, "PostToolUse": {"tool_response": {"stdout": ""}}}.items():
        call = {"tool_name": "Bash", "tool_input": {"command": "echo '\"'"}, "tool_use_id": "toolu_1"}
        hook = {"hook_event_name": name, "session_id": "1", **call, **fields}
        assert candidate.post("/v1/hooks/claude-code", hook).status == 200
    visit = open_report()
    assert visit.shows("1 of 2 events")
    visit.page.get_by_role("option", name="echo").click()
    visit.page.get_by_role("link", name="Open the agent's request").click()
    assert visit.shows("2 of 2 events")
    assert visit.shows("Tool request")
    assert visit.is_clean()


def test_the_conversation_renders_markdown_and_collapses_responses_without_text(candidate, open_report):
    text = "## Plan\n\nUse **two** `steps`:\n\n1. Read `a*b`\n- <b>no</b>\n\n```py\nx = **1**\n```\n[a](javascript:)"
    record(
        candidate,
        event(data={"text": "Fix it"}),
        event("ai_response", 1, data={"model": "claude-x"}),
        event("command", 2, data={"command": "ls"}),
        event("ai_response", 3, data={"lastAssistantMessage": text}),
    )
    visit = open_report("?tab=conversation")
    assert visit.shows("No text, only tool calls: 1 action: 1 \u00d7 Command")
    message = visit.page.locator(".from-agent .long-text")
    assert message.locator("strong").all_inner_texts() == ["Plan", "two"]
    assert message.locator("code").all_inner_texts() == ["steps", "a*b"]
    assert [text.split() for text in message.locator("li").all_inner_texts()] == [
        *(["1.", "Read", "a*b"], ["•", "<b>no</b>"])
    ]
    assert message.locator("pre").inner_text() == "x = **1**"
    assert message.locator("a, b").count() == 0
    assert visit.is_clean()


MARKDOWN_MS = """async (lines) => {
  const { markdown } = await import("/console/shared/markdown.js");
  const start = performance.now();
  for (const line of lines) markdown(line);
  return performance.now() - start;
}"""


def test_hostile_markdown_does_not_block_the_page(open_report):
    page = open_report().settle().page
    spaces, ends = " " * 49_000, ("\u2028x", "\rx", "x\u2028x")
    lines = [f"{start}{spaces}{end}" for start in ("-", "1.", "#", "```", "**", "`", "") for end in ends]
    assert page.evaluate(MARKDOWN_MS, lines) < 5000


EVIDENCE = """async () => {
  const { diffView } = await import("/console/shared/diff.js");
  const picked = [];
  const file = {path: "a.py", status: "modified", linesAdded: 1, linesRemoved: 1, notRecordedRanges: []};
  const diff = "@@ -1,2 +1,2 @@\\n one\\n-two\\n+three\\n";
  const report = { onEvidence: (reference) => picked.push(reference) };
  document.querySelector("main").replaceChildren(diffView([{...file, diff}], { report }));
  window.picked = picked;
}"""


def test_a_diff_line_becomes_evidence_by_keyboard(open_report):
    page = open_report().settle().page
    page.evaluate(EVIDENCE)
    page.get_by_role("region", name="Changes of a.py").focus()
    for key in ("ArrowDown", "Enter", "ArrowDown", "Enter", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("window.picked") == ["diff:a.py:1", "diff:a.py:-2", "diff:a.py:2"]


@pytest.mark.parametrize("width", [PHONE, 1280])
def test_tabs_show_their_content_or_a_reason(candidate, open_report, width):
    record(candidate, *work())
    candidate.complete()
    visit = open_report(width=width)
    for tab, text in {
        "Conversation": "In orders.py.",
        "Diff": "No final diff",
        "Time and cost": "Fixed",
        "Design decisions": "It is exact.",
        "Submission": "No submission",
        "Metrics": "Failed commands",
    }.items():
        open_tab(visit, tab)
        assert visit.shows(text), tab
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    assert visit.shows("Fewer than 10 sessions")
    assert visit.page.get_by_text("higher than").count() == 0
    assert visit.is_clean()


def test_the_header_shows_the_score_and_the_rounded_duration(team, assessment, bob, candidate, open_console):
    record(candidate, event(), event(ts="2026-04-01T11:50:31.000Z"))
    candidate.complete()
    path = f"/sessions/{candidate.session_id}"
    add_rubric(team, assessment)
    visit = open_console(team, path)
    assert visit.shows("Not scored yet")
    team.request("PUT", f"/v1{path}/scores/quality", {"value": 2})
    visit.page.reload()
    assert visit.shows("2 of 3")
    visit.page.get_by_text("Details: times, counts and hashes").click()
    duration = (
        visit.page.locator(".report-details .pairs div", has_text="Duration").locator("dd").inner_text()
    )
    assert duration.split("\n")[0] == "2 h 51 min"
    open_tab(visit, "Metrics")
    visit.page.locator(".metric-value").first.wait_for()
    assert visit.page.locator(".metric-value").first.inner_text() == "2 h 51 min"
    visit = open_console(bob, path)
    assert visit.shows("Not visible yet")


def test_pages_hide_a_blind_candidates_name_and_external_id(team, bob, site, open_console):
    rubric = team.post("/v1/rubrics", RUBRIC)["rubric"]
    body = ASSESSMENT | {"blind": True, "rubricId": rubric["id"]}
    assessment = team.post("/v1/assessments", body)["assessment"]
    first, second = (make_candidate(site, team, assessment) for _ in range(2))
    changes = {"candidateName": "Ada Lovelace", "externalId": "ada-lovelace"}
    assert team.request("PATCH", f"/v1/candidates/{first.id}", changes).status == 200
    for each in (first, second):
        each.complete()
    path = f"/sessions/{first.session_id}"
    compare = f"/compare/{first.session_id}/{second.session_id}"
    pages = [f"/assessments/{assessment['id']}", path, f"{path}/score", f"{path}/print", compare, "/todo"]
    for page in pages:
        visit = open_console(bob, page).settle()
        assert visit.shows(f"Candidate {first.id[-6:]}"), page
        assert "lovelace" not in visit.page.content().lower(), page
    assert bob.request("PUT", f"/v1{path}/scores/quality", {"value": 2}).status == 200
    for page in pages[:-1]:
        assert open_console(bob, page).settle().shows("Ada Lovelace"), page


def test_the_focus_moves_to_more_messages(site, candidate, open_report):
    record(candidate, event(id="prompt-NUMBER"))
    send_copies(site, candidate, event(id="last-NUMBER"), 60)
    page = open_report("?tab=conversation").page
    page.get_by_role("button", name="Show more").press("Enter")
    page.locator(".conversation li:nth-child(51) :focus").wait_for()


def test_duplicates_are_hidden_and_late_events_are_marked(site, candidate, open_report):
    record(candidate, *work())
    key = site.stored_id(candidate.session_id)
    site.execute("UPDATE events SET channel = 'otlp' WHERE session_id = %s AND event_id = 'prompt'", key)
    site.execute("UPDATE events SET late = 1 WHERE session_id = %s AND event_id = 'command'", key)
    visit = open_report()
    assert visit.shows("6 of 7 events")
    assert visit.page.locator("[role=option] .mark").all_inner_texts() == ["late"]
    visit = open_report("?event=prompt")
    assert visit.shows("Duplicate from the agent's telemetry")
    lanes = visit.page.locator(".lane-names").inner_text().split("\n")
    assert {"Prompts 0", "Commands 0", "Agent's changes 1"} <= set(lanes)
    marks = visit.page.locator("[role=option] .mark").all_inner_texts()
    assert marks == ["duplicate", "late"]
    open_tab(visit, "Conversation")
    assert visit.shows("One duplicate message is hidden")
    assert visit.is_clean()


def test_context_is_shown_on_request(site, candidate, open_report):
    record(candidate, *work())
    key = site.stored_id(candidate.session_id)
    context = (
        "UPDATE events SET channel = 'proxy', kind = 'context' WHERE session_id = %s AND event_id = 'prompt'"
    )
    site.execute(context, key)
    visit = open_report()
    assert visit.shows("6 of 7 events")
    visit.page.get_by_label("Show context").check()
    assert visit.shows("7 of 7 events")
    visit = open_report("?event=prompt")
    assert visit.shows("Context of model calls, not counted")
    site.execute("UPDATE events SET note = 'user text' WHERE session_id = %s AND event_id = 'prompt'", key)
    assert open_report().shows("7 of 7 events")
    assert visit.is_clean()


def test_a_running_session_can_be_refreshed(candidate, open_report):
    visit = open_report()
    assert visit.shows("The session is running")
    assert visit.shows("Nothing was recorded")
    record(candidate, *work())
    visit.page.get_by_role("button", name="Refresh").click()
    assert visit.shows("7 of 7 events")
    assert visit.is_clean()


def test_the_timeline_shows_a_read_of_the_task_before_the_start(site, team, assessment, open_console):
    (key,) = make_keys(team, assessment, 1)
    site.candidate(key["key"]).get(f"/v1/assessments/{assessment['id']}")
    candidate = Candidate(site, key)
    for text, events in (("Nothing was recorded", []), ("7 of 7 events", work())):
        record(candidate, *events)
        visit = open_console(team, f"/sessions/{candidate.session_id}")
        assert visit.shows(text)
        assert visit.shows("The task was first read with the candidate's invitation on")


@pytest.mark.parametrize("body", [None, "<h1>Bad gateway</h1>\n"])
def test_a_failed_load_can_be_retried(open_console, team, candidate, body):
    record(candidate, *work())
    visit = open_console(team, "/nowhere")
    fail = (lambda route: route.fulfill(body=body)) if body else (lambda route: route.abort())
    visit.page.route("**/timeline/compact", fail)
    visit.page.evaluate(f"location.hash = '/sessions/{candidate.session_id}'")
    assert visit.shows("Could not reach the service")
    visit.page.unroute("**/timeline/compact")
    visit.page.get_by_role("button", name="Try again").click()
    assert visit.shows("7 of 7 events")


def test_an_altered_recording_shows_an_alert(site, team, candidate, open_report):
    record(candidate, *work())
    candidate.complete()  # the worker lists a closed session's events without a delay
    session_id = site.stored_id(candidate.session_id)
    with site.worker():
        path = f"/v1/sessions/{candidate.session_id}"
        wait_until(lambda: all_recorded(team, path), "The ledger does not list the events.")
    change = "UPDATE events SET envelope = replace(envelope, 'orders.py', 'orderz.py') WHERE session_id = %s"
    site.execute(change, session_id)
    visit = open_report()
    alert = visit.page.get_by_role("alert")
    assert alert.inner_text().startswith("Stored data was altered outside the service")
    assert visit.page.locator(".report-numbers div", has_text="Tests").inner_text().split("\n") == [
        *("Tests", "Passed recording changed", "candidate's last run")
    ]
    alert.get_by_role("link").click()
    visit.page.get_by_role("link", name="event 1", exact=True).first.click()
    visit.page.locator(".event-detail pre").get_by_text("orderz.py").first.wait_for()
    assert visit.is_clean()


def test_an_erased_session_keeps_its_metrics(team, candidate, open_report):
    record(candidate, *work())
    candidate.complete()
    assert team.delete(f"/v1/candidates/{candidate.id}/data").status == 200
    visit = open_report()
    assert visit.shows("The candidate's data was erased")
    assert visit.page.get_by_role("tab").all_inner_texts() == ["Findings", "More"]
    visit.page.get_by_role("tab", name="More").click()
    assert visit.shows("Failed commands")
    assert visit.is_clean()


def test_a_candidates_content_cannot_run_or_hide(candidate, open_report):
    events = hostile_events()
    record(candidate, *events)
    submit_files(candidate, {"../../etc/passwd": b"a", "gpj.\u202eexe": b"b"}, repo_url="javascript:alert(1)")
    candidate.complete()
    visit = open_report(width=PHONE)
    page = visit.page
    visit.shows(f"{len(events)} of {len(events)} events")
    for option in (2, 1, 0):
        page.locator("[role=option]").nth(option).click()
    page.locator(".event-detail pre").get_by_text("onerror").first.wait_for()
    for tab, text in {
        "Conversation": "U+202E",
        "Time and cost": "Still failing",
        "Design decisions": "U+202E",
        "Submission": "unsafe to unpack",
    }.items():
        open_tab(visit, tab)
        assert visit.shows(text)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    assert page.locator("main img, main script, main a[href^=javascript], main b").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
    assert page.title().startswith("Candidate ")
    assert MARKUP in page.locator("main").inner_text() or page.get_by_text(MARKUP[:40]).count()
    assert visit.is_clean()


def test_final_changes_show_each_lines_author(site, team, candidate, open_report):
    data = {"path": "orders.py", "diff": "@@ -0,0 +1 @@\n+import json\n", "linesAdded": 1, "linesRemoved": 0}
    record(candidate, event("file_diff", data=data, provenance={"attribution": "likely_ai"}))
    files = {
        "orders.py": b"import json\n\nTOTAL = 0\n",
        "\u202epy.txt": b"x" * 3_000,
        "long.py": b"x = 1\n" * 400,
    }
    candidate.submit_git_bundle(bundle_of_blobs(**files))
    with site.worker():
        diff = f"/v1/sessions/{candidate.session_id}/final-diff"
        wait_until(lambda: team.get(diff)["submission"]["state"] == "read", "The submission was not read.")
    candidate.complete()
    visit = open_report("?tab=changes", width=PHONE)
    assert visit.shows("3 files")
    file = visit.page.locator("details.diff", has_text="orders.py")
    file.locator("tr.added").last.hover()  # lines outside the window are not laid out
    rows = [row.split() for row in file.locator("tr.added").all_inner_texts()]
    assert rows == [
        ["1", "+", "agent", "import", "json"],
        ["2", "+"],
        ["3", "+", "not", "recorded", "TOTAL", "=", "0"],
    ]
    assert "U+202E" in visit.page.locator("summary .diff-path").all_inner_texts()[-1]
    visit.page.locator("summary", has_text="long.py").click()
    visit.page.get_by_role("button", name="Show 101 more lines").click()
    assert visit.page.locator("details.diff", has_text="long.py").locator("tr.added").count() == 400
    assert visit.is_clean()


def test_a_submitted_diff_is_shown_without_authors(candidate, open_console, team, open_report):
    diff = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
    diff += (
        "diff --git a/b.py b/b.py\nnew file mode 100644\n--- /dev/null\n+++ b/b.py\n@@ -0,0 +1 @@\n+four\n"
    )
    submit_files(
        candidate, {"a.py": b"a"}, repo_url="https://example.com/a.git", diff=diff, base_sha="0" * 40
    )
    printed = open_console(team, f"/sessions/{candidate.session_id}/print")
    assert printed.shows("The candidate's client sent this diff")
    assert printed.page.locator("details.diff").count() == 2
    visit = open_report("?tab=changes")
    assert visit.shows("The candidate's client sent this diff")
    summaries = [text.split() for text in visit.page.locator("details.diff summary").all_inner_texts()]
    assert summaries == [["a.py", "changed", "+1", f"{MINUS}1"], ["b.py", "new", "+1", f"{MINUS}0"]]
    visit.page.locator("details.diff tr").last.hover()
    lines = [line.split() for line in visit.page.locator("details.diff tr").all_inner_texts()]
    assert ["2", MINUS, "two"] in lines
    assert ["1", "+", "four"] in lines
    assert visit.is_clean()


def submit_files(candidate, files, repo_url, diff="", base_sha=""):
    """Submit a bundle of files like the candidate's client."""
    upload, packed = candidate.open_upload(), pack(files)
    assert candidate.upload(upload, packed).status == 200
    assert candidate.submit(upload, packed, repoUrl=repo_url, diff=diff, baseSha=base_sha)["verified"]


def test_a_read_that_the_service_rejects_as_too_many_is_repeated(candidate, open_report):
    record(candidate, event(second=0))
    rejected = []

    def respond(route):
        if rejected:
            return route.continue_()
        rejected.append(route.request.url)
        body = {"error": "Too many expensive requests are in progress.", "code": "too_many_requests"}
        return route.fulfill(status=429, json=body, headers={"Retry-After": "1"})

    visit = open_report(before=lambda page: page.route("**/integrity", respond))
    visit.page.locator(".verdict-strip", has_text="No findings").wait_for()
    assert len(rejected) == 1
    assert [message for message in visit.messages if "429" not in message] == []


def test_a_session_is_read_by_one_request_at_a_time(candidate, open_report):
    record(candidate, event(second=0))
    running, concurrent = set(), []

    def respond(route):
        running.add(route)
        concurrent.append(len(running))
        response = route.fetch()
        running.remove(route)
        route.fulfill(response=response)

    visit = open_report(before=lambda page: page.route(WHOLE_SESSION, respond))
    open_tab(visit.settle(), "Time and cost")
    visit.settle()
    assert len(concurrent) > 4
    assert set(concurrent) == {1}
