"""Check a session's recording: events, seals, final seals and columns (docs/integrity.md)."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from models import batches
from models.base import clock
from models.database import snapshot
from models.ledger import seal_keys
from models.ledger.audit import AuditChain
from models.ledger.malformed import find_malformed
from models.ledger.seals import EVENT_COLUMNS, Seal, digest, unsealed
from models.privacy import Erasure
from models.sessions import Event, Session, SigningKey, channel_comparison, final_seals, signed_log
from models.sessions.final_seals import FinalSeal
from models.sessions.metrics import derive_values
from models.sessions.model_usage import ModelUsage
from models.sessions.submissions import Submission
from models.task_failures import TaskFailure, run_each
from rules.integrity import final_seals as rules
from rules.integrity import seals, stored_events
from rules.integrity.findings import END_CODES, EVENT_CODES, Finding, Findings
from rules.metrics import derivation
from rules.session_close import FLUSH_WINDOW
from rules.timestamps import format_timestamp

MAX_INSERTED = 1_000
MAX_CHECKED = 10


def check_sealed() -> int:
    """Check at most MAX_CHECKED sessions with a new final seal, and store their findings' codes; return how many."""
    failures, now = TaskFailure.of("integrity"), clock.now()
    is_due = Session.checked_seal_count < Session.final_seal_count
    waiting = Session.select(Session.id).where(is_due).order_by(Session.id).limit(MAX_CHECKED + len(failures))
    # Sessions with failed checks must not displace other sessions.
    paused = {owner for owner, failure in failures.items() if failure.is_waiting(now)}
    due = [session for session in waiting if str(session.id) not in paused]
    return run_each("integrity", due[:MAX_CHECKED], lambda session: _check(session.id))


def _check(session_id: Any) -> bool:
    session = Session.get_by_id(session_id)
    codes = list(dict.fromkeys(finding.code for finding in collect_findings(session)))
    # If a seal was appended during the check, the session is due again.
    checked = {"integrity_checked_at": clock.now(), "checked_seal_count": session.final_seal_count}
    session.update_columns(integrity_codes=codes, **checked)
    return True


def collect_findings(session: Session) -> list[Finding]:
    """Return all findings about a session's recording, most serious first."""
    findings = _check_recording(session).sorted_by_severity()
    if session.key.erased_at is not None:
        return [Finding("erased"), *findings]
    findings += signed_log.signature_findings(session)
    findings += channel_comparison.differences(session)
    if count := ModelUsage.not_recorded(session):
        findings.append(Finding("call_not_recorded", count=count))
    if session.rejected_event_count:
        findings.append(Finding("session_full", count=session.rejected_event_count))
    return [*findings, *Submission.findings(session)]


def _check_recording(session: Session) -> Findings:
    """Compare a session's recording with its seals, and look for implausible claims of its client.

    Reads the events in batches. Ignores events that arrive during the check.
    """
    findings = Findings()
    with snapshot():
        last = Seal.last_position(session)
        session = Session.get_by_id(session.id)
        final = list(FinalSeal.of(session))
        is_erased = session.key.erased_at is not None
        has_receipt = Erasure.select().where(Erasure.key == session.key_id).exists()
        has_signing_key = bool(SigningKey.of(session))
    newest = final[-1] if final else None
    _check_types(session, findings)
    _check_final_seal(session, final, findings, is_erased)
    if is_erased != has_receipt:
        findings.add_columns("session_changed", ["erased_at"])
    if is_erased:
        # Inserted after the erasure.
        for event in Event.select(Event.event_id).where(Event.session == session).limit(MAX_INSERTED):
            findings.add("event_inserted", event.event_id)
    else:
        _check_events(session, last, newest, findings, has_signing_key)
        _check_metrics(session, findings, has_signing_key)
    _check_record(session, newest, findings)
    return findings


def _check_types(session: Session, findings: Findings) -> None:
    """Find values that do not have their column's type."""
    tables: tuple[Any, ...] = (Event, Seal, FinalSeal, SigningKey)
    searches = [(Session, Session.id, session.id), *((table, table.session, session.id) for table in tables)]
    for table, column, value in searches:
        names = [malformed.name for malformed in find_malformed(table, column, value)]
        if names:
            findings.add_columns("value_malformed", [f"{table._meta.table_name}.{name}" for name in names])


def _check_events(
    session: Session, last: int, newest: FinalSeal | None, findings: Findings, has_signing_key: bool
) -> None:
    for event_id in Event.repeated_ids(session):
        findings.add("event_inserted", event_id)
    checker = _EventChecker(session, findings, has_signing_key)
    rows = checker.read(Seal.sealed(session, max(last, session.sealed_count)))
    keys = seal_keys.known()
    # The final seal and the session's row were signed after the events' seals. One known key is enough.
    key_id = newest.key_id if newest and newest.key_id in keys else session.seal_key_id
    record = (session.seal_head, session.sealed_count, keys, key_id)
    for broken in seals.find_breaks(str(session.id), rows, *record):
        checker.add_break(broken)
    waiting = unsealed().select(Event.seq, *EVENT_COLUMNS).where(Event.session == session)
    for row in batches.read_wide(waiting, [Event.seq], Event.size):
        checker.inspect(row)
        del row


