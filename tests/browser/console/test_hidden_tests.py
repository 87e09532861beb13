"""Hidden tests: results with their source, a session's runs, the cohort's tests, and the task's files."""

import json
import re
import uuid
from typing import Any

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.organization import BUNDLE, MARKUP, REVERSED
from tests.browser.console.test_board import Board
from tests.browser.console.test_every_page import violations
from tests.live.cast import event, make_candidate

RUN_ID, OLDER_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01", "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a02"
HIDDEN = {
    "state": "finished", "passed": 9, "total": 12, "isComplete": True, "inProcess": False, "isCurrent": True,
    "runId": RUN_ID, "source": "runner",
}  # fmt: skip
RUN = HIDDEN | {
    "id": RUN_ID, "counts": True, "reason": None, "submissionSha256": "ab" * 32, "testsSha256": "cd" * 32,
    "image": "python:3.12", "imageDigest": None, "runner": {"id": RUN_ID, "name": "build-1", "engine": "podman"},
    "attempts": 1, "createdAt": "2026-04-01T10:00:00.000Z", "startedAt": "2026-04-01T10:00:01.000Z",
    "finishedAt": "2026-04-01T10:00:09.000Z",
}  # fmt: skip
TESTS = [
    {
        "name": f"test_orders::test_{n}",
        "outcome": "failed" if n > 8 else "passed",
        "durationMs": n,
        "output": None,
    }
    for n in range(11)
]
TESTS += [{"name": MARKUP, "outcome": "missing", "durationMs": None, "output": f"{MARKUP}\n{REVERSED}" * 200}]
FILE = {"id": RUN_ID, "size": 20_480, "sha256": "ab" * 32, "createdAt": "2026-04-01T10:00:00.000Z"}
LIMITS = {"seconds": 120, "setupSeconds": 60, "memoryMb": 512, "diskMb": 256, "processes": 64, "cpus": 1}
SETTINGS = {
    "version": 1, "command": 'python3 -m pytest -q --junitxml="$REPORT" .', "serve": None, "setup": "npm ci",
    "setupNetwork": True, "files": [{"from": "tests", "to": "tests"}], "framework": "pytest", "report": None,
    "image": "python:3.12", "limits": LIMITS,
}  # fmt: skip


def respond(visit_page: Any, path: str, body: Any = None, status: int = 200, method: str = "GET") -> None:
    """Answer requests to a path, which can contain `*`."""

    def handle(route: Any) -> None:
        if route.request.method == method:
            route.fulfill(status=status, json=body)
        else:
            route.fallback()

    visit_page.route(re.compile(re.escape(path).replace(r"\*", "[^/]+") + r"(\?.*)?$"), handle)


def add_run(
    site: Any, assessment: dict[str, Any], session_id: str, state: str = "finished", **older: Any
) -> None:
    """Store a run, its tests, and its result in the session. `older` are the columns of replaced in-process tests."""
    ids = {name: site.stored_id(str(uuid.uuid4())) for name in ("tests", "run")}
    session_id, now = site.stored_id(session_id), site.stored_time(0)
    ((organization_id,),) = site.execute("SELECT organization_id FROM sessions WHERE id = %s", session_id)
    shared = {"created_at": now, "ledger_salt": b"", "ledger_version": 1, "organization_id": organization_id}
    owner = {
        "owner_id": site.stored_id(assessment["id"]),
        "kind": "tests",
        "object_key": "a",
        "size": 1,
        "sha256": "",
    }
    settings = json.dumps({"serve": None if older else "python3 /serve/serve.py"})
    tests = shared | owner | {"id": ids["tests"], "settings": settings, "replaced_at": now if older else None}
    run = {
        "id": ids["run"],
        "session_id": session_id,
        "purpose": "submission",
        "tests_id": ids["tests"],
        "state": state,
    }
    for table, row in (
        ("task_files", tests),
        (
            "test_runs",
            shared | run | {"attempts": 1, "passed_count": 9, "total_count": 12, "is_complete": True} | older,
        ),
    ):
        places = ", ".join(["%s"] * len(row))
        site.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())
    site.execute("UPDATE sessions SET hidden_run_id = %s WHERE id = %s", ids["run"], session_id)


@pytest.fixture
def session(site, team, assessment) -> str:
    candidate = make_candidate(site, team, assessment)
    candidate.submit_git_bundle(BUNDLE)
    candidate.complete()
    result = {"passed": 10, "failed": 2}
    assert team.request("PUT", f"/v1/sessions/{candidate.session_id}/test-result", result).status == 200
    return candidate.session_id


