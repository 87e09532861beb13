"""Assessments: a brief, a repository and a time limit."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import peewee

from errors import AlreadyStarted, NotFound, QuotaExceeded, invalid
from models.base import Query, SoftDeleted, TimestampField, clock, db, find_referenced
from models.feed import FeedEvent
from models.issues import Issue
from models.ledger.protection import ProtectedModel
from models.orgs import ApiToken, Organization
from models.rubrics import Rubric
from models.tasks import files
from models.tasks.files import NewFile, TaskFile
from rules import plans
from rules.hosted_tools import ALLOWABLE

# API field names of the columns that candidates see.
_CANDIDATE_FIELDS = {
    "title": "title",
    "role": "role",
    "task_brief": "taskBrief",
    "repo_url": "repoUrl",
    "repo_commit": "repoCommit",
    "time_limit_minutes": "timeLimitMinutes",
    "brief": "brief",
    "setup_instructions": "setupInstructions",
    "allowed_tools": "allowedTools",
    "token_budget_nano_usd": "tokenBudgetUsd",
}
# Cleared when the repository changes.
_REPOSITORY_COLUMNS = ("repo_commit", "repo_subdir", "setup_instructions")


class ShippedProblem(NamedTuple):
    """A shipped problem's files, rubric and time limit, for a new assessment (ops/problems.py)."""

    files: list[NewFile]
    rubric: dict[str, Any]
    time_limit_minutes: int


