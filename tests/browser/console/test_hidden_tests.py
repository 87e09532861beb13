"""Hidden tests: results with their source, a session's runs, the cohort's tests, and the task's files."""

import json

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.organization import BUNDLE, MARKUP, Runner, put_file
from tests.browser.console.test_board import Board
from tests.browser.console.test_every_page import violations
from tests.live.cast import event, make_candidate, pack
from tests.live.service import wait_until

NAMES = [f"orders::test {number}" for number in range(11)] + ["test::in Node.js"]
NINE = (NAMES[3:], NAMES[:3])
IN_PROCESS = {"framework": "pytest"}
OUT_OF_PROCESS = {"serve": "python3 /serve/serve.py"}
OLD_MARKS = "untrusted, incomplete, older tests, in-process"


@pytest.fixture
def runner(team) -> Runner:
    return Runner(team)


@pytest.fixture
def submit(site, team, assessment):
    """Submit work, close the session, and queue its run. Returns the session's id."""

    def submit() -> str:
        candidate = make_candidate(site, team, assessment)
        candidate.ingest(event("test_run", data={"passed": 3, "failed": 0}))
        candidate.submit_git_bundle(BUNDLE)
        candidate.complete()
        path = f"/v1/sessions/{candidate.session_id}"

        def is_queued() -> bool:
            site.flask("worker", "--once")
            return bool(team.get(f"{path}/test-runs")["testRuns"])

        wait_until(is_queued, "The worker did not queue a run.")
        return candidate.session_id

    return submit


@pytest.fixture
def sessions(team, assessment, runner, submit) -> list[str]:
    """Two sessions: an untrusted, incomplete run of older in-process tests, and a run of the current tests."""
    runner.prepare_task(assessment, NAMES, **IN_PROCESS)
    older = submit()
    runner.run(NAMES[3:], NAMES[1:3], "untrusted", reason=f"A canary passed. {MARKUP}")
    runner.prepare_task(assessment, NAMES, **OUT_OF_PROCESS)
    current = submit()
    runner.run(*NINE)
    result = {"passed": 10, "failed": 2}
    assert team.request("PUT", f"/v1/sessions/{current}/test-result", result).status == 200
    return [older, current]


def test_results_name_their_source_on_board_report_compare_and_print(
    open_console, team, assessment, sessions
):
    older, current = sessions
    board = Board(open_console(team, f"/assessments/{assessment['id']}"))
    cells = [" ".join(text.split()) for text in board.page.locator("tbody td").all_inner_texts()]
    assert {"9 of 12 runner", f"9 of 12 runner, {OLD_MARKS}"} <= {*cells}
    board.sort("Hidden tests")
    board.page.wait_for_url("**sort=hiddenTests&order=desc")
    board.page.get_by_label("Hidden tests").select_option("Some failed")
    assert board.visit.shows("1 of 2 candidates")
    visit = board.visit.go(f"/compare/{current}/{older}")
    assert visit.shows("Hidden tests: 9 of 12 (runner)")
    assert visit.shows("Test result: 10 passed, 2 failed (team)")
    assert visit.shows(f"Hidden tests: 9 of 12 (runner, {OLD_MARKS})")
    assert visit.shows("Tests: Passed (candidate's last run)")
    visit.go(f"/sessions/{current}/print")
    assert visit.shows("9 of 12 (runner)")
    assert visit.shows("10 passed, 2 failed (team)")
    visit.go(f"/sessions/{current}")
    numbers = visit.page.locator(".report-numbers")
    numbers.wait_for()
    texts = [" ".join(text.split()) for text in numbers.locator("> div").all_inner_texts()]
    assert {"Hidden tests 9 of 12 runner", "Test result 10 passed, 2 failed team"} <= {*texts}
    assert visit.settle().is_clean()


def test_report_shows_each_test_and_earlier_runs(open_console, team, runner, sessions):
    session, path = sessions[0], f"/v1/sessions/{sessions[0]}/test-runs"
    assert team.post(path).status == 201
    runner.run(*NINE)
    visit = open_console(team, f"/sessions/{session}?tab=tests")
    assert visit.shows("9 of 12")
    panel = visit.page.get_by_role("tabpanel", name="Tests")
    panel.get_by_text("orders::test 9").wait_for()
    rows = [" ".join(text.split()) for text in panel.locator("tbody tr").all_inner_texts()]
    assert rows[0] == "orders::test 0 Output Failed \u2013"
    assert rows[3] == "orders::test 3 Passed 0 ms"
    panel.get_by_text("Output").first.click()
    assert visit.shows("U+202E")
    panel.get_by_text(f"9 of 12, {OLD_MARKS}").click()
    for text in (
        "A canary passed.",
        "the submission probably changed the report",
        "have been replaced",
        "In-process:",
        "No outcome",
    ):
        assert visit.shows(text)
    assert violations(visit.settle(), ("light", "dark")) == []
    assert visit.page.evaluate("window.hacked") is None
    visit.page.set_viewport_size({"width": PHONE, "height": 900})
    panel.get_by_role("button", name="Run again").click()
    panel.get_by_role("button", name="Refresh").wait_for()
    assert panel.get_by_role("button", name="Run again").count() == 0
    assert visit.is_clean()


