"""Assessments and their tasks."""

from typing import Any

import marshmallow as ma

from rules.rows import row_id, row_time
from schemas import common
from schemas.base import Body, CursorPageOf, Deleted, Schema, define_response, define_schema
from schemas.briefs import StructuredBrief
from schemas.common import AGENTS, EXAMPLE_BRIEF, EXAMPLE_REPOSITORY, EXAMPLE_SHA, TOOLS
from schemas.fields import (
    Choice,
    Dollars,
    Flag,
    Id,
    Integer,
    ListOf,
    Nested,
    Pattern,
    Reference,
    RepositoryUrl,
    String,
    Text,
)
from schemas.issues import SHA, Issue
from schemas.queries import CREATED_AFTER, UPDATED_AFTER, CursorPageQuery
from schemas.task_files import TaskRepository
from schemas.timestamps import Timestamp

_REMINDER = (
    "Candidates who have not started are reminded this many days before the key expires; less than expiresInDays. "
    "If omitted, no reminder is sent."
)
_BUDGET = "A candidate's budget for calls through the model proxies, in USD. Defaults to SESSION_DEFAULT_BUDGET_USD."
_COMMIT = "Commit to start from, and base of the final diff. Without one, the base cannot be verified."
_BLIND = (
    "True if candidates' names and addresses are hidden from people until they have scored every criterion of the "
    "session. They are visible to service accounts."
)

_SHOW_TEST_COUNTS = "True if candidates see after the decision how many hidden tests they passed."


