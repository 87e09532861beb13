"""The Prometheus metrics of one process; tests/live/test_monitoring.py covers several."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import alerting_rules
import factories
import pytest
from callers import Caller
from prometheus_client.parser import text_string_to_metric_families
from response_checks import error_of

import config
import models
from models import Delivery, Heartbeat, Submission, TaskFailure, new_id, sessions
from models.deliveries import outbox, outcomes
from models.sessions.submissions import reading
from proxy import forwarding
from tests.proxy.upstream import MESSAGE, MESSAGE_NANO_USD, MESSAGES, TIMEOUT_SECONDS, Upstream, documents
from web.access_log import RequestRecord

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.respond = documents(200, MESSAGE)
        yield upstream


@pytest.fixture
def monitored(app_with):
    return app_with(METRICS_TOKEN=TOKEN, RATELIMIT_ENABLED="false")


def read_page(monitored):
    response = Caller(monitored, Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    assert response.headers["Cache-Control"] == "no-store"
    return response.text


def read_samples(monitored):
    """Return the samples by name and label values, sorted by label name."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(read_page(monitored))
        for sample in family.samples
    }


@pytest.fixture
def read(monitored):
    return lambda: read_samples(monitored)


def test_metrics_are_disabled_without_the_setting(app):
    assert error_of(Caller(app, Authorization=f"Bearer {TOKEN}").get("/metrics")) == (404, "not_found")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer other", TOKEN, f"Basic {TOKEN}", "Bearer ü"])
def test_metrics_require_the_token(monitored, header):
    response = Caller(monitored, **({} if header is None else {"Authorization": header})).get("/metrics")
    assert error_of(response) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_requests_are_counted_by_operation_method_and_status(monitored, reviewer, read):
    caller = Caller(monitored, **reviewer.headers)
    for path in ("/v1/me", "/v1/me", "/v1/nowhere"):
        caller.get(path)
    for number in range(3):
        caller.request(f"INVENTED{number}", "/v1/me")
    samples = read()
    assert samples["proofstone_http_requests_total", "GET", "getMe", "200"] == 2
    assert samples["proofstone_http_requests_total", "GET", "unmatched", "404"] == 1
    assert samples["proofstone_http_request_duration_seconds_count", "getMe"] == 2
    assert samples["proofstone_http_request_duration_seconds_bucket", "+Inf", "getMe"] == 2
    assert 0 < samples["proofstone_http_request_duration_seconds_sum", "getMe"] < 60
    # Clients cannot create counters by inventing methods.
    assert {key[1] for key in samples if key[0] == "proofstone_http_requests_total"} <= {"GET", "other"}


def test_late_events_are_counted(monitored, key, clock, read):
    sessions.complete(factories.make_session(key))
    clock.fixed += timedelta(minutes=30)
    candidate = Caller.candidate(monitored, key)
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).json["late"]
    candidate.post("/v1/hooks/ingest/batch", {"events": [factories.envelope(), factories.envelope()]})
    assert read()["proofstone_late_events_total",] == 3


def test_workers_and_failing_tasks_are_counted(worker, clock, reviewer, read):
    reviewer.post("/v1/issues", {"title": "One", "taskBrief": "Two"})
    models.AuditEntry.update(arrival_mac="other:00").execute()
    worker.run_once()
    clock.fixed += timedelta(seconds=40)
    samples = read()
    assert samples["proofstone_workers",] == 1
    assert samples["proofstone_task_age_seconds", "ledger"] == 40
    failures = {key[1:]: value for key, value in samples.items() if key[0] == "proofstone_task_failures"}
    assert failures == {("list_audit",): 1}


def test_queued_messages_are_counted_by_kind_and_state(assessment, clock, read):
    due, waiting, failed = (
        factories.make_key(assessment, f"{n}@example.com").invitation_id for n in range(3)
    )
    clock.fixed += timedelta(minutes=7)
    later = {"due_at": clock.now() + timedelta(hours=1)}
    Delivery.update(attempts=1, **later).where(Delivery.id == waiting).execute()
    # An upload can finish until the second removal, which is not late.
    outbox.enqueue_removals(assessment.organization_id, new_id(), [("bundle", clock.now())])
    Delivery.delete().where(Delivery.kind == "removal", Delivery.due_at <= clock.now()).execute()
    outcomes.fail(Delivery.get_by_id(failed), "550 no such user")
    samples = read()
    rows = {key[1:]: value for key, value in samples.items() if key[0] == "proofstone_queue_rows"}
    assert rows == {("invitation", state): 1 for state in ("due", "waiting", "failed")}
    assert samples["proofstone_queue_oldest_due_age_seconds", "delivery"] == 7 * 60
    assert samples["proofstone_queue_oldest_due_age_seconds", "webhook"] == 0
    assert samples["proofstone_database_up",] == 1
    assert Delivery.get_by_id(due).state == "queued"
    # Failures are reported for a few days.
    clock.fixed = datetime.now(UTC) + timedelta(days=5)
    assert ("proofstone_queue_rows", "invitation", "failed") not in read()


