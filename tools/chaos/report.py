"""Text report of a chaos run."""

from typing import Any

MAX_VIOLATIONS = 40


def report(run: Any, title: str, seconds: float) -> str:
    """Format the run's faults, requests, writes, deliveries and violations."""
    client, receivers = run.deployment.client, run.deployment.receivers
    results, checks, feed = run.results, run.verifier.checks, run.verifier.feed
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(client.statuses.items()))
    lines = [
        f"== {title}: {seconds:.0f} s",
        "faults:",
        *(f"  {name:18} {times:5}" for name, times in sorted(run.injector.injected.items())),
        f"requests: {client.responses} with a response ({statuses}), {len(client.lost)} without, "
        f"{client.connections_refused} connections refused; the slowest took {client.slowest_seconds:.1f} s",
        f"{'writes':14}{'acknowledged':>14}{'verified':>10}{'unknown':>9}{'unknown, stored':>17}",
    ]
    for kind in sorted(results.acknowledged):
        verified, recovered = checks.verified.get(kind, ""), checks.recovered[kind]
        acknowledged, unknown = results.acknowledged[kind], results.unknown[kind]
        lines.append(f"  {kind:12}{acknowledged:14}{verified:>10}{unknown:9}{recovered:17}")
    webhooks = receivers.webhooks
    lines += [
        f"emails: {checks.verified['email']} invitations received, {checks.recovered['repeated email']} repeated "
        "with the same Message-ID",
        f"webhooks: {len(webhooks.digests)} events received, {webhooks.count - len(webhooks.digests)} repeated "
        f"with the same webhook-id; the feed has {len(feed.digests)}",
    ]
    violations = results.violations
    if not violations:
        return "\n".join([*lines, "losses 0, duplicates 0, incomplete batches 0, broken chains 0"])
    lines.append(f"VIOLATIONS: {len(violations)}, the first {MAX_VIOLATIONS} are:")
    return "\n".join([*lines, *(f"  {violation}" for violation in violations[:MAX_VIOLATIONS])])
