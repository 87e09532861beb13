"""The tables of integrations and notifications, and their queries.

Secrets are encrypted (integrations/secrets.py). Adapters own no tables.
"""

from datetime import timedelta
from typing import Any

import peewee

from errors import Conflict
from integrations import secrets
from integrations.errors import DuplicateRule, NoIntegrationKeys
from models.assessments import Assessment
from models.base import Model, PersonalData, Query, SoftDeleted, TimestampField, add_index, clock
from models.database import for_update
from models.feed import FeedEvent
from models.idempotency import IdempotentRequest
from models.keys import CandidateKey
from models.orgs import Organization
from rules.delivery.retries import MAX_RETRY_AFTER, RECEIVER_DELAY

# An order's states. The application is read while the order is RECEIVED.
RECEIVED, INVITED, STARTED, SUBMITTED, SCORED = "received", "invited", "started", "submitted", "scored"
SKIPPED, EXPIRED, REVOKED, ERASED, ATTENTION = "skipped", "expired", "revoked", "erased", "attention"
STATES = (RECEIVED, INVITED, STARTED, SUBMITTED, SCORED, SKIPPED, EXPIRED, REVOKED, ERASED, ATTENTION)
# Reasons for ATTENTION that several modules use; orders.py describes all.
ALREADY_ASSESSED, RETRIES_EXHAUSTED = "already_assessed", "retries_exhausted"
CREDENTIAL_REJECTED = "credential_rejected"
EMAIL_FAILED, EMAIL_SUPPRESSED = "email_failed", "email_suppressed"
# An order's `reported` after a person has asked for a report.
ASKED = ""
# An order's `person_id` after the person was deleted in the system, until the application is read again.
DELETED = ""
# A report's states.
QUEUED, SENT, DROPPED, FAILED = "queued", "sent", "dropped", "failed"
# An order's changes are collected for this long before they are reported.
COLLECTION_PERIOD = timedelta(minutes=15)
# An erased candidate's last report is tried for this long.
LAST_REPORT_PERIOD = timedelta(hours=24)


class Integration(SoftDeleted, Model):
    """An organization's connection to an applicant-tracking system.

    `system` is an adapter's name. `credential` is encrypted JSON of the adapter's CREDENTIAL fields, `secret` the
    encrypted key that signs webhooks; `former_secret` is valid until `former_secret_until`. `stopped_reason` is
    `credential_rejected` after the system rejected the credential. No call is made before `held_until`. A worker
    thread has claimed the integration until `claimed_until`.
    """

    personal_data = None
    organization = peewee.ForeignKeyField(Organization)
    system = peewee.TextField()
    name = peewee.TextField()
    settings = peewee.JSONField(default=dict)
    credential = peewee.TextField()
    credential_end = peewee.TextField()
    secret = peewee.TextField()
    former_secret = peewee.TextField(null=True)
    former_secret_until = TimestampField(null=True)
    active = peewee.BooleanField(default=True)
    stopped_reason = peewee.TextField(null=True)
    held_until = TimestampField(null=True)
    claimed_until = TimestampField(null=True)
    last_call_at = TimestampField(null=True)
    last_error = peewee.TextField(null=True)
    last_error_at = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def state(self) -> str:
        """`active`; `paused` by a person; or `stopped` because the system rejected the credential."""
        if not self.active:
            return "paused"
        return "stopped" if self.stopped_reason else "active"

    def hold(self, seconds: float) -> None:
        """Pause calls for `seconds`, or RECEIVER_DELAY if 0. Never shortens an existing pause."""
        until = clock.now() + min(timedelta(seconds=seconds) or RECEIVER_DELAY, MAX_RETRY_AFTER)
        is_longer = Integration.held_until.is_null() | (Integration.held_until < until)
        Integration.update(held_until=until).where(Integration.id == self.id, is_longer).execute()
        self.held_until = max(until, self.held_until or until)


class IntegrationCalls(Model):
    """The number of an integration's calls on one UTC day."""

    personal_data = None
    integration = peewee.ForeignKeyField(Integration, index=False)
    day = peewee.TextField()
    calls = peewee.IntegerField(default=0)
    failures = peewee.IntegerField(default=0)

    class Meta:
        table_name = "integration_calls"
        indexes = ((("integration", "day"), True),)


