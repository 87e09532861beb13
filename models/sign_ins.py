"""Users' sign-ins to the console, identified by the cookie."""

from datetime import datetime, timedelta
from typing import Any, Self

import peewee

import errors
from models import sql
from models.base import Model, Query, TimestampField, clock, db
from models.deliveries import SIGN_IN, Delivery, outbox
from models.ledger.audit import Actor, AuditEntry
from models.orgs import CALLER_COLUMNS, ApiToken, RecordsUse, User, build_caller
from rules import sign_ins

MAIL_RETENTION = timedelta(days=1)


class SignIn(Model, RecordsUse):
    """A signed-in browser, until `expires_at` or `ended_at`.

    `fingerprint` identifies the secret in the cookie. `token` is the acting token: the one used to sign in, whose
    scope, expiry and revocation apply, or the user's row of ApiToken.for_sign_ins.
    """

    personal_data = None  # of users, not of candidates
    fingerprint = peewee.TextField(unique=True)
    token = peewee.ForeignKeyField(ApiToken)
    method = peewee.TextField()
    expires_at = TimestampField(index=True)
    last_used_at = TimestampField(null=True)
    ended_at = TimestampField(null=True)

    @classmethod
    def start(cls, token: ApiToken, method: str, **origin: Any) -> tuple[Self, str]:
        """Sign in; returns the row, and the secret for the cookie.

        origin -- `came_from` and `request_id` of the audit entry
        """
        secret = sign_ins.generate()
        columns = {"method": method, "expires_at": clock.now() + sign_ins.LIFETIME}
        with db.atomic():
            row = cls.create(fingerprint=sign_ins.fingerprint(secret), token=token, **columns)
            row._record("signIn", **origin)
        return row, secret

    @classmethod
    def authenticate(cls, secret: str) -> ApiToken | None:
        """The token that acts for a valid sign-in, with the sign-in as its `sign_in`; it expires with the sign-in."""
        if not sign_ins.is_well_formed(secret):
            return None
        fingerprint = sign_ins.fingerprint(secret)
        for values in sql.rows(_SIGN_IN, fingerprint=fingerprint, now=clock.now()):
            row = _COLUMNS.build(values[: len(_COLUMNS)])
            row.token = token = build_caller(values[len(_COLUMNS) :])
            token.expires_at = min(filter(None, (token.expires_at, row.expires_at)))
            token.sign_in = row
            return token
        return None

    @classmethod
    def was_issued(cls, secret: str) -> bool:
        """Return whether this is the secret of a sign-in, including ended ones."""
        return cls.select().where(cls.fingerprint == sign_ins.fingerprint(secret)).exists()

    @classmethod
    def of(cls, caller: ApiToken) -> Query:
        """The valid sign-ins of the caller's user, or with the service account's token."""
        now = clock.now()
        is_theirs = ApiToken.id == caller.id
        if caller.user_id is not None:
            is_theirs = ApiToken.user == caller.user_id
        is_usable = ApiToken.revoked_at.is_null() & (
            ApiToken.expires_at.is_null() | (ApiToken.expires_at > now)
        )
        is_valid = cls.ended_at.is_null() & (cls.expires_at > now) & ((cls.method != "token") | is_usable)
        return cls.select().join(ApiToken).where(is_theirs, is_valid)

    @classmethod
    def end_all(cls, caller: ApiToken, **origin: Any) -> int:
        """End every sign-in of the caller; returns how many."""
        with db.atomic():
            rows = list(cls.of(caller))
            for row in rows:
                row.end(**origin)
        return len(rows)

    @classmethod
    def end_of_user(cls, user: User) -> None:
        """End the sign-ins of a deactivated or deleted user."""
        tokens = ApiToken.select(ApiToken.id).where(ApiToken.user == user)
        cls.update(ended_at=clock.now()).where(cls.token.in_(tokens), cls.ended_at.is_null()).execute()

    def end(self, **origin: Any) -> None:
        """Sign out. Raises NotFound if it has ended."""
        with db.atomic():
            self.set_once("ended_at")
            self._record("signOut", **origin)

    @classmethod
    def delete_expired(cls) -> int:
        """Delete sign-ins that have expired; returns how many."""
        return cls.delete().where(cls.expires_at <= clock.now()).execute()

    def _record(self, action: str, **origin: Any) -> None:
        actor, organization_id = Actor.of(self.token), self.token.organization_id
        AuditEntry.record(
            organization_id, action, actor, "signIn", self.id, body_fields=[self.method], **origin
        )


