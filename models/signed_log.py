"""A session's signed events: verdicts, the client's chain, the signed log (docs/candidate-client.md#315-signed-log)."""

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
    """How many events have each verdict; None counts those that the worker has not verified yet."""
    query = Event.select(Event.verdict, peewee.fn.COUNT(Event.seq)).where(Event.session == session)
    rows: Any = query.group_by(Event.verdict).tuples()
    return Counter(dict(rows))


def invalid_events(session: Session) -> list[str]:
    """The ids of the events with a signature that none of the session's keys made."""
    query = Event.select(Event.event_id).where(
        Event.session == session, Event.verdict == event_signatures.INVALID
    )
    rows: Any = query.order_by(Event.seq).tuples()
    return [event_id for (event_id,) in rows]


def build_chain(session: Session) -> SignatureChain:
    """The session's signed events in the order of their chain, and its irregularities."""
    return order_chain(link for link, _ in _links(session))


def signed_log(session: Session) -> Iterator[dict[str, Any]]:
    """The signed events in the order of their chain, with event hash, verdict and the envelope as it was sent."""
    public_keys = SigningKey.of(session)
    sizes = dict(_links(session))
    for batch in batches.split(order_chain(sizes).order, lambda link: sizes[link]):
        envelopes = Event.envelopes([link.seq for link in batch])
        # An envelope is missing if the event was erased meanwhile.
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
