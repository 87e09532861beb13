"""Runners claim jobs, and report results."""

import hashlib
import io
import json
from datetime import timedelta

import pytest
from bundle_stores import use_folder
from callers import Caller
from factories import (
    make_assessment,
    make_closed_session,
    make_key,
    make_organization,
    make_session,
    make_submission,
    make_task,
)
from response_checks import error_of

import models
from models import AuditEntry, FeedEvent, Session, Submission, privacy, sessions
from models.tasks import claims, queue
from models.tasks.runs import hidden_tests
from rules.timestamps import format_timestamp
from web.sockets import stopping

CLAIM = {"runner": "machine", "engine": "podman"}
PASSED = [{"name": name, "outcome": "passed"} for name in ("one", "two")]


@pytest.fixture
def runner(app):
    """A runner for the whole installation."""
    return Caller.runner(app)


@pytest.fixture
def bundles(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def task(assessment):
    return make_task(assessment)


@pytest.fixture
def job(runner, task, assessment):
    """A claimed job for a submission."""
    submit(assessment)
    return claim(runner)


def submit(assessment):
    """Create a closed session with a submission, and queue its run."""
    session = make_session(make_key(assessment))
    make_submission(session)
    sessions.complete(session)
    queue.queue_due()
    return session


def claim(runner, **fields):
    response = runner.post("/v1/runner/jobs/claim", CLAIM | fields)
    assert response.status_code in (200, 204), response.text
    return response.json["job"] if response.status_code == 200 else None


def finish(runner, job, tests=PASSED, state="finished", **fields):
    body = {"attempt": job["attempt"], "state": state, "tests": tests} | fields
    options = {"data": json.dumps(body), "content_type": "application/json"}
    return runner.request("PUT", f"/v1/runner/jobs/{job['id']}/result", **options)


def run_of(job):
    return models.TestRun.get_by_id(job["id"])


def shown(session):
    run = hidden_tests([session.id]).get(session.id)
    return run and (run.state, run.passed_count, run.total_count)


def test_a_submission_is_tested_after_the_close(assessment, runner, task):
    session = submit(assessment)
    assert shown(session) == ("waiting", None, None)
    job = claim(runner)
    assert job["settings"]["command"] == "make test"
    assert job["inputs"]["work"] == {"url": f"/v1/runner/jobs/{job['id']}/inputs/work", "format": "zip"}
    assert shown(session) == ("running", None, None)
    tests = [PASSED[0], {"name": "two", "outcome": "failed", "output": "assert", "durationMs": 12}]
    assert finish(runner, job, tests, imageDigest="sha256:1").status_code == 200
    assert shown(session) == ("finished", 1, 2)
    run = run_of(job)
    assert (run.engine, run.runner_name, run.image_digest) == ("podman", "machine", "sha256:1")
    assert [test["durationMs"] for test in run.results] == [None, 12]
    event = FeedEvent.get(FeedEvent.type == "test_run.finished")
    assert event.data == {
        "sessionId": str(session.id),
        "candidateId": str(session.key_id),
        "assessmentId": str(assessment.id),
        "testRunId": job["id"],
        "state": "finished",
        "passed": 1,
        "total": 2,
    }
    actions = AuditEntry.select(AuditEntry.action, AuditEntry.actor_kind, AuditEntry.actor_name)
    assert list(actions.where(AuditEntry.subject_id == job["id"]).order_by(AuditEntry.id).tuples()) == [
        ("claimJob", "runner", "Runner"),
        ("recordJobResult", "runner", "Runner"),
    ]


def test_a_finished_run_updates_its_session(clock, reviewer, runner, job):
    before = clock.fixed
    clock.fixed += timedelta(minutes=5)
    assert finish(runner, job).status_code == 200
    for path in ("sessions", "candidates"):
        (row,) = reviewer.get(f"/v1/{path}", updatedAfter=format_timestamp(before)).json[path]
        assert row["updatedAt"] == format_timestamp(clock.fixed)


def test_there_is_no_job_without_a_submission_or_ready_tests(assessment, runner, organization):
    make_closed_session(assessment)
    unready = make_assessment(organization)
    check = make_task(unready)
    check.update_columns(state="not_ready")
    session = submit(unready)
    without_tests = submit(make_assessment(organization))
    assert claim(runner) is None
    assert not Session.get_by_id(without_tests.id).tests_due
    check.update_columns(state="ready")
    queue.queue_due()
    assert claim(runner) is not None
    assert not Session.get_by_id(session.id).tests_due


def test_a_repeated_result_is_accepted_and_a_different_one_is_not(runner, job):
    assert finish(runner, job).status_code == 200
    assert finish(runner, job).status_code == 200
    assert error_of(finish(runner, job, [])) == (409, "claim_lost")
    assert run_of(job).passed_count == 2


@pytest.mark.parametrize("is_expired", [True, False])
def test_only_the_claim_that_has_the_lease_counts(clock, app, runner, job, is_expired):
    clock.fixed += claims.LEASE
    other = claim(Caller.runner(app)) if is_expired else None
    heartbeat = runner.post(f"/v1/runner/jobs/{job['id']}/heartbeat", {"attempt": 1})
    result = finish(runner, job)
    if is_expired:
        assert other["attempt"] == 2
        assert error_of(heartbeat) == error_of(result) == (409, "claim_lost")
        assert run_of(job).state == "running"
    else:
        assert (heartbeat.status_code, result.status_code) == (200, 200)


def test_a_failed_attempt_is_repeated_twice(clock, runner, job):
    run = run_of(job)
    for attempt in (1, 2, 3):
        response = finish(runner, job, [], "failed", reason="No such image.")
        assert response.status_code == 200
        assert finish(runner, job, [], "failed", reason="No such image.").status_code == 200
        run = run_of(job)
        assert (run.state, run.reason) == ("waiting" if attempt < 3 else "failed", "No such image.")
        clock.fixed += claims.RETRY_DELAY
        job = claim(runner)
    assert job is None
    assert shown(run.session)[0] == "failed"


def test_a_job_whose_runners_stopped_three_times_fails(clock, runner, job):
    for _ in range(claims.MAX_ATTEMPTS):
        clock.fixed += claims.LEASE
        lost = claim(runner)
    assert lost is None
    claims.fail_lost()
    run = run_of(job)
    assert (run.state, run.reason, run.attempts) == ("failed", claims.STOPPED, 3)


def test_the_organization_with_the_fewest_running_jobs_is_next(app, assessment, runner, task):
    other = make_assessment(make_organization("Other"))
    make_task(other)
    for _ in range(3):
        submit(assessment)
    submit(other)
    order = [run_of(claim(runner)).organization_id for _ in range(4)]
    own = assessment.organization_id
    assert order == [own, other.organization_id, own, own]


def test_a_single_runner_takes_the_organizations_jobs_in_turn(clock, assessment, runner, task):
    other = make_assessment(make_organization("Other"))
    make_task(other)
    for owner in (assessment, assessment, assessment, other, other):
        submit(owner)
    order = []
    for _ in range(5):
        clock.fixed += timedelta(seconds=1)
        job = claim(runner)
        order.append(run_of(job).organization_id == assessment.organization_id)
        finish(runner, job)
    assert order == [True, False, True, False, True]


def test_an_organizations_runner_gets_only_its_jobs(app, assessment, task, job):
    other = Caller.runner(app, make_organization("Other"))
    submit(assessment)
    assert claim(other) is None
    assert error_of(finish(other, job)) == (404, "not_found")
    assert claim(Caller.runner(app, assessment.organization)) is not None


def test_an_erasure_ends_the_job(runner, job):
    session = run_of(job).session
    privacy.erase(session.key)
    assert error_of(runner.post(f"/v1/runner/jobs/{job['id']}/heartbeat", {"attempt": 1})) == (
        404,
        "not_found",
    )
    assert error_of(finish(runner, job)) == (404, "not_found")
    assert shown(session) is None
    assert claim(runner) is None


def test_a_new_submission_during_a_run_is_tested_too(runner, job):
    session = run_of(job).session
    make_submission(session)
    queue.queue_due()
    second = claim(runner)
    finish(runner, job)
    assert shown(session) == ("running", None, None)
    finish(runner, second, PASSED[:1])
    assert shown(session) == ("finished", 1, 2)


@pytest.mark.parametrize(("stored", "sent"), [("zip", "zip"), ("tar", "tar.gz")])
def test_inputs_are_streams_of_what_was_received(app, runner, task, assessment, bundles, stored, sent):
    session = submit(assessment)
    content = b"PK\x05\x06" + bytes(18)
    submission = Submission.current(session)
    bundles.receive(submission.object_key, io.BytesIO(content), len(content))
    submission.update_columns(format=stored, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    job = claim(runner)
    assert job["inputs"]["work"]["format"] == sent
    response = runner.get(job["inputs"]["work"]["url"])
    assert (response.status_code, response.data) == (200, content)
    assert error_of(runner.get(f"/v1/runner/jobs/{job['id']}/inputs/reference")) == (404, "not_found")
    other = Caller.runner(app)
    assert error_of(other.get(job["inputs"]["work"]["url"])) == (409, "claim_lost")


def test_a_submission_that_the_store_has_lost_is_a_task_for_an_operator(runner, job, bundles):
    response = runner.get(job["inputs"]["work"]["url"])
    assert error_of(response) == (409, "input_unavailable")
    assert "An operator must restore it" in response.json["error"]
    assert run_of(job).state == "running"


def test_a_replaced_submission_is_not_tested(runner, task, assessment):
    session = submit(assessment)
    make_submission(session)
    queue.queue_due()
    job = claim(runner)
    assert job is None
    job = claim(runner)
    assert run_of(job).submission_id == Submission.current(session).id


def test_outputs_are_masked_and_limited(runner, job):
    tests = [
        {"name": "one", "outcome": "passed", "output": "key ghp_" + "a" * 36 + " \x00\ud800"},
        {"name": "two", "outcome": "failed", "output": "x" * 20_000 + "end"},
        {"name": "unknown", "outcome": "passed", "output": "y"},
    ]
    finish(runner, job, tests)
    one, two = run_of(job).results
    assert one["output"] == "key [masked] \ufffd\ufffd"
    assert len(two["output"]) == 16 * 1024
    assert two["output"].endswith("end")


def test_a_claim_waits_for_a_job(runner, task, assessment, monkeypatch):
    monkeypatch.setattr(stopping, "wait", lambda seconds: submit(assessment) is None)
    assert claim(runner, waitSeconds=20) is not None


def test_a_claim_above_the_limit_does_not_wait(app, runner, monkeypatch):
    slots = app.extensions["waiting_claims"]
    monkeypatch.setattr(stopping, "wait", lambda seconds: pytest.fail("It waits."))
    count = 0
    while slots.acquire(blocking=False):
        count += 1
    try:
        assert claim(runner, waitSeconds=20) is None
    finally:
        for _ in range(count):
            slots.release()
    assert count == 4