def test_streams_and_costs_of_model_calls_are_measured(app_with, session, upstream, monkeypatch):
    monkeypatch.setattr(forwarding, "SLOT_WAIT_SECONDS", 0)
    provider = {"ANTHROPIC_BASE_URL": upstream.address, "ANTHROPIC_API_KEY": "sk-ant-ours"}
    monitored = app_with(METRICS_TOKEN=TOKEN, RATELIMIT_ENABLED="false", PROXY_STREAMS="3", **provider)
    candidate = Caller.candidate(monitored, session.key)

    def call():
        return candidate.request("POST", MESSAGES, data=b'{"model": "m"}').status_code

    def streams():
        samples = read_samples(monitored)
        names = ("in_use", "max", "waiting", "rejected_total")
        return [samples[f"proofstone_model_streams_{name}",] for name in names]

    assert call() == 200
    assert streams() == [0, 3, 0, 0]
    slots = monitored.extensions["stream_slots"]
    release, *_ = [slots.acquire(other) for other in range(3)]
    assert call() == 529
    assert streams() == [3, 3, 0, 1]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(slots.acquire, "another", TIMEOUT_SECONDS)
        while not slots.waiting:
            time.sleep(0.001)
        assert streams() == [3, 3, 1, 1]
        release()
        assert waiting.result()
    waiting.result()()
    assert streams() == [2, 3, 0, 1]
    cost = read_samples(monitored)["proofstone_model_cost_usd_total", str(session.organization_id)]
    assert cost == pytest.approx(MESSAGE_NANO_USD / 10**9)


def test_submissions_that_wait_or_are_lost_are_counted(session, clock, read):
    submission = Submission.reserve(session, "git", "bundles/1")
    submission.record(1, "0" * 64, max_bytes=10)
    clock.fixed += timedelta(minutes=7)
    samples = read()
    assert samples["proofstone_queue_rows", "submission", "due"] == 1
    assert samples["proofstone_queue_oldest_due_age_seconds", "submission"] == 7 * 60
    assert samples["proofstone_lost_submissions",] == 0
    reading.record_lost(submission)
    samples = read()
    assert samples["proofstone_queue_rows", "submission", "waiting"] == 1
    assert samples["proofstone_queue_oldest_due_age_seconds", "submission"] == 0
    assert samples["proofstone_lost_submissions",] == 1


def test_running_versions_and_the_start_are_reported(clock, worker, read):
    worker.run_once()
    Heartbeat.update(version="0.9.0").execute()
    samples = read()
    versions = {key[1:] for key in samples if key[0] == "proofstone_build_info"}
    assert versions == {("web", config.VERSION), ("worker", "0.9.0")}
    assert 0 <= datetime.now(UTC).timestamp() - samples["process_start_time_seconds",] < 60


def test_the_alerts_select_existing_samples(monitored, assessment):
    """The page contains at least one sample for each metric and label that an alert uses."""
    for number in range(2):
        invitation_id = factories.make_key(assessment, f"{number}@example.com").invitation_id
    outcomes.fail(Delivery.get_by_id(invitation_id), "550 no such user")
    outbox.enqueue_removals(assessment.organization_id, new_id(), [("bundle", models.clock.now())])
    later = {"due_at": models.clock.now() + timedelta(hours=1)}
    Delivery.update(attempts=1, **later).where(Delivery.state == "queued").execute()
    TaskFailure.record("ledger", "", ValueError(), None)
    monitored.extensions["monitoring"].measure(RequestRecord({"REQUEST_METHOD": "GET"}), "getMe")
    page = read_page(monitored)
    missing = [
        f"{alert}: {selector}"
        for alert, expression in alerting_rules.expressions().items()
        for selector in alerting_rules.selectors(expression)
        if not selector.find(page)
        # SQLite has no pool.
        and (models.base.is_postgres() or selector.metric != "proofstone_database_connections_max")
    ]
    assert missing == [], "Correct deploy/prometheus/alerts.yml."