def test_results_name_their_source_on_board_report_compare_and_print(
    open_console, site, team, assessment, session
):
    other = make_candidate(site, team, assessment)
    other.ingest(event("test_run", data={"passed": 3, "failed": 0}))
    other.complete()
    add_run(site, assessment, session)
    add_run(site, assessment, other.session_id, "untrusted", is_complete=False)
    board = Board(open_console(team, f"/assessments/{assessment['id']}"))
    cells = [" ".join(text.split()) for text in board.page.locator("tbody td").all_inner_texts()]
    assert {
        "Failed team",
        "9 of 12 runner",
        "9 of 12 runner, untrusted, incomplete, older tests, in-process",
    } <= {*cells}
    assert "Passed candidate's last run" in cells
    board.sort("Hidden tests")
    board.page.wait_for_url("**sort=hiddenTests&order=desc")
    board.page.get_by_label("Hidden tests").select_option("Some failed")
    assert board.visit.shows("1 of 2 candidates")
    visit = board.visit.go(f"/compare/{session}/{other.session_id}")
    assert visit.shows("Hidden tests: 9 of 12 (runner)")
    assert visit.shows("Test result: 10 passed, 2 failed (team)")
    assert visit.shows("Hidden tests: 9 of 12 (runner, untrusted, incomplete, older tests, in-process)")
    assert visit.shows("Tests: Passed (candidate's last run)")
    visit.go(f"/sessions/{session}/print")
    assert visit.shows("9 of 12 (runner)")
    assert visit.shows("10 passed, 2 failed (team)")
    visit.go(f"/sessions/{session}")
    numbers = visit.page.locator(".report-numbers")
    numbers.wait_for()
    texts = [" ".join(text.split()) for text in numbers.locator("> div").all_inner_texts()]
    assert {"Hidden tests 9 of 12 runner", "Test result 10 passed, 2 failed team"} <= {*texts}
    assert visit.settle().is_clean()


def test_report_shows_each_test_and_earlier_runs(open_console, team, session):
    older = RUN | {
        "id": OLDER_ID, "counts": False, "state": "untrusted", "isCurrent": False, "inProcess": True,
        "isComplete": False, "reason": f"A canary passed. {MARKUP}", "createdAt": "2026-04-01T09:00:00.000Z",
    }  # fmt: skip
    path = f"/v1/sessions/{session}/test-runs"

    def prepare(page: Any) -> None:
        respond(page, path, {"testRuns": [RUN, older], "next": None})
        respond(page, f"{path}/{RUN_ID}", {"testRun": RUN | {"tests": TESTS}})
        respond(page, f"{path}/{OLDER_ID}", {"testRun": older | {"tests": TESTS[:2]}})

    visit = open_console(team, f"/sessions/{session}?tab=tests", before=prepare)
    assert visit.shows("9 of 12")
    panel = visit.page.get_by_role("tabpanel", name="Tests")
    rows = [" ".join(text.split()) for text in panel.locator("tbody tr").all_inner_texts()]
    assert rows[0] == "test_orders::test_9 Failed 9 ms"
    assert rows[2].endswith("Output No outcome \u2013")
    panel.get_by_text("Output").click()
    assert visit.shows("U+202E")
    panel.get_by_text("1 Apr 2026, 11:00: 9 of 12, untrusted, incomplete, older tests, in-process").click()
    for text in (
        "A canary passed.",
        "the submission probably changed the report",
        "have been replaced",
        "In-process:",
    ):
        assert visit.shows(text)
    assert violations(visit.settle(), ("light", "dark")) == []
    assert visit.page.evaluate("window.hacked") is None
    visit.page.set_viewport_size({"width": PHONE, "height": 900})
    again = RUN | {"id": OLDER_ID, "counts": False, "state": "waiting", "passed": None, "total": None}
    respond(visit.page, path, {"testRun": again}, 201, "POST")
    respond(visit.page, path, {"testRuns": [again, RUN], "next": None})
    panel.get_by_role("button", name="Run again").click()
    panel.get_by_text("1 Apr 2026, 12:00: Waiting").wait_for()
    assert panel.get_by_role("button", name="Run again").count() == 0
    assert visit.is_clean()


def test_pending_run_says_what_to_start(open_console, team, session):
    path = f"/v1/sessions/{session}/test-runs"
    waiting = RUN | dict.fromkeys(("passed", "total", "isComplete", "runner", "tests", "finishedAt"))
    waiting |= {"state": "waiting"}

    def prepare(page: Any) -> None:
        respond(page, path, {"testRuns": [waiting], "next": None})
        respond(page, f"{path}/{RUN_ID}", {"testRun": waiting})

    visit = open_console(team, f"/sessions/{session}?tab=tests", before=prepare)
    assert visit.shows("If none is running, start one with “make runner”")
    respond(visit.page, path, {"testRuns": [RUN], "next": None})
    respond(visit.page, f"{path}/{RUN_ID}", {"testRun": RUN | {"tests": TESTS}})
    visit.page.get_by_role("button", name="Refresh").click()
    assert visit.shows("test_orders::test_9")
    assert visit.is_clean()


