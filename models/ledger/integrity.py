"""Check a session's recording: its events, its protected rows and its metrics (docs/integrity.md)."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from models import batches
from models.base import clock
from models.database import snapshot
from models.keys import CandidateKey
from models.ledger import keys
from models.ledger.protection import LedgerEntry
from models.ledger.verify import OVERDUE, Problem, Scope, check_links, check_rows
from models.sessions import Event, Session, SigningKey, channel_comparison, signed_log
from models.sessions.metrics import derive_values
from models.sessions.model_usage import ModelUsage
from models.sessions.session import METRIC_COLUMNS
from models.sessions.submissions import Submission
from models.task_failures import TaskFailure, run_each
from rules.integrity import stored_events, unrecorded_calls
from rules.integrity.findings import EVENT_CODES, Finding, Findings
from rules.ledger import entries
from rules.ledger.chain import UNVERIFIED
from rules.metrics import derivation
from rules.session_close import FLUSH_WINDOW

MAX_INSERTED = 1_000
MAX_CHECKED = 10

# The findings' codes for rows of these tables; other rows of a session are `data_changed`.
_CODES = dict.fromkeys(
    ("sessions", "candidate_keys", "consents", "signing_keys", "erasures"), "session_changed"
)
_METRICS = {*METRIC_COLUMNS, "derivation_version", "event_count", "further_metrics", "recorded_line_ratio"}


def check_closed() -> int:
    """Check closed sessions that changed since their last check, at most MAX_CHECKED; return how many."""
    failures, now = TaskFailure.of("integrity"), clock.now()
    is_due = (Session.checked_version < Session.ledger_version) & (Session.closed_at < now - FLUSH_WINDOW)
    waiting = Session.select(Session.id).where(is_due, ~Session.metrics_due).order_by(Session.id)
    # Sessions whose check fails must not displace others.
    paused = {owner for owner, failure in failures.items() if failure.is_waiting(now)}
    due = [row for row in waiting.limit(MAX_CHECKED + len(failures)) if str(row.id) not in paused]
    return run_each("integrity", due[:MAX_CHECKED], lambda session: _check(session.id))


def _check(session_id: Any) -> bool:
    """Store the codes of a session's findings."""
    session = Session.get_by_id(session_id)
    findings = collect_findings(session)
    codes = list(dict.fromkeys(finding.code for finding in findings))
    # If the session changed during the check, it is due again.
    checked = {"integrity_checked_at": clock.now(), "checked_version": session.ledger_version}
    session.update_columns(integrity_codes=codes, **checked)
    return True


def collect_findings(session: Session) -> list[Finding]:
    """Return all findings about a session's recording, most serious first."""
    findings = Findings()
    with snapshot():
        session = Session.get_by_id(session.id)
        has_signing_key = bool(SigningKey.of(session))
        has_channels = Event.select().where(Event.session == session, Event.channel.is_null(False)).exists()
        _check_recording(session, findings, has_signing_key, has_channels)
        _check_metrics(session, findings, has_signing_key)
    collected = findings.sorted_by_severity()
    if session.key.erased_at is not None:
        return [Finding("erased"), *collected]
    collected += signed_log.signature_findings(session)
    collected += channel_comparison.differences(session)
    if calls := ModelUsage.unrecorded(session):
        collected += unrecorded_calls.findings(calls, Event.agent_arrivals(session))
    if session.rejected_event_count:
        collected.append(Finding("session_full", count=session.rejected_event_count))
    collected += Submission.findings(session)
    return collected


def _check_recording(session: Session, findings: Findings, has_signing_key: bool, has_channels: bool) -> None:
    """Compare a session's events and protected rows with the ledger."""
    scope = Scope(session.organization_id, session)
    for problem in (*check_rows(scope), *check_links(scope)):
        _add_problem(problem, findings)
    check_events(scope, findings, has_signing_key, has_channels)


