"""Invitations with real workers and failing email servers (R15)."""

import re
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.delivery.mail_server import Mailbox, smtp_server
from tests.live.cast import invite, list_keys, make_assessment
from tests.live.mailboxes import WaitingMailbox
from tests.live.service import stop_process, wait_until
from tests.servers import HOST, free_port

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"

pytestmark = pytest.mark.usefixtures("empty_outbox")


@pytest.fixture
def invitations(reviewer, assessment):
    """Get the invitations by address."""
    return lambda: {key["candidateEmail"]: key["invite"] for key in list_keys(reviewer, assessment)}


@pytest.fixture
def wait_for(invitations):
    """Wait until the invitation to an address has these fields, and return it."""

    def wait_for(address, **fields):
        wait_until(
            lambda: invitations()[address].items() >= fields.items(),
            f"The invitation to {address} did not get {fields}.",
        )
        return invitations()[address]

    return wait_for


@pytest.fixture
def mailing(service):
    """Run an email server and a worker that sends to it."""

    @contextmanager
    def mailing(mailbox, senders=4):
        with smtp_server(mailbox) as port, worker(service, port, senders) as process:
            yield process

    return mailing


def worker(service, port, senders=4):
    return service.worker(SMTP_URL=f"smtp://{HOST}:{port}", WORKER_SENDERS=str(senders))


def recipients(mailbox):
    return [address for envelope in mailbox.envelopes for address in envelope.rcpt_tos]


def make_due(service):
    """End all pauses and leases."""
    service.execute("UPDATE deliveries SET due_at = created_at WHERE state = 'queued'")


def test_emails_are_sent_after_an_email_server_outage(service, reviewer, assessment, wait_for):
    port, mailbox = free_port(), Mailbox()
    issued = invite(reviewer, assessment, ALICE)
    assert issued.status == 201
    queued = {"state": "queued", "attempts": 0, "lastError": None, "sentAt": None}
    assert issued["keys"][0]["invite"] == queued
    with worker(service, port):
        error = "Cannot use the email server: Connection refused"
        wait_for(ALICE, state="queued", attempts=1, lastError=error)
        with smtp_server(mailbox, port):
            make_due(service)
            sent = wait_for(ALICE, state="sent", attempts=2, lastError=None)
            make_due(service)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent["sentAt"])
    assert recipients(mailbox) == [ALICE]


def test_two_workers_send_each_email_once(service, reviewer, assessment, invitations):
    addresses = [f"candidate{number}@example.com" for number in range(50)]
    mailbox = WaitingMailbox(workers=2)
    invite(reviewer, assessment, *addresses)
    with smtp_server(mailbox) as port, worker(service, port, 1), worker(service, port, 1):
        wait_until(
            lambda: {invitation["state"] for invitation in invitations().values()} == {"sent"},
            "Some emails were not sent.",
        )
    assert Counter(recipients(mailbox)) == dict.fromkeys(addresses, 1)
    assert {invitation["attempts"] for invitation in invitations().values()} == {1}


def test_a_stopped_worker_finishes_its_claimed_email(reviewer, assessment, invitations, mailing):
    mailbox = WaitingMailbox()
    with mailing(mailbox, senders=1) as process:
        invite(reviewer, assessment, ALICE, BOB)
        wait_until(lambda: mailbox.waiting, "No email arrived.")
        process.terminate()
        mailbox.accept()
        assert stop_process(process) == 0
    assert recipients(mailbox) == [ALICE]
    assert [invitations()[address]["state"] for address in (ALICE, BOB)] == ["sent", "queued"]


def test_a_slow_email_server_does_not_delay_the_feed(service, reviewer, assessment, mailing):
    mailbox = WaitingMailbox()
    unpublished = "SELECT id FROM feed_events WHERE position IS NULL"
    with mailing(mailbox):
        invite(reviewer, assessment, ALICE)
        wait_until(lambda: mailbox.waiting, "No email arrived.")
        make_assessment(reviewer)
        wait_until(lambda: not service.execute(unpublished), "The event was not published.")
        assert mailbox.envelopes == []
        mailbox.accept()


def test_revoked_and_expired_keys_get_no_email(service, reviewer, assessment, wait_for, mailing):
    revoked, expired, _ = invite(reviewer, assessment, ALICE, BOB, CAROL)["keys"]
    reviewer.delete(f"/v1/assessments/{assessment['id']}/keys/{revoked['id']}")
    expire = "UPDATE candidate_keys SET expires_at = %s WHERE id = %s"
    service.execute(expire, service.stored_time(seconds_ago=1), service.stored_id(expired["id"]))
    mailbox = Mailbox()
    with mailing(mailbox):
        wait_for(CAROL, state="sent")
    wait_for(BOB, state="canceled")
    assert recipients(mailbox) == [CAROL]
    statement = "SELECT state FROM deliveries WHERE subject_id = %s"
    assert service.execute(statement, service.stored_id(revoked["id"])) == [("canceled",)]


def test_an_undeliverable_email_does_not_block_others(service, reviewer, assessment, wait_for, mailing):
    invite(reviewer, assessment, ALICE)
    service.execute("UPDATE deliveries SET data = '{}', attempts = 9")
    mailbox = Mailbox()
    with mailing(mailbox):
        wait_for(ALICE, attempts=10)
        invite(reviewer, assessment, BOB)
        wait_for(BOB, state="sent")
        make_due(service)
        wait_for(ALICE, state="failed", lastError="Every delivery attempt was interrupted.")
    assert recipients(mailbox) == [BOB]


def test_emails_are_saved_without_an_email_server(service, reviewer, assessment, wait_for):
    invite(reviewer, assessment, "dave@example.com")
    with service.worker():
        wait_for("dave@example.com", state="saved", attempts=1, lastError=None, sentAt=None)
    assert f"emails are saved in {service.mail_folder}, not sent." in service.log()
    emails = [file.read_text() for file in service.mail_folder.glob("*.eml")]
    assert sum("To: dave@example.com" in email for email in emails) == 1
