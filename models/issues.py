"""The problem library: the shared catalog and issues of organizations."""

from collections.abc import Callable
from typing import Any

import peewee

from models.base import Model, Query, TimestampField, case_folded, clock, db
from models.orgs import ApiToken, Organization
from models.tasks import files
from models.tasks.files import TaskFile


class Issue(Model):
    """A problem for assessments. An issue without an organization belongs to the catalog."""

    personal_data = None
    organization_id: Any
    # The hosted repository's TaskFile or None; set by `visible_to` for reviewers.
    repository: Any
    organization = peewee.ForeignKeyField(Organization, null=True)
    title = peewee.TextField()
    repo_url = peewee.TextField(null=True)
    repo_commit = peewee.TextField(null=True)
    repo_subdir = peewee.TextField(null=True)
    description = peewee.TextField(null=True)
    difficulty = peewee.TextField(null=True)
    language = peewee.TextField(null=True)
    labels = peewee.JSONField(default=list)
    task_brief = peewee.TextField()
    setup_instructions = peewee.TextField(null=True)
    test_command = peewee.TextField(null=True)
    reference_sha = peewee.TextField(null=True)
    sources = peewee.JSONField(default=list)
    license = peewee.TextField(null=True)
    search_text = peewee.TextField(default="")
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def is_catalog(self) -> bool:
        return self.organization_id is None

    @classmethod
    def visible_to(cls, caller: Any) -> Query:
        """Select catalog and organization issues; for a candidate, only their assessment's issue (R3)."""
        if isinstance(caller, ApiToken):
            query = TaskFile.with_repository(cls.select(), cls)
            return query.where(
                cls.organization.is_null() | (cls.organization == caller.organization_id),
                cls.deleted_at.is_null(),
            )
        return cls.select(*_CANDIDATE_COLUMNS).where(cls.id == caller.assessment_row.issue_id)

    @classmethod
    def owned_by(cls, caller: ApiToken) -> Query:
        return cls.visible_to(caller).where(cls.organization == caller.organization_id)

    @classmethod
    def search(cls, caller: ApiToken, **filters: str) -> Query:
        """Select issues by the optional filters `difficulty`, `language` and `q` (part of title or description)."""
        conditions = {
            "difficulty": lambda value: cls.difficulty == value,
            "language": lambda value: peewee.fn.LOWER(cls.language) == value.lower(),
            "q": lambda value: cls.search_text.contains(case_folded(value)),
        }
        return cls.visible_to(caller).where(*(conditions[name](value) for name, value in filters.items()))

    @classmethod
    def add(cls, organization: Organization, values: dict[str, Any]) -> "Issue":
        return cls.create(organization=organization, **values, search_text=_search_text(values))

    @classmethod
    def upsert(cls, values: dict[str, Any]) -> None:
        """Create or update a catalog issue under its fixed id."""
        now = clock.now()
        row = dict.fromkeys(_CATALOG_COLUMNS) | {"labels": [], "sources": []} | values
        row |= {"search_text": _search_text(values), "updated_at": now, "deleted_at": None}
        update = {getattr(cls, name): value for name, value in row.items() if name != "id"}
        in_catalog = {"conflict_target": [cls.id], "where": cls.organization.is_null()}
        cls.insert(row | {"created_at": now}).on_conflict(update=update, **in_catalog).execute()

    def apply_changes(self, values: dict[str, Any], check: Callable[[], None] = lambda: None) -> None:
        """Update the issue; `check` is called after the row is locked. Raises RepositoryHosted."""
        with db.atomic():
            issue = self.lock()
            check()
            if changes := issue.changed_columns(values):
                files.require_external(issue, changes)
                search_columns = {name: getattr(issue, name) for name in ("title", "description")} | changes
                issue.update_columns(
                    **changes, search_text=_search_text(search_columns), updated_at=clock.now()
                )

    def clear_external_repository(self) -> None:
        self.update_columns(**files.columns_to_clear(self), updated_at=clock.now())

    def soft_delete(self) -> None:
        """Mark the issue as deleted, and remove its files."""
        with db.atomic():
            if not self.is_catalog:
                TaskFile.remove(self, *files.KINDS)
            self.set_once("deleted_at")


# Excludes columns that can reveal the solution.
_CANDIDATE_COLUMNS = [
    column
    for column in Issue._meta.sorted_fields  # type: ignore[attr-defined]
    if column.name not in ("description", "test_command", "reference_sha", "sources", "license")
]
_CATALOG_COLUMNS = (
    *("repo_url", "repo_commit", "repo_subdir", "description", "difficulty", "language"),
    *("setup_instructions", "test_command", "reference_sha", "license"),
)


def _search_text(values: dict[str, Any]) -> str:
    return case_folded(values["title"], values.get("description"))
