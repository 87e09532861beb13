"""Threads that run scenarios until stopped."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Self

from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import Results
from tools.chaos.scenario import Scenario

THREADS = 6


class Writers:
    """Writers that run during the `with` block. At its end, they finish their current scenario."""

    def __init__(self, deployment: Deployment, results: Results, seed: int):
        self.deployment = deployment
        self.results = results
        self.seed = seed
        self._numbers = [count() for _ in range(THREADS)]
        self.scenarios: list[Scenario] = []
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._stopped.clear()
        self._threads = ThreadPoolExecutor(len(self._numbers))
        for thread in range(len(self._numbers)):
            self._threads.submit(self._write, thread)
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._threads.shutdown()

    def _write(self, thread: int) -> None:
        deployment = self.deployment
        while not self._stopped.is_set():
            label = f"{self.seed}-{thread}-{next(self._numbers[thread])}"
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
