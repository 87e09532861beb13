"""Tokens by model and their cost, as responses report it (metrics.md "Also kept", contract 5.2 to 5.4)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple

from rules.envelopes import integer, label, member
from rules.rounding import half_up

Counts = dict[str, int]

COUNTED = ("input", "output", "cacheRead", "cacheWrite")
_MEMBERS = {
    "input": "inputTokens",
    "output": "outputTokens",
    "cacheRead": "cacheReadTokens",
    "cacheWrite": "cacheWriteTokens",
    "cacheWrite5m": "cacheWrite5mTokens",
    "cacheWrite1h": "cacheWrite1hTokens",
}
UNKNOWN_MODEL = "unknown"
# No response counts that much; beyond it sums would leave the 64 bits that the numbers are stored in.
_MOST_TOKENS = 10**12
_MOST_NANO_USD = 2**63 - 1
_NANOSECONDS_A_DAY = 86_400 * 10**9
_EPOCH = date(1970, 1, 1).toordinal()
# claude-haiku-4-5-20251001, gpt-5-2025-08-07 and claude-opus-4-6[1m] have the price of their plain name.
_SNAPSHOT = re.compile(r"(?:[-@]\d{8}|-\d{4}-\d\d-\d\d|-latest)?(?:\[1m\])?$", re.ASCII)


class Report(NamedTuple):
    """What one event says of a model's use; `starts`: a Codex session begins, which names its model."""

    time: int
    codex: bool
    starts: bool
    session: str | None
    model: str | None
    counts: Counts
    cost: Fraction | None  # USD


class Use(NamedTuple):
    """Tokens that one response used, not counted before."""

    time: int
    codex: bool
    model: str
    counts: Counts
    cost: Fraction | None


def report_of(time: int, kind: str, source: str, data: Any) -> Report | None:
    """The report of an event, or None for one that says nothing of tokens or models."""
    codex = source == "codex"
    starts = codex and kind == "session_start"
    if not starts and kind not in ("ai_response", "subagent_usage"):
        return None
    return Report(
        time,
        codex,
        starts,
        label(member(data, "ideSessionId")) or label(member(data, "meta", "ideSessionId")),
        label(member(data, "model")) or label(member(data, "meta", "model")),
        _counts(data),
        _cost(member(data, "totalCost")),
    )


def total(
    reports: Iterable[Report], prices: Sequence[Mapping[str, Any]] | None
) -> tuple[dict[str, Counts], int | None]:
    """Tokens by model, and the cost in billionths of a dollar, of reports in the order of their events.

    A response's own `totalCost` counts where it has one; else its tokens are priced by its model and date.
    The cost is None where a model that was used has no price, and where no response reported any use.
    Tokens are as the clients report them: Codex's input has in it what was read from the cache, Claude's not.
    """
    uses = [use for use in _uses(reports) if use.cost is not None or any(use.counts.values())]
    return _tokens(uses), _cost_of(uses, _Prices(prices or ()))


class ModelUse(NamedTuple):
    """What was used of one model; the cost is in billionths of a dollar, None without a price."""

    model: str
    responses: int
    tokens: Counts
    cost_nano_usd: int | None


def by_model(reports: Iterable[Report], prices: Sequence[Mapping[str, Any]] | None) -> list[ModelUse]:
    """What `total` adds up, model by model."""
    of_model: dict[str, list[Use]] = {}
    for use in _uses(reports):
        if use.cost is not None or any(use.counts.values()):
            of_model.setdefault(use.model, []).append(use)
    table = _Prices(prices or ())
    return [
        ModelUse(model, len(uses), _tokens(uses).get(model, dict.fromkeys(COUNTED, 0)), _cost_of(uses, table))
        for model, uses in sorted(of_model.items())
    ]


def _counts(data: Any) -> Counts:
    read = {name: integer(member(data, key)) for name, key in _MEMBERS.items()}
    return {name: count for name, count in read.items() if count is not None and 0 <= count <= _MOST_TOKENS}


def _cost(dollars: Any) -> Fraction | None:
    """A reported cost, exactly as its decimal text says (1.8e-05); None for what is no amount."""
    if type(dollars) not in (int, float) or not 0 <= dollars <= _MOST_NANO_USD:
        return None
    return Fraction(Decimal(repr(dollars))) if isfinite(dollars) else None


