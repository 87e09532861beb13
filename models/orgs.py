"""Organizations, and the reviewers who may call the API for them."""

from datetime import datetime, timedelta
from typing import Any

import peewee

import errors
from errors import InsufficientScope, LastWriteToken, SubscriptionRequired
from models.base import Model, Query, TimestampField, clock, db, locked
from models.compiled import Compiled, Parameter
from rules import plans, tokens

LAST_USE_PRECISION = timedelta(minutes=1)


class Organization(Model):
    """A customer: a hiring team, and the whole world that its reviewers can see.

    `display_name` is what candidates read instead of the name; `disclosure_additions` are lists of texts that the
    disclosure has besides, by the names of its lists.
    """

    name = peewee.TextField()
    plan = peewee.TextField(default="self_hosted")
    subscription = peewee.TextField(null=True)
    trial_ends_at = TimestampField(null=True)
    display_name = peewee.TextField(null=True)
    reply_to = peewee.TextField(null=True)
    retention_days = peewee.IntegerField(null=True)
    disclosure_additions = peewee.JSONField(null=True)

    class Meta:
        table_name = "organizations"

    @classmethod
    def open(cls, name: str, plan: str = "self_hosted") -> tuple["Organization", str]:
        """Create an organization with its first token; a `trial` trials for 14 days, all else is active."""
        with db.atomic():
            organization = cls.create(name=name, plan=plan)
            organization.subscribe("trialing" if plan == "trial" else "active")
            _, token = ApiToken.issue(organization, "First token", "write")
        return organization, token

    def subscribe(self, state: str | None, trial_ends_at: datetime | None = None) -> None:
        """Set the subscription's state; `trialing` without a date ends in 14 days."""
        self.subscription = state
        self.trial_ends_at = (trial_ends_at or clock.now() + plans.TRIAL) if state == "trialing" else None
        self.save()

    def change_plan(self, plan: str) -> None:
        self.plan = plan
        self.save()

    def change_settings(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        if values:
            Organization.update(**values).where(Organization.id == self.id).execute()

    @property
    def shown_name(self) -> str:
        """What candidates read."""
        return self.display_name or self.name

    def require_subscription(self) -> None:
        """Raise SubscriptionRequired where the subscription refuses new work (R11)."""
        reason = plans.refusal(self.plan, self.subscription, self.trial_ends_at, clock.now())
        if reason:
            raise SubscriptionRequired(reason)

    def take_turn(self) -> None:
        """Wait until nobody else decides on this organization; inside a transaction, until its end."""
        locked(Organization.select(Organization.id).where(Organization.id == self.id)).execute()


class ApiToken(Model):
    """Someone, or some script, who may call the API for an organization, known by one token.

    Of the token only its fingerprint is kept. A token is revoked rather than deleted.
    """

    organization_id: Any
    organization = peewee.ForeignKeyField(Organization)
    name = peewee.TextField()
    scope = peewee.TextField()
    fingerprint = peewee.TextField(unique=True)
    last_four = peewee.TextField()
    expires_at = TimestampField(null=True)
    last_used_at = TimestampField(null=True)
    revoked_at = TimestampField(null=True)

    class Meta:
        table_name = "reviewers"

    @classmethod
    def issue(
        cls, organization: Organization, name: str, scope: str, expires_at: datetime | None = None
    ) -> tuple["ApiToken", str]:
        """Create a reviewer and the token, which is shown now and never again."""
        token = tokens.make()
        reviewer = cls.create(
            organization=organization,
            name=name,
            scope=scope,
            fingerprint=tokens.fingerprint(token),
            last_four=token[-4:],
            expires_at=expires_at,
        )
        return reviewer, token

    @classmethod
    def by_token(cls, token: str) -> "ApiToken | None":
        """Whom the token names, with the organization, if it is valid now."""
        if not tokens.is_well_formed(token):
            return None
        return _BY_FINGERPRINT.first(fingerprint=tokens.fingerprint(token), now=clock.now())

    @classmethod
    def valid(cls, now: Any) -> Query:
        return cls.select().where(cls.revoked_at.is_null(), cls.expires_at.is_null() | (cls.expires_at > now))

    @classmethod
    def visible_to(cls, caller: "ApiToken") -> Query:
        return cls.select().where(cls.organization == caller.organization_id, cls.revoked_at.is_null())

    @property
    def scopes(self) -> list[str]:
        return ["read", "write"] if self.scope == "write" else ["read"]

    @property
    def prefix(self) -> str:
        return tokens.PREFIX

    def require_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise InsufficientScope()

    def note_use(self) -> None:
        """Keep when the token was last used, to the minute: a busy script must not cost a write a request."""
        now = clock.now()
        if self.last_used_at is None or abs(now - self.last_used_at) >= LAST_USE_PRECISION:
            try:
                with db.atomic():
                    ApiToken.update(last_used_at=now).where(ApiToken.id == self.id).execute()
            except peewee.DatabaseError as error:
                # Neither a full disk nor a server that only reads keeps anybody from reading.
                if errors.meaning_of(error) is None:
                    raise

    def revoke(self, even_the_last: bool = False) -> None:
        """Refuse the token from now on; LastWriteToken where nobody with `write` would be left."""
        with db.atomic():
            self.organization.take_turn()
            now = clock.now()
            if self.scope == "write" and not even_the_last and not self._others_may_write(now):
                raise LastWriteToken()
            ApiToken.update(revoked_at=now).where(ApiToken.id == self.id).execute()

    def _others_may_write(self, now: datetime) -> bool:
        others = ApiToken.valid(now).where(
            ApiToken.organization == self.organization, ApiToken.scope == "write", ApiToken.id != self.id
        )
        return others.exists()


def _by_fingerprint() -> Query:
    query = ApiToken.valid(Parameter("now", ApiToken.expires_at)).select_extend(Organization)
    return query.join(Organization).where(
        ApiToken.fingerprint == Parameter("fingerprint", ApiToken.fingerprint)
    )


_BY_FINGERPRINT = Compiled(_by_fingerprint)
