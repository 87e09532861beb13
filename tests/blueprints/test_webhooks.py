"""Webhooks: created through the API and sent by the worker. The official library verifies the signatures."""

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import pytest
import standardwebhooks
from factories import (
    make_assessment,
    make_closed_session,
    make_key,
    make_rubric,
    make_run,
    make_session,
    make_webhook,
    mark_hired,
)
from response_checks import body_of, error_of, error_paths

from delivery.worker import Worker, webhooks
from models import (
    CandidateKey,
    Delivery,
    RunnerToken,
    Score,
    Webhook,
    WebhookDelivery,
    clock,
    db,
    privacy,
)
from models.deliveries import outcomes
from models.leases import MAX_ATTEMPTS
from models.tasks import claims
from models.webhooks.receivers import MAX_WEBHOOKS
from rules.delivery import webhook_addresses, webhook_signatures
from rules.delivery.event_types import EVENT_TYPES
from rules.timestamps import format_timestamp
from tests.delivery.receiver import receiving

HOOKS = "/v1/webhooks"
LOOPBACK = webhook_addresses.parse_networks("127.0.0.0/8")


@pytest.fixture
def receiver(app, monkeypatch):
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOWED_NETWORKS", LOOPBACK)
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def worker(app, receiver, tmp_path, monkeypatch):
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path)
    return Worker(app.config)


def run_worker(worker):
    worker.run_once()
    worker.post_webhooks()


class Hook:
    """A webhook created through the API."""

    def __init__(self, reviewer, url, **fields):
        created = body_of(reviewer.post(HOOKS, {"url": url} | fields), 201)
        self.reviewer, self.secret, self.id = reviewer, created["secret"], created["webhook"]["id"]
        self.path = f"{HOOKS}/{self.id}"

    @property
    def state(self):
        return self.reviewer.get(self.path).json["webhook"]

    def deliveries(self, **query):
        return self.reviewer.get(f"{self.path}/deliveries", **query).json["deliveries"]

    def update(self, **fields):
        return self.reviewer.patch(self.path, fields).json["webhook"]

    def test(self):
        return body_of(self.reviewer.post(f"{self.path}/test"), 202)["delivery"]

    def rotate_secret(self):
        return self.reviewer.post(f"{self.path}/rotate-secret").json["secret"]

    def redeliver(self, delivery):
        return self.reviewer.post(f"{self.path}/deliveries/{delivery['id']}/redeliver")


@pytest.fixture
def hook(reviewer, receiver):
    """A webhook for all events."""
    return Hook(reviewer, receiver.url())


@pytest.fixture
def assessment_hook(reviewer, receiver):
    """A webhook for new assessments."""
    return Hook(reviewer, receiver.url(), types=["assessment.created"])


@pytest.fixture
def key_hook(reviewer, receiver):
    """A webhook for new keys that includes personal data."""
    return Hook(reviewer, receiver.url(), types=["key.created"], includePersonal=True)


def verify(message, secret):
    """Verify the signature with the official library and return the payload."""
    return standardwebhooks.Webhook(secret).verify(message.body.decode(), message.headers)


def test_secret_is_shown_once(reviewer):
    created = body_of(reviewer.post(HOOKS, {"url": "https://ats.invalid/hook"}), 201)
    secret, webhook = created["secret"], created["webhook"]
    assert webhook == {
        "id": webhook["id"], "url": "https://ats.invalid/hook", "description": None, "types": [],
        "includePersonal": False, "enabled": True, "disabledReason": None, "disabledAt": None, "failingSince": None,
        "createdAt": webhook["createdAt"], "updatedAt": webhook["updatedAt"],
        "lastError": "The webhook's host name cannot be resolved.", "lastErrorAt": webhook["lastErrorAt"],
    }  # fmt: skip
    assert reviewer.get(f"{HOOKS}/{webhook['id']}").json == {"webhook": webhook}
    for path in (HOOKS, f"{HOOKS}/{webhook['id']}"):
        assert secret not in reviewer.get(path).text


