"""SMTP servers that are away and come back, and mailboxes with which a delivery can be caught half-way."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller

from tests.delivery.mail_server import HOST, Mailbox


@contextmanager
def serving(mailbox: Mailbox, port: int) -> Iterator[None]:
    """An SMTP server on this very port: one that comes back."""
    controller = Controller(mailbox, hostname=HOST, port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


class MeetingMailbox(Mailbox):
    """Takes the first mails only when that many workers are delivering at the same moment."""

    def __init__(self, workers: int):
        super().__init__()
        self.workers = workers
        self.met = asyncio.Event()
        self.inside = 0

    async def handle_DATA(self, server, session, envelope):
        self.inside += 1
        if self.inside == self.workers:
            self.met.set()
        await self.met.wait()
        return await super().handle_DATA(server, session, envelope)


class KillingMailbox(Mailbox):
    """Takes the first mail, and kills the worker that brought it before it can be told so."""

    victim: int | None = None

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        if self.victim is not None:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = None
        return answer


class WaitingMailbox(Mailbox):
    """Says that a mail is there (`arrived`), and takes it once it is told to (`take`)."""

    def __init__(self):
        super().__init__()
        self.arrived = False
        self.taken = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def handle_DATA(self, server, session, envelope):
        self.loop = asyncio.get_running_loop()
        self.arrived = True
        await self.taken.wait()
        return await super().handle_DATA(server, session, envelope)

    def take(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.taken.set)
