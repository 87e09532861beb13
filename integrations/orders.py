"""Orders: an application that entered a rule's stage, from the webhook to the end."""

from typing import Any

from errors import Conflict
from integrations import rules, secrets, states
from integrations.adapter import Hint
from integrations.tables import (
    ALREADY_ASSESSED,
    ASKED,
    ATTENTION,
    CREDENTIAL_REJECTED,
    DELETED,
    EMAIL_FAILED,
    EMAIL_SUPPRESSED,
    RECEIVED,
    RETRIES_EXHAUSTED,
    SKIPPED,
    Integration,
    IntegrationOrder,
    IntegrationRule,
)
from models import Delivery, clock, db, invitations
from models.database import for_update

MAY_NOT_EMAIL = "may_not_email"

# Each reason for the state `attention`: a sentence and its remedy.
REASONS: dict[str, tuple[str, str]] = {
    "no_address": (
        "The candidate has no valid email address in the applicant-tracking system.",
        "Add an address there, then retry.",
    ),
    MAY_NOT_EMAIL: (
        "The candidate must not be emailed, according to the applicant-tracking system.",
        "Allow emails to the candidate there, then retry. A retry confirms that the candidate may be emailed.",
    ),
    "assessment_unavailable": (
        "The rule's assessment was archived or deleted.",
        "Choose another assessment for the rule, or restore this one, then retry.",
    ),
    "subscription": (
        "The organization's subscription does not allow new invitations.",
        "Renew the subscription. The order is retried hourly for three days; after that, retry it.",
    ),
    ALREADY_ASSESSED: (
        "The candidate has already finished this assessment.",
        "Report that result, or invite the candidate again.",
    ),
    CREDENTIAL_REJECTED: (
        "The applicant-tracking system rejected the credential.",
        "Correct its permissions or create another, then enter it. The order continues automatically.",
    ),
    EMAIL_SUPPRESSED: (
        "The address has reached the limit of 5 messages about this assessment in 24 hours.",
        "Wait: the invitation is sent once the limit allows it.",
    ),
    EMAIL_FAILED: (
        "The invitation could not be delivered.",
        "Correct the candidate's address if necessary, then retry.",
    ),
    RETRIES_EXHAUSTED: (
        "The applicant-tracking system rejected a call, or every attempt failed.",
        "Fix the cause in the last error, then retry.",
    ),
}


def receive(integration: Integration, hint: Hint) -> None:
    """Process a webhook: insert or reopen an order, or handle a deletion. Never calls the system."""
    if hint.is_deleted:
        _handle_deletion(integration, hint)
    elif rule := rules.find(integration, hint.stage_id, hint.job_ids):
        with db.atomic():
            for application_id in hint.application_ids:
                add(integration, rule, application_id, hint.person_id, hint.may_email)


def add(
    integration: Integration,
    rule: IntegrationRule,
    application_id: str,
    person_id: str | None = None,
    may_email: bool = True,
) -> None:
    """Insert or reopen an order in the caller's transaction, unless the application was erased.

    may_email -- False blocks the order, unless the candidate has been invited
    """
    ids = {"integration": integration, "rule": rule, "application_id": application_id}
    start = {} if may_email else {"state": ATTENTION, "reason": MAY_NOT_EMAIL, "due_at": None}
    insert = IntegrationOrder.insert(**ids, person_id=person_id, **start).on_conflict_ignore()
    if order := next(iter(insert.returning(IntegrationOrder).execute()), None):
        # Only now: the insertion waits for an erasure that is removing the application's id.
        if was_erased(integration, application_id):
            order.delete_instance()
            return
        order.integration, order.rule = integration, rule
        order.publish("order.created")
        if order.state == ATTENTION:
            order.publish("order.attention")
        return
    is_same = (IntegrationOrder.application_id == application_id) & (IntegrationOrder.rule == rule)
    order = for_update(IntegrationOrder.of(integration).where(is_same)).first()
    if order is None:  # erased since the insertion
        return
    if not may_email and order.key_id is None:
        order.change_state(ATTENTION, MAY_NOT_EMAIL, due_at=None)
    # A received order can have been read just before the stage changed again.
    elif may_email and order.state in (SKIPPED, RECEIVED):
        _read_again(order)