class IntegrationRule(Model):
    """A stage whose candidates get an assessment. `job_id` is empty for a rule for all jobs.

    `reports` are the states that are reported, `include` the parts of a report (schemas.py).
    """

    personal_data = None
    integration = peewee.ForeignKeyField(Integration, index=False)
    stage_id = peewee.TextField()
    stage_name = peewee.TextField()
    job_id = peewee.TextField(default="")
    job_name = peewee.TextField(null=True)
    assessment = peewee.ForeignKeyField(Assessment)
    reports = peewee.JSONField()
    include = peewee.JSONField()
    active = peewee.BooleanField(default=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @classmethod
    def of(cls, integration: Integration) -> Query:
        return (
            cls.select(cls, Assessment)
            .join(Assessment)
            .where(cls.integration == integration, cls.deleted_at.is_null())
        )

    @property
    def system_job_id(self) -> str | None:
        """The job's id in the system, or None for all jobs."""
        return self.job_id or None

    @property
    def assessment_available(self) -> bool:
        """True if candidates can be invited to the assessment."""
        return self.assessment.deleted_at is None and self.assessment.archived_at is None


add_index(
    "integration_rules_by_stage",
    *(IntegrationRule.integration, IntegrationRule.stage_id, IntegrationRule.job_id),
    where=IntegrationRule.deleted_at.is_null(),
    conflict=DuplicateRule,
)


# An erased order's columns.
_ERASED: dict[str, Any] = dict.fromkeys(
    ("application_id", "person_id", "reason", "last_error", "due_at", "report_due_at", "reported")
) | {"state": ERASED}


class IntegrationOrder(Model):
    """An application in a rule's stage, to be invited and reported.

    `reason` is set in the state `attention`; a received order with a reason was confirmed by a person despite it.
    `due_at` is the next time to read the application or to try again, None if nothing is due; `attempts` counts failed
    calls, and `failing_since` is when the subscription was first missing. `key` is the invited candidate, or with
    `already_assessed` the earlier one; several orders can share one. A change to the candidate after `refreshed_at` is
    not yet in the order's state and report (states.py). A report is due at `report_due_at`; `reported` is the content
    of the last one, `report_number` its number. `score_reported_at` is the time of the last report since the first
    with a visible score. An erasure removes `application_id` and `person_id`, and keeps `erased_mac`.
    """

    personal_data = PersonalData(
        "orders", "The application in the hiring team's system that led to your invitation."
    )
    integration_id: Any
    rule_id: Any
    integration = peewee.ForeignKeyField(Integration, index=False)
    rule = peewee.ForeignKeyField(IntegrationRule, index=False)
    application_id = peewee.TextField(null=True)
    person_id = peewee.TextField(null=True)
    erased_mac = peewee.TextField(null=True)
    key = peewee.ForeignKeyField(CandidateKey, null=True)
    state = peewee.TextField(default=RECEIVED)
    reason = peewee.TextField(null=True)
    last_error = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    failing_since = TimestampField(null=True)
    due_at = TimestampField(null=True, default=clock.now)
    refreshed_at = TimestampField(default=clock.now)
    report_due_at = TimestampField(null=True)
    reported = peewee.TextField(null=True)
    report_number = peewee.IntegerField(default=0)
    score_reported_at = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)

    @classmethod
    def of(cls, integration: Integration) -> Query:
        return cls.select().where(cls.integration == integration)

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        """Erase the candidate's orders, and queue their last reports."""
        orders = list(cls.personal_rows(key, session))
        for order in orders:
            if order.application_id is None:
                continue
            # The application's orders under other rules could invite the candidate again.
            is_same = cls.application_id == order.application_id
            if order.person_id:
                is_same |= cls.person_id == order.person_id
            others = cls.select().where(cls.integration == order.integration_id, cls.key.is_null(), is_same)
            for other in others:
                locked = other.lock()
                if locked.key_id is None:  # otherwise invited since the query
                    locked.erase(reports=False)
            order.lock().erase()
        return len(orders)

    @classmethod
    def erase_uninvited(cls, integration: Integration) -> None:
        """Erase a deleted integration's orders without a candidate. No webhook can repeat them, so no MAC is kept."""
        is_uninvited = (cls.integration == integration) & cls.key.is_null()
        cls.update(_ERASED | {"updated_at": clock.now()}).where(is_uninvited).execute()

    @classmethod
    def name_copies(cls, key: CandidateKey) -> list[str]:
        """Name the systems that keep notes about the candidate."""
        integrations = Integration.select(Integration.name, Integration.system).distinct()
        query = integrations.join(cls).where(cls.key == key).order_by(Integration.name)
        return [f"{row.name} ({row.system})" for row in query]

    def change_state(self, state: str, reason: str | None = None, **columns: Any) -> None:
        """Store the locked order's state, and schedule its report, in the caller's transaction."""
        now, is_new = clock.now(), (state, reason) != (self.state, self.reason)
        if columns.get("key") or self.key_id:
            columns = {"report_due_at": self.report_due_at or now + COLLECTION_PERIOD} | columns
        self.update_columns(state=state, reason=reason, **columns, updated_at=now)
        if is_new and state == ATTENTION:
            self.publish("order.attention")

    def publish(self, event_type: str) -> None:
        """Publish a feed event about the order in the caller's transaction."""
        # The rule's assessment can have been replaced since the invitation.
        invited: Any = self.key or self.rule
        payload = {"candidateId": self.key_id, "assessmentId": invited.assessment_id}
        payload |= {"integrationId": self.integration_id, "orderId": self.id}
        payload |= {"state": self.state, "reason": self.reason}
        FeedEvent.publish(self.integration.organization_id, event_type, payload)

    def erase(self, reports: bool = True) -> None:
        """Remove the system's ids in the caller's transaction, and queue the last report."""
        if self.application_id is None:
            return
        now, number = clock.now(), self.report_number + 1
        try:
            erased_mac, *_ = secrets.application_macs(self.integration_id, self.application_id)
        except NoIntegrationKeys:  # webhooks are rejected, too
            erased_mac = None
        if reports:
            IntegrationReport.create(
                integration=self.integration_id,
                order=self,
                number=number,
                status=ERASED,
                text="Status: Data erased",
                application_id=self.application_id,
            )
        columns = _ERASED | {"report_number": number, "updated_at": now}
        self.update_columns(**columns, erased_mac=erased_mac)
        # Responses of catch-ups and retries.
        IdempotentRequest.erase_field(self.integration.organization_id, self.id, "applicationId")


