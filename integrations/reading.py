"""Read an order's application, and invite its candidate."""

from datetime import timedelta
from operator import attrgetter
from typing import Any

from marshmallow import ValidationError

from errors import DuplicateExternalId, SubscriptionRequired
from integrations import orders, rules
from integrations.adapter import Application, read_name
from integrations.tables import (
    ALREADY_ASSESSED,
    ATTENTION,
    DELETED,
    INVITED,
    SKIPPED,
    Integration,
    IntegrationOrder,
    IntegrationRule,
)
from models import AuditEntry, CandidateKey, Session, clock, db, external_ids, generate_keys
from models.database import for_update
from models.deliveries import limit
from models.ledger.audit import Actor
from rules.rows import row_id
from schemas.fields import Email

SUBSCRIPTION_DELAY = timedelta(hours=1)
SUBSCRIPTION_PERIOD = timedelta(days=3)
_SETTLED: dict[str, Any] = {"due_at": None, "attempts": 0, "failing_since": None, "last_error": None}


def read(order: IntegrationOrder, integration: Integration, adapter: Any, api: Any) -> None:
    """Read the application and decide by its current state, in one transaction with the invitation."""
    application_id: Any = order.application_id
    application = adapter.read_application(api, application_id)
    with db.atomic():
        if locked := _lock_unchanged(order):
            _decide(locked, integration, application)


def set_attention(order: IntegrationOrder, reason: str, **columns: Any) -> None:
    """Set the order's state to `attention` after a failed call."""
    with db.atomic():
        if locked := _lock_unchanged(order):
            locked.change_state(ATTENTION, reason, **columns)


def _lock_unchanged(order: IntegrationOrder) -> IntegrationOrder | None:
    """Lock the order; None if a webhook, person or worker has changed it since it was loaded."""
    locked = order.lock()
    is_unchanged = (locked.state, locked.due_at, locked.key_id) == (order.state, order.due_at, order.key_id)
    return locked if is_unchanged else None


def _decide(order: IntegrationOrder, integration: Integration, application: Application | None) -> None:
    rule = None
    is_deleted = application is None and order.person_id == DELETED
    if is_deleted or orders.was_erased(integration, order.application_id):
        order.erase(reports=False)
        return
    if application is not None:
        order.person_id = application.person_id
    if application is not None and application.is_active:
        rule = rules.find(integration, application.stage_id, (application.job_id,))
    if application is None or rule is None or rule.id != order.rule_id:
        order.change_state(SKIPPED, **_SETTLED, person_id=order.person_id)
        if application is not None and rule is not None:
            orders.add(integration, rule, application.id, application.person_id)
        return
    if reason := _find_obstacle(integration, rule, application):
        order.change_state(ATTENTION, reason, **_SETTLED, person_id=application.person_id)
    elif not _has_subscription(integration):
        _wait_for_subscription(order)
    else:
        _invite(order, integration, rule, application)


def _find_obstacle(integration: Integration, rule: IntegrationRule, application: Application) -> str | None:
    if not application.may_email:
        return orders.MAY_NOT_EMAIL
    if _address(application) is None:
        return "no_address"
    return None if rule.assessment_available else "assessment_unavailable"


def _address(application: Application) -> str | None:
    try:
        return Email().deserialize(application.email) if application.email else None
    except ValidationError:
        return None


def _has_subscription(integration: Integration) -> bool:
    try:
        integration.organization.require_subscription()
    except SubscriptionRequired:
        return False
    return True


def _wait_for_subscription(order: IntegrationOrder) -> None:
    now = clock.now()
    since = order.failing_since if order.reason == "subscription" and order.failing_since else now
    due_at = now + SUBSCRIPTION_DELAY if now - since < SUBSCRIPTION_PERIOD else None
    columns = {"failing_since": since, "due_at": due_at, "person_id": order.person_id}
    order.change_state(ATTENTION, "subscription", **columns)


def _invite(
    order: IntegrationOrder, integration: Integration, rule: IntegrationRule, application: Application
) -> None:
    """Generate a key, or link the address's open key without a second email."""
    address: Any = _address(application)
    assessment_id, organization = rule.assessment_id, integration.organization
    # Before the key is locked, like generate_keys.
    limit.lock(assessment_id)
    same_address = (CandidateKey.address == address.casefold()) & (CandidateKey.assessment == assessment_id)
    # Locked against erasures, which erase the orders of the key.
    earlier = list(for_update(CandidateKey.select().where(same_address), "FOR SHARE"))
    if orders.was_erased(integration, application.id):  # while the keys were locked
        order.erase(reports=False)
        return
    finished = None
    if not any(key.revoked_at is None and key.status in ("pending", "active") for key in earlier):
        finished = max(filter(_has_finished, earlier), key=attrgetter("id"), default=None)
    columns = _SETTLED | {"person_id": application.person_id}
    if finished is not None and order.reason != ALREADY_ASSESSED:
        order.change_state(ATTENTION, ALREADY_ASSESSED, **columns, key=finished)
        return
    external_id = _unused_external_id(integration, assessment_id, application.id)
    candidate = {"email": address, "name": read_name(application.name) or None, "external_id": external_id}
    (row,) = generate_keys(organization, assessment_id, [candidate], on_duplicate="return")
    key_id = row_id(row.id)
    if key_id in [key.id for key in earlier]:
        _set_external_id(key_id, external_id)
    else:
        actor = Actor("integration", integration.id, integration.name)
        subject = ("assessment", assessment_id)
        AuditEntry.record(organization.id, "issueKeys", actor, *subject, further_ids=[str(key_id)])
    order.change_state(INVITED, **columns, key=key_id)


def _has_finished(key: CandidateKey) -> bool:
    session = Session.get_or_none(Session.key == key)
    return session is not None and session.closed_as_of(clock.now()) is not None


def _unused_external_id(integration: Integration, assessment_id: Any, application_id: str) -> str | None:
    external_id = f"{integration.system}:{application_id}"
    try:
        external_ids.require_unused(integration.organization_id, assessment_id, [([], external_id)])
    except DuplicateExternalId:
        return None
    return external_id


def _set_external_id(key_id: Any, external_id: str | None) -> None:
    key = CandidateKey.get_by_id(key_id)
    if key.external_id is None and external_id is not None:
        key.update_columns(**CandidateKey.identity(key.candidate_name, key.candidate_email, external_id))
