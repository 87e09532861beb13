"""A local SMTP server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.servers import HOST, free_port

HANG_UP = "hang up"


@dataclass
class Mailbox:
    """An aiosmtpd handler that stores emails. `replies` overrides the replies to MAIL, RCPT or DATA."""

    replies: dict[str, str] = field(default_factory=dict)
    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if reply := self._reply("MAIL", server):
            return reply
        envelope.mail_from, envelope.mail_options = address, [*envelope.mail_options, *options]
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if reply := self._reply("RCPT", server):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session: Session, envelope: Envelope) -> str:
        if reply := self._reply("DATA", server):
            return reply
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def _reply(self, command: str, server) -> str | None:
        reply = self.replies.get(command)
        if reply == HANG_UP:
            server.transport.abort()
        return reply


@contextmanager
def smtp_server(mailbox: Mailbox, port: int | None = None, **options) -> Iterator[int]:
    """Run a server and yield its port. `options` are passed to aiosmtpd's Controller."""
    controller = Controller(mailbox, hostname=HOST, port=port or free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def accepts(user: str, password: str):
    """An authenticator that accepts a single account."""
    expected = LoginPassword(user.encode(), password.encode())
    return lambda server, session, envelope, mechanism, login: AuthResult(
        success=login == expected, handled=False
    )
