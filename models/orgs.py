"""Organizations and their API tokens."""

from datetime import datetime, timedelta

import peewee

import errors
from models import sql
from models.base import Model, Query, TimestampField, clock, db
from rules import api_tokens, plans


class Organization(Model):
    """A hiring team, which owns everything that its API tokens can see.

    Candidates read `display_name` instead of the name. `disclosure_additions` are further texts for the disclosure's
    lists, by the lists' names.
    """

    name = peewee.TextField()
    plan = peewee.TextField(default="self_hosted")
    subscription = peewee.TextField(null=True)
    trial_ends_at = TimestampField(null=True)
    display_name = peewee.TextField(null=True)
    reply_to = peewee.TextField(null=True)
    retention_days = peewee.IntegerField(null=True)
    disclosure_additions = peewee.JSONField(null=True)

    @classmethod
    def open(cls, name: str, plan: str = "self_hosted") -> tuple["Organization", str]:
        """Create an organization and its first API token; on the plan `trial` it has 14 days."""
        from models.audit import AuditChain

        with db.atomic():
            organization = cls.create(name=name, plan=plan)
            organization.subscribe("trialing" if plan == "trial" else "active")
            AuditChain.open(organization)
            _, token = ApiToken.issue(organization, "First token", "write")
        return organization, token

    def subscribe(self, state: str | None, trial_ends_at: datetime | None = None) -> None:
        """Set the subscription's state; `trialing` ends in 14 days unless a time is given."""
        ends_at = (trial_ends_at or clock.now() + plans.TRIAL) if state == "trialing" else None
        self.update_columns(subscription=state, trial_ends_at=ends_at)

    def change_plan(self, plan: str) -> None:
        self.update_columns(plan=plan)

    @property
    def shown_name(self) -> str:
        """The name that candidates read."""
        return self.display_name or self.name

    def require_subscription(self) -> None:
        """Raise SubscriptionRequired if the subscription does not allow new work (R11)."""
        reason = plans.subscription_refusal(self.plan, self.subscription, self.trial_ends_at, clock.now())
        if reason:
            raise errors.SubscriptionRequired(reason)


class ApiToken(Model):
    """A reviewer's or a script's token for one organization.

    Only the token's fingerprint is stored. Tokens are revoked, never deleted.
    """

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
        """Create a token; its text is returned here and never again."""
        text = api_tokens.generate()
        columns = {"name": name, "scope": scope, "expires_at": expires_at, "last_four": text[-4:]}
        token = cls.create(organization=organization, fingerprint=api_tokens.fingerprint(text), **columns)
        return token, text

    @classmethod
    def authenticate(cls, text: str) -> "ApiToken | None":
        """The valid token with this text, with the columns that callers use, and its organization."""
        if not api_tokens.is_well_formed(text):
            return None
        for values in sql.rows(_API_TOKEN, fingerprint=api_tokens.fingerprint(text), now=clock.now()):
            token = _TOKEN.build(values[: len(_TOKEN)])
            token.organization = _ORGANIZATION.build(values[len(_TOKEN) :])
            return token
        return None

    @classmethod
    def valid(cls, now: datetime) -> Query:
        return cls.select().where(cls.revoked_at.is_null(), cls.expires_at.is_null() | (cls.expires_at > now))

    @classmethod
    def visible_to(cls, caller: "ApiToken") -> Query:
        return cls.select().where(cls.organization == caller.organization_id, cls.revoked_at.is_null())

    @property
    def scopes(self) -> list[str]:
        return ["read", "write"] if self.scope == "write" else ["read"]

    @property
    def sees_keys(self) -> bool:
        """Return whether responses contain full candidate keys, which let their reader act as the candidate (R33)."""
        return self.scope == "write"

    @property
    def prefix(self) -> str:
        return api_tokens.PREFIX

    def require_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise errors.InsufficientScope()

    def record_use(self) -> None:
        """Set `last_used_at`, at most once a minute."""
        now = clock.now()
        if self.last_used_at is None or abs(now - self.last_used_at) >= timedelta(minutes=1):
            try:
                with db.atomic():
                    self.update_columns(last_used_at=now)
            except peewee.DatabaseError as error:
                # Reads must work on a full disk and on a read-only server.
                if errors.refusal_for(error) is None:
                    raise

    def revoke(self, allow_last: bool = False) -> None:
        """Revoke the token. Raises LastWriteToken if no other valid one has the scope `write`, and NotFound."""
        with db.atomic():
            self.organization.lock()
            now = clock.now()
            others = ApiToken.valid(now).where(ApiToken.scope == "write", ApiToken.id != self.id)
            is_last = not others.where(ApiToken.organization == self.organization).exists()
            if self.scope == "write" and is_last and not allow_last:
                raise errors.LastWriteToken()
            self.set_once("revoked_at")


_TOKEN = sql.Columns(ApiToken, "t", "id organization name scope expires_at last_used_at")
_ORGANIZATION = sql.Columns(Organization, "o")
_API_TOKEN = sql.API_TOKEN.format(token=_TOKEN.text, organization=_ORGANIZATION.text)
