"""Event types of the feed and webhooks, and their payloads."""

from rules.delivery.event_types import EVENT_TYPES, TEST_EVENT, TEST_EVENT_DESCRIPTION
from rules.statistics.fairness import DECISIONS
from schemas import common
from schemas.base import Schema, define_schema
from schemas.common import Checkpoint
from schemas.fields import Choice, Id, Integer, Nested, Number, String
from schemas.keys import SESSION_STATUSES, STATUSES
from schemas.timestamps import Timestamp


class NamedCandidate(Schema):
    """A candidate's name and email address."""

    name = common.CANDIDATE_NAME
    email = common.CANDIDATE_EMAIL


class CandidatePayload(Schema):
    """Base of payloads about a candidate."""

    candidate_id = Id("Candidate key id.")
    external_id = common.EXTERNAL_ID
    candidate = Nested(NamedCandidate, "Only in webhooks with `includePersonal`.", optional=True)


class KeyPayload(CandidatePayload):
    """A candidate key."""

    assessment_id = Id("Assessment id.")
    status = Choice(STATUSES, "Candidate's status.", example="pending")


class SessionIds(CandidatePayload):
    """A session's ids."""

    session_id = Id("Session id.")
    assessment_id = Id("Assessment id.")


class SessionPayload(SessionIds):
    """A session and its status."""

    status = Choice(SESSION_STATUSES, "Session status.", example="completed")


class TestRunPayload(SessionIds):
    """A test run that has ended."""

    test_run_id = Id("Test run id.")
    state = Choice(["finished", "untrusted", "failed", "timed_out"], "State.", example="finished")
    passed = Integer("Tests that passed; null if the runner could not run them.", example=9, null=True)
    total = Integer("Tests that count; null if the runner could not run them.", example=12, null=True)


class AssessmentPayload(Schema):
    """An assessment."""

    assessment_id = Id("Assessment id.")


class InvitePayload(CandidatePayload):
    """An invitation."""

    invite_id = Id("Delivery id.")
    state = Choice(
        ["sent", "saved", "failed"],
        "`saved`: saved as a file, because no email server is configured.",
        example="sent",
    )


class DecisionPayload(CandidatePayload):
    """A hiring decision."""

    assessment_id = Id("Assessment id.")
    session_id = Id("Session id; null before the session starts.", null=True)
    decision = Choice(DECISIONS, "New decision.", example="advanced")
    previous_decision = Choice(DECISIONS, "Previous decision.", example="undecided")


class ScorePayload(SessionIds):
    """A score for one criterion."""

    criterion = String("Criterion key.", example="quality")
    value = Number(
        "Level value; null in the feed while the scores are hidden from the caller.",
        example=3,
        null=True,
    )
    rubric_version = Integer("Rubric version.", example=1)


class ErasurePayload(CandidatePayload):
    """An erasure."""

    assessment_id = Id("Assessment id.")
    session_id = Id("Session id; null if no session was started.", null=True)
    kind = Choice(["reviewer", "retention"], "Cause.", example="reviewer")


class OrderPayload(CandidatePayload):
    """An order of an integration."""

    candidate_id = Id("Candidate key id; null before the invitation.", null=True)
    assessment_id = Id("Assessment id.")
    integration_id = Id("Integration id.")
    order_id = Id("Order id.")
    state = String("Order state.", example="submitted")
    reason = String("With `attention`: the reason.", example="no_address", null=True)


class CheckpointPayload(Checkpoint):
    """A checkpoint of the organization's ledger."""

    organization_id = Id("Organization id.")
    sessions = Integer("Number of sessions.", example=96)


class TestPayload(Schema):
    """The tested webhook."""

    webhook_id = Id("Webhook id.")


PAYLOADS: dict[str, type[Schema]] = {
    "assessment.created": AssessmentPayload,
    "assessment.deleted": AssessmentPayload,
    "key.created": KeyPayload,
    "key.revoked": KeyPayload,
    "invite.sent": InvitePayload,
    "invite.failed": InvitePayload,
    "session.started": SessionPayload,
    "session.completed": SessionPayload,
    "session.expired": SessionPayload,
    "test_run.finished": TestRunPayload,
    "candidate.decided": DecisionPayload,
    "candidate.hired": SessionPayload,
    "score.updated": ScorePayload,
    "score.withdrawn": ScorePayload,
    "candidate.erased": ErasurePayload,
    "candidate.erasure_requested": KeyPayload,
    "order.created": OrderPayload,
    "order.attention": OrderPayload,
    "order.reported": OrderPayload,
    "ledger.checkpoint": CheckpointPayload,
    TEST_EVENT: TestPayload,
}


def _event(event_type: str, description: str) -> type[Schema]:
    """Define an event type's schema. Raises KeyError at start if the type has no payload."""
    name = "".join(word.capitalize() for word in event_type.split(".")) + "Event"
    return define_schema(
        name,
        description,
        id=Id("Unique id; the `webhook-id` in webhook requests."),
        type=Choice([event_type], "Event type.", example=event_type),
        timestamp=Timestamp("Event time."),
        data=Nested(PAYLOADS[event_type], "Ids and states."),
    )


FEED_EVENTS = {name: _event(name, description) for name, description in EVENT_TYPES.items()}
WEBHOOK_EVENTS = FEED_EVENTS | {TEST_EVENT: _event(TEST_EVENT, TEST_EVENT_DESCRIPTION)}
