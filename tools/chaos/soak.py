"""Soak test: `python -m tools.chaos.soak [--minutes 60] [--rate 50] [--seed 1]`.

A steady load on PostgreSQL. Web process and workers are restarted in the first quarter, so the memory is measured on
the same processes; database and receivers are restarted later. No response may be wrong and no request lost, all data
has to be there at the end, and memory in the last quarter may not exceed that in the second.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from tools.chaos.client import Throttle, Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import Results
from tools.chaos.report import report_soak
from tools.chaos.verifier import Verifier, queued
from tools.chaos.writers import Writers

THREADS = 12
SAMPLES = 60
RECEIVER_OUTAGE_SECONDS = 2
MEBIBYTE = 2**20
MAX_GROWTH = 1.1
# Longer than the five minutes of a lease.
DRAIN_SECONDS = 480


class Soak:
    """The load, its restarts, and samples of the memory: (share of the run, bytes by kind of process)."""

    def __init__(self, deployment: Deployment, seed: int, seconds: float):
        self.deployment = deployment
        self.seconds = seconds
        self.results = Results()
        self.writers = Writers(deployment, self.results, seed, THREADS)
        self.verifier = Verifier(deployment, self.results)
        self.samples: list[tuple[float, dict[str, list[int]]]] = []
        self.restarts: list[tuple[float, str, Callable[[], None]]] = [
            (0.08, "web", deployment.restart_web),
            (0.16, "workers", self._restart_workers),
            (0.40, "database", deployment.restart_database),
            (0.55, "receivers", self._restart_receivers),
            (0.70, "database", deployment.restart_database),
        ]

    def run(self) -> None:
        start = time.monotonic()
        with self.writers:
            for number in range(1, SAMPLES + 1):
                self._wait(start, start + self.seconds * number / SAMPLES)
                self._sample(number / SAMPLES)
        # The checks are not part of the load.
        client = self.deployment.client
        client.throttle = None
        self.verifier.verify(self.writers.scenarios, DRAIN_SECONDS, wait_for_leases=True)
        lost = [f"A request was lost: {request.description}" for request in client.lost]
        self.results.add_violations(*self.verifier.feed.reread(), *lost, *self._growth())

    def _wait(self, start: float, end: float) -> None:
        while (remaining := end - time.monotonic()) > 0:
            share = (time.monotonic() - start) / self.seconds
            while self.restarts and self.restarts[0][0] <= share:
                _, name, restart = self.restarts.pop(0)
                print(f"restarting {name}", flush=True)
                try:
                    restart()
                except (Violation, AssertionError) as error:
                    self.results.add_violations(f"restart of {name}: {error}")
            self.deployment.receivers.process()
            time.sleep(min(remaining, 1))

    def _restart_workers(self) -> None:
        for _ in range(len(self.deployment.workers)):
            self.deployment.restart_worker()

    def _restart_receivers(self) -> None:
        self.deployment.receivers.stop()
        time.sleep(RECEIVER_OUTAGE_SECONDS)
        self.deployment.receivers.start()

    # Measurements

    def _sample(self, share: float) -> None:
        deployment = self.deployment
        self.samples.append((share, deployment.resident_bytes()))
        waiting = ", ".join(f"{length} {name}" for name, length in queued(deployment.service).items())
        print(
            f"{share:4.0%}: {deployment.client.responses} responses, {len(deployment.client.lost)} lost, "
            f"{len(self.results.violations)} violations; queued: {waiting or 'nothing'}",
            flush=True,
        )

    def memory(self, name: str) -> tuple[float, float]:
        """Mean memory of all processes of a kind in the second and in the last quarter, in MiB."""
        second = [sum(memory[name]) for share, memory in self.samples if 0.25 < share <= 0.5]
        last = [sum(memory[name]) for share, memory in self.samples if share > 0.75]
        return statistics.mean(second) / MEBIBYTE, statistics.mean(last) / MEBIBYTE

    def _growth(self) -> list[str]:
        means = {name: self.memory(name) for name in ("web", "worker")}
        return [
            f"The memory of {name} grew from {second:.1f} to {last:.1f} MiB."
            for name, (second, last) in means.items()
            if last > second * MAX_GROWTH
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.chaos.soak",
        description="Run a steady load with restarts, and check the memory.",
    )
    parser.add_argument("--minutes", type=float, default=60, help="minutes to run (%(default)s)")
    parser.add_argument("--rate", type=float, default=50, help="requests per second (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the writers (%(default)s)")
    options = parser.parse_args()
    deployment = Deployment("postgresql", Throttle(options.rate))
    with deployment.running():
        soak = Soak(deployment, options.seed, options.minutes * 60)
        soak.run()
        print(report_soak(soak, f"{options.minutes:g} minutes at {options.rate:g} requests/s"))
    if soak.results.violations:
        sys.exit("Found violations. See above.")


if __name__ == "__main__":
    main()
