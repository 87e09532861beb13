"""The files of a task: a repository, hidden tests, and a reference solution."""

from typing import Any

import peewee

from models.base import Query, TimestampField, add_index
from models.ledger.protection import ProtectedModel
from models.orgs import Organization

REPOSITORY, TESTS, REFERENCE = "repository", "tests", "reference"


class TaskFile(ProtectedModel):
    """A version of an assessment's or problem's repository, hidden tests or reference solution.

    `owner_id` is the assessment's or the problem's id. `replaced_at` is None for the current version. `sha256` is the
    stored object's: a git bundle with one commit for a repository, otherwise a gzip-compressed tar. An assessment's
    files can share their objects with its problem's. `commit_id` is a repository's commit, `settings` the hidden tests'
    `tests.json`.
    """

    personal_data = None
    protected = (
        *("organization", "owner_id", "kind", "object_key", "size", "sha256", "commit_id", "settings"),
        *("replaced_at", "created_at"),
    )

    organization = peewee.ForeignKeyField(Organization)
    owner_id = peewee.UUIDField()
    kind = peewee.TextField()
    object_key = peewee.TextField(index=True)
    size = peewee.BigIntegerField()
    sha256 = peewee.TextField()
    commit_id = peewee.TextField(null=True)
    settings = peewee.JSONField(null=True)
    replaced_at = TimestampField(null=True)

    @classmethod
    def current(cls, owner_id: Any) -> Query:
        """Select the current files of an assessment or a problem."""
        return cls.select().where(cls.owner_id == owner_id, cls.replaced_at.is_null())


add_index("task_files_of_owner", TaskFile.owner_id, TaskFile.kind)