add_index(
    "integration_orders_by_application",
    *(IntegrationOrder.integration, IntegrationOrder.application_id, IntegrationOrder.rule),
    where=IntegrationOrder.application_id.is_null(False),
    conflict=Conflict,
)


class IntegrationReport(Model):
    """A note to be written to an application: `text`, then `Ref` and the reference.

    `is_unknown` is true from before a write until its outcome is known. Only the last report about an erased candidate
    has an `application_id`; it is tried for LAST_REPORT_PERIOD, and the row is then deleted.
    """

    personal_data = PersonalData("reports", None)
    order_id: Any
    integration = peewee.ForeignKeyField(Integration, index=False)
    order = peewee.ForeignKeyField(IntegrationOrder, index=False)
    number = peewee.IntegerField()
    status = peewee.TextField()
    text = peewee.TextField()
    application_id = peewee.TextField(null=True)
    state = peewee.TextField(default=QUEUED)
    attempts = peewee.IntegerField(default=0)
    is_unknown = peewee.BooleanField(default=False)
    due_at = TimestampField(default=clock.now)
    last_error = peewee.TextField(null=True)
    sent_at = TimestampField(null=True)

    class Meta:
        indexes = ((("order", "number"), True),)

    @property
    def reference(self) -> str:
        """The order and the number, such as `3f09ac-2`."""
        return f"{self.order_id.hex[-6:]}-{self.number}"

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        orders = IntegrationOrder.personal_rows(key, session).select(IntegrationOrder.id)
        return cls.select().where(cls.order.in_(orders))

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        """Delete the candidate's reports. Locks their orders first, like the worker."""
        list(for_update(IntegrationOrder.personal_rows(key, session).order_by(IntegrationOrder.id)))
        return cls.delete().where(cls.id.in_(cls.personal_rows(key, session).select(cls.id))).execute()


class NotificationChannel(SoftDeleted, Model):
    """A chat channel that gets an organization's events.

    `kind` is a module in integrations/chat/. `url` is encrypted. `assessment_ids` is None for all. `position` is the
    feed's cursor. `disabled_reason` is `paused` (by a person) or `gone` (the chat system no longer accepts the URL).
    """

    personal_data = None
    organization = peewee.ForeignKeyField(Organization)
    kind = peewee.TextField()
    name = peewee.TextField()
    url = peewee.TextField()
    url_end = peewee.TextField()
    assessment_ids = peewee.JSONField(null=True)
    events = peewee.JSONField()
    include_names = peewee.BooleanField(default=False)
    position = peewee.BigIntegerField(default=0)
    disabled_reason = peewee.TextField(null=True)
    held_until = TimestampField(null=True)
    claimed_until = TimestampField(null=True)
    last_sent_at = TimestampField(null=True)
    last_error = peewee.TextField(null=True)
    last_error_at = TimestampField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    @property
    def is_enabled(self) -> bool:
        return self.disabled_reason is None


class Notification(Model):
    """An event to be sent to a channel; `sent_at` is None while it waits.

    `subject_id` is the feed event's id, or for `scored` the session's, so that it is sent once. `reason` is an order's.
    """

    personal_data = PersonalData("notifications", None)
    channel = peewee.ForeignKeyField(NotificationChannel, index=False)
    event = peewee.TextField()
    subject_id = peewee.UUIDField()
    assessment = peewee.ForeignKeyField(Assessment)
    key = peewee.ForeignKeyField(CandidateKey, null=True)
    session_id = peewee.UUIDField(null=True)
    reason = peewee.TextField(null=True)
    attempts = peewee.IntegerField(default=0)
    sent_at = TimestampField(null=True)

    class Meta:
        indexes = ((("channel", "event", "subject_id"), True),)

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        return cls.delete().where(cls.key == key).execute()
