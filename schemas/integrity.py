"""Integrity of a session's record, its signed log, and its submissions."""

from rules.integrity.findings import CODES
from schemas.base import Schema, shape
from schemas.candidate_session import Envelope
from schemas.feed_events import SEAL_REASONS
from schemas.fields import EXAMPLE_ID, Choice, Flag, Integer, ListOf, Nested, String, Verbatim
from schemas.members import EXAMPLE_PUBLIC_KEY
from schemas.sessions import SealHead
from schemas.timestamps import Timestamp

# Those of storage/bundle_listing.py, and of any other entry.
FILE_TYPES = (
    *("file", "directory", "symbolic link", "hard link", "character device", "block device", "named pipe"),
    *("sparse file", "unknown"),
)


class EventCounts(Schema):
    """Numbers of events by verdict and seal."""

    events = Integer("Stored events, including late ones.", example=214)
    valid = Integer("Signed by one of the session's keys.", example=200)
    invalid = Integer("Signed, but the signature matches none of the session's keys.", example=0)
    unsigned = Integer("Without a signature; the editor extension never signs.", example=14)
    unknown_key = Integer("Signed, but the session has no public key.", example=0)
    not_judged = Integer("Not verified yet: the worker verifies large events.", example=0)
    sealed = Integer("Covered by the server's seal.", example=214)
    unsealed = Integer("Accepted but not sealed yet, and so not protected.", example=0)


class Finding(Schema):
    """An irregularity in the recording: an observation, not a judgment."""

    code = Choice(
        CODES,
        "Kind of irregularity: of the record, of the client's claims, of its signatures, or of the service.",
        example="chain_gap",
    )
    event_ids = ListOf(String(), "Affected events, at most 100.", example=[EXAMPLE_ID])
    count = Integer("Number of affected events.", example=1)
    explanation = String("Meaning and causes.", example="The event that this one follows is missing.")


class NewestSeal(Schema):
    """The newest final seal of a session."""

    number = Integer("Number of the seal; each legitimate change appends one.", example=1)
    reason = Choice(SEAL_REASONS, "Why it was appended.", example="closed")
    key_id = String(
        "Id of the seal key that signed it; null without `SEAL_KEYS`.", example="4f0c2ab1", null=True
    )
    sealed_at = Timestamp("When it was appended.", attribute="created_at")


class Integrity(Schema):
    """Findings about a session's record, with explanations and without a score."""

    counts = Nested(EventCounts, "Numbers of events by verdict and seal.")
    public_keys = ListOf(String(), "Public keys, newest first.", example=[EXAMPLE_PUBLIC_KEY])
    seal = Nested(SealHead, "State of the server's seal.")
    final_seal = Nested(
        NewestSeal, "The newest final seal; null until ten minutes after the close.", null=True
    )
    findings = ListOf(Finding, "Irregularities found.")


class SignedEvent(Schema):
    """A signed event in its chain."""

    id = String("Event id.", example=EXAMPLE_ID)
    ts = String("Time as sent.", example="2026-04-02T09:12:44.123456789Z")
    sig = String("Signature, hexadecimal; truncated to 128 characters.", example="4fe47400" * 16)
    prev_sig = String(
        "The previous event's signature, truncated to 128 characters; null for the first.", null=True
    )
    event_hash = String("SHA-256 of the signed message.", example="bd2d0e9b" * 8, null=True)
    sig_verified = Flag(
        "Whether one of the session's keys made the signature; null until the worker has verified a large event.",
        example=True,
        null=True,
    )
    payload = Verbatim(Envelope, "The envelope as sent.")


class SignedLog(Schema):
    """The signed events of a session in chain order."""

    session_id = String("Session id.", example=EXAMPLE_ID)
    signing_pubkey = String("The latest registered public key; empty for an unsigned session.", example="")
    events = ListOf(SignedEvent, "Events.")


class BundleFile(Schema):
    """One entry of a bundle."""

    name = String("Name, made safe to display.", example="src/orders.py")
    type = Choice(FILE_TYPES, "Type.", example="file")
    size = Integer("Size in bytes.", example=2048)
    unsafe = String("Why it is unsafe to unpack; null if it is safe.", null=True)


class SubmissionFacts(Schema):
    """A submission, and whether the stored bundle matches it."""

    submitted_at = Timestamp("When it was submitted.", attribute="created_at")
    verdict = Choice(["verified", "mismatch", "missing"], "State of the bundle.", example="verified")
    bundle_size = Integer("Size in bytes that the client submitted.", example=20480)
    bundle_sha256 = String("SHA-256 that the client submitted.", example="e3b0c442" * 8)
    found_size = Integer("Size of the stored bundle in bytes.", example=20480, null=True)
    found_sha256 = String("SHA-256 of the stored bundle.", null=True)
    repo_url = String("Repository URL, as submitted.", null=True)
    base_sha = String("Base commit of the diff, as submitted.", null=True)
    diff = String("The diff; only of the submission that counts.", null=True)
    file_tree = ListOf(
        String(), "The files; only of the submission that counts.", example=["orders.py"], null=True
    )


class BundleListing(Schema):
    """The files of a session's bundle."""

    submission = Nested(SubmissionFacts, "The submission that the bundle belongs to.")
    files = ListOf(BundleFile, "Entries of the bundle, up to the limits.")
    problem = String("Why the list is incomplete; null if it is complete.", null=True)


Submissions = shape(
    "Submissions", "All submissions of a session.", submissions=ListOf(SubmissionFacts, "Oldest first.")
)
