"""Reminders on demand, canceled messages, extensions with an email, and changes that were not seen (412)."""

from datetime import timedelta
from email import message_from_string

import pytest
from factories import make_assessment, make_key, make_session
from response_checks import body_of, error_of

from models import CandidateKey, Delivery, invitations
from models.deliveries import outcomes
from models.invitations import UNDO_PERIOD
from models.leases import LEASE


def path_of(key, path=""):
    return f"/v1/candidates/{key.id}{path}"


def messages_of(reviewer, key):
    """Return the messages to a candidate, newest first."""
    return reviewer.get(path_of(key, "/deliveries")).json["deliveries"]


@pytest.fixture
def reminded_key(clock, organization):
    return make_key(make_assessment(organization, reminder_days_before=2))


def test_a_reminder_on_demand_replaces_the_automatic_one_until_it_is_canceled(
    clock, reviewer, reminded_key, worker, emails
):
    worker.run_once()
    body_of(reviewer.post(path_of(reminded_key, "/remind")))
    worker.run_once()
    assert len(emails()) == 1
    reminder, _ = messages_of(reviewer, reminded_key)
    canceled = body_of(reviewer.delete(f"/v1/deliveries/{reminder['id']}"))["delivery"]
    assert (canceled["state"], canceled["lastError"]) == ("canceled", "A reviewer canceled the message.")
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    body_of(reviewer.post(path_of(reminded_key, "/remind")))
    clock.fixed += UNDO_PERIOD
    worker.run_once()
    states = [message["state"] for message in messages_of(reviewer, reminded_key)]
    assert states == ["saved", "canceled", "saved"]
    reminder, *_ = messages_of(reviewer, reminded_key)
    assert error_of(reviewer.delete(f"/v1/deliveries/{reminder['id']}")) == (409, "not_queued")
    make_session(reminded_key)
    assert error_of(reviewer.post(path_of(reminded_key, "/remind"))) == (409, "key_redeemed")


def test_a_reminder_is_queued_only_once(clock, reviewer, reminded_key, worker):
    for _ in range(4):
        body_of(reviewer.post(path_of(reminded_key, "/remind")))
    clock.fixed += UNDO_PERIOD
    worker.run_once()
    assert [message["state"] for message in messages_of(reviewer, reminded_key)] == ["saved", "saved"]


def test_a_message_that_a_worker_is_sending_cannot_be_canceled(clock, reviewer, key):
    delivery = Delivery.claim()
    assert error_of(reviewer.delete(f"/v1/deliveries/{delivery.id}")) == (409, "not_queued")
    outcomes.postpone(delivery, "Busy.")
    Delivery.update(due_at=clock.fixed + 2 * LEASE).execute()
    assert body_of(reviewer.delete(f"/v1/deliveries/{delivery.id}"))["delivery"]["state"] == "canceled"


def invite_of(reviewer, key):
    return reviewer.get(path_of(key)).json["candidate"]["invite"]


def undelivered(reviewer):
    return [entry["deliveryId"] for entry in reviewer.get("/v1/todo").json["failedMessages"]["entries"]]


def cancel_newest(reviewer, key):
    body_of(reviewer.delete(f"/v1/deliveries/{messages_of(reviewer, key)[0]['id']}"))


@pytest.mark.parametrize("action", ["invite", "extend", "reopen"])
@pytest.mark.parametrize("former", ["failed", "saved"])
def test_a_canceled_email_leaves_the_former_invitation(clock, reviewer, key, worker, action, former):
    if former == "failed":
        outcomes.fail(Delivery.get(), "550 No such user")
    worker.run_once()
    before, to_do, body = invite_of(reviewer, key), undelivered(reviewer), None
    assert (before["state"], len(to_do)) == (former, int(former == "failed"))
    if action != "invite":
        body = {"days": 7, "sendEmail": True}
    if action == "reopen":
        clock.fixed = key.expires_at
    body_of(reviewer.post(path_of(key, f"/{action}"), body))
    cancel_newest(reviewer, key)
    assert (invite_of(reviewer, key), undelivered(reviewer)) == (before, to_do)
    for _ in range(2):
        body_of(reviewer.post(path_of(key, "/invite")))
    cancel_newest(reviewer, key)
    assert (invite_of(reviewer, key), undelivered(reviewer)) == (before, to_do)
    assert len(messages_of(reviewer, key)) == 4
    body_of(reviewer.post(path_of(key, "/invite")))
    clock.fixed += UNDO_PERIOD
    worker.run_once()
    assert invite_of(reviewer, key)["state"] == "saved"


def test_a_canceled_first_invitation_is_shown_as_canceled(reviewer, key):
    cancel_newest(reviewer, key)
    assert invite_of(reviewer, key)["state"] == "canceled"
    body_of(reviewer.post(path_of(key, "/invite")))
    cancel_newest(reviewer, key)
    assert invite_of(reviewer, key)["state"] == "canceled"


@pytest.mark.parametrize(("has_new_address", "reminders"), [(False, 0), (True, 1)])
def test_a_canceled_email_leaves_the_bounce_of_the_address(
    clock, reviewer, reminded_key, worker, has_new_address, reminders
):
    worker.run_once()
    invitations.mark_bounced("alice@example.com")
    for _ in range(2):
        body_of(reviewer.post(path_of(reminded_key, "/invite")))
    if has_new_address:
        body_of(reviewer.patch(path_of(reminded_key), {"candidateEmail": "alice@example.org"}))
    cancel_newest(reviewer, reminded_key)
    assert invite_of(reviewer, reminded_key)["lastError"] == invitations.BOUNCED
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == reminders


@pytest.mark.parametrize("path", ["/extend", "/reopen"])
def test_a_new_expiry_can_be_sent(clock, reviewer, key, worker, emails, path):
    worker.run_once()
    clock.fixed += timedelta(days=8 if path == "/reopen" else 1)
    body_of(reviewer.post(path_of(key, path), {"days": 7, "sendEmail": True}))
    clock.fixed += UNDO_PERIOD
    worker.run_once()
    subjects = [message_from_string(email)["Subject"].strip() for email in emails()]
    assert len(subjects) == 2
    assert sum(subject.startswith("New expiry date: ") for subject in subjects) == 1
    CandidateKey.update(candidate_email=None, address=None).execute()
    before = reviewer.get(path_of(key)).json["candidate"]["expiresAt"]
    response = reviewer.post(path_of(key, "/extend"), {"days": 7, "sendEmail": True})
    assert error_of(response) == (409, "no_email_address")
    assert reviewer.get(path_of(key)).json["candidate"]["expiresAt"] == before


@pytest.mark.parametrize("action", ["invite", "remind", "extend", "reopen", "revoke"])
def test_a_candidate_that_changed_meanwhile_is_not_changed(clock, reviewer, key, action):
    if action == "reopen":
        clock.fixed = key.expires_at
    tag = reviewer.get(path_of(key)).headers["ETag"]
    body_of(reviewer.patch(path_of(key), {"externalId": "4711"}))
    before = reviewer.get(path_of(key)).json

    def act(tag):
        request = {"method": "POST", "path": path_of(key, f"/{action}"), "headers": {"If-Match": tag}}
        if action == "revoke":
            request |= {"method": "DELETE", "path": f"/v1/assessments/{key.assessment_id}/keys/{key.id}"}
        if action in ("extend", "reopen"):
            request["json"] = {"days": 7}
        return reviewer.request(**request)

    assert error_of(act(tag)) == (412, "precondition_failed")
    assert reviewer.get(path_of(key)).json == before
    body_of(act(reviewer.get(path_of(key)).headers["ETag"]))