class ToolList(ListOf):
    """Claude Code, Codex or both, and hosted tools that model providers can run for them."""

    def __init__(self, **options: Any):
        description = (
            "Allowed AI tools: `claude`, `codex` or both, and hosted tools that the model provider can run for them. "
            "If omitted or null, both agents are allowed, but no hosted tools."
        )
        super().__init__(Choice(TOOLS), description, min=1, max=len(TOOLS), example=AGENTS, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list:
        tools = super()._deserialize(value, attr, data, **kwargs)
        if not set(tools) & set(AGENTS):
            raise ma.ValidationError("Must contain claude or codex.")
        return tools


class NewAssessment(Body):
    """A new assessment."""

    title = Text(255, "Assessment name.", example="Backend API Challenge", required=True)
    role = Text(255, "Role being assessed.", example="Senior Backend Engineer", required=True)
    task_brief = String(
        "Task description for the candidate, at most 50,000 characters. Required without issueId. Takes precedence "
        "over the issue's brief. Blank means omitted.",
        example=EXAMPLE_BRIEF,
        max=50_000,
    )
    issue_id = Reference("An issue in the problem library. Provides taskBrief and the repository if omitted.")
    template_id = Reference(
        "An assessment whose hosted repository, hidden tests and reference solution are copied."
    )
    repo_url = RepositoryUrl("Repository to work in, without a password.", example=EXAMPLE_REPOSITORY)
    repo_commit = Pattern(*SHA, _COMMIT, example=EXAMPLE_SHA)
    time_limit_minutes = Integer("Time limit in minutes, from redemption.", min=1, max=43_200, example=90)
    expires_in_days = Integer("Days until candidate keys expire.", min=1, max=365, load_default=7, example=7)
    reminder_days_before = Integer(_REMINDER, min=1, max=364)
    rubric_id = Reference("A rubric to score the sessions with.")
    brief = Nested(StructuredBrief, "The task in structured form, for clients that support it.")
    setup_instructions = Text(10_000, "Instructions to set up the workspace.", example="make setup")
    allowed_tools = ToolList()
    token_budget_usd = Dollars(_BUDGET, attribute="token_budget_nano_usd", example=20)
    blind = Flag(_BLIND, load_default=False, example=False)
    show_test_counts = Flag(_SHOW_TEST_COUNTS, load_default=False, example=False)

    @ma.pre_load
    def omit_blank_brief(self, data: dict, **kwargs: Any) -> dict:
        # The issue can provide the brief (R6).
        return {name: value for name, value in data.items() if name != "taskBrief" or not _is_blank(value)}

    @ma.validates_schema
    def check_reminder(self, data: dict, **kwargs: Any) -> None:
        if data.get("reminder_days_before", 0) >= data["expires_in_days"]:
            raise ma.ValidationError("Must be less than expiresInDays.", "reminderDaysBefore")

    @ma.validates_schema(skip_on_field_errors=False, pass_original=True)
    def check_brief_or_issue(self, data: dict, original: dict, **kwargs: Any) -> None:
        if _is_blank(original.get("taskBrief")) and original.get("issueId") is None:
            raise ma.ValidationError("Required when issueId is not provided.", "taskBrief")


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


_DEFAULTS = {"expires_in_days": 7, "blind": False, "show_test_counts": False, "archived": False}


class AssessmentUpdate(Body):
    """Changes to an assessment; null clears a field, or restores its default."""

    is_update = True

    title = Text(255, "Assessment name.", example="Backend API Challenge")
    role = Text(255, "Role being assessed.", example="Senior Backend Engineer")
    task_brief = String("Task description for the candidate, not blank.", example=EXAMPLE_BRIEF, max=50_000)
    repo_url = RepositoryUrl("Repository, without a password.", example=EXAMPLE_REPOSITORY, null=True)
    repo_commit = Pattern(*SHA, _COMMIT, example=EXAMPLE_SHA, null=True)
    time_limit_minutes = Integer("Time limit in minutes, if any.", min=1, max=43_200, example=90, null=True)
    expires_in_days = Integer("Days until new keys expire.", min=1, max=365, example=7, null=True)
    reminder_days_before = Integer(_REMINDER, min=1, max=364, example=2, null=True)
    rubric_id = Reference("Rubric. Existing scores keep their version.", null=True)
    brief = Nested(StructuredBrief, "The task in structured form.", null=True)
    setup_instructions = Text(10_000, "Instructions for the workspace.", example="make setup", null=True)
    allowed_tools = ToolList(null=True)
    token_budget_usd = Dollars(_BUDGET, attribute="token_budget_nano_usd", example=20, null=True)
    blind = Flag(_BLIND, example=False, null=True)
    show_test_counts = Flag(_SHOW_TEST_COUNTS, example=False, null=True)
    archived = Flag(
        "True to hide it from the console's list. Candidates and the API are not affected.",
        example=True,
        null=True,
    )

    @ma.post_load
    def restore_defaults(self, data: dict, **kwargs: Any) -> dict:
        cleared = {name: value for name, value in _DEFAULTS.items() if data.get(name, value) is None}
        return data | cleared

    @ma.validates("task_brief")
    def check_brief(self, value: str, **kwargs: Any) -> None:
        if _is_blank(value):
            raise ma.ValidationError("Must not be blank.")


class AssessmentQuery(CursorPageQuery):
    """Filters for assessments."""

    created_after = CREATED_AFTER
    updated_after = UPDATED_AFTER


class Assessment(Schema):  # R9
    """An assessment. Responses to candidates omit the fields after `updatedAt`."""

    id = Id("Unique id.")
    org_id = Id("Organization id.", attribute="organization_id")
    title = common.ASSESSMENT_TITLE
    role = common.ROLE
    task_brief = common.TASK_BRIEF
    repo_url = common.REPO_URL
    issue_id = Id("Id of the linked issue.", null=True)
    issue = Nested(Issue, "The linked issue.", null=True)
    rubric_id = Id("Rubric that sessions are scored with.", null=True)
    time_limit_minutes = common.TIME_LIMIT_MINUTES
    expires_in_days = Integer("Days until generated keys expire.", example=7)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")
    # Candidates receive these when they redeem the key, in their client's format.
    repo_commit = String(_COMMIT, example=EXAMPLE_SHA, null=True, optional=True)
    brief = Nested(StructuredBrief, "The task in structured form.", null=True, optional=True)
    setup_instructions = String(
        "Instructions to set up the workspace.", example="make setup", null=True, optional=True
    )
    allowed_tools = ListOf(
        Choice(TOOLS), "Allowed AI tools; null for both agents.", example=AGENTS, null=True, optional=True
    )
    token_budget_usd = Dollars(
        _BUDGET, attribute="token_budget_nano_usd", example=20, null=True, optional=True
    )
    reminder_days_before = Integer(_REMINDER, example=2, null=True, optional=True)
    blind = Flag(_BLIND, example=False, optional=True)
    show_test_counts = Flag(_SHOW_TEST_COUNTS, example=False, optional=True)
    archived_at = Timestamp("Time when it was archived; null if it is not.", null=True, optional=True)
    repository = Nested(TaskRepository, "Hosted repository; `repoUrl` is null.", null=True, optional=True)


def serialize_assessment(row: Any, issue: Any, repo_url: str | None) -> dict[str, Any]:
    """Build an Assessment from the row that was loaded with a candidate key."""
    return {
        "id": row_id(row.id),
        "orgId": row_id(row.organization_id),
        "title": row.title,
        "role": row.role,
        "taskBrief": row.task_brief,
        "repoUrl": repo_url,
        "issueId": row_id(row.issue_id),
        "issue": Issue().dump(issue) if issue else None,
        "rubricId": row_id(row.rubric_id),
        "timeLimitMinutes": row.time_limit_minutes,
        "expiresInDays": row.expires_in_days,
        "createdAt": row_time(row.created_at),
        "updatedAt": row_time(row.updated_at),
    }


class Task(Schema):
    """A task and its limits."""

    task_brief = common.TASK_BRIEF
    brief = Nested(StructuredBrief, "The task in structured form.", null=True)
    repo_url = common.REPO_URL
    repo_commit = String(_COMMIT, example=EXAMPLE_SHA, null=True)
    repo_subdir = String("Directory to work in.", null=True)
    setup_instructions = String("Instructions to set up the workspace.", example="make setup", null=True)
    allowed_tools = common.ALLOWED_TOOLS
    token_budget_usd = Dollars(_BUDGET, attribute="token_budget_nano_usd", example=20, null=True)
    time_limit_minutes = common.TIME_LIMIT_MINUTES
    reminder_days_before = Integer(_REMINDER, example=2, null=True)


TaskResponse = define_response("task", Task, "The task.")
AssessmentResponse = define_response("assessment", Assessment, "The assessment.")
Assessments = define_schema(
    "Assessments",
    "Assessments, by default oldest first.",
    CursorPageOf,
    assessments=ListOf(Assessment, "Assessments."),
)
DeletedAssessment = define_schema("DeletedAssessment", "The assessment and its keys are deleted.", Deleted)
