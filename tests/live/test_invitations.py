"""Invitations with real workers and a real mail server that fails in every way, on both databases (R15)."""

import re
from collections import Counter
from contextlib import contextmanager
from email import message_from_bytes, policy

import pytest

from tests.delivery.mail_server import HOST, Mailbox, free_port, smtp_server
from tests.live.cast import invite, list_keys, make_assessment
from tests.live.mailboxes import KillingMailbox, MeetingMailbox, WaitingMailbox
from tests.live.service import is_running, stop_process, wait_until

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _empty_outbox(service):
    service.execute("DELETE FROM deliveries")


@pytest.fixture
def invitations(reviewer, assessment):
    """The invitations by address."""
    return lambda: {key["candidateEmail"]: key["invite"] for key in list_keys(reviewer, assessment)}


@pytest.fixture
def until(invitations):
    """Wait until the invitation to an address meets a condition."""

    def until(condition, address=ALICE):
        def matching():
            invitation = invitations()[address]
            return invitation if condition(invitation) else None

        return wait_until(matching, f"The invitation to {address} did not get there.")

    return until


@pytest.fixture
def worker(service):
    """Run a worker that sends to a mail server."""
    return lambda port: service.worker(SMTP_URL=f"smtp://{HOST}:{port}")


@pytest.fixture
def mailing(worker):
    """Run a mail server and a worker that sends to it."""

    @contextmanager
    def mailing(mailbox):
        with smtp_server(mailbox) as port, worker(port) as process:
            yield process

    return mailing


def state_is(state):
    return lambda invitation: invitation["state"] == state


def recipients(mailbox):
    return [envelope.rcpt_tos for envelope in mailbox.envelopes]


def make_due(service):
    """Skip pauses and leases."""
    service.execute("UPDATE deliveries SET due_at = created_at WHERE state = 'queued'")


def test_an_unavailable_mail_server_delays_no_key_and_loses_no_mail(
    service, reviewer, assessment, until, worker
):
    port, mailbox = free_port(), Mailbox()
    issued = invite(reviewer, assessment, ALICE)
    assert issued.status == 201
    queued = {"state": "queued", "attempts": 0, "lastError": None, "sentAt": None}
    assert issued["keys"][0]["invite"] == queued
    with worker(port):
        waiting = until(lambda invitation: invitation["lastError"])
        assert (waiting["state"], waiting["attempts"]) == ("queued", 1)
        assert waiting["lastError"] == "The mail server cannot be used: Connection refused"
        with smtp_server(mailbox, port):
            make_due(service)
            sent = until(state_is("sent"))
            make_due(service)
    assert (sent["attempts"], sent["lastError"]) == (2, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent["sentAt"])
    assert recipients(mailbox) == [[ALICE]]


def test_two_workers_deliver_each_mail_once(reviewer, assessment, invitations, worker):
    addresses = [f"candidate{number}@example.com" for number in range(50)]
    mailbox = MeetingMailbox(workers=2)
    with smtp_server(mailbox) as port:
        assert invite(reviewer, assessment, *addresses).status == 201
        with worker(port), worker(port):
            wait_until(lambda: all(map(state_is("sent"), invitations().values())), "Not every mail is sent.")
    assert Counter(address for (address,) in recipients(mailbox)) == dict.fromkeys(addresses, 1)
    assert {invitation["attempts"] for invitation in invitations().values()} == {1}


def test_a_permanent_failure_has_the_servers_reply(reviewer, assessment, until, mailing):
    with mailing(Mailbox(replies={"RCPT": "550 5.1.1 no such mailbox"})):
        invite(reviewer, assessment, ALICE)
        failed = until(state_is("failed"))
    error = "The mail server answered 550: 5.1.1 no such mailbox"
    assert failed == {"state": "failed", "attempts": 1, "lastError": error, "sentAt": None}