@pytest.mark.parametrize(
    "url",
    [
        "example.com", "ftp://example.com", "ssh://example.com/x", "https://", "https://user:password@example.com/",
        "https://user@example.com/", "https://example.com/#part", "https://exämple.com/", "https://example.com:x/",
        "https://example.com/ x", "https://example.com/" + "x" * 2048, "", None, 5,
    ],
)  # fmt: skip
def test_invalid_url_is_rejected(reviewer, url):
    assert error_paths(reviewer.post(HOOKS, {"url": url})) == [["url"]]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://localhost/",
        "https://127.0.0.1:8443/x",
        "https://[::1]/",
        "https://10.0.0.1/",
    ],
)
def test_forbidden_url_is_rejected(app, reviewer, organization, url, monkeypatch):
    path = f"{HOOKS}/{make_webhook(organization, url='http://10.0.0.1/').id}"
    assert error_paths(reviewer.post(HOOKS, {"url": url})) == [["url"]]
    assert error_paths(reviewer.patch(path, {"url": url})) == [["url"]]
    # An unchanged URL is accepted.
    assert reviewer.patch(path, reviewer.get(path).json["webhook"]).status_code == 200
    networks = webhook_addresses.parse_networks("0.0.0.0/0, ::/0")
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOWED_NETWORKS", networks)
    assert reviewer.post(HOOKS, {"url": url}).status_code == 201


