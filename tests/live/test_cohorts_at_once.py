"""Processes that close, change and erase the sessions of one assessment at the same moment: the cohort's totals and
every rank are those of its sessions, to the last digit (R19 to R21)."""

import json
import os
import signal
import subprocess
import sys

import independent_cohorts
import pytest

from tests.live.service import ROOT, wait_until

WRITERS = 8
# COHORT_CLOSES=10000 is the long history of docs/cohorts.md.
CLOSES = int(os.environ.get("COHORT_CLOSES", "1200"))
KILLED = 3
PATIENCE_SECONDS = 1800


@pytest.mark.slow
def test_a_random_history_leaves_the_rollup_equal_to_its_sessions(service, assessment):
    writers = [start_writer(service, assessment, seed, CLOSES // WRITERS) for seed in range(WRITERS)]
    assert [writer.wait(PATIENCE_SECONDS) for writer in writers] == [0] * WRITERS, service.log()[-3000:]
    assert len(assert_equal_to_its_sessions(service, assessment)) == CLOSES


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_it_equal(service, assessment):
    for seed in range(KILLED):
        before = closed(service, assessment)
        writer = start_writer(service, assessment, seed, CLOSES)
        wait_until(lambda: closed(service, assessment) > before + 10, "Nothing is closed.")  # noqa: B023
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()
        assert_equal_to_its_sessions(service, assessment)


def start_writer(service, assessment, seed, closes):
    command = ["-m", "tests.live.cohort_history", "write", assessment["id"], str(seed), str(closes)]
    return service.spawn(command, PYTHONPATH=str(ROOT))


def closed(service, assessment):
    query = "SELECT count(*) FROM sessions WHERE assessment_id = %s AND closed_at IS NOT NULL"
    return service.execute(query, service.stored_id(assessment["id"]))[0][0]


def assert_equal_to_its_sessions(service, assessment):
    """By a second way of counting, and by the command. Returns the sessions."""
    told = tell(service, assessment)
    sessions = closed_sessions(service, assessment)
    assert told["totals"] == independent_cohorts.totals(sessions)
    ranks = independent_cohorts.beaten(sessions)
    assert {one: told["beaten"][one] for one in ranks} == ranks
    assert "equal to its sessions" in service.flask("cohorts", "verify", "--assessment", assessment["id"])
    return sessions


def tell(service, assessment):
    command = [sys.executable, "-m", "tests.live.cohort_history", "tell", assessment["id"]]
    environment = os.environ | {"DATABASE_URL": service.database_url}
    return json.loads(subprocess.check_output(command, cwd=ROOT, env=environment))


def closed_sessions(service, assessment):
    columns = independent_cohorts.COLUMNS
    query = f"SELECT {', '.join(columns)} FROM sessions WHERE assessment_id = %s AND closed_at IS NOT NULL"
    rows = service.execute(query, service.stored_id(assessment["id"]))
    sessions = [dict(zip(columns, row, strict=True)) for row in rows]
    return [session | {"id": str(session["id"]).replace("-", "")} for session in sessions]
