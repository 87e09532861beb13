"""The shipped problems on a real service with a real runner, from the first call to tested submissions."""

import csv
import io
import json
import shutil
import subprocess
import threading
import zipfile

import pytest
import yaml
from hidden_tests import NAMES, PROBLEMS, copy

from ops.admin import CATALOG
from schemas.results import CSV_COLUMNS
from tests.data.test_problems import FAILED_BY, PASSED_BY_BASE, WRONG_SOLUTIONS
from tests.delivery.receiver import Receiver
from tests.live.candidate_machine import needs_programs
from tests.live.cast import Candidate, make_keys, pack, start_session
from tests.live.client import call
from tests.live.runners import Runner
from tests.live.scripted_client import Cli
from tests.live.service import Service, wait_until
from tests.runner.conftest import IMAGE, find_missing, podman, with_sandboxes
from tests.runner.images import build_image

pytestmark = [needs_programs, with_sandboxes, pytest.mark.usefixtures("running_worker")]

SECONDS = 180


@pytest.fixture(scope="module")
def service(live_database_url, tmp_path_factory):
    """A service without a provider's key: the client probes the proxies."""
    with Service(tmp_path_factory.mktemp("tasks"), live_database_url).start(processes=2) as service:
        service.flask("storage", "adopt")  # other tests' services share the database
        service.flask("issues", "import", str(CATALOG))
        yield service


@pytest.fixture(scope="module")
def reviewer(service):
    return service.organization("Acme")


@pytest.fixture(scope="module")
def runner(request, service, reviewer, tmp_path_factory):
    """A runner of the organization."""
    if missing := find_missing(request.param):
        pytest.skip(f"{request.param}: {missing}")
    if request.param == "podman":
        build_image(IMAGE, tmp_path_factory.mktemp("image"))
    token = reviewer.post("/v1/org/runners", {"name": request.param})["secret"]
    runner = Runner(service, token, tmp_path_factory.mktemp("runner") / "jobs", request.param)
    yield runner
    assert runner.stop() == 0
    assert runner.leftovers() == []
    if runner.engine == "podman":
        podman("rmi", "--force", IMAGE)


@pytest.fixture
def receiver(reviewer):
    """A webhook receiver of finished test runs."""
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    body = {"url": receiver.url(), "types": ["test_run.finished"]}
    webhook = reviewer.post("/v1/webhooks", body)["webhook"]
    yield receiver
    reviewer.delete(f"/v1/webhooks/{webhook['id']}")
    receiver.shutdown()
    receiver.server_close()


def wait_for_check(reviewer, path):
    def ended():
        check = reviewer.get(f"{path}/tests/check")["check"]
        return check if check["state"] != "running" else None

    return wait_until(ended, "The check did not end.", SECONDS)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def zipped(folder):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files_of(folder).items():
            archive.writestr(name, content)
    return target.getvalue()


def apply(wrong_solution, folder):
    subprocess.run(["git", "apply", f"{WRONG_SOLUTIONS / wrong_solution}.patch"], cwd=folder, check=True)


def put_tests(reviewer, path, problem, **settings):
    """Replace the hidden tests by the problem's with other settings."""
    files = files_of(PROBLEMS / problem / "tests")
    files["tests.json"] = json.dumps(json.loads(files["tests.json"]) | settings).encode()
    headers = reviewer.headers | {"Content-Type": "application/gzip"}
    response = call(reviewer.port, "PUT", f"{path}/tests", pack(files), headers=headers, seconds=60)
    assert response.status == 200, response.text


def submit_with_script(service, machine, key, problem):
    """Submit the reference solution from a workspace. Returns the session's id."""
    session_id = start_session(service, key)
    rewrite = f'[url "http://127.0.0.1:{service.port}/git/"]\n\tinsteadOf = http://localhost:8000/git/\n'
    (machine.home / ".gitconfig").write_text(rewrite)
    prepared = machine.prepare(key, GIT_ALLOW_PROTOCOL="http")
    assert prepared.returncode == 0, prepared.stderr
    copy(problem, machine.workspace, "reference")
    submitted = machine.submit()
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    return session_id


def submit_zip(service, key, folder):
    candidate = Candidate(service, key)
    assert candidate.put_submission(zipped(folder), "application/zip").status == 200
    assert candidate.complete().status == 200
    return candidate.session_id


def submit_with_client(service, key, problem, wrong_solution, folder):
    cli = Cli(service.port, key, folder)
    cli.start()
    assert files_of(PROBLEMS / problem / "repository").items() <= files_of(cli.workspace).items()
    copy(problem, cli.workspace, "reference")
    apply(wrong_solution, cli.workspace)
    shutil.rmtree(cli.workspace / ".git")
    work = pack(files_of(cli.workspace))
    cli.submit(cli.upload(work), work, baseSha=cli.session["repoCommit"])
    cli.complete()
    return cli.session_id


