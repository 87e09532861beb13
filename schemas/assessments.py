"""Assessments, in and out."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from rules.rows import row_id, row_time
from schemas import Body, Count, Deleted, Dollars, Id, RepositoryUrl, Schema, Text, Timestamp, described
from schemas.briefs import StructuredBrief
from schemas.issues import Issue

TOOLS = ("claude", "codex")

EXAMPLE_BRIEF = "Orders are lost when two arrive at once. Find out why, fix it, and add a test that shows it."


class NewAssessment(Body):
    """What a new assessment needs."""

    title = Text(255, required=True, metadata=described("Assessment name.", "Backend API Challenge"))
    role = Text(255, required=True, metadata=described("Role being assessed.", "Senior Backend Engineer"))
    task_brief = fields.String(
        metadata=described(
            "Task description shown to the candidate, at most 50,000 characters. Required when issueId is not "
            "provided; blank counts as not provided. Takes precedence over the issue's.",
            EXAMPLE_BRIEF,
            maxLength=50000,
        )
    )
    issue_id = Id(
        metadata=described(
            "An issue of the problem library, from which taskBrief and repoUrl are copied if not given."
        )
    )
    repo_url = RepositoryUrl(
        metadata=described(
            "Repository for the candidate to work in: an absolute http, https or ssh URL without a password.",
            "https://github.com/example/orders",
        )
    )
    time_limit_minutes = Count(
        1, 43_200, metadata=described("Time limit in minutes, counted from redeem.", 90)
    )
    expires_in_days = Count(
        1, 365, load_default=7, metadata=described("Days before generated candidate keys expire.", 7)
    )
    reminder_days_before = Count(
        1,
        364,
        metadata=described(
            "Days before a key's expiry at which a candidate who has not begun is reminded; less than expiresInDays. "
            "Nobody is reminded if it is left out."
        ),
    )
    rubric_id = Id(metadata=described("A scoring rubric to apply to sessions from this assessment."))
    brief = fields.Nested(
        StructuredBrief, metadata=described("The task in a structured form, for clients that show one.")
    )
    setup_instructions = Text(
        10_000, metadata=described("How to set the workspace up; shown to the candidate.", "make setup")
    )
    allowed_tools = fields.List(
        fields.String(validate=validate.OneOf(TOOLS)),
        validate=validate.Length(min=1, max=len(TOOLS)),
        metadata=described("The AI tools that may be used; all if left out.", ["claude", "codex"]),
    )
    token_budget_usd = Dollars(
        metadata=described(
            "What a candidate's calls through the model proxies may cost together, in USD.", 20
        )
    )

    @ma.pre_load
    def leave_out_a_blank_brief(self, data: dict, **kwargs: Any) -> dict:
        # Blank counts as not provided (R6), which the issue may still make good.
        return {name: value for name, value in data.items() if name != "taskBrief" or not _is_blank(value)}

    @ma.post_load
    def as_it_is_stored(self, data: dict, **kwargs: Any) -> dict:
        return _stored(data)

    @ma.validates("task_brief")
    def brief_is_not_too_long(self, value: str, **kwargs: Any) -> None:
        if len(value) > 50_000:
            raise ma.ValidationError("Longer than maximum length 50000.")

    @ma.validates_schema
    def reminder_comes_after_the_invitation(self, data: dict, **kwargs: Any) -> None:
        if data.get("reminder_days_before", 0) >= data["expires_in_days"]:
            raise ma.ValidationError("Must be less than expiresInDays.", "reminderDaysBefore")

    @ma.validates_schema(skip_on_field_errors=False, pass_original=True)
    def brief_or_issue(self, data: dict, original: dict, **kwargs: Any) -> None:
        if _is_blank(original.get("taskBrief")) and original.get("issueId") is None:
            raise ma.ValidationError("Required when issueId is not provided.", "taskBrief")


class AssessmentChange(Body):
    """What changes about an assessment; an explicit null clears."""

    is_change = True

    title = Text(255, metadata=described("Assessment name.", "Backend API Challenge"))
    role = Text(255, metadata=described("Role being assessed.", "Senior Backend Engineer"))
    task_brief = Text(50_000, metadata=described("Task description shown to the candidate.", EXAMPLE_BRIEF))
    repo_url = RepositoryUrl(
        allow_none=True,
        metadata=described(
            "Repository for the candidate to work in: an absolute http, https or ssh URL without a password.",
            "https://github.com/example/orders",
        ),
    )
    time_limit_minutes = Count(
        1,
        43_200,
        allow_none=True,
        metadata=described("Time limit in minutes, counted from redeem; null for none.", 90),
    )
    expires_in_days = Count(
        1, 365, metadata=described("Days before keys expire that are generated from now on.", 7)
    )
    reminder_days_before = Count(
        1,
        364,
        allow_none=True,
        metadata=described(
            "Days before a key's expiry at which a candidate who has not begun is reminded; less than expiresInDays. "
            "Null for no reminders.",
            2,
        ),
    )
    rubric_id = Id(
        allow_none=True,
        metadata=described(
            "The scoring rubric; scores that were given stay with the version they belong to."
        ),
    )
    brief = fields.Nested(
        StructuredBrief, allow_none=True, metadata=described("The task in a structured form.")
    )
    setup_instructions = Text(
        10_000, allow_none=True, metadata=described("How to set the workspace up.", "make setup")
    )
    allowed_tools = fields.List(
        fields.String(validate=validate.OneOf(TOOLS)),
        allow_none=True,
        validate=validate.Length(min=1, max=len(TOOLS)),
        metadata=described("The AI tools that may be used; null for all.", ["claude", "codex"]),
    )
    token_budget_usd = Dollars(
        allow_none=True,
        metadata=described("What calls through the model proxies may cost together, in USD.", 20),
    )

    @ma.post_load
    def as_it_is_stored(self, data: dict, **kwargs: Any) -> dict:
        return _stored(data)


def _stored(data: dict) -> dict:
    if data.get("brief") is not None:
        data["brief"] = StructuredBrief().dump(data["brief"])
    if "token_budget_usd" in data:
        data["token_budget_nano_usd"] = data.pop("token_budget_usd")
    return data


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


class Assessment(Schema):
    """An assessment (R9); absent values are null, never missing."""

    id = Id(metadata=described("Its id."))
    org_id = Id(attribute="organization_id", metadata=described("The organization that it belongs to."))
    title = fields.String(metadata=described("Assessment name.", "Backend API Challenge"))
    role = fields.String(metadata=described("Role being assessed.", "Senior Backend Engineer"))
    task_brief = fields.String(metadata=described("Task description shown to the candidate.", EXAMPLE_BRIEF))
    repo_url = fields.String(
        allow_none=True, metadata=described("Repository to work in.", "https://github.com/example/orders")
    )
    issue_id = Id(allow_none=True, metadata=described("The linked issue."))
    issue = fields.Nested(Issue, allow_none=True, metadata=described("The linked issue's details."))
    rubric_id = Id(allow_none=True, metadata=described("The rubric that sessions are scored against."))
    time_limit_minutes = fields.Integer(allow_none=True, metadata=described("Time limit in minutes.", 90))
    expires_in_days = fields.Integer(metadata=described("Days before generated keys expire.", 7))
    created_at = Timestamp(metadata=described("When it was created."))
    updated_at = Timestamp(metadata=described("When it was last changed."))


def assessment_of(row: Any, issue: Any) -> dict[str, Any]:
    """An Assessment, written from the row that comes with a candidate key."""
    return {
        "id": row_id(row.id),
        "orgId": row_id(row.organization_id),
        "title": row.title,
        "role": row.role,
        "taskBrief": row.task_brief,
        "repoUrl": row.repo_url,
        "issueId": row_id(row.issue_id),
        "issue": Issue().dump(issue) if issue else None,
        "rubricId": row_id(row.rubric_id),
        "timeLimitMinutes": row.time_limit_minutes,
        "expiresInDays": row.expires_in_days,
        "createdAt": row_time(row.created_at),
        "updatedAt": row_time(row.updated_at),
    }


class Task(Schema):
    """What candidates are given to work on, and when they are reminded of it; what is not set is null."""

    task_brief = fields.String(metadata=described("Task description.", EXAMPLE_BRIEF))
    brief = fields.Nested(
        StructuredBrief, allow_none=True, metadata=described("The task in a structured form.")
    )
    repo_url = fields.String(
        allow_none=True, metadata=described("The repository.", "https://github.com/example/orders")
    )
    repo_commit = fields.String(allow_none=True, metadata=described("The commit to begin from."))
    repo_subdir = fields.String(allow_none=True, metadata=described("The folder to work in."))
    setup_instructions = fields.String(allow_none=True, metadata=described("How to set it up.", "make setup"))
    allowed_tools = fields.List(
        fields.String(),
        allow_none=True,
        metadata=described("The AI tools that may be used; null for all.", ["claude"]),
    )
    token_budget_usd = Dollars(
        attribute="token_budget_nano_usd",
        allow_none=True,
        metadata=described(
            "What calls through the model proxies may cost, in USD; null without a limit.", 20
        ),
    )
    time_limit_minutes = fields.Integer(allow_none=True, metadata=described("Time limit in minutes.", 90))
    reminder_days_before = fields.Integer(
        allow_none=True,
        metadata=described("Days before the key's expiry at which who has not begun is reminded.", 2),
    )


class OneTask(Schema):
    """The task of an assessment."""

    task = fields.Nested(Task, metadata=described("The task."))


class OneAssessment(Schema):
    """One assessment."""

    assessment = fields.Nested(Assessment, metadata=described("The assessment."))


class Assessments(Schema):
    """All assessments, oldest first."""

    assessments = fields.List(fields.Nested(Assessment), metadata=described("The assessments."))


class DeletedAssessment(Deleted):
    """The assessment and its keys are gone from every list and look-up."""
