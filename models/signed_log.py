"""A session's signed events: verdicts, chain and log (docs/candidate-client.md#315-signed-log)."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.sessions import Event, Session, SigningKey
from rules import event_signatures
from rules.signature_chain import SignatureChain, SignedLink, order_chain


def count_verdicts(session: Session) -> Counter:
    """The number of events by verdict; None if the worker has not verified them yet."""
    query = Event.select(Event.verdict, peewee.fn.COUNT(Event.seq)).where(Event.session == session)
    rows: Any = query.group_by(Event.verdict).tuples()
    return Counter(dict(rows))


def invalid_events(session: Session) -> list[str]:
    """The ids of the events whose signature is by none of the session's keys."""
    query = Event.select(Event.event_id).where(Event.session == session).order_by(Event.seq)
    return [event.event_id for event in query.where(Event.verdict == event_signatures.INVALID)]


def build_chain(session: Session) -> SignatureChain:
    """The session's signed events in the order of their chain, and the chain's irregularities."""
    return order_chain(link for link, _ in _links(session))


def signed_log(session: Session) -> Iterator[dict[str, Any]]:
    """The signed events in the order of their chain, with hash, verdict and envelope."""
    public_keys = SigningKey.of(session)
    sizes = dict(_links(session))
    for batch in batches.split(order_chain(sizes).order, lambda link: sizes[link]):
        envelopes = Event.envelopes([link.seq for link in batch])
        # An envelope is missing if the event has been erased.
        yield from (_entry(link, envelopes[link.seq], public_keys) for link in batch if link.seq in envelopes)


def _entry(link: SignedLink, text: str, public_keys: list[str]) -> dict[str, Any]:
    judgement = event_signatures.verify(text, public_keys)
    return {
        "id": link.id,
        "ts": json.loads(text)["ts"],
        "sig": link.sig,
        "prev_sig": link.prev_sig,
        "event_hash": judgement.event_hash,
        "sig_verified": judgement.verdict == event_signatures.VALID,
        "payload": text,
    }


def _links(session: Session) -> Iterator[tuple[SignedLink, int]]:
    """Each signed event's link, and the size of its envelope."""
    query = Event.select(Event.seq, Event.time_ns, Event.envelope, Event.size).where(Event.session == session)
    for row in batches.read_wide(query, [Event.seq], Event.size):
        envelope = json.loads(row["envelope"])
        sig, prev_sig = envelope.get("sig"), envelope.get("prevSig")
        if isinstance(sig, str) and sig:
            previous = prev_sig if isinstance(prev_sig, str) else None
            yield SignedLink(envelope["id"], sig, previous, row["time_ns"], row["seq"]), row["size"]