@pytest.mark.parametrize(
    ("live_database_url", "runner", "problem"),
    list(zip(("sqlite", "postgresql"), ("podman", "bubblewrap"), NAMES, strict=True)),
    indirect=["live_database_url", "runner"],
    scope="module",
)
def test_submissions_in_each_format_are_tested_and_results_agree(
    service, reviewer, runner, receiver, machine, problem, tmp_path
):
    issue = yaml.safe_load((PROBLEMS / problem / "problem.yaml").read_text())
    body = {"title": issue["title"], "role": "Engineer", "issueId": issue["id"]}
    path = f"/v1/assessments/{reviewer.post('/v1/assessments', body)['assessment']['id']}"
    if runner.engine == "podman":
        put_tests(reviewer, path, problem, image=None)
        assert reviewer.post(f"{path}/tests/check").status == 202
    check = wait_for_check(reviewer, path)
    assert (check["state"], check["unstable"]) == ("ready", []), check
    base, *reference = [run["passed"] for run in check["runs"]]
    assert base == len(PASSED_BY_BASE[problem])
    assert reference == [len(check["names"])] * 5

    first, second = [name for name in FAILED_BY if name.startswith(problem)][:2]
    copy(problem, tmp_path / "zip", "repository", "reference")
    apply(first, tmp_path / "zip")
    keys = make_keys(reviewer, {"id": path.rpartition("/")[2]}, 3)
    (tmp_path / "client").mkdir()
    failed = {
        submit_with_script(service, machine, keys[0]["key"], problem): set(),
        submit_zip(service, keys[1], tmp_path / "zip"): FAILED_BY[first],
        submit_with_client(service, keys[2]["key"], problem, second, tmp_path / "client"): FAILED_BY[second],
    }
    runs = wait_for_runs(reviewer, path, failed)
    for session_id, run in runs.items():
        assert {test["name"] for test in run["tests"] if test["outcome"] == "failed"} == failed[session_id]
        assert {test["name"] for test in run["tests"]} == set(check["names"])
        assert (run["total"] - run["passed"], run["runner"]["engine"]) == (
            len(failed[session_id]),
            runner.engine,
        )
        submission = reviewer.get(f"/v1/sessions/{session_id}/final-diff")["submission"]
        assert submission["sha256"] == run["submissionSha256"]
        # A zip archive has no base.
        assert submission["baseVerified"] is (None if submission["format"] == "zip" else True)
    expected = {
        session_id: {
            "state": "finished", "passed": run["passed"], "total": run["total"], "isComplete": True, "inProcess": False,
            "isCurrent": True, "runId": run["id"], "source": "runner",
        }
        for session_id, run in runs.items()
    }  # fmt: skip
    assert_results(reviewer, path, expected)
    assert_published(receiver, runs)
    passed_by_test = {test["name"]: test["passed"] for test in reviewer.get(f"{path}/test-results")["tests"]}
    assert passed_by_test == {
        name: 3 - sum(name in names for names in failed.values()) for name in check["names"]
    }

    put_tests(reviewer, path, problem, image=None, limits={"memoryMb": 500})
    assert_results(reviewer, path, {id: result | {"isCurrent": False} for id, result in expected.items()})
    assert reviewer.post(f"{path}/test-runs", {"runs": 3}).status == 409  # not ready
    reviewer.post(f"{path}/tests/check")
    wait_for_check(reviewer, path)
    assert reviewer.get(f"{path}/test-results")["outdated"] == 3
    rejected = reviewer.post(f"{path}/test-runs", {"runs": 2})
    assert (rejected.status, "is now 3" in rejected["error"]) == (409, True)
    assert reviewer.post(f"{path}/test-runs", {"runs": 3}).status == 202
    again = wait_for_runs(reviewer, path, failed)
    for session_id, run in again.items():
        assert run["tests"] is not None
        assert run["passed"] == runs[session_id]["passed"]
        expected[session_id]["runId"] = run["id"]
    assert_results(reviewer, path, expected)
    assert_published(receiver, again)
    assert reviewer.get(f"{path}/test-results")["outdated"] == 0


def wait_for_runs(reviewer, path, sessions):
    """Return each session's run of the current tests with its outputs, once all of them are finished."""

    def finished():
        results = [row["hiddenTests"] or {} for row in reviewer.get(f"{path}/results")["results"]]
        done = [run for run in results if run.get("state") == "finished" and run["isCurrent"]]
        return len(done) == len(sessions)

    wait_until(finished, "Not all submissions are tested.", SECONDS)
    return {session_id: counted_run(reviewer, session_id) for session_id in sessions}


def counted_run(reviewer, session_id):
    path = f"/v1/sessions/{session_id}/test-runs"
    (run,) = [run for run in reviewer.get(path)["testRuns"] if run["counts"]]
    return reviewer.get(f"{path}/{run['id']}")["testRun"]


def assert_results(reviewer, path, expected):
    """Check that results, CSV, sessions and their exports agree."""
    rows = reviewer.get(f"{path}/results")["results"]
    assert {row["sessionId"]: row["hiddenTests"] for row in rows} == expected
    table = csv.DictReader(io.StringIO(reviewer.get(f"{path}/results/export").text.decode()))
    for row in table:
        cells = {
            CSV_COLUMNS[name].partition(".")[2]: value
            for name, value in row.items()
            if "Hidden tests: " in name
        }
        result = {name: expected[row["Session ID"]][name] for name in cells}
        assert cells == {
            name: str(value).lower() if value in (True, False) else str(value)
            for name, value in result.items()
        }
    for session_id, result in expected.items():
        assert reviewer.get(f"/v1/sessions/{session_id}")["hiddenTests"] == result
        export = reviewer.get(f"/v1/sessions/{session_id}/export").text.decode().splitlines()
        session, *others = map(json.loads, export)
        assert session["session"]["hiddenTests"] == result
        (run,) = [line["testRun"] for line in others if line.get("testRun", {}).get("counts")]
        assert {name: run[name] for name in ("passed", "total", "isCurrent")} == {
            name: result[name] for name in ("passed", "total", "isCurrent")
        }


def assert_published(receiver, runs):
    """Wait until the webhook has received each run."""

    def received():
        events = [json.loads(message.body) for message in list(receiver.messages)]
        found = {event["data"]["testRunId"]: event["data"] for event in events}
        return all(run["id"] in found for run in runs.values()) and found

    found = wait_until(received, "The webhook did not receive all runs.")
    for session_id, run in runs.items():
        data = found[run["id"]]
        assert (data["sessionId"], data["passed"], data["total"]) == (session_id, run["passed"], run["total"])
