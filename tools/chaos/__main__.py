"""Faults under load: `python -m tools.chaos [--database both] [--rounds 20] [--seed 1] [--check-every 5]`.

Each round kills, stops or restarts processes up to three times, including at least one kill -9, while writers create,
invite, redeem, ingest, complete, score, revoke and erase. After every few rounds and at the end, the data is compared
with the acknowledged writes. The same seed produces the same faults and choices; only the timing differs. Exits with
status 1 on a violation.
"""

import argparse
import sys
import time
from pathlib import Path

from tools.chaos import checks, plan
from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import Results
from tools.chaos.faults import FaultInjector
from tools.chaos.report import report
from tools.chaos.verifier import Verifier
from tools.chaos.writers import Writers

LOGS = Path("var")
DATABASES = ("sqlite", "postgresql")


class Run:
    """All rounds against one database."""

    def __init__(self, deployment: Deployment, seed: int, check_every: int):
        self.deployment = deployment
        self.check_every = check_every
        self.results = Results()
        self.writers = Writers(deployment, self.results, seed)
        self.injector = FaultInjector(deployment)
        self.verifier = Verifier(deployment, self.results)

    def run(self, rounds: list[list[plan.Fault]]) -> None:
        """Run all rounds, or stop after a verification with violations."""
        verified_count = 0
        for first in range(0, len(rounds), self.check_every):
            with self.writers:
                for number, faults in enumerate(rounds[first : first + self.check_every], first + 1):
                    self._round(number, faults)
                # The audit log must also verify during writes.
                self.results.add_violations(*checks.find_ledger_violations(self.deployment))
            if first + self.check_every < len(rounds):
                self.verifier.verify(self.writers.scenarios[verified_count:])
                verified_count = len(self.writers.scenarios)
                if self.results.violations:
                    return
        self.verifier.verify_all(self.writers.scenarios)

    def _round(self, number: int, faults: list[plan.Fault]) -> None:
        start = time.monotonic()
        for fault in faults:
            try:
                self.injector.inject(fault)
            except (Violation, AssertionError) as error:
                self.results.add_violations(f"round {number}, {fault.name}: {error}")
        print(f"round {number}: {plan.describe(faults)} ({time.monotonic() - start:.1f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.chaos", description="Inject faults under load and verify the data."
    )
    parser.add_argument(
        "--database", choices=(*DATABASES, "both"), default="both", help="databases to test (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds on each database (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="random seed of faults and writers (%(default)s)")
    parser.add_argument("--check-every", type=int, default=5, help="rounds between checks (%(default)s)")
    options = parser.parse_args()
    databases = DATABASES if options.database == "both" else (options.database,)
    # Run both even if the first has violations.
    results = [_run(database, options) for database in databases]
    if not all(results):
        sys.exit(f"Found violations. Repeat with --seed {options.seed} --rounds {options.rounds}")


def _run(database: str, options: argparse.Namespace) -> bool:
    """Run all rounds and print the report. Returns True without violations."""
    title = f"{database}, seed {options.seed}, {options.rounds} rounds"
    print(title, flush=True)
    start = time.monotonic()
    deployment = Deployment(database)
    with deployment.running():
        run = Run(deployment, options.seed, options.check_every)
        run.run(plan.rounds(options.seed, options.rounds, deployment.server is not None))
        print(report(run, title, time.monotonic() - start), flush=True)
        if run.results.violations:
            LOGS.mkdir(exist_ok=True)
            log = LOGS / f"chaos-{database}-{options.seed}.log"
            log.write_text(deployment.service.log())
            print(f"The processes' log is in {log}.")
    return not run.results.violations


if __name__ == "__main__":
    main()
