"""Runners on a real service: each job has one result, although runners and the service stop."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import factories
import pytest

import models
from models import FeedEvent, LedgerEntry, RunnerToken, sessions
from models.tasks import queue
from tests.live.client import CONNECTION_ERRORS, Client
from tests.live.service import wait_until

JOBS = 200
CLAIM = {"runner": "machine", "engine": "bubblewrap", "waitSeconds": 5}
TESTS = [{"name": name, "outcome": "passed"} for name in ("one", "two")]


class Runner:
    """A runner that reports each job as passed, except while it `is_killed`."""

    def __init__(self, port, token):
        self.client = Client(port, timeout=30, Authorization=f"Bearer {token}")
        self.is_killed, self.is_stopped = threading.Event(), threading.Event()
        self.claimed = 0

    def run(self):
        while not self.is_stopped.is_set():
            try:
                self.run_job()
            except CONNECTION_ERRORS:
                time.sleep(0.2)

    def run_job(self):
        response = self.client.post("/v1/runner/jobs/claim", CLAIM)
        if response.status != 200:
            assert response.status in (204, 500, 503), response.text
            return
        job = response["job"]
        self.claimed += 1
        if self.is_killed.is_set():
            return
        path = f"/v1/runner/jobs/{job['id']}"
        self.client.post(f"{path}/heartbeat", {"attempt": job["attempt"]})
        body = {"attempt": job["attempt"], "state": "finished", "tests": TESTS}
        for _ in range(2):  # the response to the first one could be lost
            result = self.client.request("PUT", f"{path}/result", body)
            assert result.status in (200, 409, 503), result.text


def make_jobs(count):
    organizations = [factories.make_organization(name) for name in ("Acme", "Other")]
    assessments = [factories.make_assessment(organization) for organization in organizations]
    for assessment in assessments:
        factories.make_task(assessment)
    for number in range(count):
        session = factories.make_session(factories.make_key(assessments[number % 2], None, None))
        factories.make_submission(session)
        sessions.complete(session)


def expire_leases(installation):
    installation.execute(
        "UPDATE test_runs SET due_at = %s WHERE state = 'running'", installation.stored_time(seconds_ago=1)
    )


def test_each_job_has_one_result(installation, bind):
    with installation.start(processes=2) as service, service.worker():
        bind(service.database_url)
        make_jobs(JOBS)
        runners = [
            Runner(service.port, RunnerToken.issue(None, f"Runner {number}")[1]) for number in range(3)
        ]
        killed = runners[0]
        with ThreadPoolExecutor(3) as threads:
            running = [threads.submit(runner.run) for runner in runners]
            for number in range(2):
                killed.is_killed.set()
                wait_until(lambda: killed.claimed > 3 * number, "The runner got no job.")  # noqa: B023
                time.sleep(0.2)
                killed.is_killed.clear()
                expire_leases(installation)
            service.stop()
            service.start(processes=2, port=service.port)

            def is_done():
                expire_leases(installation)
                time.sleep(0.5)
                return models.TestRun.select().where(models.TestRun.pending()).count() == 0

            wait_until(lambda: models.TestRun.select().count() == JOBS, "The worker queued too few runs.")
            wait_until(is_done, "Not all jobs ended.")
            for runner in runners:
                runner.is_stopped.set()
            for each in running:
                each.result()
        runs = list(models.TestRun.select())
        assert Counter(run.state for run in runs) <= Counter(finished=JOBS, failed=JOBS)
        assert sum(run.state == "finished" for run in runs) >= JOBS - 5
        ended = LedgerEntry.select().where(LedgerEntry.kind == "test_runs", LedgerEntry.reason == "ended")
        assert Counter(entry.subject for entry in ended) == Counter(run.id for run in runs)
        assert FeedEvent.select().where(FeedEvent.type == "test_run.finished").count() == JOBS
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
            assert service.responds(within_seconds=1)
            assert runner.get("/v1/me").status == 401  # reads the database
            assert time.monotonic() - started < 3
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
        make_jobs(1)
        queue.queue_due()
        time.sleep(2)
        assert models.TestRun.get().state == "waiting"
