"""A candidate's stored data, and the receipt for its erasure."""

from schemas import common
from schemas.base import Body, Schema, define_schema
from schemas.fields import Choice, Dict, Id, Integer, ListOf, Nested, String, Text
from schemas.keys import STATUSES
from schemas.timestamps import Timestamp


class Consent(Schema):
    """A recorded consent."""

    disclosure_version = String(
        "The disclosure's version, if known.", example="2026-11-30+3fa9c1d2", null=True
    )
    disclosure_hash = String("The disclosure's hash.", example="9f86d081884c7d65", null=True)
    given_at = Timestamp("Time of the consent.", attribute="created_at")


class StoredData(Schema):
    """Stored data of one kind."""

    name = String("Kind of data.", example="events")
    description = String("Description.", example="Events that your tools reported.")
    count = Integer("Number of records.", example=214)
    since = Timestamp("Time of the first record.")
    until = Timestamp("Time of the last record.")


class CandidateData(Schema):
    """A candidate's stored data and its retention."""

    candidate_id = Id("Id of the candidate key.")
    name = common.CANDIDATE_NAME
    email = common.CANDIDATE_EMAIL
    external_id = common.EXTERNAL_ID
    org_name = common.ORG_NAME
    contact = String("Contact address, if configured.", example="hiring@example.com", null=True)
    assessment_title = common.ASSESSMENT_TITLE
    session_id = Id("Session id; null until the key is redeemed.", null=True)
    status = Choice(STATUSES, "Candidate's status.", example="completed")
    task_read_at = common.TASK_READ_AT
    consents = ListOf(Consent, "Consents, oldest first.")
    stored_data = ListOf(StoredData, "Stored data by kind, without empty kinds.")
    retention_days = Integer(
        "Days to keep the data after the session ends; null if unlimited.", example=180, null=True
    )
    retained_until = Timestamp("Time when the data will be erased; null if not set.", null=True)
    erasure_requested_at = Timestamp("Time when the candidate requested erasure.", null=True)
    erasure_dismissal = String(
        "Reason for dismissing the last erasure request; null without one.",
        example="You did not send the request.",
        null=True,
    )


ErasureRequest = define_schema(
    "ErasureRequest",
    "The erasure request.",
    erasure_requested_at=Timestamp("Time of the first request; null if it was dismissed.", null=True),
)


class ErasureDismissal(Body):
    """The dismissal of an erasure request."""

    reason = Text(
        2000, "Reason. The candidate sees it.", example="You did not send the request.", required=True
    )


class Receipt(Schema):
    """Proof of the erasure of a candidate's data."""

    id = Id("Unique id.")
    candidate_id = Id("Id of the candidate key.", attribute="key_id")
    session_id = Id("Session id; null without a session. Its metrics remain.", null=True)
    kind = Choice(["reviewer", "retention"], "Cause of the erasure.", example="reviewer")
    reviewer_id = Id("Id of the reviewer's token.", null=True)
    erased_at = Timestamp("Time of the erasure.", attribute="created_at")
    counts = Dict("Erased records, by kind.", values=Integer(), example={"events": 214, "keys": 1})


ErasureResponse = define_schema(
    "ErasureResponse",
    "The receipt for an erasure.",
    receipt=Nested(Receipt, "The receipt."),
    copies=ListOf(
        String(), "Applicant-tracking systems that keep notes about the candidate.", example=["Ashby (ashby)"]
    ),
)
