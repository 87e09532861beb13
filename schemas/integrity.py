"""Integrity of a session's recording, and its signed log."""

from rules.integrity.findings import CODES
from schemas.base import Schema
from schemas.candidate_session import Envelope
from schemas.common import EXAMPLE_PUBLIC_KEY, Checkpoint
from schemas.fields import EXAMPLE_ID, Choice, Flag, Integer, ListOf, Nested, String, Verbatim


class EventCounts(Schema):
    """Event counts by signature verdict and ledger status."""

    events = Integer("Stored events, including late ones.", example=214)
    valid = Integer("Signed by one of the session's keys.", example=200)
    invalid = Integer("Signature matches none of the session's keys.", example=0)
    unsigned = Integer("Unsigned. The editor extension never signs.", example=14)
    unknown_key = Integer("Signed, but the session has no public key.", example=0)
    not_judged = Integer("Not verified yet: the worker verifies large events in the background.", example=0)
    recorded = Integer("Events up to the last one listed in the ledger.", example=214)
    not_recorded = Integer("Events not listed in the ledger yet.", example=0)


class Finding(Schema):
    """An observation about the recording, not a judgment."""

    code = Choice(CODES, "Finding code.", example="chain_gap")
    event_ids = ListOf(String(), "Affected events, at most 100.", example=[EXAMPLE_ID])
    count = Integer("Number of affected events or model calls.", example=1)
    explanation = String("Explanation with possible causes.", example="The previous event is missing.")


class Integrity(Schema):
    """Findings about a session's recording, with explanations and without a score."""

    counts = Nested(EventCounts, "Event counts by signature verdict and ledger status.")
    public_keys = ListOf(String(), "Public keys, newest first.", example=[EXAMPLE_PUBLIC_KEY])
    checkpoint = Nested(
        Checkpoint, "Checkpoint that covers the close; null until ten minutes after the close.", null=True
    )
    findings = ListOf(Finding, "Findings.")


class SignedEvent(Schema):
    """A signed event in its chain."""

    id = String("Event id.", example=EXAMPLE_ID)
    ts = String("Event time as sent.", example="2026-04-02T09:12:44.123456789Z")
    sig = String("Hexadecimal signature, truncated to 128 characters.", example="4fe47400" * 16)
    prev_sig = String("Previous event's signature, truncated to 128 characters; null if first.", null=True)
    event_hash = String("SHA-256 of the signed message.", example="bd2d0e9b" * 8, null=True)
    sig_verified = Flag(
        "True if signed by one of the session's keys; null until the worker has verified a large event.",
        example=True,
        null=True,
    )
    payload = Verbatim(Envelope, "The envelope as sent.")


class SignedLog(Schema):
    """A session's signed events in chain order."""

    session_id = String("Session id.", example=EXAMPLE_ID)
    signing_pubkey = String("Latest public key; empty for an unsigned session.", example="")
    events = ListOf(SignedEvent, "Events.")
