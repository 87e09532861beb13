"""Runners on a real service: each job has one result, although runners and the service stop."""

import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urlsplit

import factories
import pytest

import models
from models import FeedEvent, LedgerEntry, RunnerToken, sessions
from models.tasks import claims, queue
from runner.client import CLAIM_SECONDS
from tests.live.cast import Candidate, make_assessment, make_keys, pack
from tests.live.client import Client, call
from tests.live.runners import Runner
from tests.live.service import kill, wait_until
from tests.runner.conftest import find_missing, with_sandboxes

pytestmark = with_sandboxes
MISSING = find_missing("bubblewrap")
needs_bubblewrap = pytest.mark.skipif(MISSING is not None, reason=f"bubblewrap: {MISSING}")

# Fewer on SQLite, whose writers wait for each other.
JOBS = {"postgresql": 100, "sqlite": 30}
KILLS = 6
SECONDS = 300
CLAIM = {"runner": "machine", "engine": "bubblewrap", "waitSeconds": 5}
# In-process, and as fast as a test can be: a report that the submission's files choose.
SETTINGS = {"version": 1, "command": 'cp $(test -e solved && echo passed.xml || echo failed.xml) "$REPORT"'}
REPORT = '<testsuite><testcase name="one"/><testcase name="two">{}</testcase></testsuite>'
TESTS = {
    "tests.json": json.dumps(SETTINGS).encode(),
    "passed.xml": REPORT.format("").encode(),
    "failed.xml": REPORT.format("<failure/>").encode(),
}
SOLVED, UNSOLVED = {"solved": b""}, {"README.md": b"Solve it."}


def make_task(reviewer):
    """Create an assessment with a task, and start its check. Returns the assessment."""
    assessment = make_assessment(reviewer)
    path = f"/v1/assessments/{assessment['id']}"
    headers = reviewer.headers | {"Content-Type": "application/gzip"}
    for kind, files in (("repository", UNSOLVED), ("tests", TESTS), ("reference", SOLVED)):
        stored = call(reviewer.port, "PUT", f"{path}/{kind}", pack(files), headers=headers, seconds=60)
        assert stored.status == 200, stored.text
    assert reviewer.post(f"{path}/tests/check").status == 202
    return assessment


def submit(service, key, is_solved):
    """Submit, and close the session. Returns its id."""
    candidate = Candidate(service, key)
    upload = candidate.open_upload()
    bundle = pack(UNSOLVED | (SOLVED if is_solved else {}))
    assert candidate.upload(upload, bundle).status == 200
    assert candidate.submit(upload, bundle).status == 200
    assert candidate.complete().status == 200
    return candidate.session_id


@needs_bubblewrap
def test_each_job_has_one_result_although_a_runner_and_web_processes_are_killed(installation, bind, tmp_path):
    with installation.start(processes=2) as service, service.worker():
        jobs = JOBS[urlsplit(service.database_url).scheme]
        reviewer = service.organization("Acme")
        assessment = make_task(reviewer)
        keys = make_keys(reviewer, assessment, jobs)
        with ThreadPoolExecutor(8) as threads:
            submitted = [threads.submit(submit, service, key, number % 2) for number, key in enumerate(keys)]
            passed = {each.result(): 1 + number % 2 for number, each in enumerate(submitted)}
        tokens = [reviewer.post("/v1/org/runners", {"name": f"Runner {number}"}).json for number in range(3)]

        def start_runner(token):
            return Runner(service, token["secret"], tmp_path / token["runner"]["id"])

        killed, token_id = start_runner(tokens[0]), service.stored_id(tokens[0]["runner"]["id"])
        running = """
            SELECT id FROM test_runs
            WHERE state = 'running' AND purpose = 'submission' AND runner_token_id = %s AND started_at > %s
        """
        killed_at = service.stored_time(seconds_ago=3600)
        for number in range(KILLS):
            wait_until(partial(service.execute, running, token_id, killed_at), "The runner got no job.")
            killed.kill()
            killed_at = service.stored_time()
            if number == KILLS // 3:
                os.kill(service.web.pid, signal.SIGHUP)
            if number == KILLS // 2:
                kill(service.web_processes()[0])
            killed.start()
        # Earlier, these could end all jobs before the last kill.
        runners = [killed, *map(start_runner, tokens[1:])]
        lost = "UPDATE test_runs SET due_at = started_at WHERE state = 'running' AND started_at < %s"
        pending = "SELECT count(*) FROM test_runs WHERE state IN ('waiting', 'running')"
        ended = "SELECT count(*) FROM test_runs WHERE purpose = 'submission' AND finished_at IS NOT NULL"

        def have_all_ended():
            # The leases of lost jobs end after 10 seconds instead of 60. A job takes less than one.
            service.execute(lost, service.stored_time(seconds_ago=10))
            return service.execute(ended) == [(jobs,)]

        wait_until(have_all_ended, "Not all jobs ended.", SECONDS)
        assert service.execute(pending) == [(0,)]
        for runner in runners:
            assert runner.stop() == 0
            assert runner.leftovers() == []

        bind(service.database_url)
        runs = list(models.TestRun.select().where(models.TestRun.purpose == "submission"))
        assert len(runs) == jobs
        # A job that was lost in each of its attempts has failed. Each kill loses up to two.
        failed = [run for run in runs if run.state == "failed"]
        assert len(failed) <= 2 * KILLS // claims.MAX_ATTEMPTS
        assert {(run.attempts, run.reason) for run in failed} <= {(claims.MAX_ATTEMPTS, claims.STOPPED)}
        finished = {str(run.session_id): run.passed_count for run in runs if run.state == "finished"}
        for run in failed:
            del passed[str(run.session_id)]
        assert finished == passed
        assert {session.hidden_run_id for session in models.Session.select()} == {run.id for run in runs}
        entries = LedgerEntry.select().where(LedgerEntry.kind == "test_runs", LedgerEntry.reason == "ended")
        assert set(Counter(entry.subject for entry in entries).values()) == {1}
        assert FeedEvent.select().where(FeedEvent.type == "test_run.finished").count() == jobs
        assert sum(run.attempts - 1 for run in runs) >= KILLS // 2
        models.db.close()
        assert "No differences" in service.flask("ledger", "verify")