def was_erased(integration: Integration, application_id: str | None) -> bool:
    """Return whether an erasure has removed the application's id."""
    macs = secrets.application_macs(integration.id, application_id) if application_id else ()
    return IntegrationOrder.of(integration).where(IntegrationOrder.erased_mac.in_(macs)).exists()


def create(
    integration: Integration, rule: IntegrationRule, application_ids: list[str]
) -> list[IntegrationOrder]:
    """Insert or reopen an order for each application that a person confirmed. Returns the orders."""
    is_affected = (IntegrationOrder.rule == rule) & IntegrationOrder.application_id.in_(application_ids)
    with db.atomic():
        for application_id in application_ids:
            add(integration, rule, application_id)
        return list(IntegrationOrder.of(integration).where(is_affected).order_by(IntegrationOrder.id))


def _handle_deletion(integration: Integration, hint: Hint) -> None:
    """Request the erasure of candidates that were deleted in the system. Orders without a candidate are read again.

    A merge deletes the person, too, but not always the application. The worker erases the order if it is gone.
    """
    is_affected = IntegrationOrder.application_id.in_(hint.application_ids)
    if hint.person_id is not None:
        is_affected |= IntegrationOrder.person_id == hint.person_id
    for order in list(IntegrationOrder.of(integration).where(is_affected)):
        with db.atomic():
            locked = order.lock()
            if locked.application_id is None:  # erased since the query
                continue
            if locked.key_id is None and locked.reason == MAY_NOT_EMAIL:
                locked.erase(reports=False)  # reading could invite the candidate
            elif locked.key_id is None:
                reason = locked.reason if locked.state == RECEIVED else None
                _read_again(locked, reason=reason, person_id=DELETED)
        if locked.key_id is not None:
            locked.key.request_erasure()


def retry(order: IntegrationOrder, action: str | None = None) -> IntegrationOrder:
    """Retry an order in the state `attention`. It never sends a second email, except with the action `invite`.

    action -- with `already_assessed`, `report` the result or `invite` the candidate again. `report` reports any invited
        candidate, even a state that the rule does not report

    Raises Conflict if there is nothing to retry, and like `invitations.retry` and `invitations.invite`.
    """
    with db.atomic():
        if action is None and order.reason in (EMAIL_FAILED, EMAIL_SUPPRESSED):
            _retry_email(order)  # locks the key, like an erasure before it locks the order
            return order.lock()
        locked = order.lock()
        is_report = action == "report" or (action is None and locked.reason == RETRIES_EXHAUSTED)
        if locked.key_id is not None and locked.application_id is not None and is_report:
            states.store(locked, last_error=None)
            if locked.state != ATTENTION:
                locked.update_columns(reported=ASKED, report_due_at=clock.now())
        elif action == "invite" and locked.reason == ALREADY_ASSESSED:
            _read_again(locked, reason=ALREADY_ASSESSED, key=None)
        elif action is None and locked.key_id is None and locked.state in (RECEIVED, ATTENTION, SKIPPED):
            _read_again(locked, reason=None)
        else:
            raise Conflict("The order has nothing to retry, or does not accept this `action`.")
    return locked


def _read_again(order: IntegrationOrder, **columns: Any) -> None:
    columns |= {"attempts": 0, "failing_since": None, "last_error": None}
    order.update_columns(state=RECEIVED, due_at=clock.now(), updated_at=clock.now(), **columns)


def _retry_email(order: IntegrationOrder) -> None:
    key: Any = order.key
    delivery = Delivery.get_or_none(Delivery.id == key.invitation_id)
    if order.reason == EMAIL_FAILED and delivery is not None:
        invitations.retry(delivery)
    else:
        states.send_suppressed(order)