def test_url_that_resolves_slowly_is_accepted(reviewer, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(webhooks, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: release.wait())
    webhook = body_of(reviewer.post(HOOKS, {"url": "https://slow.example.com/"}), 201)["webhook"]
    release.set()
    assert webhook["lastError"] == "The webhook's host name cannot be resolved."


def test_webhook_can_be_updated(reviewer, organization):
    path = f"{HOOKS}/{make_webhook(organization, description='One').id}"
    body = {"url": "https://example.com/2", "description": None, "types": ["key.created"]}
    body["includePersonal"] = True
    webhook = reviewer.patch(path, body).json["webhook"]
    assert body.items() <= webhook.items()
    assert reviewer.get(path).json["webhook"] == webhook


def test_number_of_webhooks_is_limited(reviewer, organization):
    for _ in range(MAX_WEBHOOKS):
        make_webhook(organization)
    response = reviewer.post(HOOKS, {"url": "https://example.com/"})
    assert error_of(response) == (409, "too_many_webhooks")


def test_every_event_type_is_delivered_with_a_valid_signature(worker, reviewer, hook, receiver, organization):
    # Metrics are final ten minutes after the close.
    clock.fixed = datetime.now(UTC) - timedelta(hours=2)
    trigger_every_event(organization, reviewer)
    clock.fixed = None
    run_worker(worker)
    payloads = [verify(message, hook.secret) for message in receiver.messages]
    # Orders belong to an optional package, with tests of its own.
    expected = {name for name in EVENT_TYPES if not name.startswith("order.")}
    assert {payload["type"] for payload in payloads} == expected
    for data in (payload["data"] for payload in payloads):
        assert "sessionId" not in data or "candidateId" in data
        assert ("candidateId" in data) is ("externalId" in data)
    ids = [message.headers["webhook-id"] for message in receiver.messages]
    assert ids == [payload["id"] for payload in payloads]
    assert {delivery["state"] for delivery in hook.deliveries()} == {"delivered"}
    feed = reviewer.get("/v1/events", limit=200).json["events"]
    assert sorted(payloads, key=itemgetter("id")) == sorted(feed, key=itemgetter("id"))
    assert "alice" not in json.dumps(payloads).lower()


def trigger_every_event(organization, reviewer):
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_closed_session(assessment)
    mark_hired(session, True)
    run, (runner, _) = make_run(session), RunnerToken.issue(organization, "Runner")
    run.update_columns(runner_token=runner)
    claims.record_result(
        run, runner, 1, {"state": "timed_out", "reason": None, "tests": [], "image_digest": None}
    )
    Score.submit(session, "quality", reviewer.row, value=1, comment="Alice guesses.", evidence=[])
    Score.withdraw(session, "quality", reviewer.row)
    privacy.erase(make_session(make_key(assessment)).key, reviewer.row)
    make_key(assessment).request_erasure()
    delivery = Delivery.get(Delivery.subject_id == make_key(assessment).id)
    outcomes.fail(delivery, "550 alice@example.com is unknown")
    make_key(assessment).revoke()
    make_assessment(organization).soft_delete()


def test_only_selected_types_are_sent_with_personal_data(worker, key_hook, receiver, assessment):
    key = make_key(assessment, "zoe@example.com", "Zoë")
    run_worker(worker)
    (message,) = receiver.messages
    assert verify(message, key_hook.secret)["data"] == {
        "candidateId": str(key.id),
        "assessmentId": str(assessment.id),
        "status": "pending",
        "externalId": None,
        "candidate": {"name": "Zoë", "email": "zoe@example.com"},
    }


def test_messages_continue_the_trace_of_the_request(worker, reviewer, key_hook, receiver, assessment):
    path, body = f"/v1/assessments/{assessment.id}/keys", {"count": 2}
    trace = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for header in (f"00-{trace}", f"01-{trace}-later", "00-invalid"):
        assert reviewer.request("POST", path, {"traceparent": header}, json=body).status_code == 201
    run_worker(worker)
    sent = [message.headers.get("traceparent") for message in receiver.messages]
    assert sent == [f"00-{trace}"] * 4 + [None] * 2


def test_erasure_removes_personal_data_from_queued_messages(worker, reviewer, key_hook, receiver, assessment):
    key = make_key(assessment)
    worker.run_once()
    privacy.erase(key, reviewer.row)
    worker.post_webhooks()
    (message,) = receiver.messages
    assert verify(message, key_hook.secret)["data"]["candidateId"] == str(key.id)
    assert b"alice" not in message.body.lower()


def test_response_after_the_erasure_is_not_stored(worker, reviewer, key_hook, receiver, assessment):
    key = make_key(assessment)
    receiver.responses = [(200, {}, b"Welcome, Alice")]
    worker.run_once()
    claimed = WebhookDelivery.claim()
    privacy.erase(key, reviewer.row)
    webhooks.deliver(claimed, LOOPBACK)
    (delivery,) = key_hook.deliveries()
    assert (delivery["state"], delivery["answer"]) == ("delivered", None)


@pytest.mark.usefixtures("hook")
def test_rolled_back_and_other_organizations_events_are_not_sent(worker, neighbour, receiver, organization):
    with db.atomic() as transaction:
        make_assessment(organization)
        transaction.rollback()
    make_assessment(neighbour.row.organization)
    run_worker(worker)
    assert receiver.messages == []


def test_sent_invitation_is_published(worker, reviewer, receiver, assessment):
    Hook(reviewer, receiver.url(), types=["invite.sent"])
    key = make_key(assessment)
    run_worker(worker)
    run_worker(worker)
    (message,) = receiver.messages
    invitation_id = CandidateKey.get_by_id(key.id).invitation_id
    expected = {"candidateId": str(key.id), "inviteId": str(invitation_id), "state": "saved"}
    assert json.loads(message.body)["data"] == expected | {"externalId": None}


def test_messages_are_signed_with_all_secrets_from_the_last_day(clock, worker, hook, receiver):
    first, second, third = hook.secret, hook.rotate_secret(), hook.rotate_secret()
    for hours, secrets in ((0, [third, second, first]), (24, [third])):
        clock.fixed += timedelta(hours=hours)
        hook.test()
        worker.post_webhooks()
        headers, body = receiver.messages[-1].headers, receiver.messages[-1].body
        signed = headers["webhook-id"], int(clock.now().timestamp()), body
        expected = " ".join(webhook_signatures.sign(secret, *signed) for secret in secrets)
        assert headers["webhook-signature"] == expected
        assert headers["webhook-timestamp"] == str(signed[1])


def test_test_message_is_sent_once_and_its_result_is_listed(worker, hook, receiver):
    receiver.responses = [(500, {}, b"Not today.")]
    disabled = hook.update(enabled=False)
    assert disabled["updatedAt"] == disabled["disabledAt"]
    assert hook.test()["state"] == "queued"
    worker.post_webhooks()
    payload = verify(receiver.messages[0], hook.secret)
    assert (payload["type"], payload["data"]) == ("webhook.test", {"webhookId": hook.id})
    (delivery,) = hook.deliveries()
    assert (delivery["state"], delivery["status"], delivery["attempts"]) == ("failed", 500, 1)
    assert delivery["answer"] == "Not today."
    assert "500" in delivery["error"]
    assert json.loads(delivery["request"]) == payload
    assert delivery["durationMs"] >= 0
    assert hook.state["failingSince"] is None


@pytest.fixture
def failing(clock, worker, assessment_hook, receiver, organization):
    """A webhook whose receiver responds with 500. One event has been attempted once."""
    receiver.responses = [(500, {}, b"")] * 50
    make_assessment(organization)
    run_worker(worker)
    return assessment_hook


def test_retry_reuses_the_id(failing, clock, worker, receiver):
    receiver.responses = []
    clock.fixed += timedelta(minutes=2)
    worker.post_webhooks()
    first, second = receiver.messages
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    (delivery,) = failing.deliveries()
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 2, 200)
    assert failing.state["failingSince"] is None


