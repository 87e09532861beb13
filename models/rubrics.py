"""Scoring rubrics and their versions."""

from collections.abc import Callable
from typing import Any

import peewee

from errors import RubricInUse
from models.base import Model, Query, TimestampField, clock, db
from models.orgs import ApiToken, Organization


class Rubric(Model):
    """A scoring rubric in its current version; earlier versions are kept for their scores."""

    personal_data = None

    # Peewee's query of the assessments that refer to this rubric.
    assessment_set: Any
    organization = peewee.ForeignKeyField(Organization)
    name = peewee.TextField()
    criteria = peewee.JSONField()
    version = peewee.IntegerField(default=1)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id, cls.deleted_at.is_null())

    @classmethod
    def draft(cls, organization: Organization, name: str, criteria: list[dict]) -> "Rubric":
        """Create a rubric with its first version."""
        with db.atomic():
            rubric = cls.create(organization=organization, name=name, criteria=criteria)
            rubric._save_version()
        return rubric

    def change(self, values: dict[str, Any], check: Callable[[], None] = lambda: None) -> "Rubric":
        """Change name or criteria by creating the next version, unless nothing changes.

        check -- called once the row is locked
        """
        with db.atomic():
            rubric = self.lock()
            check()
            if changed := rubric.changed_columns(values):
                rubric.update_columns(**changed, version=rubric.version + 1, updated_at=clock.now())
                rubric._save_version()
        return rubric

    def soft_delete(self) -> None:
        """Delete the rubric. Raises RubricInUse with the assessments that refer to it."""
        with db.atomic():
            self.organization.lock()
            assessments = self.assessment_set
            users = (
                assessments.where(assessments.model.deleted_at.is_null())
                .order_by(assessments.model.id)
                .limit(100)
            )
            if users:
                raise RubricInUse(assessments=[{"id": str(user.id), "title": user.title} for user in users])
            self.set_once("deleted_at")

    def _save_version(self) -> None:
        RubricVersion.create(rubric=self, number=self.version, name=self.name, criteria=self.criteria)


class RubricVersion(Model):
    """A version of a rubric; never changed."""

    personal_data = None
    rubric_id: Any
    rubric = peewee.ForeignKeyField(Rubric, index=False)
    number = peewee.IntegerField()
    name = peewee.TextField()
    criteria = peewee.JSONField()

    class Meta:
        indexes = ((("rubric", "number"), True),)
