"""Threads that run one scenario after the other until stopped."""

import threading
import traceback
from typing import Self

from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import Results
from tools.chaos.scenario import Scenario

WRITERS = 6


class Writers:
    """Writers that run while the `with` block does, and then finish their last scenario."""

    def __init__(self, deployment: Deployment, results: Results, seed: int, count: int = WRITERS):
        self.deployment = deployment
        self.results = results
        self.seed = seed
        self.scenarios: list[Scenario] = []
        self._numbers = [0] * count
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._stopped.clear()
        self._threads = [
            threading.Thread(target=self._write, args=(writer,), daemon=True)
            for writer in range(len(self._numbers))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        deployment = self.deployment
        while not self._stopped.is_set():
            label = f"{self.seed}-{writer}-{self._numbers[writer]}"
            self._numbers[writer] += 1
            scenario = Scenario(
                label, deployment.client, self.results, deployment.reviewer, deployment.rubric_id
            )
            self.scenarios.append(scenario)
            try:
                scenario.run()
            except Violation as violation:
                self.results.add_violations(f"{label}: {violation}")
            except Exception:
                self.results.add_violations(f"{label}: {traceback.format_exc()}")
