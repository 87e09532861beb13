"""Final seals of closed sessions (R43, rules/integrity/final_seals.py), and the MACs in a session's row."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import peewee

from errors import UnknownSealKey
from models.base import BytesField, Model, Query, clock
from models.feed import FeedEvent
from models.fields import IntegerField, TextField
from models.keys import CandidateKey
from models.ledger import seal_keys
from models.ledger.audit import AuditChain
from models.orgs import Organization
from models.sessions.events import SigningKey
from models.sessions.session import METRIC_COLUMNS, Consent, Session
from rules.integrity import anchors, final_seals
from rules.integrity.seal_keys import mac
from rules.timestamps import format_timestamp

TIME_COLUMNS = ("created_at", "closes_at", "closed_at")
TEST_COLUMNS = ("tests_passed_count", "tests_failed_count", "tests_skipped_count")


class FinalSeal(Model):
    """The signed state of a closed session. Seals never change: a legitimate change appends a new one.

    `content` is JSON text with the parts of rules/integrity/final_seals.py: numbers, times, states and hashes, but no
    names. Its `previous` part has the preceding seal's MAC, which prevents replacing an earlier seal.
    """

    personal_data = None  # only numbers, times and states
    organization = peewee.ForeignKeyField(Organization)
    session = peewee.ForeignKeyField(Session, index=False)
    number = IntegerField()
    reason = TextField()
    content = TextField()
    key_id = TextField(null=True)
    mac = BytesField()

    class Meta:
        indexes = ((("session", "number"), True),)

    @classmethod
    def of(cls, session: Session) -> Query:
        """The session's final seals, oldest first."""
        return cls.select().where(cls.session == session).order_by(cls.number)

    @classmethod
    def newest(cls, session: Session) -> "FinalSeal | None":
        return cls.select().where(cls.session == session).order_by(cls.number.desc()).first()

    @property
    def parts(self) -> dict[str, Any]:
        return json.loads(self.content)

    @property
    def signed_fields(self) -> tuple[str, ...]:
        ids = (str(self.organization_id), str(self.session_id), str(self.number))
        return final_seals.VERSION, *ids, format_timestamp(self.created_at), self.reason, self.content

    @property
    def is_intact(self) -> bool | None:
        """True if the MAC matches; None if its key is unknown. Without a key id, the MAC is a plain hash."""
        if self.key_id is None:
            is_complete = final_seals.is_complete(self.content)
            return is_complete and self.mac == mac(None, *self.signed_fields)
        return seal_keys.is_signed(self.key_id, self.mac, *self.signed_fields)


def contents(session: Session) -> dict[str, Any]:
    """Return a closed session's current parts."""
    times = {name: _text(getattr(session, name)) for name in TIME_COLUMNS}
    metrics = session.columns(("derivation_version", "event_count", *METRIC_COLUMNS))
    return {
        "events": {"count": session.sealed_count, "head": session.seal_head and session.seal_head.hex()},
        "times": times | {"closed_by": session.closed_by},
        "completion": {"completed_at": _text(session.completed_at)},
        "metrics": metrics | {"further": final_seals.without_names(session.further_metrics)},
        "tests": session.columns(TEST_COLUMNS),
        "status": {"status": session.closed_status, "hired_at": _text(session.hired_at)},
        "erasure": {"erased": session.is_erased},
        "owner": _owner(session),
        "client": {"public_keys": _hash(*sorted(SigningKey.of(session)))},
        "submission": {"manual_line_ratio": session.manual_line_ratio},
    }


def _owner(session: Session) -> dict[str, Any]:
    """Return the values that never change after the close. Excludes consents recorded after the session's start."""
    key = CandidateKey.get_or_none(CandidateKey.id == session.key_id)
    consents = Consent.select().where(Consent.key == session.key_id, Consent.created_at <= session.created_at)
    return {
        "assessment_id": str(session.assessment_id),
        "candidate_id": str(session.key_id),
        "candidate_key": key and _hash(key.key),
        "consent": _hash(*sorted(consent.text for consent in consents)),
        "rejected_event_count": session.rejected_event_count,
    }


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _text(time: datetime | None) -> str | None:
    return None if time is None else format_timestamp(time)


