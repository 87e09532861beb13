"""Email and webhook servers that record their messages for the checks."""

import hashlib
import json
from collections import Counter, defaultdict
from contextlib import ExitStack
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import Envelope
from standardwebhooks import Webhook, WebhookVerificationError

from tests.delivery.mail_server import Mailbox, smtp_server
from tests.delivery.receiver import Receiver, receiving
from tests.servers import HOST, free_port


def digest(event: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).digest()


class EmailRecorder(Mailbox):
    """Counts the emails to each address by Message-ID."""

    def __init__(self) -> None:
        super().__init__()
        self.received: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.count = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        message_id = message_from_bytes(envelope.content)["Message-ID"]  # type: ignore[arg-type]
        for address in envelope.rcpt_tos:
            self.received[address][message_id] += 1
        self.count += 1
        return "250 OK"


class WebhookRecorder:
    """Verifies webhooks with the `standardwebhooks` library, and records body digests by `webhook-id`."""

    def __init__(self) -> None:
        self.digests: dict[str, bytes] = {}
        self.count = 0
        self.violations: list[str] = []
        self.secret = ""

    def process(self, receiver: Receiver) -> None:
        """Verify the new messages. Signatures are valid for five minutes."""
        messages, receiver.messages = receiver.messages, []
        for message in messages:
            self.count += 1
            try:
                body = Webhook(self.secret).verify(message.body, message.headers)
            except WebhookVerificationError as error:
                self.violations.append(f"A webhook cannot be verified ({error}): {message.body!r}")
                continue
            webhook_id, body_digest = message.headers["webhook-id"], digest(body)
            if self.digests.setdefault(webhook_id, body_digest) != body_digest or body["id"] != webhook_id:
                self.violations.append(f"The webhook {webhook_id} has several bodies: {json.dumps(body)}")


class Receivers:
    """Both servers, on fixed ports."""

    def __init__(self) -> None:
        self.emails, self.webhooks = EmailRecorder(), WebhookRecorder()
        self.mail_port, self.webhook_port = free_port(), free_port()
        self._stack = ExitStack()
        self._receiver: Receiver | None = None

    @property
    def webhook_url(self) -> str:
        return f"http://{HOST}:{self.webhook_port}/hook"

    def start(self) -> None:
        self._stack.enter_context(smtp_server(self.emails, self.mail_port))
        self._receiver = self._stack.enter_context(receiving(port=self.webhook_port))

    def stop(self) -> None:
        self._stack.close()
        self.process()

    def process(self) -> None:
        if self._receiver is not None:
            self.webhooks.process(self._receiver)

    @property
    def delivery_count(self) -> int:
        """Number of emails and webhooks received."""
        unprocessed = len(self._receiver.messages) if self._receiver else 0
        return self.emails.count + self.webhooks.count + unprocessed
