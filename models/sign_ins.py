"""Sign-ins to the console, identified by a cookie."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Self

import peewee

import errors
from models import sql
from models.base import Model, Query, TimestampField, clock, db
from models.deliveries import SIGN_IN, Delivery, outbox
from models.ledger.audit import Actor, AuditEntry
from models.ledger.protection import ProtectedModel
from models.orgs import CALLER_COLUMNS, ApiToken, RecordsUse, User, build_caller
from rules import sign_ins
from rules.delivery.email_addresses import exact_address, mailbox

EMAIL_RETENTION = timedelta(days=1)


class SignIn(ProtectedModel, RecordsUse):
    """A signed-in browser, until `expires_at` or `ended_at`.

    `fingerprint` identifies the cookie's secret. `token` is the token used to sign in, whose scope, expiry and
    revocation apply, or the user's row of ApiToken.for_sign_ins.
    """

    personal_data = None  # users are not candidates
    protected = ("fingerprint", "token", "method", "expires_at", "ended_at", "created_at")
    parent = "token"

    fingerprint = peewee.TextField(unique=True)
    token = peewee.ForeignKeyField(ApiToken)
    method = peewee.TextField()
    expires_at = TimestampField(index=True)
    last_used_at = TimestampField(null=True)
    ended_at = TimestampField(null=True)

    @classmethod
    def start(cls, token: ApiToken, method: str, **origin: Any) -> tuple[Self, str]:
        """Sign in. Returns the row and the secret for the cookie.

        origin -- the audit entry's `came_from` and `request_id`
        """
        secret = sign_ins.generate()
        columns = {"method": method, "expires_at": clock.now() + sign_ins.LIFETIME}
        with db.atomic():
            row = cls.create(fingerprint=sign_ins.fingerprint(secret), token=token, **columns)
            row._record("signIn", **origin)
        return row, secret

    @classmethod
    def authenticate(cls, secret: str) -> ApiToken | None:
        """Find a valid sign-in. Returns its token, with `sign_in` set and the earlier of both expiries."""
        if not sign_ins.is_well_formed(secret):
            return None
        rows = sql.rows(_SIGN_IN, fingerprint=sign_ins.fingerprint(secret), now=clock.now())
        if not rows:
            return None
        sign_in = _COLUMNS.build(rows[0][: len(_COLUMNS)])
        sign_in.token = token = build_caller(rows[0][len(_COLUMNS) :])
        token.expires_at = min(filter(None, (token.expires_at, sign_in.expires_at)))
        token.sign_in = sign_in
        return token

    @classmethod
    def was_issued(cls, secret: str) -> bool:
        """Return whether the secret belongs to a sign-in, including sign-ins that have ended."""
        return cls.select().where(cls.fingerprint == sign_ins.fingerprint(secret)).exists()

    @classmethod
    def of(cls, caller: ApiToken) -> Query:
        """Select valid sign-ins of the caller's user, or of the service account's token."""
        now = clock.now()
        belongs_to_caller = (
            ApiToken.id == caller.id if caller.user_id is None else ApiToken.user == caller.user_id
        )
        is_usable = ApiToken.revoked_at.is_null() & (
            ApiToken.expires_at.is_null() | (ApiToken.expires_at > now)
        )
        is_valid = cls.ended_at.is_null() & (cls.expires_at > now) & ((cls.method != "token") | is_usable)
        return cls.select().join(ApiToken).where(belongs_to_caller, is_valid)

    @classmethod
    def end_all(cls, caller: ApiToken, **origin: Any) -> int:
        """End all sign-ins of the caller. Returns how many."""
        with db.atomic():
            rows = list(cls.of(caller))
            for row in rows:
                row.end(**origin)
        return len(rows)

    @classmethod
    def end_all_for_user(cls, user: User) -> None:
        """End the sign-ins of a deactivated or deleted user."""
        sign_ins = (
            cls.select(cls, ApiToken).join(ApiToken).where(ApiToken.user == user, cls.ended_at.is_null())
        )
        for sign_in in list(sign_ins):
            sign_in.record_change("ended", ended_at=clock.now())

    def end(self, **origin: Any) -> None:
        """Sign out. Raises NotFound if the sign-in has ended."""
        with db.atomic():
            self.set_once("ended_at")
            self._record("signOut", **origin)

    @classmethod
    def delete_expired(cls) -> int:
        expired = (
            cls.select(ApiToken.organization, cls.id).join(ApiToken).where(cls.expires_at <= clock.now())
        )
        rows: Any = expired.tuples()
        ids = defaultdict(list)
        for organization_id, sign_in_id in rows:
            ids[organization_id].append(sign_in_id)
        return sum(cls.purge(each, organization_id) for organization_id, each in ids.items())

    def _record(self, action: str, **origin: Any) -> None:
        actor, organization_id = Actor.of(self.token), self.token.organization_id
        AuditEntry.record(
            organization_id, action, actor, "signIn", self.id, body_fields=[self.method], **origin
        )


class SignInGrant(Model):
    """A one-time grant to sign in as a user: an emailed link, or a sign-in at the OpenID provider.

    `address` is the user's exact address (rules/delivery/email_addresses.py). The worker checks whether a user has it,
    so the response time does not reveal it. The secret exists only in the email: `fingerprint` is set when the email is
    composed.
    """

    personal_data = None  # users are not candidates
    address = peewee.TextField()
    method = peewee.TextField()
    fingerprint = peewee.TextField(null=True, unique=True)
    expires_at = TimestampField(index=True)
    queued_at = TimestampField(null=True)
    used_at = TimestampField(null=True)

    @classmethod
    def request_email(cls, address: str) -> None:
        cls.create(address=address, method="email", expires_at=clock.now() + sign_ins.EMAIL_LIFETIME)

    @classmethod
    def queue_emails(cls) -> int:
        """Queue requested emails, and delete requests for unknown addresses. Returns the number of requests."""
        requests = list(cls.select().where(cls.queued_at.is_null()))
        for grant in requests:
            with db.atomic():
                is_unqueued = (cls.id == grant.id) & cls.queued_at.is_null()
                if not cls.update(queued_at=clock.now()).where(is_unqueued).execute():
                    continue
                if users := users_with_address(grant.address):
                    # The link's secret is created when the email is sent.
                    outbox.enqueue_to_user(users[0], SIGN_IN, {"grantId": str(grant.id)})
                else:
                    grant.delete_instance()
        return len(requests)

    @classmethod
    def issue(cls, address: str, method: str, expires_at: datetime) -> str:
        """Create a grant for a verified exact address. Returns its secret."""
        grant = cls.create(address=address, method=method, expires_at=expires_at, queued_at=clock.now())
        return grant.new_secret()

    def new_secret(self) -> str:
        """Replace the secret. The previous secret stops working."""
        secret = sign_ins.generate(sign_ins.BROWSER_PREFIX if self.is_for_one_browser else sign_ins.PREFIX)
        self.update_columns(fingerprint=sign_ins.fingerprint(secret))
        return secret

    @property
    def is_for_one_browser(self) -> bool:
        """True if only the browser that received the grant can use it."""
        return self.method == "oidc"

    @property
    def is_usable(self) -> bool:
        return self.used_at is None and self.expires_at > clock.now()

    @classmethod
    def find(cls, secret: str) -> "SignInGrant":
        """Find a usable grant. Raises SignInExpired."""
        if sign_ins.is_well_formed(secret):
            grant = cls.get_or_none(cls.fingerprint == sign_ins.fingerprint(secret))
            if grant and grant.is_usable:
                return grant
        raise errors.SignInExpired()

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
        """Delete expired grants. Returns how many."""
        return cls.delete().where(cls.expires_at <= clock.now()).execute()

    @classmethod
    def delete_emails(cls) -> int:
        """Delete finished emails after a day. Returns how many."""
        is_old = (Delivery.kind == SIGN_IN) & (Delivery.created_at <= clock.now() - EMAIL_RETENTION)
        emails = list(Delivery.select().where(is_old, Delivery.state != "queued"))
        for email in emails:
            email.remove_saved_email()
            email.delete_instance()
        return len(emails)


def users_with_address(address: str) -> list[User]:
    """Return the active users with this exact address, at most one per organization, oldest first."""
    is_active = User.active & User.deleted_at.is_null()
    users = User.select().where(User.address == mailbox(address), is_active).order_by(User.id)
    return [user for user in users if user.email and exact_address(user.email) == address]


_COLUMNS = sql.Columns(SignIn, "s", "id created_at method expires_at last_used_at")
_SIGN_IN = sql.SIGN_IN.format(sign_in=_COLUMNS.text, **CALLER_COLUMNS)
