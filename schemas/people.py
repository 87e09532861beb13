"""An organization's people."""

from rules.roles import ROLES
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.fields import Choice, Email, Flag, Id, Line, ListOf, Nested, String
from schemas.keys import Invite
from schemas.timestamps import Timestamp

_ROLE = (
    "`admin`: full access. `reviewer`: full access except people, tokens, webhooks, integrations, chat channels, "
    "runners, settings, erasure and compliance reports. `observer`: read-only access."
)


class NewPerson(Body):
    """A person to invite by email."""

    name = Line(255, "Name shown with scores and decisions.", example="Bob Sample", required=True)
    email = Email("Email address.", example="bob@example.com", required=True)
    role = Choice(ROLES, f"{_ROLE} Only an admin can add admins.", example="reviewer", required=True)


class PersonUpdate(Body):
    """Changes to a person."""

    is_update = True

    name = Line(255, "Name.", example="Bob Sample")
    email = Email("Email address.", example="bob@example.com")
    role = Choice(ROLES, _ROLE, example="reviewer")
    active = Flag("False immediately disables the person's tokens; true enables them again.", example=True)


class Person(Schema):
    """A person who works for the organization."""

    id = Id("Unique id.")
    name = String("Name.", example="Bob Sample")
    email = String("Email address.", example="bob@example.com", null=True)
    role = Choice(ROLES, _ROLE, example="reviewer")
    active = Flag("True if the person can sign in and their tokens work.", example=True)
    invite = Nested(Invite, "Invitation by email.", null=True)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


People = define_schema("People", "People, oldest first.", PageOf, people=ListOf(Person, "People."))
PersonResponse = define_response("person", Person, "The person.")
DeletedPerson = define_schema("DeletedPerson", "The person is deleted and their tokens revoked.", Deleted)
