"""Invitations on their way: real workers, a real mail server that fails in every way, both databases (R15)."""

import re
from collections import Counter
from email import message_from_bytes, policy

import pytest

from tests.delivery.mail_server import HOST, Mailbox, free_port, smtp_server
from tests.live.cast import invite, keys_of, make_assessment
from tests.live.mailboxes import KillingMailbox, MeetingMailbox, WaitingMailbox, serving
from tests.live.service import ended, is_running, wait_until

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"


@pytest.fixture(autouse=True)
def _only_the_mails_of_this_test(service):
    service.execute("DELETE FROM deliveries")


@pytest.fixture
def invitations(reviewer, assessment):
    """The invitations' states, by address."""
    return lambda: {key["candidateEmail"]: key["invite"] for key in keys_of(reviewer, assessment)}


@pytest.fixture
def until(invitations):
    """Wait until the invitation to Alice is as the condition says."""

    def wait(condition, address=ALICE):
        def fits():
            found = invitations()[address]
            return found if condition(found) else None

        return wait_until(fits, "The invitation does not get there.")

    return wait


def to(port):
    return {"SMTP_URL": f"smtp://{HOST}:{port}"}


def make_due(service):
    """What waits for its next try, or for the end of a lease, need not wait any longer."""
    service.execute("UPDATE deliveries SET due_at = created_at WHERE state = 'queued'")


@pytest.mark.slow
def test_a_mail_server_that_is_down_delays_no_key_and_loses_no_mail(service, reviewer, assessment, until):
    port, mailbox = free_port(), Mailbox()
    answer = invite(reviewer, assessment, ALICE)
    assert answer.status == 201
    assert answer["keys"][0]["invite"] == {
        "state": "queued",
        "attempts": 0,
        "lastError": None,
        "sentAt": None,
    }
    with service.worker(**to(port)):
        waiting = until(lambda invite: invite["lastError"])
        assert (waiting["state"], waiting["attempts"]) == ("queued", 1)
        assert waiting["lastError"] == "The mail server cannot be used: Connection refused"
        with serving(mailbox, port):
            make_due(service)
            sent = until(lambda invite: invite["state"] == "sent")
            make_due(service)
    assert (sent["attempts"], sent["lastError"]) == (2, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent["sentAt"])
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[ALICE]]


@pytest.mark.slow
def test_two_workers_side_by_side_deliver_each_mail_once(service, reviewer, assessment, invitations):
    addresses = [f"candidate{number}@example.com" for number in range(50)]
    mailbox = MeetingMailbox(workers=2)
    with smtp_server(mailbox) as port:
        assert invite(reviewer, assessment, *addresses).status == 201
        with service.worker(**to(port)), service.worker(**to(port)):
            wait_until(lambda: all_sent(invitations()), "Not every mail is sent.")
    assert Counter(envelope.rcpt_tos[0] for envelope in mailbox.envelopes) == dict.fromkeys(addresses, 1)
    assert {invite["attempts"] for invite in invitations().values()} == {1}


def all_sent(invitations):
    return all(invite["state"] == "sent" for invite in invitations.values())


@pytest.mark.slow
def test_a_refusal_for_good_fails_with_the_servers_words(service, reviewer, assessment, until):
    mailbox = Mailbox(answers={"RCPT": "550 5.1.1 no such mailbox"})
    with smtp_server(mailbox) as port, service.worker(**to(port)):
        invite(reviewer, assessment, ALICE)
        failed = until(lambda invite: invite["state"] == "failed")
    words = "The mail server answered 550: 5.1.1 no such mailbox"
    assert failed == {"state": "failed", "attempts": 1, "lastError": words, "sentAt": None}


@pytest.mark.slow
def test_a_worker_killed_while_it_delivers_loses_nothing(service, reviewer, assessment, until):
    mailbox = KillingMailbox()
    with smtp_server(mailbox) as port:
        with service.worker(**to(port)) as worker:
            mailbox.victim = worker.pid
            invite(reviewer, assessment, ALICE)
            wait_until(lambda: not is_running(worker.pid), "The worker was not killed.")
        make_due(service)
        with service.worker(**to(port)):
            sent = until(lambda invite: invite["state"] == "sent")
    assert sent["attempts"] == 2
    first, again = (message_from_bytes(it.content, policy=policy.default) for it in mailbox.envelopes)
    # The mail went out twice, since nobody was left to note the first time; a mail program can tell.
    assert first["Message-ID"] == again["Message-ID"]


