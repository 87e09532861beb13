"""Changes of an organization's people, each under the organization's lock.

Only admins and the command line manage admins. An organization that has an active admin keeps one; while it has none,
its services work as before.
"""

from datetime import datetime
from typing import Any

import peewee

import errors
from models.base import Query, clock, db, find_referenced, new_id
from models.deliveries import Delivery, outbox
from models.idempotency import IdempotentRequest
from models.orgs import ApiToken, Organization, Person
from models.sign_ins import SignIn
from rules import roles
from rules.delivery.email_addresses import mailbox

NO_MANAGER = "No admin and no service would have a valid token with the scope `write`. Create one first."


def visible_to(caller: ApiToken) -> Query:
    """The organization's people with their invitations."""
    people = Person.of(caller.organization_id).select_extend(Delivery)
    is_invitation = Person.invitation_id == Delivery.id
    return people.join(Delivery, peewee.JOIN.LEFT_OUTER, on=is_invitation, attr="invite")


def find_by_address(organization: Organization, address: str) -> Person | None:
    return Person.of(organization.id).where(Person.address == mailbox(address)).get_or_none()


def add(organization: Organization, actor: ApiToken | None, name: str, email: str, role: str) -> Person:
    """Add a person and queue their invitation. Raises InsufficientRole and DuplicatePerson.

    actor -- the token that adds them; None for the command line
    """
    _require_admin(actor, role)
    with db.atomic():
        columns = {"name": name, "email": email, "address": mailbox(email), "role": role}
        person = Person.create(organization=organization, invitation_id=new_id(), **columns)
        outbox.enqueue_person_invitation(person, actor.author.name if actor else None)
    return person


def change(person: Person, actor: ApiToken, values: dict[str, Any]) -> None:
    """Change name, email, role or whether the person is active.

    Raises InsufficientRole, DuplicatePerson, LastAdmin, and LastWriteToken if nobody could manage tokens afterwards.
    """
    with ApiToken.requires_manager(person.organization, NO_MANAGER):
        person = _reload(person)
        _require_admin(actor, person.role, values.get("role"))
        if "email" in values:
            values = values | {"address": mailbox(values["email"])}
        _change(person, values)


def remove(person: Person, actor: ApiToken) -> None:
    """Delete a person. Their tokens are revoked and their email is removed. Raises as `change`, and NotFound."""
    with ApiToken.requires_manager(person.organization, NO_MANAGER):
        person = _reload(person)
        _require_admin(actor, person.role)
        now = clock.now()
        _change(person, {"active": False, "email": None, "address": None, "deleted_at": now})
        tokens = ApiToken.update(revoked_at=now).where(ApiToken.person == person)
        tokens.where(ApiToken.revoked_at.is_null()).execute()
        Delivery.forget_person(person.id)
        IdempotentRequest.forget_person(person.organization_id, person.id)


def _reload(person: Person) -> Person:
    """The person's current row. Raises NotFound if it was deleted."""
    found = Person.of(person.organization_id).where(Person.id == person.id).get_or_none()
    if found is None:
        raise errors.NotFound()
    return found


def _change(person: Person, values: dict[str, Any]) -> None:
    """Change what differs. Raises LastAdmin."""
    changed = person.changed_columns(values)
    if not changed:
        return
    was_admin = _is_active_admin(person)
    person.update_columns(**changed, updated_at=clock.now())
    if not person.active:
        SignIn.end_of_person(person)
    if was_admin and not _is_active_admin(person) and not _active_admins(person.organization_id).exists():
        raise errors.LastAdmin()


def _is_active_admin(person: Person) -> bool:
    return person.active and person.role == "admin"


def _active_admins(organization_id: Any) -> Query:
    return Person.of(organization_id).where(Person.active, Person.role == "admin")


def _require_admin(actor: ApiToken | None, *roles: str | None) -> None:
    """Raise InsufficientRole if anyone but an admin or the command line manages an admin."""
    if "admin" in roles and actor is not None and actor.role != "admin":
        raise errors.InsufficientRole("Only admins and `flask person create` can manage admins.")


def issue_token(
    actor: ApiToken, person_id: Any, name: str, scope: str, expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """Create a token of a person, or of a service without `person_id`; returns it with its text.

    Raises InsufficientRole, and Invalid for an unknown or inactive person, or a scope beyond an observer's role.
    """
    organization = actor.organization
    if person_id is None:
        return ApiToken.issue(organization, name, scope, expires_at)
    with db.atomic():
        # Against a deletion of the person, which revokes their tokens.
        organization.lock()
        person = find_referenced(Person.of(organization.id), person_id, "personId")
        if not person.active:
            raise errors.invalid("personId", "This person is inactive. Activate them first.")
        _require_admin(actor, person.role)
        if not roles.allows(person.role, scope):
            raise errors.invalid("scopes", f"The role `{person.role}` only allows the scope `read`.")
        return ApiToken.issue(organization, name, scope, expires_at, person)


def revoke_token(token: ApiToken, actor: ApiToken) -> None:
    """Revoke a token. Raises InsufficientRole for an admin's, LastWriteToken and NotFound."""
    _require_admin(actor, token.role)
    token.revoke()
