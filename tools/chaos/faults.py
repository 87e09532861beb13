"""Inject faults while requests are in flight."""

import time
from collections import Counter
from collections.abc import Callable

from tests.live.service import wait_until
from tools.chaos.deployment import Deployment
from tools.chaos.plan import Fault

MIN_IN_FLIGHT = 2
MIN_DELIVERIES = 2


class FaultInjector:
    """Injects and counts faults."""

    def __init__(self, deployment: Deployment):
        self.deployment = deployment
        self.injected: Counter[str] = Counter()
        self.faults: dict[str, Callable[[], None]] = {
            "kill web process": deployment.kill_web_process,
            "kill web master": deployment.kill_web_master,
            "kill worker": deployment.kill_worker,
            "stop web": deployment.restart_web,
            "stop worker": deployment.restart_worker,
            "restart database": deployment.restart_database,
            "crash database": deployment.crash_database,
            "kill postmaster": deployment.kill_postmaster,
        }

    def inject(self, fault: Fault) -> None:
        """Wait for load, inject the fault, and wait until all processes run again."""
        client, receivers = self.deployment.client, self.deployment.receivers
        responses = client.responses + fault.after_responses
        wait_until(lambda: client.responses >= responses, "The service stopped responding.")
        if "worker" in fault.name:
            deliveries = receivers.delivery_count + MIN_DELIVERIES
            wait_until(lambda: receivers.delivery_count >= deliveries, "Deliveries stopped.")
        time.sleep(fault.delay_ms / 1000)
        wait_until(lambda: client.in_flight >= MIN_IN_FLIGHT, "Requests stopped.")
        self.injected[fault.name] += 1
        self.faults[fault.name]()