def test_a_killed_worker_loses_nothing(service, reviewer, assessment, until, invitations, worker):
    mailbox = KillingMailbox()
    with smtp_server(mailbox) as port:
        with worker(port) as victim:
            mailbox.victim = victim.pid
            invite(reviewer, assessment, ALICE)
            wait_until(lambda: not is_running(victim.pid), "The worker was not killed.")
        with worker(port):
            invite(reviewer, assessment, BOB)
            until(state_is("sent"), BOB)
            # The lease of the killed worker has not expired.
            leased = invitations()[ALICE]
            assert (leased["state"], leased["attempts"]) == ("queued", 1)
            make_due(service)
            assert until(state_is("sent"))["attempts"] == 2
    assert recipients(mailbox) == [[ALICE], [BOB], [ALICE]]
    first, _, repeated = (
        message_from_bytes(each.content, policy=policy.default) for each in mailbox.envelopes
    )
    assert first["Message-ID"] == repeated["Message-ID"]


def test_a_stopped_worker_finishes_its_claimed_mail(reviewer, assessment, invitations, mailing):
    mailbox = WaitingMailbox()
    with mailing(mailbox) as worker:
        invite(reviewer, assessment, ALICE, BOB)
        wait_until(lambda: mailbox.arrived, "No mail arrived.")
        worker.terminate()
        mailbox.take()
        assert stop_process(worker) == 0
    assert recipients(mailbox) == [[ALICE]]
    assert [invitations()[address]["state"] for address in (ALICE, BOB)] == ["sent", "queued"]


def test_a_slow_mail_server_delays_nothing_else(reviewer, assessment, invitations, mailing):
    mailbox = WaitingMailbox()
    with mailing(mailbox):
        invite(reviewer, assessment, ALICE)
        wait_until(lambda: mailbox.arrived, "No mail arrived.")
        created = make_assessment(reviewer)
        wait_until(lambda: created["id"] in latest_event(reviewer), "It is not in the feed.")
        assert invitations()[ALICE]["lastError"] is None
        mailbox.take()


def latest_event(reviewer):
    """The ids in the last event of the feed."""
    path = "/v1/events?types=assessment.created&limit=200&after={}"
    page = reviewer.get(path.format(0))
    while page["hasMore"]:
        page = reviewer.get(path.format(page["next"]))
    return page["events"][-1]["data"].values() if page["events"] else ()


def test_revoked_and_expired_keys_get_no_mail(service, reviewer, assessment, until, invitations, mailing):
    mailbox = Mailbox()
    revoked, expired, _ = invite(reviewer, assessment, ALICE, BOB, CAROL)["keys"]
    reviewer.delete(f"/v1/assessments/{assessment['id']}/keys/{revoked['id']}")
    expire = "UPDATE candidate_keys SET expires_at = %s WHERE id = %s"
    service.execute(expire, service.stored_time(seconds_ago=1), service.stored_id(expired["id"]))
    with mailing(mailbox):
        until(state_is("sent"), CAROL)
    assert invitations()[BOB]["state"] == "canceled"
    assert recipients(mailbox) == [[CAROL]]
    statement = "SELECT state FROM deliveries WHERE subject_id = %s"
    assert service.execute(statement, service.stored_id(revoked["id"])) == [("canceled",)]


def test_an_undeliverable_row_blocks_no_other(service, reviewer, assessment, until, mailing):
    invite(reviewer, assessment, ALICE)
    service.execute("UPDATE deliveries SET data = '{}', attempts = 9")
    mailbox = Mailbox()
    with mailing(mailbox):
        until(lambda invitation: invitation["attempts"] == 10)
        invite(reviewer, assessment, BOB)
        until(state_is("sent"), BOB)
        make_due(service)
        failed = until(state_is("failed"))
    assert failed["lastError"] == "Every delivery attempt was interrupted."
    assert recipients(mailbox) == [[BOB]]


def test_without_a_mail_server_mails_are_files(service, reviewer, assessment, until):
    key = invite(reviewer, assessment, ALICE, candidateNames=["Alice"])["keys"][0]["key"]
    with service.worker():
        saved = until(state_is("saved"))
    assert saved == {"state": "saved", "attempts": 1, "lastError": None, "sentAt": None}
    assert f"mails are not sent but saved in {service.mail_folder}" in service.log()
    files = service.mail_folder.glob("*.eml")
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    (mail,) = (mail for mail in mails if key in mail.get_body(("plain",)).get_content())
    assert str(mail["To"]) == "Alice <alice@example.com>"
