"""A worker's senders: slow receivers do not delay others, and one worker keeps up with steady events."""

import json
import socket
import time
from contextlib import contextmanager

import factories
import pytest

from models import FeedEvent, Organization
from tests.delivery.mail_server import Mailbox, smtp_server
from tests.delivery.receiver import LOOPBACK, Handler, receiving
from tests.live.cast import invite, make_assessment
from tests.live.service import HOST, wait_until

TESTS_PER_WEBHOOK = 6
EVENTS_PER_SECOND = 50
SECONDS = 10
RESPONSE_SECONDS = 0.02
MAX_DELAY_SECONDS = 10


@pytest.fixture
def own_service(installation):
    with installation.start(processes=1) as service:
        yield service


@contextmanager
def tarpit():
    """Yield a port that accepts connections and never responds."""
    with socket.create_server((LOOPBACK, 0), backlog=64) as silent:
        yield silent.getsockname()[1]


def add_webhook(reviewer, url):
    """Create a webhook, and return its path."""
    created = reviewer.post("/v1/webhooks", {"url": url})
    assert created.status == 201
    return f"/v1/webhooks/{created['webhook']['id']}"


def test_a_tarpit_does_not_delay_another_organizations_message(own_service):
    slow, other = own_service.organization("Slow"), own_service.organization("Other")
    with tarpit() as port, receiving() as receiver, own_service.worker():
        paths = [add_webhook(slow, f"http://{LOOPBACK}:{port}/{number}") for number in range(2)]
        for path in paths * TESTS_PER_WEBHOOK:
            assert slow.post(f"{path}/test").status == 202
        leased = "SELECT id FROM webhook_deliveries WHERE attempts = 1 AND state = 'queued'"
        wait_until(lambda: own_service.execute(leased), "No message was sent to the tarpit.")
        path = add_webhook(other, receiver.url())
        sent_at = time.monotonic()
        assert other.post(f"{path}/test").status == 202
        wait_until(lambda: receiver.messages, "The message was not delivered.")
        delay = time.monotonic() - sent_at
        print(f"Delivered after {delay:.2f} s.")
        assert delay < MAX_DELAY_SECONDS


def test_many_invitations_do_not_delay_another_organizations_invitation(own_service):
    mailbox = Mailbox()
    many, one = own_service.organization("Many"), own_service.organization("One")
    assessment = make_assessment(many)
    for batch in range(6):
        addresses = [f"candidate{batch}-{number}@example.com" for number in range(50)]
        assert invite(many, assessment, *addresses).status == 201
    assert invite(one, make_assessment(one), "alice@example.com").status == 201
    with smtp_server(mailbox) as port, own_service.worker(SMTP_URL=f"smtp://{HOST}:{port}"):
        wait_until(lambda: "alice@example.com" in recipients(mailbox), "The invitation was not sent.")
    assert recipients(mailbox).index("alice@example.com") < 10


def recipients(mailbox):
    return [address for envelope in mailbox.envelopes for address in envelope.rcpt_tos]


class SlowHandler(Handler):
    """Responds after RESPONSE_SECONDS."""

    def respond(self) -> None:
        time.sleep(RESPONSE_SECONDS)
        super().respond()

    do_POST = respond


def test_one_worker_keeps_up_with_50_events_a_second(own_service, bind):
    bind(own_service.database_url)
    own_service.organization("Acme")
    organization = Organization.get()
    with receiving() as receiver, own_service.worker():
        receiver.RequestHandlerClass = SlowHandler
        factories.make_webhook(organization, url=receiver.url())
        started_at, published = time.monotonic(), 0
        while published < EVENTS_PER_SECOND * SECONDS:
            FeedEvent.publish(organization.id, "key.created", {"number": published})
            published += 1
            time.sleep(max(0, started_at + published / EVENTS_PER_SECOND - time.monotonic()))
        ended_at = time.monotonic()
        wait_until(lambda: len(receiver.messages) >= published, "Some events were not delivered.")
        behind = time.monotonic() - ended_at
        rate = published / (ended_at - started_at)
        print(f"{rate:.1f} events a second; the last one delivered {behind:.1f} s after its creation.")
    numbers = {json.loads(message.body)["data"]["number"] for message in receiver.messages}
    assert numbers == set(range(published))
    assert behind < MAX_DELAY_SECONDS
