"""Tokens by model and their cost, as reported by events (contract 5.2 to 5.4)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple

from rules.envelopes import integer, label, member
from rules.rounding import half_up

TokenCounts = dict[str, int]
Prices = Sequence[Mapping[str, Any]] | None  # the entries of data/pricing.yaml

COUNTED = ("input", "output", "cacheRead", "cacheWrite")
BILLED = ("input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h")
_EVENT_MEMBERS = {
    "input": ("inputTokens",),
    "output": ("outputTokens",),
    "cacheRead": ("cacheReadTokens",),
    "cacheWrite": ("cacheWriteTokens",),
    "cacheWrite5m": ("cacheWrite5mTokens",),
    "cacheWrite1h": ("cacheWrite1hTokens",),
}
UNKNOWN_MODEL = "unknown"
# No response counts more; larger numbers could overflow the 64-bit sums.
MAX_TOKENS = 10**12
_MAX_NANO_USD = 2**63 - 1
_DAY_NS = 86_400 * 10**9
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# claude-haiku-4-5-20251001, gpt-5-2025-08-07 and claude-opus-4-6[1m] have the price of the name without the suffix.
_SNAPSHOT = re.compile(r"(?:[-@]\d{8}|-\d{4}-\d\d-\d\d|-latest)?(?:\[1m\])?$", re.ASCII)


class UsageReport(NamedTuple):
    """Usage reported by one event; a Codex session's start reports its model."""

    time_ns: int
    is_codex: bool
    starts_session: bool
    session: str | None
    model: str | None
    counts: TokenCounts
    cost_usd: Fraction | None


class ModelUse(NamedTuple):
    """Usage of one model; the cost is in billionths of a dollar, None without a price."""

    model: str
    responses: int
    tokens: TokenCounts
    cost_nano_usd: int | None


def read_usage_report(time_ns: int, kind: str, source: str, data: Any) -> UsageReport | None:
    """The report in an event's data; None if it reports neither tokens nor a model."""
    is_codex = source == "codex"
    starts_session = is_codex and kind == "session_start"
    if not starts_session and kind not in ("ai_response", "subagent_usage"):
        return None
    return UsageReport(
        time_ns,
        is_codex,
        starts_session,
        label(member(data, "ideSessionId")) or label(member(data, "meta", "ideSessionId")),
        label(member(data, "model")) or label(member(data, "meta", "model")),
        token_counts(data, _EVENT_MEMBERS),
        _reported_cost(member(data, "totalCost")),
    )


def total_usage(reports: Iterable[UsageReport], prices: Prices) -> tuple[dict[str, TokenCounts], int | None]:
    """Tokens by model, and the cost in billionths of a dollar.

    reports -- in the order of their events

    A response's own `totalCost` has priority over the price table. The cost is None if a used model has no price,
    and if nothing was used. Tokens are as reported: Codex's input includes cache reads, Claude's does not.
    """
    by_model = _responses_by_model(reports)
    tokens = {model: _sum_tokens(used) for model, used in by_model.items() if any(map(_has_tokens, used))}
    return tokens, _cost_nano_usd([*chain.from_iterable(by_model.values())], _PriceTable(prices))


def usage_by_model(reports: Iterable[UsageReport], prices: Prices) -> list[ModelUse]:
    """The same usage as `total_usage`, model by model."""
    table = _PriceTable(prices)
    return [
        ModelUse(model, len(used), _sum_tokens(used), _cost_nano_usd(used, table))
        for model, used in _responses_by_model(reports).items()
    ]


def token_counts(data: Any, members: Mapping[str, tuple[str, ...]]) -> TokenCounts:
    """The plausible counts in `data`; `members` has the path of each."""
    counts = {name: integer(member(data, *path)) for name, path in members.items()}
    return {name: count for name, count in counts.items() if count is not None and 0 <= count <= MAX_TOKENS}


def _reported_cost(usd: Any) -> Fraction | None:
    """The exact value of the decimal text (1.8e-05); None if it is not an amount."""
    if type(usd) not in (int, float) or not 0 <= usd <= _MAX_NANO_USD:
        return None
    return Fraction(Decimal(repr(usd))) if isfinite(usd) else None


def _has_tokens(response: UsageReport) -> bool:
    return any(response.counts.values())