def append(session: Session, reason: str, *parts: str) -> None:
    """Append a final seal to a locked, closed session.

    parts -- the changed parts. All other parts keep their sealed values, so a new seal never covers up tampering. The
        first seal has all parts.

    Raises UnknownSealKey, except for an erasure, which succeeds without a new seal.
    """
    newest = FinalSeal.newest(session)
    if newest is not None and newest.is_intact is None and reason != "erased":
        raise UnknownSealKey()
    if newest is not None and not newest.is_intact:
        return
    current = contents(session)
    content = newest.parts | {part: current[part] for part in parts} if newest else current
    if newest is not None and content == newest.parts:
        return
    content["previous"] = {"mac": newest.mac.hex() if newest else None}
    seal = FinalSeal(
        session=session,
        organization=session.organization_id,
        created_at=clock.now(),
        number=max(session.final_seal_count, newest.number if newest else 0) + 1,
        reason=reason,
        content=json.dumps(content, sort_keys=True, separators=(",", ":")),
    )
    seal.key_id, secret = seal_keys.signing()
    seal.mac = mac(secret, *seal.signed_fields)
    seal.save(force_insert=True)
    update_record(session, newest, seal, final_seal_count=session.final_seal_count + 1)
    AuditChain.add(session.organization_id, final_seals=1)
    FeedEvent.publish(session.organization_id, anchors.SESSION, payload(session, seal))


def renew(session: Session, reason: str, *parts: str) -> None:
    """Append a final seal after a change to these parts, if the locked session already has one."""
    if session.final_seal_count:
        append(session, reason, *parts)


def broken_links(seals: Iterable[FinalSeal]) -> Iterator[FinalSeal]:
    """Yield the session's final seals that name the wrong predecessor."""
    before = None
    for seal in seals:
        if seal.is_intact and final_seals.names_wrong_predecessor(seal.parts, before.mac if before else None):
            yield seal
        before = seal


def payload(session: Session, seal: FinalSeal) -> dict[str, Any]:
    """Return the payload of a seal's anchor, with ids as text."""
    parts = seal.parts
    ids = session.ids | {"organizationId": seal.organization_id}
    return {name: str(value) for name, value in ids.items()} | {
        "number": seal.number,
        "reason": seal.reason,
        "status": parts["status"].get("status"),
        "count": parts["events"]["count"],
        "head": parts["events"].get("head"),
        "keyId": seal.key_id,
        "mac": seal.mac.hex(),
    }


# A session's row has two MACs: one covers the head of its events, the other its newest final seal.


def record_fields(session: Session, newest: FinalSeal | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the signed fields of the events' MAC and of the final seals' MAC."""
    head = session.seal_head.hex() if session.seal_head else ""
    events = ("PROOFSTONE-SESSION-EVENTS-V1", str(session.id), str(session.sealed_count), head)
    count = str(session.final_seal_count)
    return events, ("PROOFSTONE-SESSION-FINAL-V1", str(session.id), count, newest.mac.hex() if newest else "")


def check_record(session: Session, newest: FinalSeal | None) -> tuple[bool | None, bool | None]:
    """Return whether each of the two MACs matches; None if their key is unknown."""
    events, final = record_fields(session, newest)
    return (
        seal_keys.is_signed(session.seal_key_id, session.seal_mac, *events),
        seal_keys.is_signed(session.seal_key_id, session.final_seal_mac, *final),
    )


def sign_record(session: Session, newest: FinalSeal | None) -> dict[str, Any]:
    """Return the columns with the key id and the two MACs."""
    (key_id, events), (_, final) = (seal_keys.sign(*fields) for fields in record_fields(session, newest))
    return {"seal_key_id": key_id, "seal_mac": events, "final_seal_mac": final}


def update_record(
    session: Session, before: FinalSeal | None, newest: FinalSeal | None, **columns: Any
) -> None:
    """Change columns that the MACs cover, and sign the session's row again.

    before -- the newest final seal before the change
    newest -- the newest final seal after it

    Replaces a MAC that did not match with an empty one: a valid one would cover up tampering. Raises UnknownSealKey if
    it cannot be verified.
    """
    verdicts = check_record(session, before)
    if None in verdicts:
        raise UnknownSealKey()
    is_adopted = session.seal_key_id is not None or not seal_keys.known() or AuditChain.is_keyed()
    for name, value in columns.items():
        setattr(session, name, value)
    if is_adopted:
        columns |= sign_record(session, newest)
        for name, matches in zip(("seal_mac", "final_seal_mac"), verdicts, strict=True):
            if not matches:
                columns[name] = b""
    session.update_columns(**columns)
