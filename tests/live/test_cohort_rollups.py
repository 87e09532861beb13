"""Concurrent changes of one cohort: totals and percentiles equal those of its sessions (R19 to R21)."""

import json
import os
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import independent_cohorts
import pytest

from rules.statistics.cohorts import METRICS
from tests.live.cast import Candidate, event, make_keys
from tests.live.client import CONNECTION_ERRORS
from tests.live.service import wait_until

CALLERS = 8
# COHORT_CLOSES=10000 is the long history of docs/statistics.md.
CLOSES = int(os.environ.get("COHORT_CLOSES", "400"))
KINDS = ("prompt", "file_diff", "ai_response", "command")


@pytest.fixture
def reviewer(service):
    """A reviewer of an organization without other cohorts."""
    return service.organization("Cohorts")


@pytest.mark.slow
def test_a_random_history_leaves_the_cohort_equal_to_its_sessions(service, reviewer, assessment):
    """Closes, late events, erasures, test results and rederivations, some of them in killed processes."""
    closed = []

    def close(key):
        with suppress(*CONNECTION_ERRORS):
            candidate = Candidate(service, key)
            for _ in range(random.randrange(1, 6)):
                candidate.ingest(random_event())
            path = f"/v1/sessions/{candidate.session_id}/close"
            random.choice((candidate.complete, lambda: reviewer.post(path)))()
            closed.append(candidate)
            if random.random() < 0.4:
                # One of the latest, so that callers often change the same one.
                change(reviewer, random.choice(closed[-30:]))

    with ThreadPoolExecutor(CALLERS) as threads:
        results = [threads.submit(close, key) for key in make_keys(reviewer, assessment, CLOSES)]
        for quarter in (1, 2, 3):
            wait_until(lambda: len(closed) > quarter * CLOSES // 4 - 50, "Nothing is closed.")  # noqa: B023
            service.kill_web_process()
            service.flask("sessions", "rederive", "--assessment", assessment["id"])
    assert [result.exception() for result in results if result.exception()] == []
    assert_equal_to_its_sessions(service, reviewer, assessment, closed)


def random_event():
    data = {"command": "pytest", "exitCode": random.randrange(2)}
    return event(random.choice(KINDS), random.randrange(3600), data=data)


def change(reviewer, candidate):
    """Change the numbers of a closed session; an erased one refuses some changes."""
    result = {"passed": random.randrange(3), "failed": random.randrange(2)}
    changes = [
        lambda: candidate.ingest(random_event()),
        lambda: reviewer.get(f"/v1/sessions/{candidate.session_id}"),
        lambda: reviewer.request("PUT", f"/v1/sessions/{candidate.session_id}/test-result", result),
        lambda: reviewer.delete(f"/v1/candidates/{candidate.id}/data"),
    ]
    assert random.choice(changes)().status < 500


def assert_equal_to_its_sessions(service, reviewer, assessment, closed):
    # Derives what is due.
    reviewer.get("/v1/analytics/overview")
    columns, assessment_id = independent_cohorts.COLUMNS, service.stored_id(assessment["id"])
    query = f"SELECT {', '.join(columns)} FROM sessions WHERE assessment_id = %s AND closed_at IS NOT NULL"
    sessions = [dict(zip(columns, row, strict=True)) for row in service.execute(query, assessment_id)]
    for session in [] if service.is_postgres else sessions:
        session["further_metrics"] = json.loads(session["further_metrics"])
    assert len(sessions) >= len(closed)
    query = "SELECT totals FROM cohort_rollups WHERE assessment_id = %s"
    ((totals,),) = service.execute(query, assessment_id)
    assert (totals if service.is_postgres else json.loads(totals)) == independent_cohorts.totals(sessions)
    for session_id, expected in independent_cohorts.percentiles(sessions).items():
        stats = reviewer.get(f"/v1/sessions/{uuid.UUID(str(session_id))}/cohort-stats")["cohortStats"]
        assert stats["percentiles"] == {metric.name: expected[metric.field] for metric in METRICS}
    assert service.flask("cohorts", "verify", "--assessment", assessment["id"]).endswith("  ok\n")
