"""Compute tokens and costs by model, as reported by events (contract 5.2 to 5.4)."""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from rules.events.envelopes import field, integer, label
from rules.metrics.frequent_names import reported_names
from rules.statistics.rounding import half_up
from rules.timestamps import timestamp_from_ns

TokenCounts = dict[str, int]
# (first day, USD per million tokens and context window) by model, latest first
PriceTable = Mapping[str, list[tuple[str, dict[str, Fraction]]]]

COUNTED = ("input", "output", "cacheRead", "cacheWrite")
BILLED = ("input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h")
CONTEXT = "context"
_EVENT_FIELDS = {name: (f"{name}Tokens",) for name in (*COUNTED, "cacheWrite5m", "cacheWrite1h")}
UNKNOWN_MODEL = "unknown"
# Far above any response. Larger counts could overflow 64-bit sums.
MAX_TOKENS = 10**12
_MAX_NANO_USD = 2**63 - 1
# Assumed for requests without a limit: the longest response of the listed models, except gpt-5-pro (272,000), which
# OpenAI shuts down on 11 December 2026.
MAX_OUTPUT_TOKENS = 128_000
# A call without tools whose output is limited to this many tokens is a client's probe or a title (R36).
MAX_PROBE_TOKENS = 16
# The longest context window of the listed models, assumed for models without one in the table.
MAX_CONTEXT_TOKENS = 1_050_000
# The most that one image costs: OpenAI's detail `original`. Anthropic's images cost up to 5,000.
IMAGE_TOKENS = 10_000
# Agents' requests and responses have 3 to 4 bytes per token.
BYTES_PER_TOKEN = 3
_MODEL_PREFIXES = {"anthropic": "claude-", "openai": "gpt-"}
# claude-haiku-4-5-20251001, gpt-5-2025-08-07 and claude-opus-4-6[1m] are priced like the name without the suffix.
_SNAPSHOT = re.compile(r"(?:[-@]\d{8}|-\d{4}-\d\d-\d\d|-latest)?(?:\[1m\])?$", re.ASCII)


class ReportedUsage(NamedTuple):
    """Usage reported in a provider's response. Counts that were not reported are missing.

    `input` excludes cache reads and cache writes for all providers.
    """

    model: str | None
    counts: TokenCounts


class CallEstimate(NamedTuple):
    """An estimate of a call before it is made.

    model -- None for a model without a price: its name could be personal data, and usage is kept after an erasure
    cost_nano_usd -- maximum cost in billionths of a dollar
    """

    model: str | None
    cost_nano_usd: int


class UsageReport(NamedTuple):
    """Usage reported by one event. The start of a Codex session reports only its model."""

    time_ns: int
    model: str | None
    counts: TokenCounts
    cost_usd: Fraction | None = None
    is_codex: bool = False
    starts_session: bool = False
    session: str | None = None


class ModelUsage(NamedTuple):
    """Usage of one model. The cost is None if a price is missing."""

    model: str
    responses: int
    tokens: TokenCounts
    cost_nano_usd: int | None


def price_table(entries: Iterable[Mapping[str, Any]]) -> PriceTable:
    """Group the entries of data/pricing.yaml by model."""
    table = defaultdict(list)
    for entry in entries:
        names = [name for name in (*BILLED, CONTEXT) if entry.get(name) is not None]
        prices = {name: Fraction(str(entry[name])) for name in names}
        table[entry["model"]].append((str(entry.get("from") or ""), prices))
    for dated in table.values():
        dated.sort(key=itemgetter(0), reverse=True)
    return dict(table)


def read_usage_report(time_ns: int, kind: str, source: str, data: Any) -> UsageReport | None:
    """Read an event's usage; None if its kind reports neither tokens nor a model."""
    is_codex = source == "codex"
    starts_session = is_codex and kind == "session_start"
    if not starts_session and kind not in ("ai_response", "subagent_usage"):
        return None
    return UsageReport(
        time_ns,
        _intern(label(field(data, "model")) or label(field(data, "meta", "model"))),
        token_counts(data, _EVENT_FIELDS),
        _reported_cost(field(data, "totalCost")),
        is_codex,
        starts_session,
        _intern(label(field(data, "ideSessionId")) or label(field(data, "meta", "ideSessionId"))),
    )


