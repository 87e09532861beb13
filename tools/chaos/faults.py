"""Strike while requests are on their way, and bring back what is gone."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.live.service import is_running, wait_until
from tools.chaos.calls import Breach
from tools.chaos.plan import Fault
from tools.chaos.world import World

LEAST_IN_FLIGHT = 2
LEAST_DELIVERED = 2


class Striker:
    """Carries out faults, and keeps how many there were and how many requests were on their way at each."""

    def __init__(self, world: World):
        self.world = world
        self.struck: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.faults: dict[str, Callable[[], None]] = {
            "kill web process": self._kill_web_process,
            "kill web master": self._kill_web_master,
            "kill worker": self._kill_worker,
            "stop web": self._stop_web,
            "stop worker": self._stop_worker,
            "restart database": world.restart_database,
            "crash database": world.crash_database,
            "kill postmaster": world.kill_postmaster,
        }

    def strike(self, fault: Fault) -> None:
        """Wait for the fault's moment, let it happen, and return when everything runs again."""
        self._wait_for_load(fault)
        self.struck[fault.name] += 1
        self.in_flight[fault.name] += self.world.line.in_flight
        self.faults[fault.name]()

    def _wait_for_load(self, fault: Fault) -> None:
        line, receivers = self.world.line, self.world.receivers
        enough = line.answered + fault.after_answers
        wait_until(lambda: line.answered >= enough, "Nothing is answered any more.")
        if "worker" in fault.name:
            arrived = receivers.delivered + LEAST_DELIVERED
            wait_until(lambda: receivers.delivered >= arrived, "Nothing is delivered any more.")
        time.sleep(fault.moment_ms / 1000)
        wait_until(lambda: line.in_flight >= LEAST_IN_FLIGHT, "Nobody asks any more.")

    def _kill_web_process(self) -> None:
        victim = self.world.service.web_processes()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not is_running(victim), "The process is still there.")
        if self.world.web.poll() is not None:
            raise Breach("The master ended with one of its processes.")

    def _kill_web_master(self) -> None:
        self.world.kill_web_master()
        self.world.start_web()

    def _kill_worker(self) -> None:
        self.world.kill_worker()
        self.world.workers.append(self.world.start_worker())

    def _stop_web(self) -> None:
        try:
            self.world.stop_web()
        finally:
            self.world.start_web()

    def _stop_worker(self) -> None:
        try:
            self.world.stop_worker()
        finally:
            self.world.workers.append(self.world.start_worker())
