"""Where mails and webhooks arrive: real servers that keep of each message what the checks need."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import Envelope
from standardwebhooks import Webhook, WebhookVerificationError

from tests.delivery.mail_server import HOST, Mailbox, free_port, smtp_server
from tests.delivery.receiver import Receiver, receiving


def digest(event: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).digest()


class Mails(Mailbox):
    """Counts each address's mails by their Message-ID."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.count = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        message_id = message_from_bytes(envelope.content)["Message-ID"]  # type: ignore[arg-type]
        for address in envelope.rcpt_tos:
            self.arrived[address][message_id] += 1
        self.count += 1
        return "250 OK"


class Hooks:
    """Webhook messages by their `webhook-id`, each verified with the library `standardwebhooks`.

    What they said is kept as a digest: within an hour there are hundreds of thousands.
    """

    def __init__(self) -> None:
        self.digests: dict[str, bytes] = {}
        self.count = 0
        self.wrong: list[str] = []
        self.secret = ""

    def take_in(self, receiver: Receiver) -> None:
        """Verify what came since the last time; the signatures hold for five minutes."""
        fresh, receiver.messages = receiver.messages, []
        for message in fresh:
            self.count += 1
            try:
                body = Webhook(self.secret).verify(message.body, message.headers)
            except WebhookVerificationError as error:
                self.wrong.append(f"A webhook cannot be verified ({error}): {message.body!r}")
                continue
            self._keep(message.headers["webhook-id"], body)

    def _keep(self, hook_id: str, body: dict[str, Any]) -> None:
        found = digest(body)
        if self.digests.setdefault(hook_id, found) != found or body["id"] != hook_id:
            self.wrong.append(f"The webhook {hook_id} came with another body too: {json.dumps(body)}")


class Receivers:
    """Both servers on ports of their own, which they keep when they come back."""

    def __init__(self) -> None:
        self.mails, self.hooks = Mails(), Hooks()
        self.mail_port, self.hook_port = free_port(), free_port()
        self._stack = ExitStack()
        self._receiver: Receiver | None = None

    @property
    def hook_url(self) -> str:
        return f"http://{HOST}:{self.hook_port}/hook"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.come()
        try:
            yield
        finally:
            self.go()

    def come(self) -> None:
        self._stack.enter_context(smtp_server(self.mails, self.mail_port))
        self._receiver = self._stack.enter_context(receiving(port=self.hook_port))

    def go(self) -> None:
        self.take_in()
        self._stack.close()
        self.take_in()

    def take_in(self) -> None:
        if self._receiver is not None:
            self.hooks.take_in(self._receiver)

    @property
    def delivered(self) -> int:
        """How many messages have come, of either sort."""
        waiting = len(self._receiver.messages) if self._receiver else 0
        return self.mails.count + self.hooks.count + waiting