def test_webhook_that_fails_for_days_is_disabled(failing, clock, worker, receiver):
    for _ in range(MAX_ATTEMPTS - 1):
        clock.fixed = WebhookDelivery.get().due_at + timedelta(milliseconds=1)
        worker.post_webhooks()
    assert len(receiver.messages) == MAX_ATTEMPTS
    hook = failing.state
    assert (hook["enabled"], hook["disabledReason"]) == (False, "failing")
    assert hook["lastError"] == "The receiver responded with 500."
    assert hook["lastErrorAt"] == format_timestamp(clock.fixed)
    assert hook["failingSince"] == "2026-04-01T09:00:00.000Z"
    (delivery,) = failing.deliveries(state="failed")
    assert delivery["attempts"] == MAX_ATTEMPTS
    enabled = failing.update(enabled=True)
    assert [enabled[name] for name in ("enabled", "disabledReason", "failingSince")] == [True, None, None]


@pytest.mark.parametrize(
    ("status", "headers", "seconds"), [(500, {}, 30), (429, {"Retry-After": "3600"}, 3600)]
)
def test_failure_delays_all_messages(
    clock, worker, assessment_hook, receiver, organization, status, headers, seconds
):
    receiver.responses = [(status, headers, b"")]
    make_assessment(organization)
    run_worker(worker)
    (queued,) = assessment_hook.deliveries()
    body_of(assessment_hook.redeliver(queued), 202)
    assessment_hook.test()
    make_assessment(organization)
    clock.fixed += timedelta(seconds=seconds - 1)
    run_worker(worker)
    assert len(receiver.messages) == 1
    clock.fixed += timedelta(seconds=1)
    run_worker(worker)
    assert len(receiver.messages) == 4


def test_failed_test_delays_messages_by_30_seconds(clock, worker, hook, receiver):
    receiver.responses = [(500, {}, b"")]
    for _ in range(3):
        hook.test()
    worker.post_webhooks()
    assert len(receiver.messages) == 1
    clock.fixed += timedelta(seconds=30)
    worker.post_webhooks()
    assert [delivery["state"] for delivery in hook.deliveries()] == ["failed", "delivered", "delivered"]
    assert hook.state["failingSince"] is None


