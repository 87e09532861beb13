"""kill -9 of a worker after its delivery was accepted: another worker delivers it again with the same id."""

from email import message_from_bytes
from queue import SimpleQueue

import pytest

from tests.delivery.mail_server import HOST, Mailbox, smtp_server
from tests.delivery.receiver import Handler, receiving
from tests.live.cast import invite, make_assessment
from tests.live.service import kill, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def service(installation):
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


def test_a_mail_keeps_its_message_id(service):
    killer = Killer()

    class KillingMailbox(Mailbox):
        async def handle_DATA(self, *arguments):
            reply = await super().handle_DATA(*arguments)
            killer()
            return reply

    mailbox, reviewer = KillingMailbox(), service.organization("Acme")
    invite(reviewer, make_assessment(reviewer), "alice@example.com")
    with smtp_server(mailbox) as port:
        killer.check(service, "deliveries", "sent", SMTP_URL=f"smtp://{HOST}:{port}")
    first, second = (message_from_bytes(envelope.content)["Message-ID"] for envelope in mailbox.envelopes)
    assert first == second


def test_a_webhook_message_keeps_its_id(service):
    killer = Killer()

    class KillingHandler(Handler):
        def send_response(self, *arguments):
            killer()
            super().send_response(*arguments)

    with receiving() as receiver:
        receiver.RequestHandlerClass = KillingHandler
        reviewer = service.organization("Acme")
        hook = reviewer.post("/v1/webhooks", {"url": receiver.url(), "types": ["key.created"]})["webhook"]
        assert reviewer.post(f"/v1/webhooks/{hook['id']}/test").status == 202
        networks = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
        killer.check(service, "webhook_deliveries", "delivered", **networks)
    first, second = (message.headers["webhook-id"] for message in receiver.messages)
    assert first == second