@pytest.mark.slow
def test_a_mail_in_the_hand_of_a_killed_worker_waits_for_the_end_of_the_lease(
    service, reviewer, assessment, until, invitations
):
    mailbox = KillingMailbox()
    with smtp_server(mailbox) as port:
        with service.worker(**to(port)) as worker:
            mailbox.victim = worker.pid
            invite(reviewer, assessment, ALICE)
            wait_until(lambda: not is_running(worker.pid), "The worker was not killed.")
        with service.worker(**to(port)):
            invite(reviewer, assessment, BOB)
            until(lambda invite: invite["state"] == "sent", BOB)
    held = invitations()[ALICE]
    assert (held["state"], held["attempts"]) == ("queued", 1)
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[ALICE], [BOB]]


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_finishes_the_mail_in_hand(service, reviewer, assessment, invitations):
    mailbox = WaitingMailbox()
    with smtp_server(mailbox) as port, service.worker(**to(port)) as worker:
        invite(reviewer, assessment, ALICE, BOB)
        wait_until(lambda: mailbox.arrived, "No mail arrived.")
        worker.terminate()
        mailbox.take()
        assert ended(worker) == 0
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[ALICE]]
    assert [invitations()[address]["state"] for address in (ALICE, BOB)] == ["sent", "queued"]


@pytest.mark.slow
def test_a_mail_server_that_lets_one_wait_keeps_nothing_else_waiting(
    service, reviewer, assessment, invitations
):
    mailbox = WaitingMailbox()
    with smtp_server(mailbox) as port, service.worker(**to(port)):
        invite(reviewer, assessment, ALICE)
        wait_until(lambda: mailbox.arrived, "No mail arrived.")
        created = make_assessment(reviewer)
        wait_until(lambda: created["id"] in latest_event(reviewer), "It is not in the feed.")
        # The mail is still on its way: the worker has not lost its patience with the server.
        assert invitations()[ALICE]["lastError"] is None
        mailbox.take()


def latest_event(reviewer):
    """The ids in the last event of the feed."""
    path = "/v1/events?types=assessment.created&limit=200&after={}"
    page = reviewer.get(path.format(0))
    while page["hasMore"]:
        page = reviewer.get(path.format(page["next"]))
    return page["events"][-1]["data"].values() if page["events"] else ()


@pytest.mark.slow
def test_revoked_and_expired_keys_get_no_mail(service, reviewer, assessment, until, invitations):
    mailbox = Mailbox()
    revoked, expired, _ = invite(reviewer, assessment, ALICE, BOB, CAROL)["keys"]
    reviewer.delete(f"/v1/assessments/{assessment['id']}/keys/{revoked['id']}")
    past = service.moment(seconds_ago=1)
    service.execute(
        "UPDATE candidate_keys SET expires_at = %s WHERE id = %s", past, service.id(expired["id"])
    )
    with smtp_server(mailbox) as port, service.worker(**to(port)):
        until(lambda invite: invite["state"] == "sent", CAROL)
    assert invitations()[BOB]["state"] == "canceled"
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[CAROL]]
    statement = "SELECT state FROM deliveries WHERE subject_id = %s"
    assert service.execute(statement, service.id(revoked["id"])) == [("canceled",)]


@pytest.mark.slow
def test_a_row_that_nobody_can_deliver_keeps_no_other_waiting(service, reviewer, assessment, until):
    invite(reviewer, assessment, ALICE)
    service.execute("UPDATE deliveries SET data = '{}', attempts = 9")
    mailbox = Mailbox()
    with smtp_server(mailbox) as port, service.worker(**to(port)):
        until(lambda invite: invite["attempts"] == 10)
        invite(reviewer, assessment, BOB)
        until(lambda invite: invite["state"] == "sent", BOB)
        make_due(service)
        failed = until(lambda invite: invite["state"] == "failed")
    assert failed["lastError"] == "Every delivery attempt was interrupted."
    assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[BOB]]


@pytest.mark.slow
def test_without_a_mail_server_mails_are_saved_as_files(service, reviewer, assessment, until):
    key = invite(reviewer, assessment, ALICE, candidateNames=["Alice"])["keys"][0]["key"]
    with service.worker():
        saved = until(lambda invite: invite["state"] == "saved")
    assert saved == {"state": "saved", "attempts": 1, "lastError": None, "sentAt": None}
    assert f"mails are not sent but saved in {service.mail_folder}" in service.log()
    mails = [
        message_from_bytes(it.read_bytes(), policy=policy.default) for it in service.mail_folder.glob("*.eml")
    ]
    (mail,) = (mail for mail in mails if key in mail.get_body(("plain",)).get_content())
    assert str(mail["To"]) == "Alice <alice@example.com>"
