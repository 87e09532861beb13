"""The verifier: drain the deployment, then compare it with the expected state."""

import time

from tools.chaos import checks, logs
from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.drain import DRAIN_SECONDS, drain
from tools.chaos.expected import Results
from tools.chaos.feed import FeedReader
from tools.chaos.scenario import Scenario


class Verifier:
    """Verifies scenarios again and again, as more are added; adds violations to the results."""

    def __init__(self, deployment: Deployment, results: Results):
        self.deployment = deployment
        self.results = results
        self.feed = FeedReader(deployment)
        self.checks = checks.Checks(deployment, self.feed)
        self._log_position = 0

    def verify(
        self, scenarios: list[Scenario], seconds: float = DRAIN_SECONDS, wait_for_leases: bool = False
    ) -> None:
        start = time.monotonic()
        try:
            drain(self.deployment.service, seconds, wait_for_leases)
        except Violation as violation:
            # All other differences would follow from this one.
            self.results.add_violations(str(violation))
            return
        drained = time.monotonic()
        self._compare(scenarios)
        print(
            f"verified {len(scenarios)} scenarios: drained in {drained - start:.1f} s, "
            f"checked in {time.monotonic() - drained:.1f} s, {len(self.results.violations)} violations",
            flush=True,
        )

    def verify_all(self, scenarios: list[Scenario]) -> None:
        """Verify all scenarios from scratch, because verified data may have been lost later."""
        self.checks.checked.clear()
        self.checks.recovered.clear()
        self.verify(scenarios)
        self.results.add_violations(*self.feed.reread())

    def _compare(self, scenarios: list[Scenario]) -> None:
        receivers = self.deployment.receivers
        receivers.process()
        self.results.add_violations(
            *receivers.webhooks.violations,
            *self.feed.read_new(),
            *self.checks.violations(scenarios),
            *checks.audit_violations(self.deployment),
            *checks.key_violations(self.deployment),
            *self._log_violations(),
        )
        receivers.webhooks.violations.clear()

    def _log_violations(self) -> list[str]:
        log = self.deployment.service.log()
        new, self._log_position = log[self._log_position :], len(log)
        return logs.violations(new, self.deployment.server is not None)
