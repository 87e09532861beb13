"""Webhooks over the API and through the worker, with a receiver that checks every message by the official library."""

import json
import time
from datetime import timedelta

import pytest
import standardwebhooks
from factories import make_assessment, make_closed_session, make_key, make_rubric, make_session, make_webhook

from delivery.worker import Worker
from models import (
    CandidateKey,
    Delivery,
    FeedEvent,
    Score,
    Webhook,
    WebhookDelivery,
    db,
    privacy,
    sessions,
)
from models.leases import MOST_ATTEMPTS
from models.webhooks import WEBHOOKS_MOST
from rules import destinations, signatures
from rules.event_types import EVENT_TYPES
from tests.delivery.receiver import receiving


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def worker(app, tmp_path, monkeypatch):
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOWED_NETWORKS", destinations.networks("127.0.0.0/8"))
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)
    return Worker(app.config)


def create(reviewer, url, **members):
    answer = reviewer.post("/v1/webhooks", {"url": url} | members)
    assert answer.status_code == 201, answer.json
    return answer.json["webhook"]["id"], answer.json["secret"]


def deliveries(reviewer, hook_id, **query):
    return reviewer.get(f"/v1/webhooks/{hook_id}/deliveries", **query).json["deliveries"]


def work(worker):
    worker.work_off()
    worker.post_webhooks()


def verified(message, secret):
    """The message's payload, if the official library accepts it."""
    return standardwebhooks.Webhook(secret).verify(message.body.decode(), message.headers)


# Making and changing them


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(reviewer):
    answer = reviewer.post("/v1/webhooks", {"url": "https://ats.example.com/hook"})
    assert answer.status_code == 201
    secret = answer.json["secret"]
    shown = answer.json["webhook"]
    assert shown == {
        "id": shown["id"], "url": "https://ats.example.com/hook", "description": None, "types": [],
        "includePersonal": False, "enabled": True, "disabledReason": None, "disabledAt": None, "failingSince": None,
        "createdAt": shown["createdAt"], "updatedAt": shown["updatedAt"],
    }  # fmt: skip
    assert reviewer.get(f"/v1/webhooks/{shown['id']}").json == {"webhook": shown}
    for path in ("/v1/webhooks", f"/v1/webhooks/{shown['id']}"):
        assert secret not in reviewer.get(path).text