class _EventChecker:
    """Read a session's events once, and check both their seals and their columns.

    Reports an event's findings after checking its seal: a changed event is one finding, not several.
    """

    def __init__(self, session: Session, findings: Findings, has_signing_key: bool):
        self._session, self._findings = session, findings
        self._context = stored_events.Context(
            candidate_key=session.key.key,
            closed_at=session.closed_at or session.closed_as_of(clock.now()),
            has_signing_key=has_signing_key,
            requires_mac=AuditChain.is_keyed(),
            keys=seal_keys.known(),
        )
        self._waiting: tuple[str | None, list[str]] = (None, [])

    def read(self, rows: Iterator[dict[str, Any]]) -> Iterator[seals.SealedEvent]:
        for row in rows:
            self._report()
            received_at = envelope_sha256 = None
            if row["envelope"] is not None:
                received_at, envelope_sha256 = format_timestamp(row["received_at"]), digest(row["envelope"])
                self._waiting = (row["event_id"], list(stored_events.inspect(row, self._context)))
            head, key_id = row["head"], row["key_id"]
            sealed = seals.SealedEvent(
                row["position"], row["event_seq"], received_at, envelope_sha256, head, key_id
            )
            del row  # An envelope can be large: it must not stay in memory while the next one is read.
            yield sealed
        self._report()

    def inspect(self, row: dict[str, Any]) -> None:
        """Check an unsealed event."""
        for code in stored_events.inspect(row, self._context):
            self._findings.add(code, row["event_id"])

    def add_break(self, broken: seals.Break) -> None:
        if broken.reason == "key_unknown":
            self._findings.add("seal_key_unknown", events=broken.events)
            return
        if broken.reason == "changed":
            self._waiting = (None, [])
        self._findings.add_break(broken, Seal.event_id_at(self._session, broken.position))

    def _report(self) -> None:
        event_id, codes = self._waiting
        for code in codes:
            self._findings.add(code, event_id)
        self._waiting = (None, [])


def _check_final_seal(session: Session, final: list[FinalSeal], findings: Findings, is_erased: bool) -> None:
    if not final:
        closed_at = session.closed_at
        is_overdue = closed_at is not None and clock.now() > closed_at + rules.DELAY + rules.OVERDUE
        if session.final_seal_count or is_overdue:
            findings.add("seal_missing")
        return
    verdicts = [seal.is_intact for seal in final]
    is_chained = not list(final_seals.broken_links(final))
    if len(final) != session.final_seal_count or False in verdicts or not is_chained:
        findings.add("seal_missing")
    if None in verdicts:
        findings.add("seal_key_unknown")
    if verdicts[-1]:
        sealed = final[-1].parts
        for code, names in rules.differences(sealed, final_seals.contents(session)):
            findings.add_columns(code, names)
        _check_end(session, sealed["events"], findings, is_erased)


def _check_end(session: Session, sealed: dict[str, Any], findings: Findings, is_erased: bool) -> None:
    """Compare the events with the final seal's head. Late events may follow it."""
    count, head = sealed["count"], sealed.get("head")
    stored = session.seal_head if is_erased else Seal.head_at(session, count)
    if session.sealed_count < count:
        findings.add("tail_truncated", events=count - session.sealed_count)
    elif count and (stored is None or stored.hex() != head):
        findings.add("seal_broken")


def _check_record(session: Session, newest: FinalSeal | None, findings: Findings) -> None:
    """Verify the two MACs in the session's row."""
    if session.seal_key_id is None and not AuditChain.is_keyed():
        return
    events, final = final_seals.check_record(session, newest)
    if None in (events, final):
        findings.add("seal_key_unknown")
    if final is False and not findings.has_any({"seal_missing"}):
        findings.add("seal_missing")
    if events is False and not findings.has_any(END_CODES):
        findings.add("tail_truncated")


def _check_metrics(session: Session, findings: Findings, has_signing_key: bool) -> None:
    """Recompute and compare the metrics, if they are final and no event was changed."""
    if session.derivation_version is None:
        return
    if has_signing_key and _is_too_long(session):
        findings.add("duration_too_long")
    # Events that arrive earlier still change them.
    is_final = session.closed_at is not None and clock.now() > session.closed_at + rules.DELAY
    is_current = session.derivation_version == derivation.VERSION and not session.metrics_due
    if not (is_final and is_current) or findings.has_any(EVENT_CODES):
        return
    derived = asdict(derive_values(session))
    stored = session.columns(final_seals.METRIC_COLUMNS) | {"event_count": session.event_count}
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
