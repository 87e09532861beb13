"""Concurrent requests with one Idempotency-Key run once, even in several processes."""

import hashlib
import time
import uuid
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.delivery.mail_server import HOST, Mailbox, smtp_server
from tests.live.cast import ASSESSMENT, list_keys
from tests.live.client import run_concurrently
from tests.live.service import wait_until

CALLERS = 50
ADDRESSES = [f"candidate{number}@example.com" for number in range(5)]
WAIT_SECONDS = 10  # for a request in progress with the same key


def test_concurrent_requests_create_one_assessment(reviewer):
    created = send_concurrently(reviewer, "/v1/assessments", ASSESSMENT | {"title": "Once"})["assessment"]
    titles = [row["title"] for row in reviewer.get("/v1/assessments")["assessments"]]
    assert titles.count("Once") == 1
    assert audited_actions(reviewer, created) == ["createAssessment"]


@pytest.mark.slow
@pytest.mark.usefixtures("empty_outbox")
def test_concurrent_requests_create_each_key_and_email_once(service, reviewer, assessment):
    mailbox, body = Mailbox(), {"count": len(ADDRESSES), "candidateEmails": ADDRESSES}
    created = send_concurrently(reviewer, f"/v1/assessments/{assessment['id']}/keys", body)["keys"]
    with smtp_server(mailbox) as port, service.worker(SMTP_URL=f"smtp://{HOST}:{port}"):
        queued = "SELECT id FROM deliveries WHERE state = 'queued'"
        wait_until(lambda: not service.execute(queued), "Some emails were not sent.")
    assert Counter(envelope.rcpt_tos[0] for envelope in mailbox.envelopes) == dict.fromkeys(ADDRESSES, 1)
    assert [key["id"] for key in list_keys(reviewer, assessment)] == [key["id"] for key in created]
    assert audited_actions(reviewer, assessment) == ["issueKeys", "createAssessment"]


@pytest.mark.slow
def test_a_request_that_waits_too_long_is_rejected_and_can_be_retried(service, reviewer):
    sender, body = reviewer.with_idempotency_key("stuck"), ASSESSMENT | {"title": "Stuck"}
    with request_in_progress(service, reviewer, "stuck"):
        started_at = time.monotonic()
        response = sender.post("/v1/assessments", body)
        assert time.monotonic() - started_at >= WAIT_SECONDS
    assert (response.status, response["code"]) == (409, "in_progress")
    assert int(response.headers["Retry-After"]) > 0
    assert sender.post("/v1/assessments", body).status == 201
    titles = [row["title"] for row in reviewer.get("/v1/assessments")["assessments"]]
    assert titles.count("Stuck") == 1


def send_concurrently(reviewer, path, body):
    """Send a request many times with one key, and return the common response."""
    sender = reviewer.with_idempotency_key(str(uuid.uuid4()))
    responses = run_concurrently([lambda: sender.post(path, body)] * CALLERS)
    assert {(response.status, response.text) for response in responses} == {(201, responses[0].text)}
    replayed = Counter(response.headers["Idempotent-Replayed"] for response in responses)
    assert replayed == {None: 1, "true": CALLERS - 1}
    return responses[0]


def audited_actions(reviewer, assessment):
    return [entry["action"] for entry in reviewer.get(f"/v1/audit?subjectId={assessment['id']}")["entries"]]


@contextmanager
def request_in_progress(service, reviewer, key):
    """Leave a request with the key, or on SQLite any write transaction, in progress."""
    # Also records the token's use, which would otherwise wait for the transaction.
    token_id = reviewer.get("/v1/me")["id"]
    connection = service.connect()
    if service.is_postgres:
        connection.cursor().execute(
            "INSERT INTO idempotent_requests (id, created_at, reviewer_id, fingerprint, path, digest) "
            "VALUES (gen_random_uuid(), now(), %s, %s, '', '')",
            (token_id, hashlib.sha256(key.encode()).hexdigest()),
        )
    else:
        connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()
