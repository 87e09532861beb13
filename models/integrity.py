"""Check a session's record: its events, their seals, its final seal and its columns (docs/integrity.md)."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from models import batches, seal_keys
from models.audit import AuditChain
from models.base import clock
from models.database import snapshot
from models.seals import EVENT_COLUMNS, Seal, digest, unsealed
from models.sessions import Event, Session, SigningKey, final_seals
from models.sessions.final_seals import FinalSeal
from models.sessions.metrics import derive_values
from rules import final_seals as rules
from rules import integrity, metrics, seals, stored_events
from rules.integrity import Findings
from rules.session_close import COUNTED_AFTER_CLOSE
from rules.timestamps import format_timestamp


def examine(session: Session) -> Findings:
    """The differences between a session's record and its seals, and doubtful claims of its client.

    Reads the events in batches. Correct while the worker seals: events that arrive meanwhile are left out.
    """
    findings = Findings()
    with snapshot():
        last = Seal.last_position(session)
        session = Session.get_by_id(session.id)
        newest = FinalSeal.newest(session)
        count = FinalSeal.select().where(FinalSeal.session == session).count()
        is_erased = session.key.erased_at is not None
    _check_final_seal(session, newest, count, findings, is_erased)
    if not is_erased:
        _check_events(session, last, findings)
        _check_metrics(session, findings)
    _check_record(session, newest, findings)
    return findings


# Events


def _check_events(session: Session, last: int, findings: Findings) -> None:
    walk = _Walk(session, findings)
    rows = walk.read(Seal.sealed(session, max(last, session.sealed_count)))
    keys = seal_keys.known()
    for broken in seals.find_breaks(str(session.id), rows, session.seal_head, session.sealed_count, keys):
        walk.add_break(broken)
    waiting = unsealed().select(Event.seq, *EVENT_COLUMNS).where(Event.session == session)
    for row in batches.read_wide(waiting, [Event.seq], Event.size):
        walk.inspect(row)


class _Walk:
    """Read the events of a session once, and check both their seals and their columns.

    An event's facts are reported after its seal has been checked, so that a changed event is one fact, not several.
    """

    def __init__(self, session: Session, findings: Findings):
        self._session, self._findings = session, findings
        self._context = stored_events.Context(
            candidate_key=session.key.key,
            closed_at=session.closed_at or session.closed_as_of(clock.now()),
            has_signing_key=bool(SigningKey.of(session)),
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
            yield seals.SealedEvent(
                row["position"], row["event_seq"], received_at, envelope_sha256, head, key_id
            )
        self._report()

    def inspect(self, row: dict[str, Any]) -> None:
        """Check an event that is not sealed yet."""
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


# The session's columns


def _check_final_seal(
    session: Session, newest: FinalSeal | None, count: int, findings: Findings, is_erased: bool
) -> None:
    if newest is None:
        closed_at = session.closed_at
        is_overdue = closed_at is not None and clock.now() > closed_at + rules.DELAY + rules.OVERDUE
        if session.final_seal_count or is_overdue:
            findings.add("seal_missing")
        return
    is_intact = newest.is_intact
    if is_intact is None:
        findings.add("seal_key_unknown")
        return
    if count != session.final_seal_count or not is_intact:
        findings.add("seal_missing")
    if is_intact:
        sealed = newest.parts
        for code, names in rules.differences(sealed, final_seals.contents(session)):
            findings.add_columns(code, names)
        _check_end(session, sealed["events"], findings, is_erased)


def _check_end(session: Session, sealed: dict[str, Any], findings: Findings, is_erased: bool) -> None:
    """Compare the events with the head in the final seal. Late events may follow it."""
    count, head = sealed["count"], sealed["head"]
    stored = session.seal_head if is_erased else Seal.head_at(session, count)
    if session.sealed_count < count:
        findings.add("tail_truncated", events=count - session.sealed_count)
    elif count and (stored is None or stored.hex() != head):
        findings.add("seal_broken")


def _check_record(session: Session, newest: FinalSeal | None, findings: Findings) -> None:
    """Compare the session's row with the MACs in it."""
    if session.seal_key_id is None and not AuditChain.is_keyed():
        return
    events, final = final_seals.check_record(session, newest)
    if None in (events, final):
        findings.add("seal_key_unknown")
    if final is False and not findings.has_any({"seal_missing"}):
        findings.add("seal_missing")
    if events is False and not findings.has_any(integrity.END_CODES):
        findings.add("tail_truncated")


def _check_metrics(session: Session, findings: Findings) -> None:
    """Derive the metrics again and compare them, if they are final and no event was changed."""
    if session.derivation_version is None:
        return
    if SigningKey.of(session) and _is_too_long(session):
        findings.add("duration_too_long")
    # Until then, an event that counts may still arrive and change them.
    is_final = session.closed_at is not None and clock.now() > session.closed_at + rules.DELAY
    is_current = session.derivation_version == metrics.VERSION and not session.metrics_due
    if not (is_final and is_current) or findings.has_any(integrity.EVENT_CODES):
        return
    derived = asdict(derive_values(session))
    stored = session.columns(final_seals.METRIC_COLUMNS) | {"event_count": session.event_count}
    stored |= session.further_metrics if isinstance(session.further_metrics, dict) else {}
    # Prices change without a new version.
    names = derived.keys() - {"version", "total_cost_nano_usd"}
    # Sessions that closed before these were derived do not have them.
    names -= {"known_exit_code_count", "attributed_change_count"} - stored.keys()
    if changed := sorted(name for name in names if derived[name] != stored.get(name)):
        findings.add_columns("metrics_changed", changed)


def _is_too_long(session: Session) -> bool:
    if session.duration_ms is None or session.closed_at is None:
        return False
    available = session.closed_at + COUNTED_AFTER_CLOSE - session.redeemed_at
    return timedelta(milliseconds=session.duration_ms) > available