def test_new_url_is_not_disabled_for_failures_of_the_former(failing, clock, worker, receiver):
    for _ in range(MAX_ATTEMPTS - 2):
        clock.fixed = WebhookDelivery.get().due_at + timedelta(milliseconds=1)
        worker.post_webhooks()
    failing.update(url=receiver.url("/corrected"))
    clock.fixed = WebhookDelivery.get().due_at + timedelta(milliseconds=1)
    worker.post_webhooks()
    assert receiver.messages[-1].path == "/corrected"
    assert failing.state["enabled"] is True


def test_new_url_ends_the_delay(worker, hook, receiver):
    receiver.responses = [(429, {"Retry-After": "3600"}, b"")]
    hook.test()
    worker.post_webhooks()
    hook.update(url=receiver.url("/corrected"))
    hook.test()
    worker.post_webhooks()
    assert [message.path for message in receiver.messages] == ["/hook", "/corrected"]


def test_410_disables_the_webhook_and_cancels_its_messages(worker, assessment_hook, receiver, organization):
    receiver.responses = [(410, {}, b"")]
    for _ in range(2):
        make_assessment(organization)
    run_worker(worker)
    make_assessment(organization)
    run_worker(worker)
    assert len(receiver.messages) == 1
    hook = assessment_hook.state
    assert (hook["enabled"], hook["disabledReason"]) == (False, "gone")
    assert [delivery["state"] for delivery in assessment_hook.deliveries()] == ["failed", "canceled"]


def test_canceled_and_delivered_messages_can_be_redelivered(worker, assessment_hook, receiver, organization):
    make_assessment(organization)
    worker.run_once()
    assessment_hook.update(enabled=False)
    worker.post_webhooks()
    (canceled,) = assessment_hook.deliveries()
    assert canceled["state"] == "canceled"
    assert error_of(assessment_hook.redeliver(canceled)) == (409, "webhook_disabled")
    assessment_hook.update(enabled=True)
    for _ in range(2):
        assert assessment_hook.redeliver(canceled).json["delivery"]["state"] == "queued"
        worker.post_webhooks()
    ids = [verify(message, assessment_hook.secret)["id"] for message in receiver.messages]
    assert ids == [canceled["eventId"]] * 2


def test_deleted_webhook_receives_no_messages(worker, reviewer, hook, receiver, organization):
    make_assessment(organization)
    worker.run_once()
    assert reviewer.delete(hook.path).json == {"ok": True, "id": hook.id}
    worker.post_webhooks()
    assert receiver.messages == []
    assert Webhook.get_by_id(hook.id).secret == ""
    assert reviewer.get(hook.path).status_code == 404


def test_message_to_an_internal_address_is_not_sent(app, clock, hook, receiver, monkeypatch):
    hook.test()
    monkeypatch.setitem(app.config, "WEBHOOK_ALLOWED_NETWORKS", ())
    Worker(app.config).post_webhooks()
    (delivery,) = hook.deliveries()
    assert receiver.messages == []
    assert (delivery["state"], delivery["status"]) == ("failed", None)
    assert delivery["error"] == "The webhook's address is in a network that webhooks cannot be sent to."


def test_message_fails_after_too_many_interrupted_attempts(clock, worker, assessment_hook, organization):
    make_assessment(organization)
    worker.run_once()
    for _ in range(MAX_ATTEMPTS):
        assert WebhookDelivery.claim()
        clock.fixed += timedelta(minutes=5)
    worker.post_webhooks()
    (delivery,) = assessment_hook.deliveries()
    assert (delivery["state"], delivery["error"]) == ("failed", "Every delivery attempt was interrupted.")


def test_finished_deliveries_are_deleted_after_30_days(clock, worker, hook, receiver):
    hook.test()
    worker.post_webhooks()
    hook.test()
    for days, states in ((30, ["delivered", "queued"]), (1, ["queued"])):
        clock.fixed += timedelta(days=days)
        worker.run_once()
        assert [row["state"] for row in hook.deliveries() if row["type"] == "webhook.test"] == states