def _add_problem(problem: Problem, findings: Findings) -> None:
    if problem.reason == UNVERIFIED:
        findings.add("seal_key_unknown")
    elif problem.table == "ledger_entries":
        findings.add("seal_missing" if problem.reason == "entry_missing" else "seal_broken")
    elif problem.table not in _CODES:
        findings.add_columns("data_changed", [problem.table])
    else:
        names = problem.columns or (f"{problem.table}_{problem.reason}",)
        metrics = [name for name in names if name in _METRICS]
        others = [name for name in names if name not in _METRICS]
        if metrics:
            findings.add_columns("metrics_changed", metrics)
        if others:
            findings.add_columns("session_changed", others)


# Events


def check_events(
    scope: Scope, findings: Findings, has_signing_key: bool = False, has_channels: bool = False
) -> None:
    """Compare a session's stored events with the listed ones."""
    session = scope.session
    assert session is not None
    if session.key_id in scope.erased_candidates:
        # Events that were inserted after the erasure.
        for event in Event.select(Event.event_id).where(Event.session == session).limit(MAX_INSERTED):
            findings.add("event_inserted", event.event_id)
        return
    for event_id in Event.repeated_ids(session):
        findings.add("event_inserted", event_id)
    listed = _listed_events(scope, findings)
    key = CandidateKey.get_or_none(CandidateKey.id == session.key_id)
    candidate_key = key.key if key else ""
    context = stored_events.Context(candidate_key, has_signing_key, has_channels, keys.known())
    columns = [getattr(Event, name) for name in stored_events.COLUMNS]
    events = Event.select(Event.seq, *columns).where(Event.session == session)
    for row in batches.read_wide(events, [Event.seq], Event.size):
        mac = listed.pop(row["event_id"], None)
        codes = set(stored_events.inspect(row, context, is_listed=mac is not None))
        is_due = row["seq"] <= session.listed_seq or row["received_at"] < scope.overdue_before
        if mac is None and is_due and "event_inserted" not in codes:
            codes.add("seal_missing")
        elif mac not in (None, row["arrival_mac"]):
            codes.add("event_changed")
        for code in codes:
            findings.add(code, row["event_id"])
        del row  # An envelope can be large: it must not stay in memory while the next one is read.
    for event_id in listed:
        findings.add("event_missing", event_id)


def _listed_events(scope: Scope, findings: Findings) -> dict[str, str]:
    """Return the MACs of the session's events in its entries, by event id."""
    listed: dict[str, str] = {}
    for row in scope.lists.order_by(LedgerEntry.id):
        is_signed = scope.is_signed(row)
        if is_signed is not True or row.content is None:
            findings.add("seal_key_unknown" if is_signed is None else "seal_broken")
        if is_signed is not False and row.content is not None:
            for event_id, mac in entries.listed(row.entry, "events").items():
                if listed.setdefault(event_id, mac) != mac:
                    # Deleted, and sent again with the same id.
                    findings.add("event_changed", event_id)
    return listed


# Metrics


def _check_metrics(session: Session, findings: Findings, has_signing_key: bool) -> None:
    """Recompute final metrics and compare them, if no event was changed."""
    if session.derivation_version is None or session.closed_at is None:
        return
    if has_signing_key and _is_too_long(session):
        findings.add("duration_too_long")
    # During the flush window, events that count can still arrive and change the metrics.
    final_at = session.closed_at + FLUSH_WINDOW
    is_final = clock.now() > final_at
    # Without the limit, anyone who keeps setting `metrics_due` could prevent the check.
    is_due = session.metrics_due and clock.now() < final_at + OVERDUE
    is_current = session.derivation_version == derivation.VERSION and not is_due
    if not (is_final and is_current) or findings.has_any(EVENT_CODES) or session.is_erased:
        return
    derived = asdict(derive_values(session))
    stored = session.columns(METRIC_COLUMNS) | {"event_count": session.event_count}
    stored |= session.further_metrics if isinstance(session.further_metrics, dict) else {}
    # Prices change without a new version.
    names = derived.keys() - {"version", "total_cost_nano_usd"}
    if changed := sorted(name for name in names if derived[name] != stored.get(name)):
        findings.add_columns("metrics_changed", changed)


def _is_too_long(session: Session) -> bool:
    if session.duration_ms is None or session.closed_at is None:
        return False
    available = session.closed_at + FLUSH_WINDOW - session.redeemed_at
    return timedelta(milliseconds=session.duration_ms) > available
