"""Reviewers' changes to keys and invitations, bounces and reminders.

Each function locks the key's row, as redemption does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import peewee

import errors
from models import external_ids, hiring_decisions, visibility
from models.assessments import Assessment
from models.base import clock, db, for_update, new_id
from models.deliveries import Delivery, limit, outbox, outcomes
from models.deliveries.table import INVITATION, REMINDER
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.sessions import Session, update_time_limit
from models.task_failures import run_each
from rules.delivery.email_addresses import unicode_domain

MAX_EXPIRY = timedelta(days=365)
# How long a message that a reviewer sends can be canceled. The console offers Undo for less.
UNDO_PERIOD = timedelta(seconds=25)
BOUNCED = "The address was reported as bouncing."
BATCH_SIZE = 500
Check = Callable[[], None]
_HIDDEN_FIELDS = {"candidate_name": "candidateName", "candidate_email": "candidateEmail"}


@contextmanager
def _locked(
    key: CandidateKey, check: Check = lambda: None, with_messages: bool = False
) -> Iterator[CandidateKey]:
    """Start a transaction and lock the key. Raises NotFound if it is revoked.

    check -- called after the key is locked; raises an error to reject the change
    with_messages -- first acquire the lock of models/deliveries/limit.py
    """
    with db.atomic():
        if with_messages:
            limit.lock(key.assessment_id)
        for_update(CandidateKey.select(CandidateKey.id).where(CandidateKey.id == key.id)).execute()
        locked = CandidateKey.alive().where(CandidateKey.id == key.id).get_or_none()
        if locked is None:
            raise errors.NotFound()
        check()
        yield locked


def _find_session(key: CandidateKey) -> Session | None:
    return Session.get_or_none(Session.key == key)


def decide(
    key: CandidateKey,
    reviewer: ApiToken | None,
    decision: str,
    reason: str | None,
    finding_reason: str | None = None,
    check: Check = lambda: None,
) -> None:
    """Store a hiring decision (models/hiring_decisions.py). Raises NotFinished."""
    with _locked(key, check) as locked:
        hiring_decisions.decide(locked, reviewer, decision, reason, finding_reason)


def update_candidate(
    key: CandidateKey, values: dict[str, Any], reviewer: ApiToken | None = None, check: Check = lambda: None
) -> None:
    """Update a candidate's data or mark them as hired. Queued messages go to the new address.

    Raises NotFinished (models/hiring_decisions.py), DuplicateExternalId, and Invalid for a name or email that a blind
    assessment hides from the reviewer.
    """
    with _locked(key, check, with_messages=True) as locked:
        values = _without_hidden(locked, values, reviewer)
        if "hired" in values:
            hiring_decisions.decide_hired(locked, reviewer, values["hired"])
        email = values.get("candidate_email", locked.candidate_email)
        external_id = values.get("external_id", locked.external_id)
        if external_id != locked.external_id:
            ids = (locked.organization_id, locked.assessment_id)
            external_ids.require_unused(*ids, [(["externalId"], external_id)])
        name = values.get("candidate_name", locked.candidate_name)
        columns = CandidateKey.identity(name, email, external_id)
        columns |= {"bounced": locked.bounced and email == locked.candidate_email}
        columns |= {"metadata": values["metadata"] or None} if "metadata" in values else {}
        has_new_address = columns["address"] != locked.address
        locked.update_columns(**columns)
        if has_new_address:
            _readdress_queued(locked)


def _without_hidden(key: CandidateKey, values: dict[str, Any], reviewer: ApiToken | None) -> dict[str, Any]:
    """Drop nulls for hidden fields, which clients send back as received. Raises Invalid for other values.

    Otherwise, an invitation to a different address would reveal the candidate's name and key.
    """
    if not _HIDDEN_FIELDS.keys() & values.keys() or not visibility.hidden_candidates(reviewer, [key.id]):
        return values
    for name, field in _HIDDEN_FIELDS.items():
        if values.get(name) is not None:
            raise errors.invalid(field, "Hidden in a blind assessment until you have scored the session.")
    return {name: value for name, value in values.items() if name not in _HIDDEN_FIELDS}


def _readdress_queued(key: CandidateKey) -> None:
    """Readdress queued messages to the key's new address, or suppress those over its limit."""
    for message in Delivery.personal_rows(key).where(Delivery.state == "queued"):
        columns = _message_columns(key)
        # A different spelling of the same address must not count the message against itself.
        if columns["address"] != message.address:
            message.update_columns(**columns)


def _message_columns(key: CandidateKey) -> dict[str, Any]:
    """Build the address columns of a message to the candidate (models/deliveries/limit.py)."""
    if key.address is None:
        return {"address": None}
    (columns,) = limit.columns(key.assessment_id, [key.address])
    return columns


