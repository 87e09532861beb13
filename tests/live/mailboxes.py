"""Mailboxes that interrupt or delay a delivery."""

import asyncio
import os
import signal

from tests.delivery.mail_server import Mailbox


class MeetingMailbox(Mailbox):
    """Accepts the first mails when that many workers are delivering at the same time."""

    def __init__(self, workers: int):
        super().__init__()
        self.workers = workers
        self.all_present = asyncio.Event()
        self.present = 0

    async def handle_DATA(self, server, session, envelope):
        self.present += 1
        if self.present == self.workers:
            self.all_present.set()
        await self.all_present.wait()
        return await super().handle_DATA(server, session, envelope)


class KillingMailbox(Mailbox):
    """Accepts the first mail, and kills the worker `victim` before it receives the reply."""

    victim: int | None = None

    async def handle_DATA(self, server, session, envelope):
        reply = await super().handle_DATA(server, session, envelope)
        if self.victim is not None:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = None
        return reply


class WaitingMailbox(Mailbox):
    """Sets `arrived` when a mail is being delivered, and accepts it after a call of `take`."""

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
