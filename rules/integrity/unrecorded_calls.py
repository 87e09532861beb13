"""Model calls that neither the service nor the candidate's client recorded (R45)."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rules.integrity.findings import Finding
from rules.metrics.usage import MAX_PROBE_TOKENS, UNKNOWN_MODEL

# A client sends an event shortly before a call or after it, but reports no ids that identify the call.
REPORT_WINDOW = timedelta(minutes=2)
# Clients send some calls with few output tokens to test the connection.
MAX_PROBES = 20


class ModelCall(NamedTuple):
    """A successful call whose events were not stored; `is_recorded` is as in ModelUsage."""

    model: str | None
    started_at: datetime
    ended_at: datetime
    output_tokens: int | None
    cost_nano_usd: int | None
    is_recorded: bool | None


def findings(calls: Sequence[ModelCall], reported_at: Sequence[datetime]) -> Iterator[Finding]:
    """Yield the finding about a session's unrecorded calls, if any, with their models and cost.

    reported_at -- arrival times of agents' events, ascending
    """
    missing = [call for call in calls if call.is_recorded is False or not _is_reported(call, reported_at)]
    unknown = [call for call in missing if call.is_recorded is None]
    probes = [call for call in unknown if (call.output_tokens or 0) <= MAX_PROBE_TOKENS]
    if len(probes) <= MAX_PROBES:
        missing = [call for call in missing if call not in probes]
    if missing:
        yield Finding("call_not_recorded", count=len(missing), details=f" Calls: {_describe(missing)}.")


def _is_reported(call: ModelCall, reported_at: Sequence[datetime]) -> bool:
    next_report = bisect_left(reported_at, call.started_at - REPORT_WINDOW)
    return next_report < len(reported_at) and reported_at[next_report] <= call.ended_at + REPORT_WINDOW


def _describe(calls: Sequence[ModelCall]) -> str:
    costs = defaultdict(list)
    for call in calls:
        costs[call.model or UNKNOWN_MODEL].append(call.cost_nano_usd or 0)
    return ", ".join(
        f"{len(cost)} {model} (${sum(cost) / 10**9:.4f})" for model, cost in sorted(costs.items())
    )
