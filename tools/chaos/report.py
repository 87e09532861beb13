"""What a run did and what came of it, as text."""

from typing import Any

BREACHES_SHOWN = 40


def report(run: Any, title: str, seconds: float) -> str:
    """The whole report: faults, requests, writes, deliveries and breaches."""
    parts = [
        f"== {title}: {seconds:.0f} s",
        *_faults(run.striker),
        *_requests(run.world.line),
        *_writes(run.ledger, run.checking.checks),
        *_deliveries(run),
        *_breaches(run.ledger.breaches),
    ]
    return "\n".join(parts)


def report_soak(soak: Any, title: str) -> str:
    """The same for a steady load, with the memory instead of faults."""
    memory = [
        f"memory of {name}: {second:.1f} MiB in the second quarter, {last:.1f} MiB in the last"
        for name in ("web", "worker")
        for second, last in [soak.memory(name)]
    ]
    parts = [f"== {title}", *_requests(soak.world.line), *memory, *_writes(soak.ledger, soak.checking.checks)]
    return "\n".join([*parts, *_deliveries(soak), *_breaches(soak.ledger.breaches)])


def _faults(striker: Any) -> list[str]:
    lines = ["faults, each with the requests on their way at that moment, on average:"]
    for name, times in sorted(striker.struck.items()):
        lines.append(f"  {name:18} {times:5}   {striker.in_flight[name] / times:4.1f}")
    return lines


def _requests(line: Any) -> list[str]:
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(line.statuses.items()))
    return [
        f"requests: {line.answered} answered ({statuses}); {len(line.lost)} lost without an answer, "
        f"{line.turned_away} turned away at the door; the slowest took {line.slowest_seconds:.1f} s"
    ]


def _writes(ledger: Any, checks: Any) -> list[str]:
    lines = [f"{'writes':14}{'acknowledged':>14}{'checked':>10}{'open':>7}{'open but there':>16}"]
    for kind in sorted(ledger.acknowledged):
        told, looked_at = ledger.acknowledged[kind], checks.looked_at.get(kind, "")
        lines.append(f"  {kind:12}{told:14}{looked_at:>10}{ledger.open[kind]:7}{checks.found[kind]:16}")
    return lines


def _deliveries(run: Any) -> list[str]:
    receivers, checks = run.world.receivers, run.checking.checks
    repeated_hooks = receivers.hooks.count - len(receivers.hooks.digests)
    return [
        f"mails: {checks.looked_at['mail']} invitations arrived, {checks.found['repeated mail']} of them again "
        f"under the same Message-ID",
        f"webhooks: {len(receivers.hooks.digests)} events arrived and were verified, {repeated_hooks} again under "
        f"the same webhook-id; the feed has {len(run.checking.feed.digests)}",
    ]


def _breaches(breaches: list[str]) -> list[str]:
    if not breaches:
        return ["losses 0, duplicates 0, half batches 0, broken chains 0"]
    more = [f"... and {len(breaches) - BREACHES_SHOWN} more"] if len(breaches) > BREACHES_SHOWN else []
    return [f"BREACHES: {len(breaches)}", *(f"  {it}" for it in breaches[:BREACHES_SHOWN]), *more]