class Assessment(SoftDeleted, ProtectedModel):
    """An assessment. Brief and repository are copied from the issue at creation; later changes do not apply.

    `blind` hides candidates' names from users until they have scored them (models/visibility.py). `show_test_counts`
    shows candidates the counts of the hidden tests after a hiring decision. The console's list hides archived
    assessments.
    """

    personal_data = None
    protected = (
        *("organization", "blind", "rubric", "time_limit_minutes", "created_at", "deleted_at"),
        *("repo_url", "repo_commit"),
    )

    issue_id: Any
    rubric_id: Any
    # The hosted repository's TaskFile or None; set by `visible_to`.
    repository: Any
    # The assessment's sessions, a Peewee query.
    session_set: Any
    organization = peewee.ForeignKeyField(Organization, index=False)
    title = peewee.TextField()
    role = peewee.TextField()
    task_brief = peewee.TextField()
    repo_url = peewee.TextField(null=True)
    repo_commit = peewee.TextField(null=True)
    repo_subdir = peewee.TextField(null=True)
    setup_instructions = peewee.TextField(null=True)
    issue = peewee.ForeignKeyField(Issue, null=True)
    rubric = peewee.ForeignKeyField(Rubric, null=True)
    brief = peewee.JSONField(null=True)
    allowed_tools = peewee.JSONField(null=True)
    token_budget_nano_usd = peewee.BigIntegerField(null=True)
    time_limit_minutes = peewee.IntegerField(null=True)
    expires_in_days = peewee.IntegerField(default=7)
    reminder_days_before = peewee.IntegerField(null=True)
    blind = peewee.BooleanField(default=False)
    show_test_counts = peewee.BooleanField(default=False)
    archived_at = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def allowed_agents(self) -> list[str] | None:
        """The allowed agents, `claude` and `codex`. None allows both."""
        return self.allowed_tools and [tool for tool in self.allowed_tools if tool not in ALLOWABLE]

    @property
    def allowed_hosted_tools(self) -> list[str]:
        """The tools that model providers are allowed to run (R42)."""
        return [tool for tool in self.allowed_tools or () if tool in ALLOWABLE]

    def is_reminder_due(self, expires_at: datetime) -> bool:
        """Return whether an invitation with this expiry is within the reminder period, if there is one."""
        days = self.reminder_days_before
        return days is not None and expires_at - clock.now() <= timedelta(days=days)

    @classmethod
    def visible_to(cls, caller: Any) -> Query:
        """Select the organization's assessments with their issues."""
        query = cls.alive().select_extend(Issue).join(Issue, peewee.JOIN.LEFT_OUTER)
        query = TaskFile.with_repository(TaskFile.with_repository(query, cls), Issue)
        return query.where(cls.organization == caller.organization_id)

    @classmethod
    def create_within_quota(
        cls, token: ApiToken, shipped: ShippedProblem | None = None, /, **values: Any
    ) -> "Assessment":
        """Create an assessment if the monthly quota allows it.

        It gets the files of the template's or the issue's task, unless `repo_url` is another repository.

        shipped -- the issue's files, rubric and time limit, if it is a problem that the service ships

        Raises Invalid for an unknown issue, rubric or template (R8) or a missing brief, QuotaExceeded (R10), and
        RepositoryHosted for a `repo_commit` with a hosted repository.
        """
        organization = token.organization
        with db.atomic():
            # Serializes the quota check and prevents the rubric's deletion.
            organization.lock()
            issue = find_referenced(Issue.visible_to(token), values.pop("issue_id", None), "issueId")
            rubric = find_referenced(Rubric.visible_to(token), values.pop("rubric_id", None), "rubricId")
            template = find_referenced(cls.visible_to(token), values.pop("template_id", None), "templateId")
            if shipped:
                rubric = rubric or Rubric.find_or_create(organization, **shipped.rubric)
                values = {"time_limit_minutes": shipped.time_limit_minutes} | values
            repo_url, repo_commit = values.get("repo_url"), values.get("repo_commit")
            task = template or issue
            shares_task = task is not None and repo_url in (None, task.repo_url)
            values = _issue_columns(issue, with_repository=shares_task and not template) | values
            if template and repo_url == template.repo_url:
                values = {"repo_subdir": template.repo_subdir} | values
            if not values.get("task_brief"):
                raise invalid("taskBrief", "Required when issueId is not provided.")
            used = cls.used_this_month(organization)
            if plans.is_quota_exhausted(organization.plan, used):
                raise QuotaExceeded(used=used, quota=plans.QUOTAS[organization.plan])
            assessment = cls.create(organization=organization, issue=issue, rubric=rubric, **values)
            for file in shipped.files if shipped else ():
                TaskFile.add(organization, assessment.id, file)
            if shares_task:
                TaskFile.share(task, assessment)
            files.require_external(assessment, {"repo_commit": repo_commit})
            FeedEvent.publish(organization.id, "assessment.created", {"assessmentId": assessment.id})
        return assessment

    @classmethod
    def used_this_month(cls, organization: Organization) -> int:
        """Count the assessments created in this calendar month, including deleted ones (R10)."""
        start, end = plans.calendar_month(clock.now())
        created = cls.select().where(cls.created_at >= start, cls.created_at < end)
        return created.where(cls.organization == organization).count()

    def apply_changes(
        self, token: ApiToken, values: dict[str, Any], check: Callable[[], None] = lambda: None
    ) -> None:
        """Update the assessment. Fields that candidates see can be changed until the first key is redeemed.

        check -- called after the row is locked

        Raises AlreadyStarted with the fields that can no longer change, RepositoryHosted, and Invalid for an unknown
        rubric or a reminder that would be due before the invitation.
        """
        with db.atomic():
            if "rubric_id" in values:
                self.organization.lock()
                find_referenced(Rubric.visible_to(token), values["rubric_id"], "rubricId")
            locked = self.lock()
            check()
            changes = locked.changed_columns(locked._set_archived_at(values))
            fields = [_CANDIDATE_FIELDS[name] for name in changes if name in _CANDIDATE_FIELDS]
            if fields and locked.session_set.exists():
                message = "Already shown to a candidate."
                raise AlreadyStarted(entries=[{"path": [field], "message": message} for field in fields])
            reminder = changes.get("reminder_days_before", locked.reminder_days_before)
            if reminder is not None and reminder >= changes.get("expires_in_days", locked.expires_in_days):
                if "reminder_days_before" in changes:
                    raise invalid("reminderDaysBefore", "Must be less than expiresInDays.")
                raise invalid("expiresInDays", "Must be greater than reminderDaysBefore.")
            files.require_external(locked, changes)
            if "repo_url" in changes:
                changes = {name: None for name in _REPOSITORY_COLUMNS if name not in values} | changes
            if changes:
                locked.update_columns(**changes, updated_at=clock.now())

    def _set_archived_at(self, values: dict[str, Any]) -> dict[str, Any]:
        """Replace `archived` with `archived_at`, which stays the same if the assessment is already archived."""
        columns = {name: value for name, value in values.items() if name != "archived"}
        if values.get("archived", self.archived_at is not None) != (self.archived_at is not None):
            columns["archived_at"] = clock.now() if values["archived"] else None
        return columns

    def clear_external_repository(self) -> None:
        """Clear what a hosted repository replaces. Raises AlreadyStarted if a candidate has started with it."""
        if self.repo_url and self.session_set.exists():
            message = "A candidate has started with this repository."
            raise AlreadyStarted(entries=[{"path": ["repoUrl"], "message": message}])
        self.update_columns(**files.columns_to_clear(self), updated_at=clock.now())

    def soft_delete(self) -> None:
        """Mark the assessment as deleted, and remove its files. Its keys stop authenticating."""
        with db.atomic():
            TaskFile.remove(self, *files.KINDS)
            self.set_once("deleted_at")
            FeedEvent.publish(self.organization_id, "assessment.deleted", {"assessmentId": self.id})

    def lock(self, strength: str = "FOR NO KEY UPDATE") -> "Assessment":
        """Like Model.lock, but raises NotFound if the assessment was deleted."""
        assessment = super().lock(strength)
        if assessment.deleted_at is not None:
            raise NotFound()
        return assessment


def _issue_columns(issue: Issue | None, with_repository: bool) -> dict[str, Any]:
    if issue is None:
        return {}
    repository = ("repo_url", *_REPOSITORY_COLUMNS) if with_repository else ()
    return {name: getattr(issue, name) for name in ("task_brief", *repository)}