def test_cohort_is_tested_again_after_confirmation(open_console, team, assessment):
    path, bodies = f"/v1/assessments/{assessment['id']}", []
    tests = [{"name": "test_orders::test_1", "passed": 3}, {"name": MARKUP, "passed": 0}]

    def prepare(page: Any) -> None:
        respond(page, f"{path}/test-results", {"tests": tests, "outdated": 4, "runs": 5})
        respond(page, f"{path}/test-runs", {"runs": 4}, 202, "POST")
        page.on("request", lambda request: request.method == "POST" and bodies.append(request.post_data))

    visit = open_console(team, f"/assessments/{assessment['id']}", before=prepare)
    visit.page.get_by_text("Hidden tests by test").click()
    assert visit.shows("5 runs (runner) of the current tests.")
    assert visit.page.get_by_role("row", name="test_orders::test_1 3 of 5 60 %").count() == 1
    visit.page.get_by_role("button", name="Test the open cohort again").click()
    assert visit.shows("The current tests run on the submissions of 4 undecided candidates.")
    visit.page.get_by_role("button", name="Start 4 runs").click()
    assert visit.shows("4 runs will start as soon as a runner is free.")
    assert [json.loads(body) for body in bodies] == [{"runs": 4}]
    assert violations(visit.settle(), ("light",)) == []
    assert visit.is_clean()


def test_task_files_are_uploaded_replaced_deleted_and_checked(open_console, team, assessment, tmp_path):
    path = f"/v1/assessments/{assessment['id']}"
    repository = FILE | {"commitId": "0123abcd" * 5}
    runs = [
        RUN | {"purpose": "base", "passed": 1},
        RUN | {"purpose": "reference", "passed": 12},
    ]
    check = {
        "id": RUN_ID, "state": "not_ready", "names": ["a::b"], "unstable": [MARKUP], "isCurrent": True, "runs": runs,
        "problem": f"The reference fails {MARKUP}", "createdAt": FILE["createdAt"],
    }  # fmt: skip

    def prepare(page: Any) -> None:
        respond(page, f"{path}/repository", {"repository": repository})
        respond(page, f"{path}/tests", {"tests": FILE | {"fileCount": 3, "settings": SETTINGS}})
        respond(page, f"{path}/reference", {"error": "Not found.", "code": "not_found"}, 404)
        respond(page, f"{path}/tests/check", {"check": check})
        respond(page, f"{path}/tests/check", {"check": check | {"state": "ready"}}, 202, "POST")
        details = [{"path": ["src/../../etc/passwd"], "message": "Must not contain `..`."}]
        error = {"error": "The request is invalid.", "code": "invalid_request", "details": details}
        respond(page, f"{path}/tests", error, 400, "PUT")
        respond(page, f"{path}/reference", {"reference": FILE | {"fileCount": 2}}, 200, "PUT")
        respond(page, f"{path}/repository", {"ok": True, "id": RUN_ID}, 200, "DELETE")

    visit = open_console(team, f"/assessments/{assessment['id']}/task", before=prepare)
    for text in (
        "0123abcd" * 5,
        "In-process",
        "npm ci",
        "with network",
        "1 unstable test",
        "Repository: 1 of 12",
    ):
        assert visit.shows(text)
    panels = {
        title: visit.page.locator(".panel").filter(has=visit.page.get_by_role("heading", name=title))
        for title in ("Repository", "Hidden tests", "Reference solution")
    }
    archive = tmp_path / "tests.tar.gz"
    archive.write_bytes(b"\x1f\x8b" * 50)
    panels["Hidden tests"].get_by_label("Replace").set_input_files(archive)
    assert visit.shows("src/../../etc/passwd: Must not contain `..`.")
    text_file = tmp_path / "solution.txt"
    text_file.write_text("no patch")
    panels["Reference solution"].get_by_label("Upload").set_input_files(text_file)
    assert visit.shows("Choose a file of one of these types: .zip, .gz, .tgz, .patch, .diff")
    assert visit.page.get_by_role("button", name="Check the task").is_disabled()
    assert violations(visit.settle(), ("light", "dark")) == []
    patch = tmp_path / "solution.PATCH"
    patch.write_text("--- a\n+++ b\n")
    respond(visit.page, f"{path}/reference", {"reference": FILE | {"fileCount": 2}})
    with visit.page.expect_request(lambda request: request.method == "PUT") as sent:
        panels["Reference solution"].get_by_label("Upload").set_input_files(patch)
    assert (sent.value.headers["content-type"], sent.value.post_data) == ("text/x-patch", "--- a\n+++ b\n")
    assert visit.shows("The reference solution has been stored.")
    visit.page.get_by_role("button", name="Check the task").click()
    assert visit.shows("The task is ready")
    visit.page.get_by_role("button", name="Delete the repository").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    assert visit.shows("Deleted.")
    visit.page.set_viewport_size({"width": PHONE, "height": 900})
    visit.messages = [message for message in visit.messages if "404" not in message and "400" not in message]
    assert visit.is_clean()
