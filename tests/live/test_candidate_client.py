"""The scripted client against a running service (docs/candidate-client.md, section 4), including failures."""

import http.client
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from independent_metrics import recompute

from tests.live.candidate_machine import needs_programs
from tests.live.cast import ASSESSMENT, make_assessment, make_keys, pack
from tests.live.client import run_concurrently
from tests.live.scripted_chain import canonical, verify
from tests.live.scripted_client import VERSION, Cli, Extension
from tests.live.scripted_responses import ERROR, UPLOAD, decode
from tests.live.service import Service

MINUTE = 60
MEBIBYTE = 1024 * 1024
LIMIT_MINUTES = 90
GRACE_SECONDS = 5 * MINUTE  # after the limit (R17)
INTEGERS = ("durationMs", "promptCount", "firstChangeLatencyMs", "commandCount", "fileChangeCount")
CREATED, SKIPPED = (201, '{"ok":true}'), (200, '{"ok":true,"skipped":true}')
LATE = (201, '{"late":true,"ok":true}')
# JSON that does not survive parsing and serialization: escapes, field order, number formats.
FRAGILE_DATA = {
    "text": 'a <b> & "c" \\ € \u2028 \u0000 \x1f \x7f \U0001f600',
    "é": 1,
    "e": [1.8e-05, 1e-7, 2.5, 0.0, 3e20, True, None, {}, []],
    "\U00010000": {"b": -1, "a": "/"},
    "\uff01": 2**53,
}
BRIEF = {
    "scenario": "Customers report that orders disappear on busy days.",
    "codebase": {"name": "orders", "runCommand": "make run", "testCommand": "make test", "stack": ["Go"]},
    "phases": [{"name": "Find the cause", "goal": "Know why.", "tasks": ["Write a test."]}],
    "groundRules": ["AI tools are allowed."],
}
REPOSITORY = {
    "repoUrl": "https://example.com/orders.git",
    "repoCommit": "a" * 40,
    "repoSubdir": "services/orders",
}


@pytest.fixture(scope="module")
def service(live_database_url, tmp_path_factory):
    settings = {"TERMS_URL": "https://example.com/terms"}
    settings |= {"CLIENT_MIN_VERSION": "1.9.0", "CLIENT_LATEST_VERSION": VERSION}
    folder = tmp_path_factory.mktemp("client")
    with Service(folder, live_database_url, **settings).start(processes=2) as service:
        service.flask("storage", "adopt")  # other tests' services share the database
        yield service


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture
def assessment(reviewer):
    """An assessment with all fields that are visible to candidates."""
    issue = reviewer.post("/v1/issues", {"title": "Orders are lost", "taskBrief": "Find them.", **REPOSITORY})
    fields = {"issueId": issue["issue"]["id"], "brief": BRIEF, "setupInstructions": "make setup"}
    fields |= {"timeLimitMinutes": LIMIT_MINUTES, "allowedTools": ["claude"]}
    return reviewer.post("/v1/assessments", ASSESSMENT | fields)["assessment"]


@pytest.fixture
def cli(service, reviewer, assessment, tmp_path):
    """The program of a candidate who entered the key in lower case."""
    (key,) = make_keys(reviewer, assessment, 1)
    return Cli(service.port, key["key"].lower(), tmp_path)


@pytest.fixture
def started(cli):
    cli.start()
    return cli


@pytest.fixture
def extension(started):
    return Extension(started.port, started.key, started.session_id)


@pytest.fixture
def view(reviewer, started):
    """Get the session, or something below its path, as a reviewer."""
    return lambda part="": reviewer.get(f"/v1/sessions/{started.session_id}{part}")


@pytest.fixture
def set_back(service, started):
    """Set one of the session's timestamps to a number of seconds ago."""

    def set_back(column, seconds):
        statement = f"UPDATE sessions SET {column} = %s WHERE id = %s"
        service.execute(statement, service.stored_time(seconds), service.stored_id(started.session_id))

    return set_back


def bundle(content):
    return pack({"orders.py": content})


def count_responses(responses):
    return Counter((response.status, canonical(response.json)) for response in responses)


# start


