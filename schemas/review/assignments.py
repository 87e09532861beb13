"""Assignments of sessions to reviewers."""

from schemas.base import Body, Deleted, PageOf, Schema, define_schema
from schemas.fields import EXAMPLE_ID, Flag, Id, Integer, ListOf, String
from schemas.timestamps import Timestamp, TimestampInput


class NewAssignments(Body):
    """Reviewers for an assessment's closed sessions without a decision."""

    person_ids = ListOf(Id(), "Admins and reviewers.", min=1, max=100, required=True, example=[EXAMPLE_ID])
    per_session = Integer(
        "Reviewers of each session, including those who are assigned already or have scored it.",
        min=1,
        max=10,
        load_default=1,
        example=2,
    )
    due_at = TimestampInput("Due date.", load_default=None, example="2030-12-06T16:00:00Z", null=True)
    session_ids = ListOf(
        Id(), "Only these sessions; null for all.", max=500, load_default=None, example=[], null=True
    )


class Assignment(Schema):
    """A session assigned to a person to score."""

    id = Id("Unique id.")
    session_id = Id("Session id.")
    person_id = Id("Id of the person.", attribute="user_id")
    person_name = String("Name of the person.", attribute="user.name", example="Bob Sample")
    due_at = Timestamp("Due date.", null=True)
    scored = Flag("True once the person has scored every criterion.", example=False)
    open = Flag(
        "True until the person has scored every criterion, or the candidate has a decision or was revoked.",
        example=True,
    )
    created_at = Timestamp("Time of the assignment.")


_ASSIGNMENTS = ListOf(Assignment, "Assignments.")
Assignments = define_schema("Assignments", "Assignments, oldest first.", PageOf, assignments=_ASSIGNMENTS)
AddedAssignments = define_schema("AddedAssignments", "The new assignments.", assignments=_ASSIGNMENTS)
RemovedAssignment = define_schema("RemovedAssignment", "The assignment has ended.", Deleted)