def _sum_tokens(responses: Iterable[UsageReport]) -> TokenCounts:
    sums: Counter[str] = Counter()
    for response in responses:
        sums.update(response.counts)
    return {name: sums[name] for name in COUNTED}


def _responses_by_model(reports: Iterable[UsageReport]) -> dict[str, list[UsageReport]]:
    """The responses that used anything, by model; with running totals resolved."""
    codex = _CodexTotals()
    by_model = defaultdict(list)
    for report in reports:
        if report.starts_session:
            codex.start_session(report)
            continue
        response = codex.resolve(report) if report.is_codex else report
        if response.cost_usd is not None or _has_tokens(response):
            by_model[response.model or UNKNOWN_MODEL].append(response)
    return dict(sorted(by_model.items()))


class _CodexTotals:
    """Turns the running totals of Codex sessions into the usage of each response.

    Codex's responses name neither session nor model (contract 5.4): they belong to the session that started last,
    unless a later client names one. A total that has decreased means that the counter was reset.
    """

    def __init__(self) -> None:
        self.session: str | None = None
        self.totals: dict[str | None, TokenCounts] = {}
        self.models: dict[str | None, str] = {}

    def start_session(self, report: UsageReport) -> None:
        self.session = report.session
        if report.session is None:
            self.totals.pop(None, None)  # each session without a name is a new one
        if report.model is not None:
            self.models[report.session] = report.model

    def resolve(self, report: UsageReport) -> UsageReport:
        session = report.session or self.session
        before = self.totals.get(session, {})
        if any(count < before.get(name, 0) for name, count in report.counts.items()):
            before = {}
        self.totals[session] = before | report.counts
        counts = {name: count - before.get(name, 0) for name, count in report.counts.items()}
        return report._replace(model=report.model or self.models.get(session), counts=counts)


@dataclass(frozen=True, eq=False)
class _Price:
    """An entry of the price table, valid from the ISO date `since`."""

    since: str
    usd_per_million: dict[str, Fraction]


class _PriceTable:
    """Prices by model and date; entries have USD per million tokens as strings."""

    def __init__(self, entries: Prices) -> None:
        self.by_model: defaultdict[str, list[_Price]] = defaultdict(list)
        for entry in entries or ():
            listed = {name: Fraction(str(entry[name])) for name in BILLED if entry.get(name) is not None}
            self.by_model[entry["model"]].append(_Price(str(entry.get("from") or ""), listed))
        for prices in self.by_model.values():
            prices.sort(key=lambda price: price.since, reverse=True)

    def find(self, model: str, time_ns: int) -> _Price | None:
        """The model's price on that day; None if the table has none."""
        prices = self.by_model.get(model) or self.by_model.get(_SNAPSHOT.sub("", model), [])
        day = date.fromordinal(_EPOCH_DAY + time_ns // _DAY_NS).isoformat()
        return next((price for price in prices if price.since <= day), None)


def _cost_nano_usd(responses: Sequence[UsageReport], table: _PriceTable) -> int | None:
    """Billionths of a dollar; None without responses, and if a price is missing."""
    if not responses:
        return None
    usd = sum((response.cost_usd for response in responses if response.cost_usd is not None), Fraction(0))
    tokens: Counter[tuple[_Price, str]] = Counter()
    for response in responses:
        if response.cost_usd is None:
            price = table.find(response.model or UNKNOWN_MODEL, response.time_ns)
            if price is None:
                return None
            tokens.update({(price, name): count for name, count in _billed_counts(response).items() if count})
    for (price, name), count in tokens.items():
        if name not in price.usd_per_million:
            return None
        usd += count * price.usd_per_million[name] / 10**6
    return min(half_up(usd * 10**9), _MAX_NANO_USD)


def _billed_counts(response: UsageReport) -> TokenCounts:
    """A response's tokens by the names of a price entry."""
    counts = {name: response.counts.get(name, 0) for name in _EVENT_MEMBERS}
    if response.is_codex:
        # OpenAI's input includes cache reads (and its output reasoning).
        counts["input"] = max(counts["input"] - counts["cacheRead"], 0)
    # Cache writes without a reported lifetime have the default of five minutes.
    written = counts.pop("cacheWrite")
    counts["cacheWrite5m"] = max(written - counts["cacheWrite1h"], counts["cacheWrite5m"])
    return counts
