"""What can be said about whether a session's record is whole and unchanged."""

from marshmallow import fields

from schemas import EXAMPLE_ID, Schema, Timestamp, described
from schemas.sessions import SealHead


class EventCounts(Schema):
    """How many events there are of each sort."""

    events = fields.Integer(metadata=described("Stored events, late ones included.", 214))
    valid = fields.Integer(metadata=described("Signed by one of the session's keys.", 200))
    invalid = fields.Integer(metadata=described("Signed, but by none of the keys for this content.", 0))
    unsigned = fields.Integer(
        metadata=described("Without a signature; the editor's extension never signs.", 14)
    )
    unknown_key = fields.Integer(metadata=described("Signed, but the session has no key to check with.", 0))
    not_judged = fields.Integer(
        metadata=described("Not judged yet: large events are judged by the worker.", 0)
    )
    sealed = fields.Integer(metadata=described("Closed by the server's seal.", 214))
    unsealed = fields.Integer(
        metadata=described("Accepted and not sealed yet; nothing is promised about them.", 0)
    )


class Fact(Schema):
    """Something that stands out. A fact, no judgement."""

    code = fields.String(
        metadata=described(
            "What it is: `event_changed`, `event_missing`, `seal_broken`, `signature_invalid`, `chain_gap`, "
            "`chain_fork`, `chain_restart`, `signature_repeated`, `chain_circle`, `clock_jump` or `erased`.",
            "chain_gap",
        )
    )
    event_ids = fields.List(fields.String(), metadata=described("The events concerned.", [EXAMPLE_ID]))
    count = fields.Integer(metadata=described("How many events are concerned.", 1))
    explanation = fields.String(
        metadata=described(
            "What it means, and what else may be behind it.", "An event that this one follows is not there."
        )
    )


class Integrity(Schema):
    """Facts about a session's record, with explanations, and no score."""

    counts = fields.Nested(EventCounts, metadata=described("How many events there are of each sort."))
    public_keys = fields.List(
        fields.String(),
        metadata=described(
            "The session's public keys, latest first.", ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="]
        ),
    )
    seal = fields.Nested(SealHead, metadata=described("Where the server's seal stands."))
    facts = fields.List(fields.Nested(Fact), metadata=described("What stands out; empty if nothing does."))


class SignedEvent(Schema):
    """A signed event in its chain."""

    id = fields.String(metadata=described("The event's id.", EXAMPLE_ID))
    ts = fields.String(metadata=described("Its time as it was sent.", "2026-04-02T09:12:44.123456789Z"))
    sig = fields.String(metadata=described("Its signature, hexadecimal.", "4fe47400" * 16))
    prev_sig = fields.String(
        allow_none=True, metadata=described("The signature of the one before; null for the first.")
    )
    event_hash = fields.String(
        allow_none=True, metadata=described("SHA-256 of the signed message.", "bd2d0e9b" * 8)
    )
    sig_verified = fields.Boolean(
        metadata=described("Whether one of the session's keys made the signature.", True)
    )
    payload = fields.Raw(
        metadata=described("The envelope as it was sent.", {"id": EXAMPLE_ID, "v": 1}, type="object")
    )


class SignedLog(Schema):
    """The signed events of a session in the order of their chain."""

    session_id = fields.String(metadata=described("The session.", EXAMPLE_ID))
    signing_pubkey = fields.String(
        metadata=described("The latest public key, as it was registered; empty for an unsigned session.", "")
    )
    events = fields.List(fields.Nested(SignedEvent), metadata=described("The events."))


class BundleFile(Schema):
    """One entry of a bundle."""

    name = fields.String(metadata=described("Its name as it stands in the bundle.", "src/orders.py"))
    type = fields.String(
        metadata=described("What it is: `file`, `directory`, `symbolic link` and so on.", "file")
    )
    size = fields.Integer(metadata=described("Its size in bytes.", 2048))
    unsafe = fields.String(
        allow_none=True, metadata=described("Why it must not be unpacked as it is, if so.")
    )


class SubmissionFacts(Schema):
    """What was submitted, and whether it is in the store as the client told."""

    submitted_at = Timestamp(attribute="created_at", metadata=described("When it was submitted."))
    verdict = fields.String(
        metadata=described(
            "`verified`, `mismatch` or `missing`.", "verified", enum=["verified", "mismatch", "missing"]
        )
    )
    bundle_size = fields.Integer(metadata=described("Bytes of the bundle, as told.", 20480))
    bundle_sha256 = fields.String(metadata=described("SHA-256 of the bundle, as told.", "e3b0c442" * 8))
    found_size = fields.Integer(allow_none=True, metadata=described("Bytes that lay in the store.", 20480))
    found_sha256 = fields.String(allow_none=True, metadata=described("SHA-256 of what lay in the store."))
    repo_url = fields.String(allow_none=True, metadata=described("The repository, as told."))
    base_sha = fields.String(
        allow_none=True, metadata=described("The commit that the diff is against, as told.")
    )
    diff = fields.String(allow_none=True, metadata=described("The diff, of the submission that counts."))
    file_tree = fields.List(
        fields.String(), allow_none=True, metadata=described("The files, of the submission that counts.")
    )


class BundleListing(Schema):
    """What a session's bundle holds, without unpacking it."""

    submission = fields.Nested(
        SubmissionFacts, metadata=described("The submission that the bundle belongs to.")
    )
    files = fields.List(fields.Nested(BundleFile), metadata=described("Its entries, up to a limit."))
    problem = fields.String(
        allow_none=True,
        metadata=described("Why the list ends before the bundle does, if so: damage or a limit."),
    )


class Submissions(Schema):
    """All submissions of a session, oldest first."""

    submissions = fields.List(fields.Nested(SubmissionFacts), metadata=described("The submissions."))