def total_usage(
    reports: Iterable[UsageReport], prices: PriceTable
) -> tuple[dict[str, TokenCounts], int | None]:
    """Return tokens by model, and the total cost in billionths of a dollar.

    A response's `totalCost` takes precedence over the price table. The cost is None without usage, or if a price is
    missing. Tokens are as reported: Codex's input includes cache reads, Claude's does not.

    reports -- in event order
    """
    by_model = _responses_by_model(reports)
    tokens = {model: _sum_tokens(used) for model, used in by_model.items() if any(map(_has_tokens, used))}
    return tokens, _cost_nano_usd(list(chain(*by_model.values())), prices)


def usage_by_model(reports: Iterable[UsageReport], prices: PriceTable) -> list[ModelUsage]:
    return [
        ModelUsage(model, len(used), _sum_tokens(used), _cost_nano_usd(used, prices))
        for model, used in _responses_by_model(reports).items()
    ]


def call_cost_nano_usd(provider: str, used: ReportedUsage, time_ns: int, prices: PriceTable) -> int | None:
    """Return a call's cost in billionths of a dollar; None without tokens.

    Tokens without a price are billed at the provider's highest listed price (R42).
    """
    report = UsageReport(time_ns, used.model, used.counts)
    if not _has_tokens(report):
        return None
    known = _prices(prices, report)
    counts = {name: count for name, count in _billed_counts(report).items() if count}
    if not counts.keys() <= known.keys():
        known = _highest_prices(provider, prices, report) | known
    highest = max((known[name] for name in BILLED if name in known), default=Fraction(0))
    usd = sum((count * known.get(name, highest) for name, count in counts.items()), Fraction(0)) / 10**6
    return min(half_up(usd * 10**9), _MAX_NANO_USD)


def is_priced(used: ReportedUsage, time_ns: int, prices: PriceTable) -> bool:
    """Return whether a call's cost is known: all its tokens have a listed price."""
    return _cost_nano_usd([UsageReport(time_ns, used.model, used.counts)], prices) is not None


def estimate_call(
    provider: str,
    model: str | None,
    body_bytes: int,
    images: int,
    has_files: bool,
    output_tokens: int,
    time_ns: int,
    prices: PriceTable,
) -> CallEstimate:
    """Estimate a call before it is made (R42).

    The maximum assumes one token per byte, with all input written to the cache. Images and compressed files can have
    more tokens than bytes.

    model -- name in the request
    """
    report = UsageReport(time_ns, model, {})
    listed = _prices(prices, report)
    known = listed or _highest_prices(provider, prices, report)
    input_price = max(known.get(name, Fraction(0)) for name in ("input", "cacheWrite5m", "cacheWrite1h"))
    input_tokens = body_bytes + images * IMAGE_TOKENS
    if has_files:
        input_tokens = max(input_tokens, int(listed.get(CONTEXT, MAX_CONTEXT_TOKENS)))
    usd = (input_tokens * input_price + output_tokens * known.get("output", Fraction(0))) / 10**6
    return CallEstimate(model if listed else None, min(half_up(usd * 10**9), _MAX_NANO_USD))


