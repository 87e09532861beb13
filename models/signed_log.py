"""How the signed events of a session stand: verdicts, the chain of the client, the signed log (contract 7, 3.15)."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import peewee

from models import batches
from models.sessions import Event, Session, SigningKey
from rules import event_signatures
from rules.signature_chain import SignatureChain, SignedLink, order_chain


def verdicts(session: Session) -> Counter:
    """How many events have each verdict; None counts those that the worker has not judged yet."""
    query = Event.select(Event.verdict, peewee.fn.COUNT(Event.seq)).where(Event.session == session)
    rows: Any = query.group_by(Event.verdict).tuples()
    return Counter(dict(rows))


def invalid(session: Session) -> list[str]:
    """The ids of the events whose signature none of the session's keys made."""
    query = Event.select(Event.event_id).where(
        Event.session == session, Event.verdict == event_signatures.INVALID
    )
    rows: Any = query.order_by(Event.seq).tuples()
    return [event_id for (event_id,) in rows]


def chain_of(session: Session) -> SignatureChain:
    """The session's signed events in the order of their chain, and what stands out."""
    return order_chain(link for link, _ in _links(session))


def signed_log(session: Session) -> Iterator[dict[str, Any]]:
    """The signed events in the order of their chain, with event hash and verdict, the envelope as it was sent."""
    keys = SigningKey.of(session)
    sizes = dict(_links(session))
    for batch in batches.batches(order_chain(sizes).order, lambda link: sizes[link]):
        envelopes = _envelopes([link.seq for link in batch])
        # One that is missing has been erased in between.
        yield from (_entry(link, envelopes[link.seq], keys) for link in batch if link.seq in envelopes)


def _envelopes(numbers: list[int]) -> dict[int, str]:
    rows: Any = Event.select(Event.seq, Event.envelope).where(Event.seq.in_(numbers)).tuples()
    return dict(rows)


def _entry(link: SignedLink, text: str, keys: list[str]) -> dict[str, Any]:
    judged = event_signatures.verify(text, keys)
    return {
        "id": link.id,
        "ts": json.loads(text)["ts"],
        "sig": link.sig,
        "prev_sig": link.prev_sig,
        "event_hash": judged.event_hash,
        "sig_verified": judged.verdict == event_signatures.VALID,
        "payload": text,
    }


def _links(session: Session) -> Iterator[tuple[SignedLink, int]]:
    """Each signed event's link, and the size of its envelope."""
    query = Event.select(Event.seq, Event.time_ns, Event.envelope, Event.size).where(Event.session == session)
    for seq, time_ns, text, size in batches.rows(query, Event.seq, Event.size):
        envelope = json.loads(text)
        sig, prev_sig = envelope.get("sig"), envelope.get("prevSig")
        if isinstance(sig, str) and sig:
            prev = prev_sig if isinstance(prev_sig, str) else None
            yield SignedLink(envelope["id"], sig, prev, time_ns, seq), size
