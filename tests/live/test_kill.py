"""kill -9: a web process stores a request whole or not at all, and a worker's delivery is repeated (R15)."""

from collections import Counter
from email import message_from_bytes
from itertools import count
from queue import SimpleQueue

import pytest

from tests.delivery.mail_server import HOST, Mailbox, smtp_server
from tests.delivery.receiver import Handler, receiving
from tests.live.cast import invite, make_assessment
from tests.live.client import CONNECTION_ERRORS, Load
from tests.live.service import kill, wait_until

CALLERS = 6
BATCH = 50
ADDRESSES = [f"candidate{number}@example.com" for number in range(BATCH)]


def test_a_batch_of_keys_is_stored_whole_or_not_at_all(service, reviewer, assessment):
    numbers, created, lost = count(), {}, []

    def create():
        name = f"Batch {next(numbers)}"
        try:
            response = invite(reviewer, assessment, *ADDRESSES, candidateNames=[name] * BATCH)
        except CONNECTION_ERRORS:
            lost.append(name)
            return
        assert response.status == 201
        created[name] = [service.stored_id(key["id"]) for key in response["keys"]]

    with Load([create] * CALLERS):
        # Some processes are idle when they are killed.
        while not lost:
            before = len(created)
            service.kill_web_process()
            wait_until(lambda: len(created) > before, "The service no longer responds.")  # noqa: B023
    rows = service.execute(
        """SELECT k.candidate_name, k.id, d.id FROM candidate_keys k
        LEFT JOIN deliveries d ON d.id = k.invitation_id AND d.subject_id = k.id
        WHERE k.assessment_id = %s ORDER BY k.created_at, k.id""",
        service.stored_id(assessment["id"]),
    )
    assert set(Counter(name for name, *_ in rows).values()) == {BATCH}
    assert all(delivery_id is not None for *_, delivery_id in rows)
    for name, ids in created.items():
        assert [str(key_id) for stored_name, key_id, _ in rows if stored_name == name] == ids


@pytest.fixture
def own_service(installation):
    """A service without other deliveries in its database."""
    with installation.start(processes=1) as service:
        yield service


class Killer:
    """Kills the worker of the first delivery before it gets the response."""

    def __init__(self):
        self.workers = SimpleQueue()
        self.is_done = False

    def __call__(self):
        if not self.is_done:
            self.is_done = True
            kill(self.workers.get())

    def check(self, service, table, final_state, **settings):
        def row():
            return service.execute(f"SELECT state, attempts FROM {table}")

        with service.worker(**settings) as worker:
            self.workers.put(worker.pid)
            wait_until(lambda: worker.poll() is not None, "The worker was not killed.")
        assert row() == [("queued", 1)]
        leased = f"SELECT 1 FROM {table} WHERE due_at > %s"
        assert service.execute(leased, service.stored_time(seconds_ago=0))
        service.execute(f"UPDATE {table} SET due_at = created_at")
        with service.worker(**settings):
            wait_until(lambda: row() == [(final_state, 2)], "It is not delivered.")


@pytest.mark.slow
def test_an_email_keeps_its_message_id(own_service):
    killer = Killer()

    class KillingMailbox(Mailbox):
        async def handle_DATA(self, *arguments):
            reply = await super().handle_DATA(*arguments)
            killer()
            return reply

    mailbox, reviewer = KillingMailbox(), own_service.organization("Acme")
    invite(reviewer, make_assessment(reviewer), "alice@example.com")
    with smtp_server(mailbox) as port:
        killer.check(own_service, "deliveries", "sent", SMTP_URL=f"smtp://{HOST}:{port}")
    first, second = (message_from_bytes(envelope.content)["Message-ID"] for envelope in mailbox.envelopes)
    assert first == second


@pytest.mark.slow
def test_a_webhook_message_keeps_its_id(own_service):
    killer = Killer()

    class KillingHandler(Handler):
        def send_response(self, *arguments):
            killer()
            super().send_response(*arguments)

    with receiving() as receiver:
        receiver.RequestHandlerClass = KillingHandler
        reviewer = own_service.organization("Acme")
        hook = reviewer.post("/v1/webhooks", {"url": receiver.url(), "types": ["key.created"]})["webhook"]
        assert reviewer.post(f"/v1/webhooks/{hook['id']}/test").status == 202
        killer.check(own_service, "webhook_deliveries", "delivered")
    first, second = (message.headers["webhook-id"] for message in receiver.messages)
    assert first == second
