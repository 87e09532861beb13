"""The clock is set back by an hour, as after a wrong time server: nothing stalls, nothing goes out twice."""

from datetime import timedelta

import factories
import pytest

from delivery.worker import Worker
from models import (
    DailyTask,
    Delivery,
    FeedEvent,
    ModelUsage,
    Session,
    Webhook,
    WebhookDelivery,
    audit,
)
from models.base import ClockStepDetector
from models.deliveries import outbox, outcomes
from models.leases import LEASE
from models.webhooks.outbox import publish_new
from rules.usage import ReportedUsage

HOUR = timedelta(hours=1)


def set_back(clock, by=HOUR):
    clock.fixed -= by


@pytest.fixture
def worker(app, clock):
    """A worker that has been at work before."""
    worker = Worker(app.config, app.extensions["storage"])
    worker.run_once()
    return worker


def test_it_is_noticed_once(clock):
    setback = ClockStepDetector()
    assert not setback.has_stepped_back
    clock.fixed += HOUR
    setback.reset()
    set_back(clock)
    assert setback.has_stepped_back
    setback.reset()
    assert not setback.has_stepped_back


def test_a_second_that_is_taken_back_is_none(clock):
    setback = ClockStepDetector()
    set_back(clock, timedelta(seconds=1))
    assert not setback.has_stepped_back


def test_an_invitation_from_before_goes_out_at_once(worker, assessment, clock):
    factories.make_key(assessment)
    set_back(clock)
    worker.run_once()
    assert [row.state for row in Delivery.select()] == ["saved"]


def test_what_another_worker_has_in_hand_is_left_to_it_for_a_whole_lease(worker, assessment, clock):
    factories.make_key(assessment)
    held = Delivery.claim()
    set_back(clock)
    worker.run_once()
    clock.fixed += LEASE - timedelta(seconds=1)
    assert Delivery.claim() is None
    # It died; the hour that was set back is not waited for.
    clock.fixed += timedelta(seconds=1)
    assert Delivery.claim().id == held.id


def test_a_pause_is_no_hour_longer(worker, assessment, clock):
    factories.make_key(assessment)
    outcomes.postpone(Delivery.claim(), "The mail server is busy.")
    set_back(clock)
    worker.run_once()
    clock.fixed += LEASE
    assert Delivery.claim().attempts == 2


def test_an_object_that_may_still_be_uploaded_is_not_removed_too_early(worker, organization, session, clock):
    until = clock.now() + HOUR
    outbox.enqueue_removals(organization.id, session.id, [("an object", until)])
    worker.run_once()
    set_back(clock)
    worker.run_once()
    assert [row.due_at for row in Delivery.select().where(Delivery.state == "queued")] == [until]


def test_webhooks_wait_no_longer_than_a_lease(worker, organization, clock):
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


def test_what_is_done_daily_is_done_on_the_day_that_it_has_become(app, clock):
    clock.fixed += timedelta(days=7)
    assert DailyTask.claim("retention")
    clock.fixed -= timedelta(days=7)
    assert DailyTask.claim("retention")
    assert not DailyTask.claim("retention")


def test_tokens_and_keys_stay_valid_and_requests_are_not_done_twice(reviewer, candidate, session, clock):
    body = {"title": "Orders", "role": "Engineer", "taskBrief": "Fix it."}
    headers = {"Idempotency-Key": "one"}
    first = reviewer.request("POST", "/v1/assessments", headers, json=body)
    set_back(clock)
    again = reviewer.request("POST", "/v1/assessments", headers, json=body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert reviewer.get("/v1/assessments").status_code == 200
    assert candidate.get("/v1/me").status_code == 200


def test_a_session_takes_events_and_its_completion_all_the_same(candidate, session, clock):
    set_back(clock)
    body = {"key": candidate.row.key, "sessionId": str(session.id)}
    assert candidate.post("/v1/hooks/ingest", factories.envelope()).status_code == 201
    assert candidate.post("/v1/candidate/complete", body).status_code == 200
    found = Session.get_by_id(session.id)
    assert (found.closed_by, found.event_count, found.metrics_due) == ("candidate", 1, False)


def test_a_call_of_a_model_does_not_end_before_it_began(session, clock):
    started_at = clock.now()
    set_back(clock)
    used = ReportedUsage("claude-haiku-4-5", {})
    ModelUsage.record(session, "anthropic", used, started_at=started_at, status_code=200, is_whole=True)
    assert ModelUsage.get().ended_at == started_at


def test_feed_seals_and_audit_log_stay_in_order_and_whole(worker, reviewer, candidate, session, clock):
    for _ in range(3):
        reviewer.post("/v1/assessments", {"title": "Orders", "role": "Engineer", "taskBrief": "Fix it."})
        candidate.post("/v1/hooks/ingest", factories.envelope())
        worker.run_once()
        set_back(clock)
    worker.run_once()
    events = reviewer.get("/v1/events").json["events"]
    created = [each["data"]["assessmentId"] for each in events if each["type"] == "assessment.created"]
    listed = reviewer.get("/v1/assessments").json["assessments"]
    assert sorted(created) == sorted(each["id"] for each in listed)
    verdict = audit.verify(reviewer.row.organization)
    assert (verdict.broken, verdict.waiting) == (None, 0)
    integrity = reviewer.get(f"/v1/sessions/{session.id}/integrity").json
    broken = {"event_changed", "event_missing", "seal_broken"}
    assert not broken & {fact["code"] for fact in integrity["facts"]}
    assert (integrity["counts"]["sealed"], integrity["counts"]["unsealed"]) == (3, 0)
