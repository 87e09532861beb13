"""The files of a task: a repository, hidden tests, and a reference solution."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

import peewee

from errors import RepositoryHosted
from models.base import Model, Query, TimestampField, clock, db
from models.deliveries import REMOVAL, Delivery, outbox
from models.ledger.protection import ProtectedModel
from models.orgs import Organization

KINDS = REPOSITORY, TESTS, REFERENCE = "repository", "tests", "reference"
# Longer than a request that stores an object and its row.
MAX_REQUEST_DURATION = timedelta(hours=1)


class NewFile(NamedTuple):
    """A stored object without a row. `removal` removes it, unless the row is created."""

    columns: dict[str, Any]
    removal: Delivery


class TaskFile(ProtectedModel):
    """A version of an assessment's or problem's repository, hidden tests or reference solution.

    `owner_id` is the assessment's or the problem's id. `replaced_at` is None for the current version. `sha256` is the
    stored object's: a git bundle with one commit for a repository, otherwise a gzip-compressed tar. Files of several
    owners can share an object. `commit_id` is a repository's commit, `settings` the hidden tests' `tests.json`,
    `file_count` the number of a tar's files.

    Changes lock the organization: two rows with the same object must not be deleted at the same time.
    """

    personal_data = None
    protected = (
        *("organization", "owner_id", "kind", "object_key", "size", "sha256", "commit_id", "settings"),
        *("file_count", "replaced_at", "created_at"),
    )

    organization = peewee.ForeignKeyField(Organization)
    owner_id = peewee.UUIDField()
    kind = peewee.TextField()
    object_key = peewee.TextField(index=True)
    size = peewee.BigIntegerField()
    sha256 = peewee.TextField()
    commit_id = peewee.TextField(null=True)
    settings = peewee.JSONField(null=True)
    file_count = peewee.IntegerField(null=True)
    replaced_at = TimestampField(null=True)

    @classmethod
    def current(cls, owner_id: Any) -> Query:
        """Select the current files of an assessment or a problem."""
        return cls.select().where(cls.owner_id == owner_id, cls.replaced_at.is_null())

    @classmethod
    def find(cls, owner_id: Any, kind: str) -> "TaskFile | None":
        return cls.current(owner_id).where(cls.kind == kind).get_or_none()

    @classmethod
    def with_repository(cls, query: Query, owner: Any) -> Query:
        """Also select the hosted repositories of the query's assessments or problems as `repository`."""
        file: Any = cls.alias()
        is_current = (file.kind == REPOSITORY) & file.replaced_at.is_null()
        joined = (file.owner_id == owner.id) & is_current
        query = query.select_extend(file)
        return query.join_from(owner, file, peewee.JOIN.LEFT_OUTER, on=joined, attr="repository")

    @classmethod
    def schedule_removal(cls, organization: Organization, owner_id: Any, object_key: str) -> Delivery:
        """Schedule the removal of an object that is about to be stored, in case its row is never created."""
        due_at, data = clock.now() + MAX_REQUEST_DURATION, {"objectKey": object_key}
        columns = {"kind": REMOVAL, "subject_id": owner_id, "data": data, "due_at": due_at}
        return Delivery.create(organization=organization, **columns)

    @classmethod
    def store(cls, owner: Any, new: NewFile) -> "TaskFile":
        """Replace the current version. A hosted repository also replaces an external one.

        owner -- the assessment or problem

        Raises AlreadyStarted if a candidate has started with the external repository.
        """
        with db.atomic():
            owner.organization.lock()
            owner = owner.lock()
            if new.columns["kind"] == REPOSITORY:
                owner.clear_external_repository()
            cls._retire(owner, [new.columns["kind"]])
            return cls.add(owner.organization, owner.id, new)

    @classmethod
    def add(cls, organization: Organization, owner_id: Any, new: NewFile) -> "TaskFile":
        new.removal.delete_instance()
        return cls.create(organization=organization, owner_id=owner_id, **new.columns)

    @classmethod
    def share(cls, source: Model, assessment: Model) -> None:
        """Give a new assessment the files of a problem or another assessment, after the organization is locked."""
        for file in cls.current(source.id):
            columns = {name: getattr(file, name) for name in cls.protected if name != "created_at"}
            cls.create(**columns | {"owner_id": assessment.id})

    @classmethod
    def remove(cls, owner: Any, *kinds: str) -> "list[TaskFile]":
        """Remove the current files of these kinds; return them. Sessions, checks and test runs keep theirs."""
        with db.atomic():
            owner.organization.lock()
            owner = owner.lock()
            if REPOSITORY in kinds:
                owner.update_columns(updated_at=clock.now())
            return cls._retire(owner, kinds)

    @classmethod
    def _retire(cls, owner: Any, kinds: Iterable[str]) -> "list[TaskFile]":
        """Mark the current files as replaced, and delete the owner's replaced files that nothing refers to."""
        retired = list(cls.current(owner.id).where(cls.kind << kinds))
        for file in retired:
            file.update_columns(replaced_at=clock.now())
        references: Any = cls._meta.backrefs.items()  # type: ignore[attr-defined]
        for file in cls.select().where(cls.owner_id == owner.id, cls.replaced_at.is_null(False)):
            if any(table.select().where(column == file).exists() for column, table in references):
                continue
            file.delete_protected()
            if not cls.select().where(cls.object_key == file.object_key).exists():
                outbox.enqueue_removals(owner.organization_id, owner.id, [(file.object_key, file.created_at)])
        return retired


def columns_to_clear(owner: Any) -> dict[str, None]:
    """Return the columns of an external repository, which a hosted one replaces."""
    return dict.fromkeys(("repo_url", "repo_commit", "repo_subdir") if owner.repo_url else ("repo_commit",))


def require_external(owner: Any, changes: dict[str, Any]) -> None:
    """Raise RepositoryHosted for changes to an external repository while the service hosts one."""
    if (changes.get("repo_url") or changes.get("repo_commit")) and TaskFile.find(owner.id, REPOSITORY):
        raise RepositoryHosted()
