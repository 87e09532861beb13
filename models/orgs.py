"""Organizations, their users and API tokens."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import peewee

import database_errors
import errors
from models import sql
from models.base import Model, Query, TimestampField, add_index, clock, db
from models.ledger.protection import ProtectedModel
from rules import api_tokens, plans, roles


class Organization(Model):
    """A hiring team. It owns everything that its API tokens can see.

    Candidates see `display_name` instead of `name`. `disclosure_additions` contains strings to append to the
    disclosure's lists, by list name.
    """

    personal_data = None
    name = peewee.TextField()
    plan = peewee.TextField(default="self_hosted")
    subscription = peewee.TextField(null=True)
    trial_ends_at = TimestampField(null=True)
    display_name = peewee.TextField(null=True)
    reply_to = peewee.TextField(null=True)
    retention_days = peewee.IntegerField(null=True)
    disclosure_additions = peewee.JSONField(null=True)

    def subscribe(self, state: str | None, trial_ends_at: datetime | None = None) -> None:
        """Set the subscription's state. A trial ends in 14 days by default."""
        ends_at = (trial_ends_at or clock.now() + plans.TRIAL) if state == "trialing" else None
        self.update_columns(subscription=state, trial_ends_at=ends_at)

    def update_settings(
        self, values: dict[str, Any], check: Callable[[], None] = lambda: None
    ) -> "Organization":
        """Update the settings; `check` is called after the row is locked."""
        with db.atomic():
            organization = self.lock()
            check()
            organization.update_columns(**values)
        return organization

    @property
    def public_name(self) -> str:
        """The name that candidates see."""
        return self.display_name or self.name

    def require_subscription(self) -> None:
        """Raise SubscriptionRequired if the subscription does not allow new work (R11)."""
        now = clock.now()
        if reason := plans.subscription_error(self.plan, self.subscription, self.trial_ends_at, now):
            raise errors.SubscriptionRequired(reason)


class User(ProtectedModel):
    """A user with the role `admin`, `reviewer` or `observer` (rules/roles.py).

    `address` is the email's mailbox (rules/delivery/email_addresses.py). A deleted user is inactive and has no email;
    scores and decisions still show the name. `invitation_id` is the invitation's delivery. `observer_until` is the
    time when the role stopped to be `observer`, which shows all scores (R49).
    """

    personal_data = None  # not a candidate
    protected = (
        *("organization", "name", "email", "address", "role", "observer_until", "active"),
        *("deleted_at", "created_at"),
    )
    kind = "person"
    # The invitation's Delivery; set by `users.visible_to`.
    invite: Any = None

    organization = peewee.ForeignKeyField(Organization, index=False)
    name = peewee.TextField()
    email = peewee.TextField(null=True)
    address = peewee.TextField(null=True)
    role = peewee.TextField()
    observer_until = TimestampField(null=True)
    active = peewee.BooleanField(default=True)
    invitation_id = peewee.UUIDField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def can_score(self) -> bool:
        return self.active and roles.allows(self.role, "write")

    @classmethod
    def of(cls, organization_id: Any) -> Query:
        """Select the organization's users, without deleted users."""
        return cls.select().where(cls.organization == organization_id, cls.deleted_at.is_null())


add_index("users_address", User.organization, User.address, conflict=errors.DuplicatePerson)


class RecordsUse:
    """A table with `last_used_at`."""

    last_used_at: datetime | None
    update_columns: Callable[..., int]

    def record_use(self) -> None:
        """Set `last_used_at`, at most once a minute."""
        now = clock.now()
        if self.last_used_at is None or abs(now - self.last_used_at) >= timedelta(minutes=1):
            try:
                with db.atomic():
                    self.update_columns(last_used_at=now)
            except peewee.DatabaseError as error:
                # Reads must work on a full disk and a read-only server.
                if database_errors.error_for(error) is None:
                    raise


