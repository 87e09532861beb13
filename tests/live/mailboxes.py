"""A mailbox that delays deliveries."""

import asyncio

from tests.delivery.mail_server import Mailbox


class WaitingMailbox(Mailbox):
    """Accepts emails after `accept()`, or as soon as `workers` deliveries are waiting."""

    def __init__(self, workers: int | None = None):
        super().__init__()
        self.workers = workers
        self.waiting = 0
        self.accepted = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def handle_DATA(self, server, session, envelope):
        self.loop = asyncio.get_running_loop()
        self.waiting += 1
        if self.waiting == self.workers:
            self.accepted.set()
        await self.accepted.wait()
        return await super().handle_DATA(server, session, envelope)

    def accept(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.accepted.set)
