"""Manage an organization's users. Each change locks the organization.

Only admins and the command line manage admins. The last active admin cannot be removed. Service accounts work even
without an admin.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import peewee

import errors
from models.base import Query, clock, db, find_referenced, new_id
from models.deliveries import PERSON_INVITATION, Delivery, outbox
from models.idempotency import IdempotentRequest
from models.orgs import ApiToken, Organization, User
from models.review.assignments import Assignment
from models.sign_ins import SignIn
from rules import roles
from rules.delivery.email_addresses import mailbox

NO_MANAGER = "This would leave no admin or service account with a valid `write` token. Create one first."


def visible_to(caller: ApiToken) -> Query:
    """Select the organization's users with their invitations."""
    users = User.of(caller.organization_id).select_extend(Delivery)
    is_invitation = User.invitation_id == Delivery.id
    return users.join(Delivery, peewee.JOIN.LEFT_OUTER, on=is_invitation, attr="invite")


def find_by_address(organization: Organization, address: str) -> User | None:
    return User.of(organization.id).where(User.address == mailbox(address)).get_or_none()


def add(organization: Organization, actor: ApiToken | None, name: str, email: str, role: str) -> User:
    """Add a user and queue their invitation. Raises InsufficientRole and DuplicatePerson.

    actor -- the caller's token; None for the command line
    """
    _require_admin(actor, role)
    with db.atomic():
        columns = {"name": name, "email": email, "address": mailbox(email), "role": role}
        user = User.create(organization=organization, invitation_id=new_id(), **columns)
        data = {"invitedBy": actor.author.name if actor else None}
        outbox.enqueue_to_user(user, PERSON_INVITATION, data, id=user.invitation_id)
    return user


def update(
    user: User, actor: ApiToken, values: dict[str, Any], check: Callable[[], None] = lambda: None
) -> None:
    """Update name, email, role or active state; `check` is called after the row is locked.

    Raises InsufficientRole, DuplicatePerson, LastAdmin and LastWriteToken.
    """
    with ApiToken.requires_manager(user.organization, NO_MANAGER):
        user = _reload(user)
        check()
        _require_admin(actor, user.role, values.get("role"))
        if "email" in values:
            values = values | {"address": mailbox(values["email"])}
        _update(user, values)


def remove(user: User, actor: ApiToken) -> None:
    """Delete a user, revoke their tokens and remove their email. Raises NotFound and the errors of `update`."""
    with ApiToken.requires_manager(user.organization, NO_MANAGER):
        user = _reload(user)
        _require_admin(actor, user.role)
        now = clock.now()
        _update(user, {"active": False, "email": None, "address": None, "deleted_at": now}, "erased")
        for token in list(ApiToken.select().where(ApiToken.user == user, ApiToken.revoked_at.is_null())):
            token.record_change("revoked", revoked_at=now)
        Delivery.erase_user(user.id)
        IdempotentRequest.erase_user(user.organization_id, user.id)


def _reload(user: User) -> User:
    """Reload the user. Raises NotFound if they were deleted."""
    if reloaded := User.of(user.organization_id).where(User.id == user.id).get_or_none():
        return reloaded
    raise errors.NotFound()


def _update(user: User, values: dict[str, Any], reason: str = "changed") -> None:
    if not (changes := user.changed_columns(values)):
        return
    was_admin = user.active and user.role == "admin"
    if user.role == "observer" and "role" in changes:
        changes["observer_until"] = clock.now()
    user.record_change(reason, **changes, updated_at=clock.now())
    if not user.active:
        SignIn.end_all_for_user(user)
    if not user.can_score:
        Assignment.end_all_for_user(user)
    admins = User.of(user.organization_id).where(User.active, User.role == "admin")
    if was_admin and not admins.exists():
        raise errors.LastAdmin()


def _require_admin(actor: ApiToken | None, *roles: str | None) -> None:
    """Raise InsufficientRole if one of the roles is `admin` and the actor is not an admin or the command line."""
    if "admin" in roles and actor is not None and actor.role != "admin":
        raise errors.InsufficientRole("Only admins and `flask person create` can manage admins.")


def issue_token(
    actor: ApiToken, user_id: Any, name: str, scope: str, expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """Create a token for a user, or for a service account if `user_id` is None. Returns it with its plaintext.

    Raises InsufficientRole, and Invalid for an unknown or inactive user or a scope that the role does not allow.
    """
    organization = actor.organization
    if user_id is None:
        return ApiToken.issue(organization, name, scope, expires_at)
    with db.atomic():
        # Prevents a concurrent deletion of the user.
        organization.lock()
        user = find_referenced(User.of(organization.id), user_id, "personId")
        if not user.active:
            raise errors.invalid("personId", "This person is inactive. Activate them first.")
        _require_admin(actor, user.role)
        if not roles.allows(user.role, scope):
            raise errors.invalid("scopes", f"The role `{user.role}` only allows the `read` scope.")
        return ApiToken.issue(organization, name, scope, expires_at, user)


def revoke_token(token: ApiToken, actor: ApiToken) -> None:
    """Revoke a token. Raises InsufficientRole for an admin's token, LastWriteToken and NotFound."""
    _require_admin(actor, token.role)
    token.revoke()