def estimate_tokens(size: int) -> int:
    """Estimate the number of tokens in `size` bytes of text, rounded up."""
    return -(-size // BYTES_PER_TOKEN)


def token_counts(data: Any, fields: Mapping[str, tuple[str, ...]]) -> TokenCounts:
    """Return the plausible counts in `data`. `fields` maps their names to paths."""
    counts = {name: integer(field(data, *path), range(MAX_TOKENS + 1)) for name, path in fields.items()}
    return {name: count for name, count in counts.items() if count is not None}


def _intern(name: str | None) -> str | None:
    """Intern a name to save memory: all reports of a session are in memory at the same time."""
    return name and sys.intern(name)


def _reported_cost(usd: Any) -> Fraction | None:
    """Return the exact decimal value (1.8e-05); None if it is not an amount."""
    is_amount = type(usd) in (int, float) and 0 <= usd <= _MAX_NANO_USD
    return Fraction(Decimal(repr(usd))) if is_amount else None


def _has_tokens(response: UsageReport) -> bool:
    return any(response.counts.values())


def _sum_tokens(responses: Iterable[UsageReport]) -> TokenCounts:
    sums: Counter[str] = Counter()
    for response in responses:
        sums.update(response.counts)
    return {name: sums[name] for name in COUNTED}


def _responses_by_model(reports: Iterable[UsageReport]) -> dict[str, list[UsageReport]]:
    """Return responses with usage, by model, with running totals converted to usage per response.

    Responses under OTHER keep their actual model, which determines their price.
    """
    codex = _CodexTotals()
    responses = []
    for report in reports:
        if report.starts_session:
            codex.start_session(report)
            continue
        response = codex.resolve(report) if report.is_codex else report
        if response.cost_usd is not None or _has_tokens(response):
            responses.append(response)
    names = reported_names(Counter(map(_model, responses)))
    by_model = defaultdict(list)
    for response in responses:
        by_model[names[_model(response)]].append(response)
    return dict(sorted(by_model.items()))


def _model(response: UsageReport) -> str:
    return response.model or UNKNOWN_MODEL


class _CodexTotals:
    """Converts a Codex session's running totals to usage per response.

    Codex's responses include neither session nor model (contract 5.4). They belong to the session that started last,
    unless the client provides one. A lower total means that the counter was reset.
    """

    def __init__(self) -> None:
        self.session: str | None = None
        self.totals: dict[str | None, TokenCounts] = {}
        self.models: dict[str | None, str] = {}

    def start_session(self, report: UsageReport) -> None:
        self.session = report.session
        if report.session is None:
            self.totals.pop(None, None)  # Each session without a name is new.
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


def _prices(table: PriceTable, response: UsageReport) -> dict[str, Fraction]:
    """Return the model's prices on the day of the response; {} without prices."""
    model = _model(response)
    dated = table.get(model) or table.get(_SNAPSHOT.sub("", model), [])
    day = timestamp_from_ns(response.time_ns).date().isoformat()
    return next((prices for since, prices in dated if since <= day), {})


def _highest_prices(provider: str, table: PriceTable, report: UsageReport) -> dict[str, Fraction]:
    """Return the provider's highest listed prices on the day of the call."""
    highest: dict[str, Fraction] = {}
    for model in table:
        if model.startswith(_MODEL_PREFIXES[provider]):
            for name, price in _prices(table, report._replace(model=model)).items():
                highest[name] = max(price, highest.get(name, price))
    return highest


def _cost_nano_usd(responses: Sequence[UsageReport], table: PriceTable) -> int | None:
    """Return the cost in billionths of a dollar; None without responses, or if a price is missing."""
    if not responses:
        return None
    usd = sum((response.cost_usd for response in responses if response.cost_usd is not None), Fraction(0))
    tokens: Counter[Fraction] = Counter()  # by price
    for response in responses:
        if response.cost_usd is None:
            prices = _prices(table, response)
            counts = {name: count for name, count in _billed_counts(response).items() if count}
            if not counts.keys() <= prices.keys():
                return None
            for name, count in counts.items():
                tokens[prices[name]] += count
    usd += sum((count * price for price, count in tokens.items()), Fraction(0)) / 10**6
    return min(half_up(usd * 10**9), _MAX_NANO_USD)


def _billed_counts(response: UsageReport) -> TokenCounts:
    """Return the response's tokens by price name."""
    counts = {name: response.counts.get(name, 0) for name in _EVENT_FIELDS}
    if response.is_codex:
        # OpenAI's input includes cache reads (and its output reasoning).
        counts["input"] = max(counts["input"] - counts["cacheRead"], 0)
    # Cache writes without a reported lifetime have the default lifetime of five minutes.
    written = counts.pop("cacheWrite")
    counts["cacheWrite5m"] = max(written - counts["cacheWrite1h"], counts["cacheWrite5m"])
    return counts
