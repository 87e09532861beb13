"""Compute orders' states from their candidates' current rows.

Orders are not notified of changes, so no change can be lost or arrive in the wrong order.
"""

from datetime import timedelta
from typing import Any

from errors import ApiError, Conflict, EmailLimit
from integrations.tables import (
    ALREADY_ASSESSED,
    ATTENTION,
    EMAIL_FAILED,
    EMAIL_SUPPRESSED,
    ERASED,
    IntegrationOrder,
)
from models import CandidateKey, Delivery, clock, db, invitations, sql
from models.task_failures import run_each
from rules.rows import row_id

BATCH_SIZE = 500
# A worker that was down for longer can miss a change to a candidate whose order had ended.
RECENT = timedelta(days=30)
# A transaction can commit this long after it read the clock.
MAX_TRANSACTION_AGE = timedelta(minutes=1)

# True if session `s` has a total, and every assigned reviewer has scored it.
_IS_COMPLETE = """s.score_total IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM assignments a WHERE a.session_id = s.id AND a.removed_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM completed_scorings c WHERE c.session_id = s.id AND c.user_id = a.user_id
            )
        )"""
_IS_SCORED = f"""
    SELECT 1 FROM candidate_keys k JOIN sessions s ON s.key_id = k.id
    WHERE k.id = :key_id AND s.closed_at IS NOT NULL AND (k.decision <> 'undecided' OR {_IS_COMPLETE})
"""
# The state of the order `o` of key `k` with session `s`, or the reason for the state `attention`. A scored order stays
# scored if a reviewer is assigned later.
_STATE = f"""CASE
        WHEN s.closed_at IS NOT NULL AND (
            k.decision <> 'undecided' OR {_IS_COMPLETE} OR s.score_total IS NOT NULL AND o.state = 'scored'
        ) THEN 'scored'
        WHEN s.completed_at IS NOT NULL THEN 'submitted'
        WHEN k.revoked_at IS NOT NULL THEN 'revoked'
        WHEN s.closed_at IS NOT NULL OR s.closes_at <= :now THEN 'expired'
        WHEN s.id IS NOT NULL THEN 'started'
        WHEN k.expires_at <= :now THEN 'expired'
        ELSE COALESCE((
            SELECT CASE d.state WHEN 'failed' THEN 'email_failed' WHEN 'suppressed' THEN 'email_suppressed' END
            FROM deliveries d WHERE d.id = k.invitation_id
        ), 'invited')
    END"""
_COMPUTED = f"""
    SELECT {_STATE} FROM integration_orders o JOIN candidate_keys k ON k.id = o.key_id
    LEFT JOIN sessions s ON s.key_id = k.id WHERE o.id = :order_id
"""
_STORED = "CASE o.state WHEN 'attention' THEN o.reason ELSE o.state END"
# The key or session `r` has changed recently, and the order `x` does not include the change. A submitted or expired
# order also depends on its session's assignments.
_CHANGED = """r.organization_id IN (SELECT organization_id FROM integrations) AND r.updated_at > :recently
    AND x.state <> 'erased' AND (r.updated_at > x.refreshed_at OR x.state IN ('submitted', 'expired'))"""
# Orders that can change over time or with their invitation, and orders whose candidate has changed. The others are not
# read, because their number only grows.
_POSSIBLY_OUTDATED = f"""
    SELECT x.id FROM integration_orders x WHERE x.state IN ('invited', 'started', 'attention') AND x.key_id IS NOT NULL
    UNION ALL
    SELECT x.id FROM candidate_keys r JOIN integration_orders x ON x.key_id = r.id WHERE {_CHANGED}
    UNION ALL
    SELECT x.id FROM sessions r JOIN integration_orders x ON x.key_id = r.key_id WHERE {_CHANGED}
"""
# `already_assessed` and `retries_exhausted` wait for a person, but a change to the candidate replaces a failed report.
_OUTDATED = f"""
    SELECT o.id FROM integration_orders o JOIN candidate_keys k ON k.id = o.key_id
    JOIN integrations i ON i.id = o.integration_id AND i.deleted_at IS NULL
    LEFT JOIN sessions s ON s.key_id = k.id
    WHERE o.id IN ({_POSSIBLY_OUTDATED}) AND (
        {_STORED} NOT IN ('already_assessed', 'retries_exhausted') AND {_STORED} <> {_STATE}
        OR o.report_due_at IS NULL AND {_STORED} <> 'already_assessed'
          AND (s.updated_at > o.refreshed_at OR k.updated_at > o.refreshed_at)
        OR o.reason = 'email_suppressed' AND o.due_at <= :now
    )
    LIMIT {BATCH_SIZE}
"""


def refresh() -> int:
    """Store the states of orders whose candidate has changed. Returns how many."""
    now = clock.now()
    rows = sql.rows(_OUTDATED, now=now, recently=now - RECENT)
    return run_each("orders", [row_id(order_id) for (order_id,) in rows], _refresh)


def store(order: IntegrationOrder, **columns: Any) -> None:
    """Store the current state of a locked order with a key."""
    now = clock.now()
    ((state,),) = sql.rows(_COMPUTED, order_id=order.id, now=now)
    reason, due_at = None, None
    if state in (EMAIL_FAILED, EMAIL_SUPPRESSED):
        state, reason = ATTENTION, state
    if reason == EMAIL_SUPPRESSED:
        due_at = order.due_at if order.reason == EMAIL_SUPPRESSED else now
    order.change_state(state, reason, due_at=due_at, **refreshed_columns(now), **columns)


def is_scored(key: CandidateKey) -> bool:
    """Return whether a closed session has a hiring decision, or all assigned reviewers have scored it."""
    return bool(sql.rows(_IS_SCORED, key_id=key.id))


def refreshed_columns(now: Any) -> dict[str, Any]:
    """Return the columns of a refresh. Changes by transactions that were still open are read again."""
    return {"refreshed_at": now - MAX_TRANSACTION_AGE}


def _refresh(order_id: Any) -> int:
    order = IntegrationOrder.get_by_id(order_id)
    if order.reason == EMAIL_SUPPRESSED and order.due_at is not None and order.due_at <= clock.now():
        _send_when_allowed(order)
    with db.atomic():
        locked = order.lock()
        if locked.key_id is None or locked.state == ERASED or locked.reason == ALREADY_ASSESSED:
            return 0  # changed since the query
        store(locked)
    return 1


def send_suppressed(order: IntegrationOrder) -> None:
    """Send an invitation that the limit of messages suppressed. Raises like `invitations.invite`."""
    key: Any = order.key

    def check() -> None:
        latest = CandidateKey.get_by_id(key.id).invitation_id
        if not Delivery.select().where(Delivery.id == latest, Delivery.state == "suppressed").exists():
            raise Conflict("The invitation is not suppressed.")

    invitations.invite(key, check)


def _send_when_allowed(order: IntegrationOrder) -> None:
    """Send a suppressed invitation if the limit of messages allows it now."""
    try:
        send_suppressed(order)
        due_at = None
    except EmailLimit as error:
        due_at = clock.now() + timedelta(seconds=error.retry_after or 0)
    except ApiError:  # the invitation is no longer possible or necessary
        due_at = None
    order.update_columns(due_at=due_at)