class SignInGrant(Model):
    """A one-time right to sign in as a user with this mailbox: an emailed link, or a sign-in at the OpenID provider.

    For a request by email, the worker checks whether such a user exists, so the request does the same work either way.
    The secret exists only in the email: `fingerprint` is set when the email is composed.
    """

    personal_data = None  # of users, not of candidates
    address = peewee.TextField()
    method = peewee.TextField()
    fingerprint = peewee.TextField(null=True, unique=True)
    expires_at = TimestampField(index=True)
    queued_at = TimestampField(null=True)
    used_at = TimestampField(null=True)

    @classmethod
    def request_email(cls, address: str) -> None:
        """Request an email with a sign-in link."""
        cls.create(address=address, method="email", expires_at=clock.now() + sign_ins.EMAIL_LIFETIME)

    @classmethod
    def queue_emails(cls) -> int:
        """Queue the requested emails, and delete requests for unknown mailboxes; returns how many were queued."""
        requests = list(cls.select().where(cls.queued_at.is_null()))
        for grant in requests:
            with db.atomic():
                is_open = (cls.id == grant.id) & cls.queued_at.is_null()
                if not cls.update(queued_at=clock.now()).where(is_open).execute():
                    continue
                if user := people_at(grant.address).first():
                    outbox.enqueue_sign_in(user, grant.id)
                else:
                    grant.delete_instance()
        return len(requests)

    @classmethod
    def issue(cls, address: str, method: str, expires_at: datetime) -> str:
        """Create a grant for a verified mailbox; returns its secret."""
        grant = cls.create(address=address, method=method, expires_at=expires_at, queued_at=clock.now())
        return grant.new_secret()

    def new_secret(self) -> str:
        """Replace the secret; the previous one stops working."""
        secret = sign_ins.generate(sign_ins.BROWSER_PREFIX if self.is_for_one_browser else sign_ins.PREFIX)
        self.update_columns(fingerprint=sign_ins.fingerprint(secret))
        return secret

    @property
    def is_for_one_browser(self) -> bool:
        """Return whether only the browser that received it may use it; any other could open its address and sign in."""
        return self.method == "oidc"

    @property
    def is_usable(self) -> bool:
        return self.used_at is None and self.expires_at > clock.now()

    @classmethod
    def find(cls, secret: str) -> "SignInGrant":
        """The grant with this secret. Raises SignInExpired."""
        grant = None
        if sign_ins.is_well_formed(secret):
            grant = cls.get_or_none(cls.fingerprint == sign_ins.fingerprint(secret))
        if grant is None or not grant.is_usable:
            raise errors.SignInExpired()
        return grant

    def people(self) -> list[User]:
        """The active users with the mailbox, each in a different organization."""
        return list(people_at(self.address))

    def use(self, user: User, **origin: Any) -> tuple[SignIn, str]:
        """Sign in as a user, once. Raises SignInExpired."""
        with db.atomic():
            try:
                self.set_once("used_at")
            except errors.NotFound:
                raise errors.SignInExpired() from None
            return SignIn.start(ApiToken.for_sign_ins(user), self.method, **origin)

    @classmethod
    def delete_expired(cls) -> int:
        """Delete grants that have expired, and the deliveries of their emails after a day; returns how many grants."""
        emails = (Delivery.kind == SIGN_IN) & (Delivery.created_at <= clock.now() - MAIL_RETENTION)
        Delivery.delete().where(emails, Delivery.state != "queued").execute()
        return cls.delete().where(cls.expires_at <= clock.now()).execute()


def people_at(address: str) -> Query:
    """The active users with a mailbox, oldest first."""
    is_active = User.active & User.deleted_at.is_null()
    return User.select().where(User.address == address, is_active).order_by(User.id)


_COLUMNS = sql.Columns(SignIn, "s", "id created_at method expires_at last_used_at")
_SIGN_IN = sql.SIGN_IN.format(sign_in=_COLUMNS.text, **CALLER_COLUMNS)
