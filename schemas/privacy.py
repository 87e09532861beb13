"""A candidate's own data, and the receipt of its erasure."""

from schemas import common
from schemas.base import Schema, shape
from schemas.fields import Choice, Dict, Id, Integer, ListOf, Nested, String
from schemas.keys import STATUSES
from schemas.timestamps import Timestamp


class GivenConsent(Schema):
    """A recorded agreement."""

    disclosure_version = String("Version of the disclosure, if known.", example="2026-11-26", null=True)
    disclosure_hash = String("Hash of the text.", example="9f86d081884c7d65", null=True)
    given_at = Timestamp("Time of the consent.", attribute="created_at")


class StoredData(Schema):
    """Stored data of one kind."""

    name = String("Kind of data.", example="events")
    description = String("Description.", example="Events that your tools reported.")
    count = Integer("Number of records.", example=214)
    since = Timestamp("Time when the first was recorded.")
    until = Timestamp("Time when the last was recorded.")


class CandidateData(Schema):
    """Stored data of a candidate, its controller, and its retention."""

    candidate_id = Id("Id of the candidate key.")
    name = common.CANDIDATE_NAME
    email = common.CANDIDATE_EMAIL
    org_name = common.ORG_NAME
    contact = String("Contact address, if it is configured.", example="hiring@example.com", null=True)
    assessment_title = common.ASSESSMENT_TITLE
    session_id = Id("Session id, once the key is redeemed.", null=True)
    status = Choice(STATUSES, "Current status.", example="completed")
    consents = ListOf(GivenConsent, "Agreements, oldest first.")
    stored_data = ListOf(StoredData, "Stored data by kind; empty kinds are omitted.")
    retention_days = Integer("Days of retention after the end; null without a limit.", example=180, null=True)
    retained_until = Timestamp("Time when the data will be erased; null if no date is set.", null=True)
    erasure_requested_at = Timestamp("Time when the candidate asked for erasure.", null=True)


ErasureRequest = shape(
    "ErasureRequest",
    "Reviewers see the request.",
    erasure_requested_at=Timestamp("Time of the first request."),
)


class Receipt(Schema):
    """Proof that a candidate's data was erased."""

    id = Id("Unique id.")
    candidate_id = Id("Id of the candidate key.", attribute="key_id")
    session_id = Id("Session id, if there was a session; its metrics remain.", null=True)
    kind = Choice(["reviewer", "retention"], "Cause of the erasure.", example="reviewer")
    reviewer_id = Id("Id of the reviewer's token.", null=True)
    erased_at = Timestamp("Time of the erasure.", attribute="created_at")
    counts = Dict("Erased records, by kind.", values=Integer(), example={"events": 214, "keys": 1})


OneReceipt = shape("OneReceipt", "The receipt of an erasure.", receipt=Nested(Receipt, "The receipt."))
