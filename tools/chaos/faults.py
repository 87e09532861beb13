"""The fault injector: break something while requests are in flight, then bring it back."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.live.service import is_running, wait_until
from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.plan import Fault

MIN_IN_FLIGHT = 2
MIN_DELIVERIES = 2


class FaultInjector:
    """Injects faults; counts them, and the requests in flight at each."""

    def __init__(self, deployment: Deployment):
        self.deployment = deployment
        self.injected: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.faults: dict[str, Callable[[], None]] = {
            "kill web process": self._kill_web_process,
            "kill web master": self._kill_web_master,
            "kill worker": self._kill_worker,
            "stop web": deployment.restart_web,
            "stop worker": deployment.restart_worker,
            "restart database": deployment.restart_database,
            "crash database": deployment.crash_database,
            "kill postmaster": deployment.kill_postmaster,
        }

    def inject(self, fault: Fault) -> None:
        """Wait for load, inject the fault, and return when everything is running again."""
        self._wait_for_load(fault)
        self.injected[fault.name] += 1
        self.in_flight[fault.name] += self.deployment.client.in_flight
        self.faults[fault.name]()

    def _wait_for_load(self, fault: Fault) -> None:
        client, receivers = self.deployment.client, self.deployment.receivers
        responses = client.responses + fault.after_responses
        wait_until(lambda: client.responses >= responses, "There are no more responses.")
        if "worker" in fault.name:
            deliveries = receivers.delivered + MIN_DELIVERIES
            wait_until(lambda: receivers.delivered >= deliveries, "There are no more deliveries.")
        time.sleep(fault.delay_ms / 1000)
        wait_until(lambda: client.in_flight >= MIN_IN_FLIGHT, "There are no more requests.")

    def _kill_web_process(self) -> None:
        pid = self.deployment.service.web_processes()[0]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), "The killed process is still running.")
        if self.deployment.web.poll() is not None:
            raise Violation("The master ended with one of its processes.")

    def _kill_web_master(self) -> None:
        self.deployment.kill_web_master()
        self.deployment.start_web()

    def _kill_worker(self) -> None:
        self.deployment.kill_worker()
        self.deployment.start_worker()
