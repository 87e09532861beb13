"""Deliver one message or removal."""

import logging
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from delivery import PermanentFailure, TemporaryFailure
from delivery.email import (
    Invitation,
    PersonInvitation,
    SignInLink,
    compose,
    compose_person_invitation,
    compose_sign_in,
)
from delivery.transports import Transport
from errors import ApiError
from models import CandidateKey, Delivery, SignInGrant, User, clock
from models.database import release_connection
from models.deliveries import PERSON_INVITATION, REMINDER, REMOVAL, SIGN_IN, outcomes
from storage import Storage

log = logging.getLogger("proofstone.worker")


def deliver(
    delivery: Delivery, settings: Mapping[str, Any], transport: Transport, storage: Storage | None
) -> None:
    """Deliver a claimed message and record the outcome."""
    if delivery.attempts_exhausted:
        outcomes.fail(delivery, "Every delivery attempt was interrupted.")
        return
    try:
        if delivery.kind == REMOVAL:
            _remove(delivery, transport, storage)
        elif delivery.kind == PERSON_INVITATION:
            _invite_person(delivery, settings, transport)
        elif delivery.kind == SIGN_IN:
            _send_sign_in(delivery, settings, transport)
        else:
            _send(delivery, settings, transport)
    except PermanentFailure as failure:
        log.warning("Delivery %s failed permanently.", delivery.id)
        outcomes.fail(delivery, failure.reason)
    except TemporaryFailure as failure:
        log.warning("Delivery %s failed and will be retried.", delivery.id)
        outcomes.postpone(delivery, failure.reason)


def _send(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    key = CandidateKey.alive().where(CandidateKey.id == delivery.subject_id).get_or_none()
    if key is None or key.status == "expired":
        outcomes.cancel(delivery, "The key was revoked or has expired.")
    elif not key.candidate_email:
        outcomes.cancel(delivery, "The candidate has no email address.")
    elif delivery.kind == REMINDER and (key.status != "pending" or key.reminded_at is None):
        outcomes.cancel(delivery, "The candidate has started, or the key was extended.")
    else:
        message = compose(_invitation(delivery, key, settings), settings["MAIL_FROM"], clock.now())
        _deliver(delivery, message, transport)


def _deliver(delivery: Delivery, message: EmailMessage, transport: Transport) -> None:
    release_connection()
    outcomes.succeed(delivery, transport.deliver(message))


def _invite_person(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    person = User.get_by_id(delivery.subject_id)
    if not person.active or person.email is None:
        outcomes.cancel(delivery, "The person is no longer active.")
        return
    invitation = PersonInvitation(
        message_id=_message_id(delivery.id),
        to_address=person.email,
        name=person.name,
        role=person.role,
        org_name=person.organization.name,
        invited_by=delivery.data["invitedBy"],
        base_url=settings["BASE_URL"],
    )
    message = compose_person_invitation(invitation, settings["MAIL_FROM"], clock.now())
    _deliver(delivery, message, transport)


def _send_sign_in(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    person = User.get_by_id(delivery.subject_id)
    grant = SignInGrant.get_or_none(SignInGrant.id == delivery.data["grantId"])
    if grant is None or not grant.is_usable or not person.active or person.email is None:
        outcomes.cancel(delivery, "The link has expired, or the person is no longer active.")
        return
    link = SignInLink(
        message_id=_message_id(delivery.id),
        to_address=person.email,
        name=person.name,
        secret=grant.new_secret(),
        expires_at=grant.expires_at,
        base_url=settings["BASE_URL"],
    )
    message = compose_sign_in(link, settings["MAIL_FROM"], clock.now())
    _deliver(delivery, message, transport)


def _invitation(delivery: Delivery, key: CandidateKey, settings: Mapping[str, Any]) -> Invitation:
    assessment = key.assessment
    return Invitation(
        message_id=_message_id(delivery.id),
        to_address=key.candidate_email or "",
        candidate_name=key.candidate_name,
        org_name=delivery.data["orgName"],
        assessment_title=assessment.title,
        role=assessment.role,
        task_brief=assessment.task_brief,
        time_limit_minutes=key.time_limit_minutes,
        key=key.key,
        expires_at=key.expires_at,
        base_url=settings["BASE_URL"],
        client_install=settings["CLIENT_INSTALL"],
        reply_to=key.organization.reply_to,
        is_reminder=delivery.kind == REMINDER,
    )


def _message_id(delivery_id: Any) -> str:
    return f"<{delivery_id}@proofstone>"


def _remove(delivery: Delivery, transport: Transport, storage: Storage | None) -> None:
    """Delete a saved email or an object in the bundle store."""
    release_connection()
    if "email" in delivery.data:
        transport.remove(_message_id(delivery.data["email"]))
    elif storage is None:
        raise TemporaryFailure("No bundle store is configured.")
    else:
        try:
            storage.delete(delivery.data["objectKey"])
        except ApiError as error:
            raise TemporaryFailure(error.sentence) from error
    outcomes.succeed(delivery, "done")
