"""Faults under load: `python -m chaos [--database both] [--rounds 20] [--seed 1] [--check-every 5] [--plan]`.

Each round kills, stops or restarts something, at least once by kill -9, while writers create, invite, redeem, send
events, complete, score, revoke and erase. After every few rounds everything has to settle, and is compared with what
was acknowledged; at the end all of it once more. The same seed gives the same faults and the same choices of the
writers, only the timing differs. Ends with status 1 if anything is not as it was promised.
"""

import argparse
import sys
import time
from pathlib import Path

from tools.chaos import checks, plan
from tools.chaos.calls import Breach
from tools.chaos.checking import Checking
from tools.chaos.faults import Striker
from tools.chaos.ledger import Ledger
from tools.chaos.report import report
from tools.chaos.world import World
from tools.chaos.writers import Writers

LOGS = Path("var")
DATABASES = ("sqlite", "postgresql")


class Run:
    """All rounds on one database."""

    def __init__(self, world: World, seed: int, check_every: int):
        self.world = world
        self.check_every = check_every
        self.ledger = Ledger()
        self.writers = Writers(world, self.ledger, seed)
        self.striker = Striker(world)
        self.checking = Checking(world, self.ledger)

    def play(self, rounds: list[list[plan.Fault]]) -> None:
        """Until the end, or the first check that finds a breach."""
        checked = 0
        for begin in range(0, len(rounds), self.check_every):
            with self.writers:
                for number, faults in enumerate(rounds[begin : begin + self.check_every], begin + 1):
                    self._round(number, faults)
                # The log is whole also while it grows and is chained.
                self.ledger.accuse(*checks.of_audit(self.world))
            if begin + self.check_every < len(rounds):
                self.checking.check(self.writers.stories[checked:])
                checked = len(self.writers.stories)
                if self.ledger.breaches:
                    return
        self.checking.check_everything(self.writers.stories)

    def _round(self, number: int, faults: list[plan.Fault]) -> None:
        began = time.monotonic()
        for fault in faults:
            try:
                self.striker.strike(fault)
            except (Breach, AssertionError) as breach:
                self.ledger.accuse(f"round {number}, {fault.name}: {breach}")
        print(f"round {number}: {plan.said(faults)} ({time.monotonic() - began:.1f} s)", flush=True)


def main() -> None:
    options = _options()
    databases = DATABASES if options.database == "both" else (options.database,)
    if options.plan:
        for database in databases:
            _print_plan(database, options)
    # All of them run, also after one that failed.
    elif False in [_succeeds(database, options) for database in databases]:
        sys.exit(f"Promises were broken; the same again: --seed {options.seed} --rounds {options.rounds}")


def _print_plan(database: str, options: argparse.Namespace) -> None:
    for number, faults in enumerate(plan.rounds(options.seed, options.rounds, database == "postgresql"), 1):
        print(f"{database}, round {number}: {plan.said(faults)}")


def _succeeds(database: str, options: argparse.Namespace) -> bool:
    print(f"{database}, seed {options.seed}, {options.rounds} rounds", flush=True)
    began = time.monotonic()
    world = World(database)
    with world.at_work():
        run = Run(world, options.seed, options.check_every)
        run.play(plan.rounds(options.seed, options.rounds, world.server is not None))
        title = f"{database}, seed {options.seed}, {options.rounds} rounds"
        print(report(run, title, time.monotonic() - began), flush=True)
        if run.ledger.breaches:
            _keep_log(world, f"chaos-{database}-{options.seed}.log")
    return not run.ledger.breaches


def _keep_log(world: World, name: str) -> None:
    LOGS.mkdir(exist_ok=True)
    (LOGS / name).write_text(world.service.log())
    print(f"What the processes said is in {LOGS / name}")


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