class ApiToken(ProtectedModel, RecordsUse):
    """An organization's API token. It belongs to a user or a named service account.

    A user's role limits their tokens' scopes. Only the token's fingerprint is stored. Tokens are revoked, never
    deleted.
    """

    personal_data = None
    protected = (
        *("organization", "user", "name", "scope", "fingerprint", "last_four", "expires_at", "revoked_at"),
        "created_at",
    )
    kind = "serviceAccount"
    # The SignIn, if the request was authenticated by the cookie (models/sign_ins.py).
    sign_in: Any = None

    user_id: Any
    organization = peewee.ForeignKeyField(Organization)
    user = peewee.ForeignKeyField(User, null=True)
    name = peewee.TextField()
    scope = peewee.TextField()
    fingerprint = peewee.TextField(unique=True)
    last_four = peewee.TextField()
    expires_at = TimestampField(null=True)
    last_used_at = TimestampField(null=True)
    revoked_at = TimestampField(null=True)

    @classmethod
    def issue(
        cls,
        organization: Organization,
        name: str,
        scope: str,
        expires_at: datetime | None = None,
        user: User | None = None,
    ) -> tuple["ApiToken", str]:
        """Create a token for a user, or for a service account. Returns it with its plaintext, which is not stored."""
        plaintext = api_tokens.generate()
        columns: dict[str, Any] = {"name": name, "scope": scope, "expires_at": expires_at, "user": user}
        columns |= {"last_four": plaintext[-4:]}
        token = cls.create(
            organization=organization, fingerprint=api_tokens.fingerprint(plaintext), **columns
        )
        return token, plaintext

    @classmethod
    def authenticate(cls, plaintext: str) -> "ApiToken | None":
        """Find a valid token, with its organization and user."""
        if not api_tokens.is_well_formed(plaintext):
            return None
        rows = sql.rows(
            sql.prepare(_API_TOKEN), fingerprint=api_tokens.fingerprint(plaintext), now=clock.now()
        )
        return build_caller(rows[0]) if rows else None

    @classmethod
    def for_sign_ins(cls, user: User) -> "ApiToken":
        """Return the row that represents a user who signed in without a token, created if missing.

        It is revoked and its fingerprint matches no token, so it cannot authenticate and is not listed. Scores,
        decisions and idempotent requests refer to it like to any token.
        """
        columns: dict[str, Any] = {"organization": user.organization_id, "user": user, "scope": "write"}
        columns |= {"name": "Console", "last_four": "", "revoked_at": clock.now()}
        fingerprint = f"sign-ins of {user.id}"
        if token := cls.get_or_none(cls.fingerprint == fingerprint):
            return token
        with contextlib.suppress(peewee.IntegrityError), db.atomic():
            cls.create(fingerprint=fingerprint, **columns)
        return cls.get(cls.fingerprint == fingerprint)

    @classmethod
    def visible_to(cls, caller: "ApiToken") -> Query:
        """Select the organization's unrevoked tokens with their users."""
        query = cls.select(cls, User).join(User, peewee.JOIN.LEFT_OUTER)
        return query.where(cls.organization == caller.organization_id, cls.revoked_at.is_null())

    @classmethod
    @contextmanager
    def requires_manager(cls, organization: Organization, message: str | None = None) -> Iterator[None]:
        """Run the block in a transaction that locks the organization.

        Raises LastWriteToken if no remaining token can manage tokens.
        """
        with db.atomic():
            organization.lock()
            had_manager = cls._managers(organization).exists()
            yield
            if had_manager and not cls._managers(organization).exists():
                raise errors.LastWriteToken(message)

    @classmethod
    def _managers(cls, organization: Organization) -> Query:
        """Select valid `write` tokens of service accounts and active admins."""
        tokens = cls.select(cls.id).join(User, peewee.JOIN.LEFT_OUTER)
        is_valid = cls.revoked_at.is_null() & (cls.expires_at.is_null() | (cls.expires_at > clock.now()))
        is_manager = cls.user.is_null() | (User.active & (User.role == "admin"))
        return tokens.where(cls.organization == organization, cls.scope == "write", is_valid, is_manager)

    @property
    def author(self) -> "User | ApiToken":
        """The token's user, or the token itself for a service account."""
        return self.user or self

    @property
    def role(self) -> str | None:
        """The role of the token's user; None for a service account."""
        return self.user.role if self.user else None

    @property
    def user_name(self) -> str | None:
        return self.user.name if self.user else None

    @property
    def scopes(self) -> list[str]:
        can_write = self.scope == "write" and roles.allows(self.role, "write")
        return ["read", "write"] if can_write else ["read"]

    @property
    def can_view_keys(self) -> bool:
        """True if responses contain full candidate keys, which allow impersonating candidates (R33)."""
        return "write" in self.scopes

    @property
    def prefix(self) -> str:
        return api_tokens.PREFIX

    def require_scope(self, scope: str) -> None:
        """Raise InsufficientScope or InsufficientRole unless the token and the role have the scope."""
        if scope != "read" and self.scope != "write":
            raise errors.InsufficientScope()
        if not roles.allows(self.role, scope):
            raise errors.InsufficientRole()

    def revoke(self, allow_last: bool = False) -> None:
        """Revoke the token. Raises NotFound, and LastWriteToken if no other valid token can manage tokens."""
        if allow_last:
            self.set_once("revoked_at")
            return
        with self.requires_manager(self.organization):
            self.set_once("revoked_at")


_TOKEN = sql.Columns(ApiToken, "t", "id organization user name scope expires_at last_used_at")
_ORGANIZATION = sql.Columns(Organization, "o")
_USER = sql.Columns(User, "p", "id organization name email role observer_until active")
CALLER_COLUMNS = {"token": _TOKEN.text, "organization": _ORGANIZATION.text, "user": _USER.text}
_API_TOKEN = sql.API_TOKEN.format(**CALLER_COLUMNS)


def build_caller(values: Any) -> ApiToken:
    """Build a token with its organization and user from the values of CALLER_COLUMNS."""
    token = _TOKEN.build(values[: len(_TOKEN)])
    token.organization = _ORGANIZATION.build(values[len(_TOKEN) : -len(_USER)])
    if token.user_id is not None:
        token.user = _USER.build(values[-len(_USER) :])
    return token