@pytest.mark.parametrize(
    "url",
    [
        "example.com", "ftp://example.com", "ssh://example.com/x", "https://", "https://user:password@example.com/",
        "https://user@example.com/", "https://example.com/#part", "https://exämple.com/", "https://example.com:x/",
        "https://example.com/ x", "https://example.com/" + "x" * 2048, "", None, 5,
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_receiver_is_refused(reviewer, url):
    answer = reviewer.post("/v1/webhooks", {"url": url})
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, ["url"])


def test_unknown_types_are_refused(reviewer):
    body = {"url": "https://example.com/", "types": ["session.completed", "session.lost"]}
    answer = reviewer.post("/v1/webhooks", body)
    assert (answer.status_code, answer.json["details"][0]["path"]) == (400, ["types", 1])


def test_a_webhook_is_changed(reviewer, organization):
    hook = make_webhook(organization, description="One")
    change = {
        "url": "https://example.com/2",
        "description": None,
        "types": ["key.created"],
        "includePersonal": True,
    }
    shown = reviewer.patch(f"/v1/webhooks/{hook.id}", change).json["webhook"]
    assert change.items() <= shown.items()
    assert reviewer.get(f"/v1/webhooks/{hook.id}").json["webhook"] == shown


def test_an_organization_has_a_limited_number_of_them(reviewer, organization):
    for _ in range(WEBHOOKS_MOST):
        make_webhook(organization)
    answer = reviewer.post("/v1/webhooks", {"url": "https://example.com/"})
    assert (answer.status_code, answer.json["code"]) == (409, "too_many_webhooks")


def test_neighbours_see_no_delivery_of_others(neighbour, reviewer, organization):
    own = make_webhook(organization)
    delivery = WebhookDelivery.enqueue_test(own)
    theirs, _ = create(neighbour, "https://example.com/")
    path = f"/v1/webhooks/{theirs}/deliveries/{delivery.id}/redeliver"
    assert neighbour.post(path).status_code == 404
    assert neighbour.get(f"/v1/webhooks/{own.id}/deliveries").status_code == 404


# What arrives


def test_every_type_of_event_arrives_and_is_verified_by_the_official_library(
    worker, reviewer, receiver, organization
):
    hook_id, secret = create(reviewer, receiver.url())
    live(organization, reviewer)
    work(worker)
    payloads = [verified(message, secret) for message in receiver.messages]
    assert {payload["type"] for payload in payloads} == set(EVENT_TYPES)
    assert [message.headers["webhook-id"] for message in receiver.messages] == [
        each["id"] for each in payloads
    ]
    assert {each["state"] for each in deliveries(reviewer, hook_id)} == {"delivered"}
    feed = reviewer.get("/v1/events", limit=200).json["events"]
    assert sorted(payloads, key=by_id) == sorted(feed, key=by_id)
    assert "Alice" not in json.dumps(payloads)
    assert "alice@example.com" not in json.dumps(payloads)


def by_id(event):
    return event["id"]


def live(organization, reviewer):
    """Something of every type happens; one invitation is refused for good."""
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_closed_session(assessment)
    sessions.mark_hired(session, True)
    Score.give(session, "quality", reviewer.row, value=1, comment="Alice guesses.", evidence=[])
    privacy.erase(make_session(make_key(assessment)).key, reviewer.row)
    make_key(assessment)
    refused = make_key(assessment)
    delivery = Delivery.get(Delivery.subject_id == refused.id)
    delivery.fail("550 alice@example.com is unknown")


def test_a_webhook_is_told_of_its_types_only(worker, reviewer, receiver, organization):
    _, secret = create(reviewer, receiver.url(), types=["assessment.created"])
    make_key(make_assessment(organization))
    work(worker)
    assert [verified(message, secret)["type"] for message in receiver.messages] == ["assessment.created"]


def test_names_and_addresses_come_where_they_are_asked_for(worker, reviewer, receiver, assessment):
    _, secret = create(reviewer, receiver.url(), types=["key.created"], includePersonal=True)
    key = make_key(assessment, "zoe@example.com", "Zoë")
    work(worker)
    (data,) = [verified(message, secret)["data"] for message in receiver.messages]
    assert data == {
        "candidateId": str(key.id),
        "assessmentId": str(assessment.id),
        "status": "pending",
        "candidate": {"name": "Zoë", "email": "zoe@example.com"},
    }


def test_what_was_erased_before_it_went_out_goes_out_without_the_person(
    worker, reviewer, receiver, assessment
):
    _, secret = create(reviewer, receiver.url(), types=["key.created"], includePersonal=True)
    key = make_key(assessment)
    worker.work_off()
    privacy.erase(key, reviewer.row)
    worker.post_webhooks()
    (message,) = receiver.messages
    assert verified(message, secret)["data"]["candidateId"] == str(key.id)
    assert b"alice" not in message.body.lower()


def test_an_answer_that_comes_after_the_erasure_is_not_kept(worker, reviewer, receiver, assessment):
    hook_id, _ = create(reviewer, receiver.url(), types=["key.created"], includePersonal=True)
    key = make_key(assessment)
    receiver.answers = [(200, {}, b"Welcome, Alice")]
    worker.work_off()
    in_hand = WebhookDelivery.claim()
    privacy.erase(key, reviewer.row)
    worker._post(in_hand)
    (delivery,) = deliveries(reviewer, hook_id)
    assert (delivery["state"], delivery["answer"]) == ("delivered", None)


def test_what_is_undone_is_not_told(worker, reviewer, receiver, organization):
    create(reviewer, receiver.url())
    with db.atomic() as transaction:
        make_assessment(organization)
        transaction.rollback()
    work(worker)
    assert receiver.messages == []


def test_other_organizations_are_not_told(worker, neighbour, receiver, organization):
    create(neighbour, receiver.url())
    make_assessment(organization)
    work(worker)
    assert receiver.messages == []


def test_an_invitation_that_went_out_is_told(worker, reviewer, receiver, assessment):
    create(reviewer, receiver.url(), types=["invite.sent"])
    key = make_key(assessment)
    work(worker)
    work(worker)
    (message,) = receiver.messages
    invitation = CandidateKey.get_by_id(key.id).invitation_id
    data = {"candidateId": str(key.id), "inviteId": str(invitation), "state": "saved"}
    assert json.loads(message.body)["data"] == data


def test_marking_as_hired_again_is_told_once(organization, assessment):
    session = make_closed_session(assessment)
    sessions.mark_hired(session, True)
    sessions.mark_hired(session, True)
    sessions.mark_hired(session, False)
    assert FeedEvent.select().where(FeedEvent.type == "candidate.hired").count() == 1


# Secrets


def test_for_a_day_both_secrets_verify(worker, reviewer, receiver):
    hook_id, old = create(reviewer, receiver.url())
    new = reviewer.post(f"/v1/webhooks/{hook_id}/rotate-secret").json["secret"]
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    (message,) = receiver.messages
    assert old != new
    assert verified(message, old) == verified(message, new)
    assert len(message.headers["webhook-signature"].split(" ")) == 2


def test_after_a_day_the_former_secret_is_gone(clock, worker, reviewer, receiver):
    hook_id, old = create(reviewer, receiver.url())
    new = reviewer.post(f"/v1/webhooks/{hook_id}/rotate-secret").json["secret"]
    clock.fixed += timedelta(days=1)
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    (message,) = receiver.messages
    now = int(clock.now().timestamp())
    assert signatures.check(new, message.headers, message.body, now)
    assert not signatures.check(old, message.headers, message.body, now)


def test_a_second_rotation_within_the_day_keeps_the_first_secret(worker, reviewer, receiver):
    hook_id, first = create(reviewer, receiver.url())
    reviewer.post(f"/v1/webhooks/{hook_id}/rotate-secret")
    third = reviewer.post(f"/v1/webhooks/{hook_id}/rotate-secret").json["secret"]
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    assert verified(receiver.messages[0], first) == verified(receiver.messages[0], third)


# Tests, failures, redelivery


def test_a_test_has_one_try_and_its_outcome_can_be_seen(worker, reviewer, receiver):
    hook_id, secret = create(reviewer, receiver.url())
    receiver.answers = [(500, {}, b"Not today.")]
    answer = reviewer.post(f"/v1/webhooks/{hook_id}/test")
    assert (answer.status_code, answer.json["delivery"]["state"]) == (202, "queued")
    worker.post_webhooks()
    payload = verified(receiver.messages[0], secret)
    assert (payload["type"], payload["data"]) == ("webhook.test", {"webhookId": hook_id})
    (shown,) = deliveries(reviewer, hook_id)
    assert (shown["state"], shown["status"], shown["attempts"]) == ("failed", 500, 1)
    assert (shown["answer"], shown["error"]) == ("Not today.", "The receiver answered 500.")
    assert json.loads(shown["request"]) == payload
    assert shown["durationMs"] >= 0
    assert reviewer.get(f"/v1/webhooks/{hook_id}").json["webhook"]["failingSince"] is None


@pytest.fixture
def failing(clock, worker, reviewer, receiver, organization):
    """A webhook whose receiver answers 500 from now on, with one event that has been tried once."""
    hook_id, _ = create(reviewer, receiver.url(), types=["assessment.created"])
    receiver.answers = [(500, {}, b"")] * 50
    make_assessment(organization)
    work(worker)
    return hook_id


def test_it_is_tried_again_under_the_same_id_until_it_arrives(failing, clock, worker, reviewer, receiver):
    receiver.answers = []
    clock.fixed += timedelta(minutes=2)
    worker.post_webhooks()
    first, second = receiver.messages
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    (shown,) = deliveries(reviewer, failing)
    assert (shown["state"], shown["attempts"], shown["status"]) == ("delivered", 2, 200)
    assert reviewer.get(f"/v1/webhooks/{failing}").json["webhook"]["failingSince"] is None


def test_a_failure_keeps_the_others_waiting_for_a_moment(failing, clock, worker, receiver, organization):
    make_assessment(organization)
    work(worker)
    assert len(receiver.messages) == 1
    clock.fixed += timedelta(seconds=31)
    worker.post_webhooks()
    assert len(receiver.messages) == 2


def test_after_three_days_of_failures_it_is_switched_off_and_that_is_seen(
    failing, clock, worker, reviewer, receiver
):
    tries = 1
    while deliveries(reviewer, failing)[0]["state"] == "queued":
        clock.fixed += timedelta(minutes=10)
        worker.post_webhooks()
        tries += 1
        assert tries < 1000
    assert len(receiver.messages) == MOST_ATTEMPTS
    hook = reviewer.get(f"/v1/webhooks/{failing}").json["webhook"]
    assert (hook["enabled"], hook["disabledReason"]) == (False, "failing")
    assert hook["failingSince"] == "2026-04-01T09:00:00.000Z"
    (shown,) = deliveries(reviewer, failing, state="failed")
    assert shown["attempts"] == MOST_ATTEMPTS


def test_retry_after_is_respected_by_all_messages(clock, worker, reviewer, receiver, organization):
    create(reviewer, receiver.url(), types=["assessment.created"])
    receiver.answers = [(429, {"Retry-After": "3600"}, b"")]
    make_assessment(organization)
    work(worker)
    make_assessment(organization)
    clock.fixed += timedelta(minutes=59, seconds=59)
    work(worker)
    assert len(receiver.messages) == 1
    clock.fixed += timedelta(seconds=1)
    worker.post_webhooks()
    assert len(receiver.messages) == 3


def test_410_switches_it_off_at_once(worker, reviewer, receiver, organization):
    hook_id, _ = create(reviewer, receiver.url(), types=["assessment.created"])
    receiver.answers = [(410, {}, b"")]
    make_assessment(organization), make_assessment(organization)
    work(worker)
    make_assessment(organization)
    work(worker)
    assert len(receiver.messages) == 1
    hook = reviewer.get(f"/v1/webhooks/{hook_id}").json["webhook"]
    assert (hook["enabled"], hook["disabledReason"]) == (False, "gone")
    assert [each["state"] for each in deliveries(reviewer, hook_id)] == ["failed", "canceled"]


def test_switched_on_again_what_was_missed_can_be_delivered_by_call(worker, reviewer, receiver, organization):
    hook_id, secret = create(reviewer, receiver.url(), types=["assessment.created"])
    make_assessment(organization)
    worker.work_off()
    reviewer.patch(f"/v1/webhooks/{hook_id}", {"enabled": False})
    worker.post_webhooks()
    (canceled,) = deliveries(reviewer, hook_id)
    path = f"/v1/webhooks/{hook_id}/deliveries/{canceled['id']}/redeliver"
    refused = reviewer.post(path)
    assert (canceled["state"], refused.status_code, refused.json["code"]) == (
        "canceled",
        409,
        "webhook_disabled",
    )
    reviewer.patch(f"/v1/webhooks/{hook_id}", {"enabled": True})
    assert reviewer.post(path).json["delivery"]["state"] == "queued"
    worker.post_webhooks()
    assert verified(receiver.messages[0], secret)["id"] == canceled["eventId"]


def test_what_has_arrived_can_be_delivered_again_under_the_same_id(worker, reviewer, receiver, organization):
    hook_id, _ = create(reviewer, receiver.url(), types=["assessment.created"])
    make_assessment(organization)
    work(worker)
    (delivery,) = deliveries(reviewer, hook_id)
    reviewer.post(f"/v1/webhooks/{hook_id}/deliveries/{delivery['id']}/redeliver")
    worker.post_webhooks()
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
    assert len(receiver.messages) == 2


def test_a_webhook_that_is_off_can_be_tested(worker, reviewer, receiver):
    hook_id, _ = create(reviewer, receiver.url())
    reviewer.patch(f"/v1/webhooks/{hook_id}", {"enabled": False})
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    assert len(receiver.messages) == 1


def test_a_deleted_webhook_is_told_nothing_and_its_secret_is_forgotten(
    worker, reviewer, receiver, organization
):
    hook_id, _ = create(reviewer, receiver.url())
    make_assessment(organization)
    worker.work_off()
    assert reviewer.delete(f"/v1/webhooks/{hook_id}").json == {"ok": True, "id": hook_id}
    worker.post_webhooks()
    assert receiver.messages == []
    assert Webhook.get_by_id(hook_id).secret == ""
    assert reviewer.get(f"/v1/webhooks/{hook_id}").status_code == 404


def test_a_destination_inside_is_refused_in_words(app, clock, reviewer, receiver, organization):
    """As the service comes, without opened networks."""
    hook_id, _ = create(reviewer, receiver.url())
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    Worker(app.config).post_webhooks()
    (shown,) = deliveries(reviewer, hook_id)
    assert receiver.messages == []
    assert (shown["state"], shown["status"]) == ("failed", None)
    assert shown["error"] == "The address lies in a network that webhooks may not go to."


def test_a_message_that_kills_its_workers_comes_to_an_end(clock, worker, reviewer, receiver, organization):
    hook_id, _ = create(reviewer, receiver.url(), types=["assessment.created"])
    make_assessment(organization)
    worker.work_off()
    for _ in range(MOST_ATTEMPTS):
        assert WebhookDelivery.claim()
        clock.fixed += timedelta(minutes=5)
    worker.post_webhooks()
    (shown,) = deliveries(reviewer, hook_id)
    assert (shown["state"], shown["error"]) == ("failed", "No attempt to send it came to an end.")


def test_two_workers_share_the_messages(organization):
    hook = make_webhook(organization)
    WebhookDelivery.enqueue_test(hook), WebhookDelivery.enqueue_test(hook)
    first, second = WebhookDelivery.claim(), WebhookDelivery.claim()
    assert first != second
    assert WebhookDelivery.claim() is None


def test_a_claim_takes_one_message_even_if_the_database_thinks_that_there_is_but_one(organization):
    hook = make_webhook(organization)
    WebhookDelivery.enqueue_test(hook)
    db.execute_sql("ANALYZE webhook_deliveries")
    for _ in range(3):
        WebhookDelivery.enqueue_test(hook)
    assert WebhookDelivery.claim()
    assert WebhookDelivery.select().where(WebhookDelivery.attempts == 1).count() == 1


def test_what_is_settled_is_kept_for_30_days(clock, worker, reviewer, receiver):
    hook_id, _ = create(reviewer, receiver.url())
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    clock.fixed += timedelta(days=30)
    worker.work_off()
    assert len(deliveries(reviewer, hook_id)) == 1
    clock.fixed += timedelta(days=1)
    worker.work_off()
    assert deliveries(reviewer, hook_id) == []


def test_a_signature_is_of_the_moment_of_the_try(worker, reviewer, receiver):
    hook_id, _ = create(reviewer, receiver.url())
    reviewer.post(f"/v1/webhooks/{hook_id}/test")
    worker.post_webhooks()
    assert abs(int(receiver.messages[0].headers["webhook-timestamp"]) - time.time()) < 60
