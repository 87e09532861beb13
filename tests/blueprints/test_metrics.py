"""The page that a Prometheus reads, of one process; tests/live/test_monitoring.py has several."""

from datetime import UTC, datetime, timedelta

import factories
import pytest
from callers import Caller
from prometheus_client.parser import text_string_to_metric_families

import config
import models
from app import create_app
from models import Delivery, sessions
from models.deliveries import outcomes

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def watched(app, database_url, monkeypatch):
    """The application with a METRICS_TOKEN, on the database of the test."""
    monkeypatch.setattr(Caller, "reads_to_the_end", True)
    bound = models.db.obj
    settings = {"DATABASE_URL": database_url, "METRICS_TOKEN": TOKEN, "RATELIMIT_ENABLED": "false"}
    made = create_app(config.load(settings | {"LOG_LEVEL": "ERROR"}))
    models.db.initialize(bound)
    return made


@pytest.fixture
def read(watched):
    """Reads the page; the samples by name and labels in the order of their names."""

    def samples():
        answer = Caller(watched, Authorization=f"Bearer {TOKEN}").get("/metrics")
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.text)
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    return samples


def test_without_the_setting_there_is_no_page(anonymous):
    answer = anonymous.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "presented", [None, "", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", "Bearer ü"]
)
def test_without_the_token_nothing_is_shown(watched, presented):
    answer = Caller(watched, **({} if presented is None else {"Authorization": presented})).get("/metrics")
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_the_page_is_kept_by_nobody(watched):
    answer = Caller(watched, Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert answer.content_type.startswith("text/plain")
    assert answer.headers["Cache-Control"] == "no-store"


def test_requests_are_counted_by_operation_method_and_status(watched, reviewer, read):
    caller = Caller(watched, **reviewer.headers)
    for path in ("/v1/me", "/v1/me", "/v1/nowhere"):
        caller.get(path)
    found = read()
    assert found["proofstone_http_requests_total", "GET", "getMe", "200"] == 2
    assert found["proofstone_http_requests_total", "GET", "unmatched", "404"] == 1
    assert found["proofstone_http_request_duration_seconds_count", "getMe"] == 2
    assert found["proofstone_http_request_duration_seconds_bucket", "+Inf", "getMe"] == 2
    assert 0 < found["proofstone_http_request_duration_seconds_sum", "getMe"] < 60


def test_a_made_up_method_makes_no_new_counter(watched, read):
    for number in range(3):
        Caller(watched).request(f"MADE{number}", "/v1/me")
    methods = {key[1] for key in read() if key[0] == "proofstone_http_requests_total"}
    assert methods <= {"GET", "other"}


def test_late_events_are_counted(watched, key, clock, read):
    session = factories.make_session(key)
    sessions.complete(session)
    clock.fixed += timedelta(minutes=30)
    candidate = Caller(watched, **{"X-API-Key": key.key})
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).json["late"]
    candidate.post("/v1/hooks/ingest/batch", {"events": [factories.envelope(), factories.envelope()]})
    assert read()["proofstone_late_events_total",] == 3


def test_queues_are_counted_by_kind_and_state(assessment, clock, read):
    due, waiting, failed = (
        factories.make_key(assessment, f"{n}@example.com").invitation_id for n in range(3)
    )
    clock.fixed += timedelta(minutes=7)
    Delivery.update(due_at=clock.now() + timedelta(hours=1)).where(Delivery.id == waiting).execute()
    outcomes.fail(Delivery.get_by_id(failed), "550 no such user")
    found = read()
    assert {key[1:]: value for key, value in found.items() if key[0] == "proofstone_queue_rows"} == {
        ("invitation", "due"): 1,
        ("invitation", "waiting"): 1,
        ("invitation", "failed"): 1,
    }
    assert found["proofstone_queue_oldest_due_age_seconds", "delivery"] == 7 * 60
    assert found["proofstone_queue_oldest_due_age_seconds", "webhook"] == 0
    assert found["proofstone_database_up",] == 1
    assert Delivery.get_by_id(due).state == "queued"


def test_what_failed_long_ago_is_no_news(assessment, clock, read):
    failed = Delivery.get_by_id(factories.make_key(assessment, "a@example.com").invitation_id)
    outcomes.fail(failed, "550 no such user")
    clock.fixed = datetime.now(UTC) + timedelta(days=5)
    assert ("proofstone_queue_rows", "invitation", "failed") not in read()