def test_pending_run_says_what_to_start(open_console, team, assessment, runner, submit):
    runner.prepare_task(assessment, NAMES)
    session = submit()
    assert team.delete(f"/v1/org/runners/{runner.id}").status == 200
    visit = open_console(team, f"/sessions/{session}?tab=tests")
    command = f"RUNNER_URL={visit.address} RUNNER_TOKEN=psr_… make runner"
    assert visit.shows("No runner is running.")
    assert visit.shows(command)
    Runner(team).run(*NINE)
    visit.page.get_by_role("button", name="Refresh").click()
    assert visit.shows("orders::test 9")
    visit.page.locator(".verdict-strip", has_text="9 of 12").wait_for()
    assert visit.is_clean()


def test_cohort_is_tested_again_after_confirmation(open_console, team, assessment, sessions):
    visit = open_console(team, f"/assessments/{assessment['id']}")
    visit.page.get_by_text("Hidden tests by test").click()
    assert visit.shows("1 run (runner) of the current tests.")
    assert visit.page.get_by_role("row", name="orders::test 3 1 of 1 100 %").count() == 1
    visit.page.get_by_role("button", name="Test undecided candidates again").click()
    assert visit.shows("The current tests run on the submission of 1 undecided candidate.")
    visit.page.get_by_role("button", name="Start 1 run").click()
    assert visit.shows("1 run will start as soon as a runner is free.")
    assert violations(visit.settle(), ("light",)) == []
    assert visit.is_clean()


def test_task_files_are_uploaded_replaced_deleted_and_checked(
    open_console, team, assessment, runner, tmp_path
):
    path = f"/v1/assessments/{assessment['id']}"
    put_file(team, f"{path}/repository", {"orders.py": b"pass\n"})
    visit = open_console(team, f"/assessments/{assessment['id']}/task")
    panels = {
        title: visit.page.locator(".panel").filter(has=visit.page.get_by_role("heading", name=title))
        for title in ("Repository", "Hidden tests", "Reference solution")
    }

    def upload(title: str, name: str, content: bytes, label: str = "Upload") -> None:
        (tmp_path / name).write_bytes(content)
        panels[title].get_by_label(label).set_input_files(tmp_path / name)

    settings = {"version": 1, "command": "make test", "setup": "npm ci", "setupNetwork": True} | IN_PROCESS
    files = {"tests.json": json.dumps(settings).encode()}
    upload("Hidden tests", "tests.tar.gz", pack(files | {"src/../../etc/passwd": b""}))
    assert visit.shows("src/../../etc/passwd")
    upload("Hidden tests", "tests.tgz", pack(files))
    for text in ("The hidden tests have been stored.", "In-process", "npm ci", "with network"):
        assert visit.shows(text)
    upload("Reference solution", "solution.txt", b"no patch")
    assert visit.shows("Choose a file of one of these types: .zip, .gz, .tgz, .patch, .diff")
    assert visit.page.get_by_role("button", name="Check the task").is_disabled()
    assert violations(visit.settle(), ("light", "dark")) == []
    patch = "diff --git a/orders.py b/orders.py\n--- a/orders.py\n+++ b/orders.py\n@@ -1 +1 @@\n-{}\n+run()\n"
    upload("Reference solution", "solution.diff", patch.format("other").encode())
    assert visit.shows("Hunk 1 of orders.py does not apply to the repository.")
    upload("Reference solution", "solution.PATCH", patch.format("pass").encode())
    assert visit.shows("The reference solution has been stored.")
    visit.page.get_by_role("button", name="Check the task").click()
    assert visit.shows("No runner is running.")
    runner.run_check(NAMES, unstable=[MARKUP])
    for text in (
        "The task is ready",
        "1 unstable test",
        "Repository: 0 of 13",
        "Reference solution: 12 of 13",
    ):
        assert visit.shows(text)
    visit.page.get_by_role("button", name="Delete the repository").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    assert visit.shows("Deleted.")
    visit.page.set_viewport_size({"width": PHONE, "height": 900})
    visit.messages = [message for message in visit.messages if "404" not in message and "400" not in message]
    assert visit.is_clean()
