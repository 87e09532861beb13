"""Check final seals and chain rows, and compare anchors with the database (`flask seals verify`)."""

from collections.abc import Iterable, Iterator
from typing import Any

import peewee

from models import (
    AuditChain,
    AuditEntry,
    CandidateKey,
    Consent,
    Erasure,
    Event,
    FinalSeal,
    Organization,
    Seal,
    Session,
    SigningKey,
    batches,
)
from models.database import snapshot
from models.ledger.malformed import find_malformed, is_well_formed
from models.sessions import final_seals
from rules.integrity.anchors import SESSION, Anchor
from rules.integrity.final_seals import is_complete

EVIDENCE: tuple[Any, ...] = (
    *(Organization, AuditChain, AuditEntry, CandidateKey, Consent, Erasure),
    *(Session, SigningKey, Event, Seal, FinalSeal),
)


def find_breaks() -> Iterator[str]:
    """Yield a line for each break of a final seal or of a row that counts them."""
    is_keyed = AuditChain.is_keyed()
    yield from _malformed_values()
    for organization in Organization.select().order_by(Organization.id):
        with snapshot():
            breaks = list(_organization_breaks(organization, is_keyed))
        yield from breaks
    # Malformed ids were reported above, and cannot be read in order.
    for seal in batches.read_all(FinalSeal.select().where(is_well_formed(FinalSeal.id)), FinalSeal.id):
        if seal.is_intact is not True:
            yield f"session {seal.session_id}, final seal {seal.number}: {_verdict(seal.is_intact)}"
    for session in batches.read_all(Session.select().where(is_well_formed(Session.id)), Session.id):
        yield from _session_breaks(session, is_keyed)
    yield from _erasure_breaks()


def _malformed_values() -> Iterator[str]:
    """Yield a line for each column with a value of the wrong type."""
    for table in EVIDENCE:
        for column in find_malformed(table):
            name = f"{table._meta.table_name}.{column.name}"
            yield f"{name}: has a value that the service never writes, first at rowid {column.rowid}"


def _erasure_breaks() -> Iterator[str]:
    """Yield a line for each candidate who is marked as erased without a receipt, or the reverse."""
    keys = CandidateKey.select(CandidateKey.id, CandidateKey.erased_at, Erasure.id)
    keys = keys.join(Erasure, peewee.JOIN.LEFT_OUTER, on=Erasure.key == CandidateKey.id)
    differs = CandidateKey.erased_at.is_null() != Erasure.id.is_null()
    for key in keys.where(differs).order_by(CandidateKey.id):
        state = "has a receipt of an erasure, but is not erased"
        yield f"candidate {key.id}: {'is erased without a receipt' if key.erased_at else state}"


def _organization_breaks(organization: Organization, is_keyed: bool) -> Iterator[str]:
    name = f"organization {organization.id}"
    chain = AuditChain.get_or_none(AuditChain.organization == organization)
    if chain is None:
        yield f"{name}: its chain row is missing"
        return
    count = FinalSeal.select().where(FinalSeal.organization == organization).count()
    if count != chain.final_seals:
        yield f"{name}: has {count} final seals instead of {chain.final_seals}"
    for column, expected, things in (
        (Session.final_seal_count, chain.final_seals, "final seals"),
        (Session.sealed_count, chain.sealed_events, "sealed events"),
    ):
        sessions = Session.select(peewee.fn.SUM(column)).where(Session.organization == organization)
        if (total := sessions.scalar() or 0) != expected:
            yield f"{name}: its sessions have {total} {things} instead of {expected}"
    if (is_keyed or chain.key_id) and chain.is_intact is not True:
        yield f"{name}: its chain row is {_verdict(chain.is_intact)}"


def _session_breaks(session: Session, is_keyed: bool) -> Iterator[str]:
    seals = list(FinalSeal.of(session))
    if len(seals) != session.final_seal_count:
        yield f"session {session.id}: has {len(seals)} final seals instead of {session.final_seal_count}"
    for seal in final_seals.broken_links(seals):
        yield f"session {session.id}, final seal {seal.number}: the seal before it was replaced"
    if is_keyed or session.seal_key_id:
        verdicts = final_seals.check_record(session, seals[-1] if seals else None)
        for part, verdict in zip(("event seal", "final seal"), verdicts, strict=True):
            if verdict is not True:
                yield f"session {session.id}: the record of its {part} is {_verdict(verdict)}"


def _verdict(is_intact: bool | None) -> str:
    return "signed with an unknown key" if is_intact is None else "not the one that the service signed"


def compare(anchors: Iterable[Anchor]) -> Iterator[tuple[Anchor, str | None]]:
    """Yield each anchor with its difference from the database, or None."""
    for anchor in anchors:
        difference = _session_difference if anchor.type == SESSION else _audit_difference
        yield anchor, difference(anchor.data)


def _session_difference(data: dict[str, Any]) -> str | None:
    is_anchored = (FinalSeal.session == data["sessionId"]) & (FinalSeal.number == data["number"])
    seal = FinalSeal.select().where(is_anchored).get_or_none()
    if seal is None:
        return "the seal is missing"
    if seal.is_intact is False or not is_complete(seal.content):
        return "the seal differs"
    events = seal.parts["events"]
    anchored = (data.get("mac"), data.get("head"), data["count"])
    if (seal.mac.hex(), events["head"], events["count"]) != anchored:
        return "the seal differs"
    session = Session.get_or_none(Session.id == seal.session_id)
    if session is None:
        return "the session is missing"
    stored = Seal.head_at(session, data["count"])
    if data["count"] and not session.is_erased and (stored is None or stored.hex() != data["head"]):
        return "the events have a different head"
    return None


def _audit_difference(data: dict[str, Any]) -> str | None:
    chain = AuditChain.get_or_none(AuditChain.organization == data["organizationId"])
    if chain is None:
        return "the organization's chain row is missing"
    stored = (chain.count, chain.sealed_events, chain.final_seals)
    # Anchors of earlier versions have no `sealedEvents`.
    anchored = (data["count"], data.get("sealedEvents"), data.get("finalSeals"))
    if any(isinstance(before, int) and now < before for now, before in zip(stored, anchored, strict=True)):
        return "the count went down to {} rows, {} sealed events and {} final seals".format(*stored)
    if not data["count"]:
        return None
    is_anchored = (AuditEntry.organization == data["organizationId"]) & (AuditEntry.position == data["count"])
    head: Any = AuditEntry.select(AuditEntry.hash).where(is_anchored).scalar()
    return None if head is not None and head.hex() == data.get("head") else "the row has a different hash"
