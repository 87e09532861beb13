"""The clock is set back by an hour, as by a wrong time server: nothing stalls, nothing is sent twice."""

from datetime import timedelta

import factories
import pytest

from delivery.worker import Worker
from models import DailyTask, Delivery, FeedEvent, ModelUsage, Session, Webhook, WebhookDelivery
from models.base import ClockStepDetector
from models.deliveries import outbox, outcomes
from models.leases import LEASE
from models.ledger import audit
from models.webhooks.outbox import publish_new
from rules.metrics.usage import ReportedUsage

HOUR = timedelta(hours=1)


def set_back(clock, by=HOUR):
    clock.fixed -= by


@pytest.fixture
def worker(app, clock):
    """A worker that ran before the clock was set back."""
    worker = Worker(app.config, app.extensions["storage"])
    worker.run_once()
    return worker


def test_a_step_back_is_detected_until_the_reset(clock):
    detector = ClockStepDetector()
    assert not detector.has_stepped_back
    clock.fixed += HOUR
    detector.reset()
    set_back(clock)
    assert detector.has_stepped_back
    detector.reset()
    assert not detector.has_stepped_back


def test_one_second_is_not_a_step_back(clock):
    detector = ClockStepDetector()
    set_back(clock, timedelta(seconds=1))
    assert not detector.has_stepped_back


def test_a_queued_invitation_is_sent_at_once(worker, assessment, clock):
    factories.make_key(assessment)
    set_back(clock)
    worker.run_once()
    assert [row.state for row in Delivery.select()] == ["saved"]


def test_a_message_claimed_by_another_worker_stays_claimed_for_a_full_lease(worker, assessment, clock):
    factories.make_key(assessment)
    claimed = Delivery.claim()
    set_back(clock)
    worker.run_once()
    clock.fixed += LEASE - timedelta(seconds=1)
    assert Delivery.claim() is None
    # The other worker died. The message is due after the lease, not an hour later.
    clock.fixed += timedelta(seconds=1)
    assert Delivery.claim().id == claimed.id


def test_a_retry_is_not_delayed_by_an_hour(worker, assessment, clock):
    factories.make_key(assessment)
    outcomes.postpone(Delivery.claim(), "The mail server is busy.")
    set_back(clock)
    worker.run_once()
    clock.fixed += LEASE
    assert Delivery.claim().attempts == 2


def test_an_object_is_not_removed_before_its_upload_url_expires(worker, organization, session, clock):
    expires_at = clock.now() + HOUR
    last_upload_at = expires_at + outbox.MAX_UPLOAD_DURATION
    outbox.enqueue_removals(organization.id, session.id, [("an object", expires_at)])
    worker.run_once()
    set_back(clock)
    worker.run_once()
    assert [row.due_at for row in Delivery.select().where(Delivery.state == "queued")] == [last_upload_at]


def test_webhooks_are_delayed_by_a_lease_at_most(worker, organization, clock):
    hook = factories.make_webhook(organization)
    for number in range(2):
        FeedEvent.publish(organization.id, "key.created", {"number": number})
    publish_new()
    first = WebhookDelivery.claim()
    Webhook.update(held_until=clock.now() + timedelta(seconds=30)).where(Webhook.id == hook.id).execute()
    set_back(clock)
    worker.run_once()
    assert WebhookDelivery.claim() is None
    clock.fixed += LEASE
    assert {WebhookDelivery.claim().event_id, WebhookDelivery.claim().event_id} >= {first.event_id}


def test_daily_tasks_run_on_the_new_day(app, clock):
    clock.fixed += timedelta(days=7)
    assert DailyTask.claim("retention")
    clock.fixed -= timedelta(days=7)
    assert DailyTask.claim("retention")
    assert not DailyTask.claim("retention")


def test_tokens_and_keys_stay_valid_and_requests_run_once(reviewer, candidate, session, clock):
    body = {"title": "Orders", "role": "Engineer", "taskBrief": "Fix it."}
    headers = {"Idempotency-Key": "one"}
    first = reviewer.request("POST", "/v1/assessments", headers, json=body)
    set_back(clock)
    replay = reviewer.request("POST", "/v1/assessments", headers, json=body)
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.json == first.json
    assert reviewer.get("/v1/assessments").status_code == 200
    assert candidate.get("/v1/me").status_code == 200


def test_a_session_still_accepts_events_and_its_completion(candidate, session, clock):
    set_back(clock)
    body = {"key": candidate.row.key, "sessionId": str(session.id)}
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    assert candidate.post("/v1/candidate/complete", body).status_code == 200
    row = Session.get_by_id(session.id)
    assert (row.closed_by, row.event_count, row.metrics_due) == ("candidate", 1, False)


def test_a_model_call_does_not_end_before_it_started(session, clock):
    started_at = clock.now()
    set_back(clock)
    usage = ReportedUsage("claude-haiku-4-5", {})
    ModelUsage.record(session, "anthropic", usage, started_at=started_at, status_code=200, is_whole=True)
    assert ModelUsage.get().ended_at == started_at


def test_feed_seals_and_audit_log_stay_ordered_and_complete(worker, reviewer, candidate, session, clock):
    for _ in range(3):
        reviewer.post("/v1/assessments", {"title": "Orders", "role": "Engineer", "taskBrief": "Fix it."})
        candidate.post("/v1/hooks/ingest", factories.envelope())
        worker.run_once()
        set_back(clock)
    worker.run_once()
    events = reviewer.get("/v1/events").json["events"]
    created = [event["data"]["assessmentId"] for event in events if event["type"] == "assessment.created"]
    listed = reviewer.get("/v1/assessments").json["assessments"]
    assert sorted(created) == sorted(assessment["id"] for assessment in listed)
    verdict = audit.verify(reviewer.row.organization)
    assert (verdict.broken, verdict.waiting) == (None, 0)
    integrity = reviewer.get(f"/v1/sessions/{session.id}/integrity").json
    broken = {"event_changed", "event_missing", "seal_broken"}
    assert not broken & {fact["code"] for fact in integrity["facts"]}
    assert (integrity["counts"]["sealed"], integrity["counts"]["unsealed"]) == (3, 0)
