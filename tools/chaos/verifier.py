"""One check of a whole installation: everything settles, and is compared with what the writers were told."""

import time

from tools.chaos import checks, logs
from tools.chaos.calls import Breach
from tools.chaos.feed import Feed
from tools.chaos.ledger import Ledger
from tools.chaos.settling import SETTLE_SECONDS, settle
from tools.chaos.story import Story
from tools.chaos.world import World


class Checking:
    """Checks again and again while stories are added; what is wrong goes into the ledger."""

    def __init__(self, world: World, ledger: Ledger):
        self.world = world
        self.ledger = ledger
        self.feed = Feed(world)
        self.checks = checks.Checks(world, self.feed)
        self._log_read = 0

    def check(
        self, stories: list[Story], seconds: float = SETTLE_SECONDS, wait_for_leases: bool = False
    ) -> None:
        began = time.monotonic()
        try:
            settle(self.world, seconds, wait_for_leases)
        except Breach as breach:
            # Whatever else is missing follows from it.
            self.ledger.accuse(str(breach))
            return
        settled = time.monotonic()
        self._look(stories)
        print(
            f"{len(stories)} stories checked: settled in {settled - began:.1f} s, "
            f"looked at in {time.monotonic() - settled:.1f} s, {len(self.ledger.breaches)} breaches",
            flush=True,
        )

    def check_everything(self, stories: list[Story]) -> None:
        """Once more from the beginning: what was right may have been lost since."""
        self.checks.looked_at.clear()
        self.checks.found.clear()
        self.check(stories)
        self.ledger.accuse(*self.feed.read_again())

    def _look(self, stories: list[Story]) -> None:
        self.world.receivers.take_in()
        self.ledger.accuse(
            *self.world.receivers.hooks.wrong,
            *self.feed.read_on(),
            *self.checks.breaches(stories),
            *checks.of_audit(self.world),
            *checks.of_keys(self.world),
            *self._of_log(),
        )
        self.world.receivers.hooks.wrong.clear()

    def _of_log(self) -> list[str]:
        log = self.world.service.log()
        fresh, self._log_read = log[self._log_read :], len(log)
        return logs.breaches(fresh, self.world.server is not None)