def test_redeem_returns_all_fields_of_the_assessment(cli, assessment):
    before = datetime.now().astimezone()
    cli.start()
    session = cli.session
    expected = {"assessmentId": assessment["id"], "issueId": assessment["issueId"], "orgName": "Acme"}
    expected |= {"assessmentTitle": ASSESSMENT["title"], "taskBrief": ASSESSMENT["taskBrief"], "brief": BRIEF}
    expected |= {"setupInstructions": "make setup", "allowedTools": ["claude"], "tosAccepted": True}
    expected |= {"timeLimitMinutes": LIMIT_MINUTES}
    assert session.items() >= (expected | REPOSITORY).items()
    expires_at = datetime.fromisoformat(session["expiresAt"])
    assert expires_at - before >= timedelta(hours=24, minutes=LIMIT_MINUTES + 5)
    paths = [f"/v1/assessments/{session['assessmentId']}", f"/v1/issues/{session['issueId']}", "/v1/health"]
    assert [cli.call("GET", path).status for path in paths] == [200, 200, 200]
    assert cli.report_boot()["verdict"]["state"]


def test_redeem_returns_null_for_missing_optional_fields(service, reviewer, tmp_path):
    (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
    cli = Cli(service.port, key["key"], tmp_path)
    cli.start()
    absent = ("brief", "repoUrl", "repoCommit", "repoSubdir", "timeLimitMinutes", "expiresAt", "allowedTools")
    assert [cli.session[name] for name in absent] == [None] * len(absent)


@needs_programs
def test_start_clones_a_hosted_repository_and_done_has_a_verified_base(
    service, reviewer, host_repository, tmp_path
):
    assessment = make_assessment(reviewer)
    repository = host_repository(assessment, {"orders.py": "print(1)\n", "src/a.py": "a\n"})
    (key,) = make_keys(reviewer, assessment, 1)
    cli = Cli(service.port, key["key"], tmp_path)
    cli.start()
    assert cli.session["repoCommit"] == repository.commit_id
    assert (cli.workspace / "src/a.py").read_text() == "a\n"
    work = bundle(b"changed")
    upload = cli.upload(work)
    assert cli.submit(upload, work, diff="+1", baseSha=repository.commit_id)["verified"]
    diff = reviewer.get(f"/v1/sessions/{cli.session_id}/final-diff")
    assert (diff["submission"]["baseVerified"], diff["submission"]["baseCommit"]) == (
        True,
        repository.commit_id,
    )


def test_a_second_start_without_a_key_continues_the_session(started, view):
    Cli.resumed(started.port, started.folder).start_work()
    assert verify(started.signed_log()) == started.status()["eventCount"] == 2
    assert view("/integrity")["counts"]["valid"] == 2


# While working


@pytest.mark.parametrize(("hooks", "repetitions"), [(1, 2), (4, 40)])
def test_concurrent_hooks_extend_one_signature_chain(extension, started, view, hooks, repetitions):
    edits = [extension.event("editor_edit", {"subKind": "paste", "charCount": 3})] * 2
    edits += [extension.event("file_create", {"path": f"{number}.py"}) for number in range(repetitions)]
    with ThreadPoolExecutor(1 + hooks) as threads:
        unsigned = threads.submit(extension.flush, edits)
        runs = [threads.submit(run_hook, started, repetitions) for _ in range(hooks)]
    assert count_responses(unsigned.result()) == {CREATED: repetitions + 1, SKIPPED: 1}
    signed = [started.signed_log()["events"][0]["payload"]]
    signed += [event for run in runs for event in run.result()]
    assert view()["eventCount"] == started.status()["eventCount"] == len(signed) + repetitions + 1
    assert verify(started.signed_log()) == len(signed) == hooks * repetitions * 4 + 1
    expected = {"valid": len(signed), "unsigned": repetitions + 1, "invalid": 0, "unknownKey": 0}
    integrity = view("/integrity")
    assert integrity["counts"].items() >= expected.items()
    assert integrity["findings"] == []
    started.done(bundle(b"done"))
    metrics, expected = view()["metrics"], recompute([*signed, *edits[1:]])
    assert {name: metrics[name] for name in INTEGERS} == {name: expected[name] for name in INTEGERS}


def run_hook(cli, repetitions):
    """Repeatedly sign four events, and send them concurrently with an upload request."""
    sent = []
    for number in range(repetitions):
        events = [
            cli.event("prompt", FRAGILE_DATA | {"text": str(number)}),
            cli.event("file_diff", {"path": f"{number}.py", "diff": "+1 < 2 && 3", "linesAdded": 1}),
            cli.event("command", {"command": "make test", "exitCode": 1, "human": True}, "terminal"),
            cli.event("ai_response", FRAGILE_DATA, "codex", rawPayload="\ufffd{"),
        ]
        random.shuffle(events)
        sends = [lambda event=event: cli.send(event) for event in events]
        *responses, _ = run_concurrently([*sends, cli.request_upload])
        assert [response.status for response in responses] == [201] * len(events)
        sent += events
    return sent


def test_an_interrupted_snapshot_can_be_repeated(started, view):
    snapshot, later = bundle(b"a snapshot"), bundle(b"a later snapshot")
    started.request_upload()
    started.upload(later)
    upload = decode(started.request_upload(), UPLOAD)
    put_half(started.port, upload, snapshot)
    assert started.submit(upload, snapshot)["verified"] is False
    assert view("/bundle").status == 404
    # The same URL accepts the bundle again after an interrupted PUT.
    assert [started.put(upload, snapshot).status for _ in range(2)] == [200, 200]
    assert started.submit(upload, snapshot)["verified"] is True
    assert started.submit(upload, later)["verified"] is False
    assert view("/bundle").text == snapshot
    assert started.status()["status"] == "active"


def put_half(port, upload, content):
    """Send half of a PUT and disconnect, like a killed hook."""
    url = urlsplit(upload["uploadUrl"])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Type", "application/gzip")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content[: len(content) // 2])
    connection.close()


def test_large_diffs_with_nul_bytes_are_accepted(started):
    """Git diffs can contain NUL bytes far from the start of a file."""
    code = bundle(b"code")
    upload = started.upload(code)
    assert started.submit(upload, code, diff="+\0\n" + "+x\n" * MEBIBYTE, fileTree=["\ufffd.py"])["verified"]


def test_explain_records_a_decision_with_the_recent_activity(started, view):
    started.send(started.event("prompt", {"text": "Why?"}))
    started.send(started.event("file_diff", {"path": "orders.py", "diff": "+1"}))
    started.send(started.event("command", {"command": "make test", "exitCode": 0}))
    activity = started.explain("A queue would be too much here.")
    recent = {"filesChanged": ["orders.py"], "commands": ["make test"], "promptCount": 1}
    assert activity["recentActivity"] == recent
    assert (activity["periodMinutes"], activity["eventCount"]) == (20, 4)
    (decision,) = view("/decisions")["decisions"]
    assert decision["rationale"] == "A queue would be too much here."
    assert started.status().items() >= {"eventCount": 5, "status": "active"}.items()


# The extension


def test_repeated_events_are_counted_once(started, extension, view):
    events = [extension.event("editor_focus", {"subKind": "file_open", "filePath": "a.py"}) for _ in range(7)]
    events += [extension.event("editor_idle", {"subKind": "idle_start", "lastActiveFile": None})]
    assert count_responses(extension.flush(events[:4])) == {CREATED: 4}
    random.shuffle(events)
    assert count_responses(extension.flush(events + events)) == {CREATED: 4, SKIPPED: 12}
    started.complete()
    responses = extension.flush([*events, extension.event("editor_edit", {})])
    assert count_responses(responses) == {SKIPPED: 8, CREATED: 1}
    # Includes the CLI's session_start.
    assert (view()["eventCount"], view()["lateEventCount"]) == (10, 0)


# done


def test_done_submits_the_work_and_events_are_still_accepted(started, view, set_back):
    code = bundle(b"the work")
    completed_at = started.done(code)["completedAt"]
    assert view("/bundle").text == code
    # The client stops its watchers after `done`.
    assert started.send(started.event("prompt", {"text": "too late?"})).status == 201
    assert started.status().items() >= {"status": "completed", "eventCount": 2}.items()
    assert verify(started.signed_log()) == 2
    set_back("closed_at", 11 * MINUTE)
    assert count_responses([started.send(started.event("prompt", {"text": "later"}))]) == {LATE: 1}
    assert verify(started.signed_log()) == 3
    for response in (started.request_upload(), started.submit({"objectKey": "none"}, code)):
        error = decode(response, ERROR, 409)
        assert (error["code"], error["completedAt"]) == ("assessment_closed", completed_at)
    assert started.complete() == {"ok": True, "completedAt": completed_at}
    session = view()
    assert (session["eventCount"], session["lateEventCount"], session["metrics"]["promptCount"]) == (2, 1, 1)


def test_concurrent_completions_return_one_timestamp(started):
    responses = run_concurrently([started.complete] * 8)
    assert len({response["completedAt"] for response in responses}) == 1


def test_a_client_with_a_slow_clock_can_submit_after_the_limit(started, view, set_back):
    """`done --auto` uses the candidate's clock."""
    set_back("closes_at", GRACE_SECONDS)
    assert started.status()["status"] == "expired"
    assert started.send(started.event("prompt", {"text": "one more"})).status == 201
    code = bundle(b"just in time")
    started.done(code)
    assert started.status().items() >= {"status": "completed", "eventCount": 2}.items()
    assert view("/bundle").text == code
