"""Integrity of a session's record, its signed log, and its submissions."""

from marshmallow import fields

from schemas import EXAMPLE_ID, Schema, Timestamp, described
from schemas.sessions import SealHead


class EventCounts(Schema):
    """Numbers of events by verdict and seal."""

    events = fields.Integer(metadata=described("Stored events, including late ones.", 214))
    valid = fields.Integer(metadata=described("Signed by one of the session's keys.", 200))
    invalid = fields.Integer(
        metadata=described("Signed, but the signature matches none of the session's keys.", 0)
    )
    unsigned = fields.Integer(
        metadata=described("Without a signature; the editor extension never signs.", 14)
    )
    unknown_key = fields.Integer(metadata=described("Signed, but the session has no public key.", 0))
    not_judged = fields.Integer(metadata=described("Not verified yet: the worker verifies large events.", 0))
    sealed = fields.Integer(metadata=described("Covered by the server's seal.", 214))
    unsealed = fields.Integer(metadata=described("Accepted but not sealed yet, and so not protected.", 0))


class Fact(Schema):
    """An irregularity in the record: a fact, not a judgment."""

    code = fields.String(
        metadata=described(
            "Kind of irregularity: `event_changed`, `event_missing`, `seal_broken`, `signature_invalid`, `chain_gap`, "
            "`chain_fork`, `chain_restart`, `signature_repeated`, `chain_circle`, `clock_jump` or `erased`.",
            "chain_gap",
        )
    )
    event_ids = fields.List(
        fields.String(), metadata=described("Affected events, at most 100.", [EXAMPLE_ID])
    )
    count = fields.Integer(metadata=described("Number of affected events.", 1))
    explanation = fields.String(
        metadata=described("Meaning and possible causes.", "The event that this one follows is missing.")
    )


class Integrity(Schema):
    """Facts about a session's record, with explanations, and no score."""

    counts = fields.Nested(EventCounts, metadata=described("Numbers of events by verdict and seal."))
    public_keys = fields.List(
        fields.String(),
        metadata=described(
            "The session's public keys, latest first.", ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="]
        ),
    )
    seal = fields.Nested(SealHead, metadata=described("State of the server's seal."))
    facts = fields.List(fields.Nested(Fact), metadata=described("Irregularities found."))


class SignedEvent(Schema):
    """A signed event in its chain."""

    id = fields.String(metadata=described("The event's id.", EXAMPLE_ID))
    ts = fields.String(metadata=described("Its time as sent.", "2026-04-02T09:12:44.123456789Z"))
    sig = fields.String(metadata=described("Its signature, hexadecimal.", "4fe47400" * 16))
    prev_sig = fields.String(
        allow_none=True, metadata=described("The previous event's signature; null for the first.")
    )
    event_hash = fields.String(
        allow_none=True, metadata=described("SHA-256 of the signed message.", "bd2d0e9b" * 8)
    )
    sig_verified = fields.Boolean(
        metadata=described("Whether one of the session's keys made the signature.", True)
    )
    payload = fields.Raw(
        metadata=described("The envelope as sent.", {"id": EXAMPLE_ID, "v": 1}, type="object")
    )


class SignedLog(Schema):
    """The signed events of a session in the order of their chain."""

    session_id = fields.String(metadata=described("The session.", EXAMPLE_ID))
    signing_pubkey = fields.String(
        metadata=described("The latest registered public key; empty for an unsigned session.", "")
    )
    events = fields.List(fields.Nested(SignedEvent), metadata=described("The events."))


class BundleFile(Schema):
    """One entry of a bundle."""

    name = fields.String(metadata=described("Its name, made safe to display.", "src/orders.py"))
    type = fields.String(
        metadata=described("Its type, such as `file`, `directory` or `symbolic link`.", "file")
    )
    size = fields.Integer(metadata=described("Its size in bytes.", 2048))
    unsafe = fields.String(
        allow_none=True, metadata=described("Why it is unsafe to unpack; null if it is safe.")
    )


class SubmissionFacts(Schema):
    """A submission, and whether the stored bundle matches it."""

    submitted_at = Timestamp(attribute="created_at", metadata=described("When it was submitted."))
    verdict = fields.String(
        metadata=described(
            "`verified`, `mismatch` or `missing`.", "verified", enum=["verified", "mismatch", "missing"]
        )
    )
    bundle_size = fields.Integer(metadata=described("Size in bytes that the client submitted.", 20480))
    bundle_sha256 = fields.String(metadata=described("SHA-256 that the client submitted.", "e3b0c442" * 8))
    found_size = fields.Integer(
        allow_none=True, metadata=described("Size of the stored bundle in bytes.", 20480)
    )
    found_sha256 = fields.String(allow_none=True, metadata=described("SHA-256 of the stored bundle."))
    repo_url = fields.String(allow_none=True, metadata=described("The repository, as submitted."))
    base_sha = fields.String(
        allow_none=True, metadata=described("The base commit of the diff, as submitted.")
    )
    diff = fields.String(allow_none=True, metadata=described("The diff; only of the submission that counts."))
    file_tree = fields.List(
        fields.String(), allow_none=True, metadata=described("The files; only of the submission that counts.")
    )


class BundleListing(Schema):
    """The files of a session's bundle."""

    submission = fields.Nested(
        SubmissionFacts, metadata=described("The submission that the bundle belongs to.")
    )
    files = fields.List(fields.Nested(BundleFile), metadata=described("Its entries, up to the limits."))
    problem = fields.String(
        allow_none=True,
        metadata=described("Why the list is incomplete, such as damage or a limit; null if it is complete."),
    )


class Submissions(Schema):
    """All submissions of a session, oldest first."""

    submissions = fields.List(fields.Nested(SubmissionFacts), metadata=described("The submissions."))
