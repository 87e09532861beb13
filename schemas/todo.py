"""The caller's to-do lists."""

from typing import Any

from schemas import common
from schemas.base import Schema, define_schema
from schemas.fields import Choice, Flag, Id, Integer, ListOf, Nested, String
from schemas.invitations import KINDS
from schemas.queries import Filter, Limit
from schemas.timestamps import Timestamp
from schemas.webhooks import EXAMPLE_URL, REASONS

DEFAULT_LIMIT = 20


class TodoQuery(Filter):
    """Maximum length of each list."""

    limit = Limit(DEFAULT_LIMIT)


class TodoCandidate(Schema):
    """A candidate. Name and address are null in a blind assessment until the caller has scored the session."""

    candidate_id = Id("Id of the candidate key.")
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    external_id = common.EXTERNAL_ID
    blind = Flag("True if the assessment hides names and addresses until the caller scores.", example=False)
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE


class TodoSession(TodoCandidate):
    """A session to score or discuss."""

    session_id = Id("Session id.")
    closed_at = Timestamp("Time when it closed; null while it is open.", null=True)
    erasure_requested_at = Timestamp("Time when the candidate requested erasure.", null=True)


class SessionToScore(TodoSession):
    """A session to score."""

    assigned = Flag("True if it is assigned to the caller.", example=True)
    due_at = Timestamp("Due date of the assignment.", null=True)


class FailedMessage(TodoCandidate):
    """A message that could not be delivered."""

    delivery_id = Id("Id for `POST /v1/deliveries/{id}/retry`.")
    kind = Choice(KINDS, "Kind of message.", example="invitation")
    last_error = String("The email server's last error.", example="550 5.1.1 No such user", null=True)
    created_at = Timestamp("Time when it was queued.")


class ExpiringKey(TodoCandidate):
    """A key that has not been redeemed."""

    expires_at = Timestamp("Expiry.")


class StalledTestRun(TodoCandidate):
    """A test run that failed, or that no runner claims."""

    session_id = Id("Session id.")
    state = Choice(["waiting", "failed"], "State of the run.", example="failed")
    reason = String("Reason why the last attempt failed.", example="The image does not exist.", null=True)
    created_at = Timestamp("Time when it was queued.")


class FailedCheck(Schema):
    """An assessment whose hidden tests are not ready."""

    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE
    problem = String("Reason.", example="The repository passes all tests without a solution.", null=True)
    finished_at = Timestamp("Time when the check ended.")


class LostSubmission(TodoCandidate):
    """A submission that the bundle store has lost."""

    session_id = Id("Session id.")
    received_at = Timestamp("Time when it was received.")


class PendingErasure(TodoCandidate):
    """A candidate who requested erasure."""

    erasure_requested_at = Timestamp("Time when the candidate requested erasure.")


class FailingWebhook(Schema):
    """A webhook that is failing or was disabled automatically."""

    webhook_id = Id("Webhook id.")
    url = String("URL that events are sent to.", example=EXAMPLE_URL)
    description = String("Purpose.", example="Applicant tracking", null=True)
    disabled_reason = Choice(
        REASONS, "Reason why it was disabled; null while it is enabled.", example="failing", null=True
    )
    failing_since = Timestamp(
        "Time of the first failure since the last success, or when it was disabled.", null=True
    )
    last_error = String("The last error.", example="The receiver responded with 500.", null=True)


def _todo_list(name: str, description: str, entry: type[Schema], **more: Any) -> Nested:
    """Declare a to-do list."""
    todo_list = define_schema(
        name,
        description,
        count=Integer("Number of entries, including entries beyond `limit`.", example=3),
        entries=ListOf(entry, "Oldest entries, at most `limit`."),
        **more,
    )
    return Nested(todo_list, f"{description} Null if the caller has no access to this work.", null=True)


class Todo(Schema):
    """The caller's to-do lists, oldest first."""

    unscored = _todo_list(
        "UnscoredSessions",
        "Closed sessions without a decision in which the caller has not scored every criterion; for service accounts, "
        "any criterion. Assigned sessions come first, by due date, and candidates who requested erasure last.",
        SessionToScore,
        assigned_count=Integer(
            "Number of entries that are assigned to the caller.", dump_default=0, example=2
        ),
    )
    disagreements = _todo_list(
        "Disagreements",
        "Undecided sessions whose reviewers' scores are visible to the caller and at least 2 levels apart.",
        TodoSession,
    )
    failed_messages = _todo_list(
        "FailedMessages",
        "Latest invitations and reminders that could not be delivered, for keys that can still be redeemed.",
        FailedMessage,
    )
    expiring_keys = _todo_list("ExpiringKeys", "Keys that expire within 3 days.", ExpiringKey)
    stalled_test_runs = _todo_list(
        "StalledTestRuns",
        "Undecided sessions whose hidden tests could not be run, or have been waiting for more than five minutes while "
        "no runner is alive.",
        StalledTestRun,
    )
    failed_checks = _todo_list(
        "FailedChecks", "Assessments whose latest check failed, or found a problem.", FailedCheck
    )
    lost_submissions = _todo_list(
        "LostSubmissions",
        "Submissions that the bundle store has lost. An operator restores them and runs `flask submissions read "
        "--again`. For admins.",
        LostSubmission,
    )
    erasure_requests = _todo_list("ErasureRequests", "Erasure requests. For admins.", PendingErasure)
    failing_webhooks = _todo_list(
        "FailingWebhooks",
        "Webhooks that are failing or were disabled automatically. For admins.",
        FailingWebhook,
    )
