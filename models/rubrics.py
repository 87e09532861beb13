"""Scoring rubrics and their versions."""

from collections.abc import Callable
from typing import Any

import peewee

from errors import NotFound, RubricInUse
from models.base import SoftDeleted, TimestampField, clock, db
from models.ledger.protection import ProtectedModel
from models.orgs import Organization


class Rubric(SoftDeleted, ProtectedModel):
    """A scoring rubric in its current version."""

    personal_data = None
    protected = ("organization", "name", "criteria", "version", "created_at", "deleted_at")

    # The assessments that use the rubric, a Peewee query.
    assessment_set: Any
    organization = peewee.ForeignKeyField(Organization)
    name = peewee.TextField()
    criteria = peewee.JSONField()
    version = peewee.IntegerField(default=1)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @classmethod
    def create_with_version(cls, organization: Organization, name: str, criteria: list[dict]) -> "Rubric":
        with db.atomic():
            rubric = cls.create(organization=organization, name=name, criteria=criteria)
            rubric._save_version()
        return rubric

    @classmethod
    def find_or_create(cls, organization: Organization, name: str, criteria: list[dict]) -> "Rubric":
        """Return the organization's rubric with this name and these criteria, after the organization is locked."""
        named = cls.alive().where(cls.organization == organization, cls.name == name)
        equal = (rubric for rubric in named if rubric.criteria == criteria)
        return next(equal, None) or cls.create_with_version(organization, name, criteria)

    def apply_changes(self, values: dict[str, Any], check: Callable[[], None] = lambda: None) -> "Rubric":
        """Create the next version if the values differ; `check` is called after the row is locked."""
        with db.atomic():
            rubric = self.lock()
            if rubric.deleted_at is not None:
                raise NotFound()
            check()
            if changes := rubric.changed_columns(values):
                rubric.update_columns(**changes, version=rubric.version + 1, updated_at=clock.now())
                rubric._save_version()
        return rubric

    def soft_delete(self) -> None:
        """Mark the rubric as deleted. Raises RubricInUse with the assessments that use it."""
        with db.atomic():
            self.organization.lock()
            table = self.assessment_set.model
            assessments = self.assessment_set.where(table.deleted_at.is_null()).order_by(table.id).limit(100)
            if entries := [
                {"id": str(assessment.id), "title": assessment.title} for assessment in assessments
            ]:
                raise RubricInUse(assessments=entries)
            self.set_once("deleted_at")

    def _save_version(self) -> None:
        RubricVersion.create(rubric=self, number=self.version, name=self.name, criteria=self.criteria)


class RubricVersion(ProtectedModel):
    """An immutable version of a rubric."""

    personal_data = None
    protected = ("rubric", "number", "name", "criteria", "created_at")
    parent = "rubric"

    rubric_id: Any
    rubric = peewee.ForeignKeyField(Rubric, index=False)
    number = peewee.IntegerField()
    name = peewee.TextField()
    criteria = peewee.JSONField()

    class Meta:
        indexes = ((("rubric", "number"), True),)