def _uses(reports: Iterable[Report]) -> Iterator[Use]:
    codex = _CodexTotals()
    for report in reports:
        if report.starts:
            codex.start(report)
        elif report.codex:
            yield codex.use(report)
        else:
            yield Use(report.time, False, report.model or UNKNOWN_MODEL, report.counts, report.cost)


class _CodexTotals:
    """Codex reports running totals of its session; what a response used is the difference to the one before.

    Its responses name neither session nor model (contract 5.4): they belong to the session that started last,
    unless a later client names one. Where a total has fallen, the counter began anew, and all of it is new.
    """

    def __init__(self) -> None:
        self.session: str | None = None
        self.totals: dict[str | None, Counts] = {}
        self.models: dict[str | None, str] = {}

    def start(self, report: Report) -> None:
        self.session = report.session
        if report.session is None:
            self.totals.pop(None, None)  # a session without a name is another one each time
        if report.model is not None:
            self.models[report.session] = report.model

    def use(self, report: Report) -> Use:
        session = report.session or self.session
        before = self.totals.get(session, {})
        counts = report.counts
        if any(count < before.get(name, 0) for name, count in counts.items()):
            before = {}
        self.totals[session] = {**before, **counts}
        new = {name: count - before.get(name, 0) for name, count in counts.items()}
        model = report.model or self.models.get(session) or UNKNOWN_MODEL
        return Use(report.time, True, model, new, report.cost)


def _tokens(uses: Iterable[Use]) -> dict[str, Counts]:
    tokens: dict[str, Counts] = {}
    for use in uses:
        if any(use.counts.values()):
            of_model = tokens.setdefault(use.model, dict.fromkeys(COUNTED, 0))
            for name in COUNTED:
                of_model[name] += use.counts.get(name, 0)
    return dict(sorted(tokens.items()))


class _Prices:
    """The price table: entries of a `model`, some `from` a date on, in USD per million tokens as strings."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self.of_model: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for entry in entries:
            self.of_model.setdefault(entry["model"], []).append((str(entry.get("from") or ""), entry))
        for dated in self.of_model.values():
            dated.sort(key=lambda item: item[0], reverse=True)

    def find(self, model: str, time: int) -> tuple[str, Mapping[str, Any]] | None:
        """(since when, the prices) that held for a model at an instant; None where the table has none."""
        dated = self.of_model.get(model) or self.of_model.get(_SNAPSHOT.sub("", model)) or []
        day = date.fromordinal(_EPOCH + time // _NANOSECONDS_A_DAY).isoformat()
        return next(((since, entry) for since, entry in dated if since <= day), None)


def _cost_of(uses: Sequence[Use], prices: _Prices) -> int | None:
    """Billionths of a dollar. Tokens are added up by price before they are priced, so that it stays quick."""
    if not uses:
        return None
    dollars = sum((use.cost for use in uses if use.cost is not None), Fraction(0))
    tokens: Counter[tuple[str, str, str]] = Counter()
    entries: dict[tuple[str, str], Mapping[str, Any]] = {}
    for use in uses:
        if use.cost is not None:
            continue
        found = prices.find(use.model, use.time)
        if found is None:
            return None
        entries[use.model, found[0]] = found[1]
        for name, count in _billed(use).items():
            tokens[use.model, found[0], name] += count
    for (model, since, name), count in tokens.items():
        price = entries[model, since].get(name)
        if count and price is None:
            return None
        dollars += count * Fraction(str(price or 0)) / 10**6
    return min(half_up(dollars * 10**9), _MOST_NANO_USD)


def _billed(use: Use) -> Counts:
    """The tokens of a response by the names of a price entry."""
    counts = {name: use.counts.get(name, 0) for name in _MEMBERS}
    if use.codex:
        # OpenAI counts what was read from its cache as input too (and reasoning as output).
        counts["input"] = max(counts["input"] - counts["cacheRead"], 0)
    # Cache writes of which nobody says how long they live have the usual five minutes.
    written = counts.pop("cacheWrite")
    counts["cacheWrite5m"] = max(written - counts["cacheWrite1h"], counts["cacheWrite5m"])
    return counts
