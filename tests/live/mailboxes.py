"""A mailbox that delays deliveries."""

import asyncio

from tests.delivery.mail_server import Mailbox


class WaitingMailbox(Mailbox):
    """Accepts emails after a call of `take`, or as soon as `workers` of them are being delivered."""

    def __init__(self, workers: int | None = None):
        super().__init__()
        self.workers = workers
        self.waiting = 0
        self.taken = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def arrived(self) -> bool:
        return self.waiting > 0

    async def handle_DATA(self, server, session, envelope):
        self.loop = asyncio.get_running_loop()
        self.waiting += 1
        if self.waiting == self.workers:
            self.taken.set()
        await self.taken.wait()
        return await super().handle_DATA(server, session, envelope)

    def take(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.taken.set)