def revoke(key: CandidateKey, check: Check) -> None:
    """Revoke a key. Raises NotFound if it is already revoked."""
    with _locked(key, check) as locked:
        locked.revoke()


def invite(key: CandidateKey, check: Check) -> None:
    """Send a new invitation, and cancel queued invitations.

    Raises NoEmailAddress, InvitationExpired, SessionEnded and EmailLimit.
    """
    with _locked(key, check, with_messages=True) as locked:
        session, now = _find_session(locked), clock.now()
        if session is None and locked.expires_at <= now:
            raise errors.InvitationExpired()
        if session is not None and session.closed_as_of(now):
            raise errors.SessionEnded()
        _enqueue_invitation(locked)


def _enqueue_invitation(key: CandidateKey, **data: Any) -> None:
    outbox.cancel_queued(key, INVITATION, "A newer invitation was sent.")
    invitation = _new_message(key) | {"id": new_id(), "subject_id": key.id}
    outbox.enqueue_invitations(key.organization_id, [invitation], key.invitation_data | data)
    columns = {"invitation_id": invitation["id"], "bounced": False}
    if key.assessment.is_reminder_due(key.expires_at):
        columns["reminded_at"] = clock.now()
    key.update_columns(**columns)


def _new_message(key: CandidateKey) -> dict[str, Any]:
    """Build the columns of a message that a reviewer sends. Raises NoEmailAddress and EmailLimit."""
    if key.address is None:
        raise errors.NoEmailAddress()
    address = limit.require_allowed(key.assessment_id, key.address)
    return {"address": address, "due_at": clock.now() + UNDO_PERIOD}


def remind(key: CandidateKey, check: Check) -> None:
    """Send a reminder unless one is queued. It replaces the automatic one.

    Raises the errors of `invite`, and KeyRedeemed.
    """
    with _locked(key, check, with_messages=True) as locked:
        _require_pending(locked)
        queued = Delivery.personal_rows(locked).where(Delivery.state == "queued")
        if queued.where(Delivery.kind == REMINDER).exists():
            return
        is_first = locked.reminded_at is None
        outbox.enqueue_reminder(locked, _new_message(locked), replacesAutomatic=is_first)
        locked.update_columns(reminded_at=locked.reminded_at or clock.now())


def cancel(delivery: Delivery) -> Delivery:
    """Cancel a queued message that no worker is sending, and restore the former invitation. Raises NotQueued."""
    columns: dict[str, Any] = {}
    with db.atomic():
        # The key first, like other changes.
        key = CandidateKey.get_by_id(delivery.subject_id).lock()
        outbox.cancel(delivery)
        if delivery.data.get("replacesAutomatic"):
            columns["reminded_at"] = None
        if delivery.id == key.invitation_id:
            columns |= _former_invitation(key, delivery.address)
        key.update_columns(**columns)
    return Delivery.get_by_id(delivery.id)


def _former_invitation(key: CandidateKey, address: str | None) -> dict[str, Any]:
    """Build the columns for the latest invitation that was not canceled. Empty without one.

    address -- the mailbox of the canceled invitation
    """
    is_former = (Delivery.kind == INVITATION) & (Delivery.state != "canceled")
    former = Delivery.personal_rows(key).where(is_former).order_by(Delivery.id.desc()).first()
    # An integration would send a suppressed invitation again, although a reviewer canceled it.
    if former is None or former.state == "suppressed":
        return {}
    has_bounced = former.last_error == BOUNCED and former.address == address
    return {"invitation_id": former.id, "bounced": has_bounced}


def retry(delivery: Delivery) -> Delivery:
    """Send a failed message again. Raises NotFailed and EmailLimit."""
    if delivery.state != "failed":
        raise errors.NotFailed()
    key = CandidateKey.get_by_id(delivery.subject_id)
    with db.atomic():
        limit.lock(key.assessment_id)
        address = key.lock().address
        if address is not None:
            address = limit.require_allowed(key.assessment_id, address, excluding=delivery.id)
        return outbox.retry(delivery, address)


def extend(key: CandidateKey, check: Check, send_email: bool = False, **expiry: Any) -> None:
    """Set a pending key's expiry: a time, or days after the current expiry.

    expiry -- `days` or `expires_at`

    Raises KeyRedeemed, InvitationExpired, Invalid for a time in the past or more than a year ahead, and for an email
    NoEmailAddress and EmailLimit.
    """
    with _locked(key, check, with_messages=send_email) as locked:
        _require_pending(locked)
        _expire(locked, send_email, locked.expires_at, **expiry)