def test_waiting_claims_hold_no_connection_and_few_threads(installation, bind):
    installation.settings |= {"DATABASE_POOL": "1", "WEB_THREADS": "12", "PROXY_STREAMS": "4"}
    with installation.start(processes=1) as service:
        bind(service.database_url)
        runner = Client(service.port, Authorization=f"Bearer {RunnerToken.issue(None, 'One')[1]}")
        models.db.close()
        with ThreadPoolExecutor(8) as threads:
            started = time.monotonic()
            waits = [
                threads.submit(
                    lambda: (runner.post("/v1/runner/jobs/claim", CLAIM).status, time.monotonic() - started)
                )
                for _ in range(8)
            ]
            time.sleep(1)
            assert service.responds()
            assert runner.get("/v1/me").status == 401  # reads the database
            assert not all(wait.done() for wait in waits)
            results = [wait.result() for wait in waits]
        assert {status for status, _ in results} == {204}
        # A quarter of the eight threads without model calls waits.
        assert sum(seconds > 4 for _, seconds in results) == 2


def test_a_claim_of_a_stopped_runner_takes_no_job(installation, bind):
    with installation.start(processes=1) as service:
        bind(service.database_url)
        token = RunnerToken.issue(None, "One")[1]
        stopped = Client(service.port, timeout=1, Authorization=f"Bearer {token}")
        with pytest.raises(TimeoutError):
            stopped.post("/v1/runner/jobs/claim", CLAIM)
        assessment = factories.make_assessment(factories.make_organization())
        factories.make_task(assessment)
        session = factories.make_session(factories.make_key(assessment, None, None))
        factories.make_submission(session)
        sessions.complete(session)
        queue.queue_due()
        time.sleep(2)
        assert models.TestRun.get().state == "waiting"


@needs_bubblewrap
def test_a_waiting_claim_ends_when_its_runner_or_the_service_stops(installation, bind, tmp_path):
    with installation.start(processes=1) as service:
        bind(service.database_url)
        token = RunnerToken.issue(None, "One")[1]
        runner = Runner(service, token, tmp_path / "jobs")
        wait_until(lambda: RunnerToken.alive().exists(), "The runner sent no claim.")
        models.db.close()
        started = time.monotonic()
        assert runner.stop() == 0
        assert time.monotonic() - started < CLAIM_SECONDS / 2
        client = Client(service.port, Authorization=f"Bearer {token}")
        with ThreadPoolExecutor(1) as threads:
            body = CLAIM | {"waitSeconds": CLAIM_SECONDS}
            claim = threads.submit(client.post, "/v1/runner/jobs/claim", body)
            time.sleep(1)
            service.stop()
            # Later, the service would disconnect it.
            assert claim.result().status == 204
