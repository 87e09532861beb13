"""Drain the deployment's queues, then compare it with the expected state."""

import time

from tests.live.service import Service
from tools.chaos import checks
from tools.chaos.client import Violation
from tools.chaos.deployment import Deployment
from tools.chaos.expected import Results
from tools.chaos.feed import FeedReader
from tools.chaos.scenario import Scenario

MAX_IDLE_SECONDS = 60  # without progress
POLL_SECONDS = 0.2
QUEUES = {
    "emails to send": "SELECT count(*) FROM deliveries WHERE state = 'queued' AND kind <> 'removal'",
    "webhooks to send": "SELECT count(*) FROM webhook_deliveries WHERE state = 'queued'",
    "feed events to number": "SELECT count(*) FROM feed_events WHERE position IS NULL",
    "audit entries to list": "SELECT count(*) FROM audit_entries WHERE ledger_entry_id IS NULL",
    "model calls to list": "SELECT count(*) FROM model_usage WHERE ledger_entry_id IS NULL",
    "events to list": (
        "SELECT count(*) FROM events e JOIN sessions s ON s.id = e.session_id WHERE e.seq > s.listed_seq"
    ),
    "ledger entries to number": "SELECT count(*) FROM ledger_entries WHERE position IS NULL",
}
# A killed worker's deliveries are due again when their lease ends after five minutes. Expire all leases every few
# seconds instead of waiting. The interval is long enough for running workers to finish theirs.
LEASE_EXPIRY_SECONDS = 3
EXPIRE_LEASES = (
    "UPDATE deliveries SET due_at = created_at WHERE state = 'queued' AND kind <> 'removal'",
    "UPDATE webhook_deliveries SET due_at = created_at WHERE state = 'queued'",
)


class Verifier:
    """Verifies scenarios, and adds violations to the results."""

    def __init__(self, deployment: Deployment, results: Results):
        self.deployment = deployment
        self.results = results
        self.feed = FeedReader(deployment)
        self.checks = checks.Checks(deployment, self.feed)
        self._log_position = 0

    def verify(self, scenarios: list[Scenario]) -> None:
        start = time.monotonic()
        try:
            drain(self.deployment.service)
        except Violation as violation:
            # Every other check would fail, too.
            self.results.add_violations(str(violation))
            return
        drained_at = time.monotonic()
        receivers = self.deployment.receivers
        receivers.process()
        log = self.deployment.service.log()
        new_log, self._log_position = log[self._log_position :], len(log)
        self.results.add_violations(
            *receivers.webhooks.violations,
            *self.feed.read_new(),
            *self.checks.find_violations(scenarios),
            *checks.find_ledger_violations(self.deployment),
            *checks.find_key_violations(self.deployment),
            *checks.find_log_violations(new_log, self.deployment.server is not None),
        )
        receivers.webhooks.violations.clear()
        print(
            f"verified {len(scenarios)} scenarios: drained in {drained_at - start:.1f} s, "
            f"checked in {time.monotonic() - drained_at:.1f} s, {len(self.results.violations)} violations",
            flush=True,
        )

    def verify_all(self, scenarios: list[Scenario]) -> None:
        """Verify all scenarios again, because verified data can be lost later."""
        self.checks.verified.clear()
        self.checks.recovered.clear()
        self.verify(scenarios)
        self.results.add_violations(*self.feed.reread())


def drain(service: Service) -> None:
    """Wait until all queues are empty. Raises Violation after MAX_IDLE_SECONDS without progress."""
    now = time.monotonic()
    lowest, deadline, next_expiry = float("inf"), now + MAX_IDLE_SECONDS, now + LEASE_EXPIRY_SECONDS
    while remaining := queue_lengths(service):
        now, total = time.monotonic(), sum(remaining.values())
        if total < lowest:
            lowest, deadline = total, now + MAX_IDLE_SECONDS
        if now > deadline:
            raise Violation(f"No progress for {MAX_IDLE_SECONDS} seconds with {remaining}.")
        if now > next_expiry:
            next_expiry = now + LEASE_EXPIRY_SECONDS
            for statement in EXPIRE_LEASES:
                service.execute(statement)
        time.sleep(POLL_SECONDS)


def queue_lengths(service: Service) -> dict[str, int]:
    """Return the lengths of all nonempty queues."""
    lengths = {name: service.execute(query)[0][0] for name, query in QUEUES.items()}
    return {name: length for name, length in lengths.items() if length}