def reopen(key: CandidateKey, check: Check, send_email: bool = False, **expiry: Any) -> None:
    """Set a new expiry for a key that expired before redemption. Defaults to the assessment's number of days from now.

    Raises KeyNotExpired, and the errors of `extend` except InvitationExpired.
    """
    with _locked(key, check, with_messages=send_email) as locked:
        _require_not_redeemed(locked)
        if locked.expires_at > clock.now():
            raise errors.KeyNotExpired()
        days = {"days": locked.assessment.expires_in_days}
        _expire(locked, send_email, clock.now(), **days | expiry)


def _require_pending(key: CandidateKey) -> None:
    _require_not_redeemed(key)
    if key.expires_at <= clock.now():
        raise errors.InvitationExpired()


def _require_not_redeemed(key: CandidateKey) -> None:
    if _find_session(key) is not None:
        raise errors.KeyRedeemed()


def _expire(
    key: CandidateKey, send_email: bool, start: datetime, days: int = 0, expires_at: datetime | None = None
) -> None:
    now, new_expiry = clock.now(), expires_at or start + timedelta(days=days)
    if not now < new_expiry <= now + MAX_EXPIRY:
        field = "expiresAt" if expires_at else "days"
        raise errors.invalid(field, "The expiry must be in the future and at most 365 days from now.")
    # A queued reminder belongs to the former expiry.
    outbox.cancel_queued(key, REMINDER, "The expiry was changed.")
    key.update_columns(expires_at=new_expiry, reminded_at=None)
    if send_email:
        _enqueue_invitation(key, isExtension=True)


def accommodate(key: CandidateKey, extra_minutes: int | None, multiplier_thousandths: int | None) -> None:
    """Set a candidate's extra time, or remove it if both are None, and move an open session's deadline.

    Raises NoTimeLimit, SessionClosed and TimeLimitPassed.
    """
    with _locked(key) as locked:
        has_extra_time = extra_minutes is not None or multiplier_thousandths is not None
        if has_extra_time and locked.assessment.time_limit_minutes is None:
            raise errors.NoTimeLimit()
        locked.update_columns(extra_minutes=extra_minutes, time_multiplier_thousandths=multiplier_thousandths)
        if session := _find_session(locked):
            update_time_limit(session, locked)


def mark_bounced(address: str) -> list[CandidateKey]:
    """Stop emails to a bouncing address and mark its latest invitations as failed. Returns the keys."""
    with db.atomic():
        folded = address.strip().casefold()
        # The database has the domain as it was entered, a bounce its ASCII form.
        local, _, domain = folded.rpartition("@")
        same = [folded, f"{local}@{unicode_domain(domain)}"]
        keys = list(CandidateKey.select().where(CandidateKey.address.in_(same)))
        CandidateKey.update(bounced=True).where(CandidateKey.id.in_([key.id for key in keys])).execute()
        outcomes.mark_bounced([key.invitation_id for key in keys if key.invitation_id], BOUNCED)
    return keys


def enqueue_reminders() -> int:
    """Queue due reminders to candidates with a pending key. Returns how many."""
    return run_each("remind", _keys_to_remind(clock.now()), _enqueue_reminder)


def _enqueue_reminder(key: CandidateKey) -> int:
    with db.atomic():
        limit.lock(key.assessment_id)
        not_reminded = (
            (CandidateKey.id == key.id)
            & CandidateKey.reminded_at.is_null()
            & CandidateKey.revoked_at.is_null()
            & CandidateKey.erased_at.is_null()
        )
        if not CandidateKey.update(reminded_at=clock.now()).where(not_reminded).execute():
            return 0
        # The address can have been changed since the query.
        current = CandidateKey.get_by_id(key.id)
        outbox.enqueue_reminder(current, _message_columns(current))
    return 1


def _keys_to_remind(now: datetime) -> Iterator[CandidateKey]:
    rows = Assessment.alive().select(Assessment.reminder_days_before).distinct()
    rows = rows.where(Assessment.reminder_days_before.is_null(False))
    for (days,) in list(rows.tuples()):
        query = CandidateKey.alive().join_from(CandidateKey, Session, peewee.JOIN.LEFT_OUTER)
        query = query.where(
            Assessment.reminder_days_before == days,
            CandidateKey.reminded_at.is_null(),
            CandidateKey.expires_at > now,
            CandidateKey.expires_at <= now + timedelta(days=days),
            CandidateKey.candidate_email.is_null(False),
            CandidateKey.invitation_id.is_null(False),
            ~CandidateKey.bounced,
            CandidateKey.decision == "undecided",
            CandidateKey.erasure_requested_at.is_null(),
            Session.id.is_null(),
        )
        yield from query.limit(BATCH_SIZE)
