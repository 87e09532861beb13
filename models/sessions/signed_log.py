"""Signed events of a session: verdicts, chain and log (docs/candidate-client.md, 3.15)."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.sessions import Event, Session
from rules.events.envelopes import field
from rules.integrity import event_signatures, findings
from rules.integrity.canonical_json import replace_surrogates
from rules.integrity.event_signatures import MAX_SIGNATURE_CHARACTERS
from rules.integrity.findings import Finding, chain_groups
from rules.integrity.signature_chain import SignedLink, order_chain


def count_verdicts(session: Session) -> Counter:
    """Count events by verdict. The verdict is None for events that are not verified yet."""
    query = Event.select(Event.verdict, peewee.fn.COUNT(Event.seq)).where(Event.session == session)
    rows: Any = query.group_by(Event.verdict).tuples()
    return Counter(dict(rows))


def signature_findings(session: Session) -> Iterator[Finding]:
    """Yield the findings about the session's signatures and their chain."""
    invalid = Event.select().where(Event.session == session, Event.verdict == event_signatures.INVALID)
    if count := invalid.count():
        first = invalid.select(Event.event_id).order_by(Event.seq).limit(findings.MAX_EVENT_IDS)
        yield Finding("signature_invalid", [event.event_id for event in first], count)
    groups = [(code, seqs) for code, seqs in chain_groups(order_chain(_links(session))) if seqs]
    ids = Event.ids([seq for _, seqs in groups for seq in seqs[: findings.MAX_EVENT_IDS]])
    for code, seqs in groups:
        yield Finding(code, [ids[seq] for seq in seqs[: findings.MAX_EVENT_IDS] if seq in ids], len(seqs))


def signed_log(session: Session, public_keys: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the signed events in chain order, with hash, verdict and envelope."""
    for row in Event.read_in_order(order_chain(_links(session)).order):
        yield _entry(row["envelope"], row["verdict"], public_keys)


def _entry(text: str, verdict: str | None, public_keys: list[str]) -> dict[str, Any]:
    # Only a valid signature shows which variant of the message the client signed.
    keys = public_keys if verdict == event_signatures.VALID else []
    check = event_signatures.verify(text, keys)
    envelope = json.loads(text)
    sig, prev_sig = _signatures(envelope)
    return {
        "id": _replace_lone_surrogates(field(envelope, "id")),
        "ts": _replace_lone_surrogates(field(envelope, "ts")),
        "sig": _replace_lone_surrogates(sig[:MAX_SIGNATURE_CHARACTERS]),
        "prev_sig": _replace_lone_surrogates(prev_sig and prev_sig[:MAX_SIGNATURE_CHARACTERS]),
        "event_hash": check.event_hash,
        "sig_verified": None if verdict is None else bool(keys) and check.verdict == event_signatures.VALID,
        "payload": text,
    }


def _replace_lone_surrogates(value: Any) -> Any:
    """Replace lone surrogates, which are stored only if the database was changed directly."""
    return replace_surrogates(value) if isinstance(value, str) else value


def _links(session: Session) -> Iterator[SignedLink]:
    query = Event.select(Event.seq, Event.time_ns, Event.envelope, Event.size).where(Event.session == session)
    for row in batches.read_wide(query, [Event.seq], Event.size):
        try:
            sig, prev_sig = _signatures(json.loads(row.pop("envelope")))
        except (ValueError, RecursionError):
            continue  # Changed directly in the database. The ledger's verification reports it.
        if sig:
            yield SignedLink.from_signatures(row["seq"], row["time_ns"], sig, prev_sig)


def _signatures(envelope: Any) -> tuple[str, str | None]:
    """Return an envelope's `sig` ("" if it is not signed) and `prevSig` (None if it has none)."""
    sig, prev_sig = field(envelope, "sig"), field(envelope, "prevSig")
    return sig if isinstance(sig, str) else "", prev_sig if isinstance(prev_sig, str) else None
