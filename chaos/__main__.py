"""Faults under load: `python -m chaos [--database both] [--rounds 20] [--seed N] [--check-every 5] [--plan]`.

Each round kills, stops or restarts something, at least once by kill -9, while writers create, invite, redeem, send
events, complete, score, revoke and erase. After every few rounds everything has to settle, and is compared with what
was acknowledged; at the end all of it once more. The same seed gives the same faults and the same choices of the
writers, only the timing differs. Ends with status 1 if anything is not as it was promised.
"""

import argparse
import sys
import time

from chaos import checks, logs, plan
from chaos.calls import Breach
from chaos.faults import Striker
from chaos.feed import Feed
from chaos.ledger import Ledger
from chaos.report import report
from chaos.settling import settle
from chaos.world import World
from chaos.writers import Writers

DATABASES = ("sqlite", "postgresql")


class Run:
    """All rounds on one database."""

    def __init__(self, world: World, seed: int, check_every: int):
        self.world = world
        self.check_every = check_every
        self.ledger = Ledger()
        self.writers = Writers(world, self.ledger, seed)
        self.striker = Striker(world)
        self.feed = Feed(world)
        self.checks = checks.Checks(world, self.feed)
        self._checked = 0
        self._log_read = 0

    def play(self, rounds: list[list[plan.Fault]]) -> None:
        """Until the end, or the first check that finds a breach."""
        for begin in range(0, len(rounds), self.check_every):
            with self.writers:
                for number, faults in enumerate(rounds[begin : begin + self.check_every], begin + 1):
                    self._round(number, faults)
            self._check(self.writers.stories[self._checked :])
            self._checked = len(self.writers.stories)
            if self.ledger.breaches:
                return
        self._check_everything()

    def _round(self, number: int, faults: list[plan.Fault]) -> None:
        began = time.monotonic()
        for fault in faults:
            try:
                self.striker.strike(fault)
            except (Breach, AssertionError) as breach:
                self.ledger.accuse(f"round {number}, {fault.name}: {breach}")
        print(f"round {number}: {plan.said(faults)} ({time.monotonic() - began:.1f} s)", flush=True)

    def _check(self, stories: list) -> None:
        try:
            settle(self.world)
        except Breach as breach:
            self.ledger.accuse(str(breach))
        self.ledger.accuse(
            *self.world.receivers.hooks.wrong,
            *self.feed.read_on(),
            *self.checks.breaches(stories),
            *checks.of_audit(self.world),
            *checks.of_keys(self.world),
            *self._of_log(),
        )

    def _check_everything(self) -> None:
        """Once more, from the beginning: what was right may have been lost since."""
        self.checks.looked_at.clear()
        self.checks.found.clear()
        self._check(self.writers.stories)
        self.ledger.accuse(*self.feed.read_again())

    def _of_log(self) -> list[str]:
        log = self.world.service.log()
        fresh, self._log_read = log[self._log_read :], len(log)
        return logs.breaches(fresh, self.world.server is not None)


def main() -> None:
    options = _options()
    databases = DATABASES if options.database == "both" else (options.database,)
    for database in databases:
        rounds = plan.rounds(options.seed, options.rounds, database == "postgresql")
        print(f"{database}, seed {options.seed}, {options.rounds} rounds", flush=True)
        if options.plan:
            for number, faults in enumerate(rounds, 1):
                print(f"round {number}: {plan.said(faults)}")
    if not options.plan and not all([_succeeds(database, options) for database in databases]):
        sys.exit(f"Promises were broken; the same again: --seed {options.seed} --rounds {options.rounds}")


def _succeeds(database: str, options: argparse.Namespace) -> bool:
    began = time.monotonic()
    world = World(database)
    with world.at_work():
        run = Run(world, options.seed, options.check_every)
        run.play(plan.rounds(options.seed, options.rounds, world.server is not None))
        print(report(run, f"{database}, seed {options.seed}", time.monotonic() - began), flush=True)
    return not run.ledger.breaches


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Faults against real processes.")
    parser.add_argument("--database", choices=(*DATABASES, "both"), default="both", help="%(default)s")
    parser.add_argument("--rounds", type=int, default=20, help="on each database (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and choices (%(default)s)")
    parser.add_argument("--check-every", type=int, default=5, help="so many rounds (%(default)s)")
    parser.add_argument("--plan", action="store_true", help="print the faults of this seed and do nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
