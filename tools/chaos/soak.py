"""A steady load for a long time: `python -m tools.chaos.soak [--minutes 60] [--rate 50] [--seed 1]`.

Web process and workers are restarted in the first quarter, so that the same processes are measured afterwards; the
database and the receivers of mails and webhooks later on. No answer may be wrong and no request lost, everything has
to be there at the end, and the memory of the last quarter may not be more than that of the second.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tools.chaos.calls import Breach, Pace
from tools.chaos.checking import Checking
from tools.chaos.ledger import Ledger
from tools.chaos.report import report_soak
from tools.chaos.settling import left
from tools.chaos.world import World
from tools.chaos.writers import Writers

WRITERS = 12
SAMPLES = 60
ABSENCE_SECONDS = 2
MEBIBYTE = 2**20
GROWTH_MOST = 1.1
# A receiver that was away is tried again after a minute; a lease that ran out with the database takes five.
SETTLE_SECONDS = 480


class Sample(NamedTuple):
    """A moment: which share of the time is over, how much was answered, and the memory by processes in bytes."""

    share: float
    seconds: float
    answered: int
    memory: dict[str, list[int]]


class Soak:
    """The load, its restarts, and what was seen meanwhile."""

    def __init__(self, world: World, seed: int, seconds: float):
        self.world = world
        self.seconds = seconds
        self.ledger = Ledger()
        self.writers = Writers(world, self.ledger, seed, WRITERS)
        self.checking = Checking(world, self.ledger)
        self.samples: list[Sample] = []
        self.restarts: list[tuple[float, str, Callable[[], None]]] = [
            (0.08, "web", self._restart_web),
            (0.16, "workers", self._restart_workers),
            (0.40, "database", world.restart_database),
            (0.55, "receivers", self._restart_receivers),
            (0.70, "database", world.restart_database),
        ]

    def play(self) -> None:
        """All of it, and the check of everything at the end."""
        print(f"{'time (UTC)':10}{'requests/s':>12}{'web MiB':>18}{'worker MiB':>16}  what", flush=True)
        began = time.monotonic()
        self.samples = [Sample(0, began, self.world.line.answered, self.world.resident_bytes())]
        with self.writers:
            self._watch(began)
        # Asking for what is there is no part of the load.
        self.world.line.pace = None
        self.checking.check(self.writers.stories, SETTLE_SECONDS, wait_for_leases=True)
        self.ledger.accuse(*self.checking.feed.read_again(), *self._lost(), *self._grown())

    def _watch(self, began: float) -> None:
        for number in range(1, SAMPLES + 1):
            due = began + self.seconds * number / SAMPLES
            while (remaining := due - time.monotonic()) > 0:
                self._restart_what_is_due((time.monotonic() - began) / self.seconds)
                self.world.receivers.take_in()
                time.sleep(min(remaining, 1))
            self._sample(number / SAMPLES)

    def _restart_what_is_due(self, share: float) -> None:
        while self.restarts and self.restarts[0][0] <= share:
            _, name, restart = self.restarts.pop(0)
            began = time.monotonic()
            try:
                restart()
            except (Breach, AssertionError) as breach:
                self.ledger.accuse(f"restart of {name}: {breach}")
            print(f"{_now():10}{'':46}  {name} restarted in {time.monotonic() - began:.1f} s", flush=True)

    def _sample(self, share: float) -> None:
        line = self.world.line
        before = self.samples[-1]
        sample = Sample(share, time.monotonic(), line.answered, self.world.resident_bytes())
        self.samples.append(sample)
        per_second = (sample.answered - before.answered) / (sample.seconds - before.seconds)
        web, worker = (_mebibytes(sample.memory[name]) for name in ("web", "worker"))
        what = f"{len(self.ledger.breaches)} wrong, {len(line.lost)} lost; waiting: {_said(left(self.world))}"
        print(f"{_now():10}{per_second:12.1f}{web:>18}{worker:>16}  {what}", flush=True)

    # Restarts

    def _restart_web(self) -> None:
        try:
            self.world.stop_web()
        finally:
            self.world.start_web()

    def _restart_workers(self) -> None:
        for _ in range(len(self.world.workers)):
            try:
                self.world.stop_worker()
            finally:
                self.world.workers.append(self.world.start_worker())

    def _restart_receivers(self) -> None:
        self.world.receivers.go()
        time.sleep(ABSENCE_SECONDS)
        self.world.receivers.come()

    # What came of it

    def memory(self, name: str) -> tuple[float, float]:
        """The mean memory of all processes of a sort in the second and in the last quarter, in MiB."""
        second = [sum(it.memory[name]) for it in self.samples if 0.25 < it.share <= 0.5]
        last = [sum(it.memory[name]) for it in self.samples if it.share > 0.75]
        return statistics.mean(second) / MEBIBYTE, statistics.mean(last) / MEBIBYTE

    def _grown(self) -> list[str]:
        means = {name: self.memory(name) for name in ("web", "worker")}
        return [
            f"The memory of {name} grew from {second:.1f} to {last:.1f} MiB."
            for name, (second, last) in means.items()
            if last > second * GROWTH_MOST
        ]

    def _lost(self) -> list[str]:
        return [f"A request was lost: {lost.words}" for lost in self.world.line.lost]


def main() -> None:
    options = _options()
    world = World("postgresql", Pace(options.rate))
    with world.at_work():
        soak = Soak(world, options.seed, options.minutes * 60)
        soak.play()
        print(report_soak(soak, f"{options.minutes:g} minutes at {options.rate:g} requests/s"))
    if soak.ledger.breaches:
        sys.exit("Promises were broken.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.chaos.soak", description="A steady load for a long time."
    )
    parser.add_argument("--minutes", type=float, default=60, help="%(default)s")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the writers' choices (%(default)s)")
    return parser.parse_args()


def _mebibytes(found: list[int]) -> str:
    return " ".join(f"{each / MEBIBYTE:.1f}" for each in found)


def _said(waiting: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in waiting.items()) or "nothing"


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")


if __name__ == "__main__":
    main()
