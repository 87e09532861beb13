"""Send one queued email, or delete one stored object."""

import logging
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from delivery import PermanentFailure, TemporaryFailure
from delivery.email import Invitation, compose, compose_text
from delivery.transports import FolderTransport, Transport
from errors import ApiError
from models import CandidateKey, Delivery, SignInGrant, StorageMarker, User, clock, disclosure
from models.database import release_connection
from models.deliveries import ASSIGNMENT, PERSON_INVITATION, REMINDER, REMOVAL, SIGN_IN, outcomes
from models.invitations import BOUNCED
from models.sign_ins import users_with_address
from rules.delivery.email_addresses import header_text
from rules.plain_text import format_date_time
from rules.timestamps import parse_stored_time
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
            _remove(delivery, settings["MAIL_FOLDER"], storage)
        elif delivery.kind in (PERSON_INVITATION, ASSIGNMENT):
            _send_to_user(delivery, settings, transport)
        elif delivery.kind == SIGN_IN:
            _send_sign_in_link(delivery, settings, transport)
        else:
            _send_candidate_invitation(delivery, settings, transport)
    except PermanentFailure as failure:
        log.warning("Delivery %s failed permanently.", delivery.id)
        outcomes.fail(delivery, failure.reason)
    except TemporaryFailure as failure:
        log.warning("Delivery %s failed and will be retried.", delivery.id)
        outcomes.postpone(delivery, failure.reason)


def _send_candidate_invitation(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    key = CandidateKey.alive().where(CandidateKey.id == delivery.subject_id).get_or_none()
    status = key.status if key else "expired"
    is_automatic = delivery.kind == REMINDER and "replacesAutomatic" not in delivery.data
    if key is None or status == "expired":
        outcomes.cancel(delivery, "The key was revoked or has expired.")
    elif delivery.kind == REMINDER and key.bounced:
        outcomes.cancel(delivery, BOUNCED)
    elif not key.candidate_email:
        outcomes.cancel(delivery, "The candidate has no email address.")
    elif delivery.kind == REMINDER and (status != "pending" or key.reminded_at is None):
        outcomes.cancel(delivery, "The candidate has started, or the key was extended.")
    elif is_automatic and (key.decision != "undecided" or key.erasure_requested_at):
        outcomes.cancel(delivery, "The candidate has a hiring decision, or has requested erasure.")
    else:
        has_client = bool(settings["CLIENT_INSTALL"])
        current = disclosure.for_organization(key.organization, has_client=has_client)
        invitation = Invitation(
            message_id=_message_id(delivery.id),
            to_address=key.candidate_email,
            candidate_name=key.candidate_name,
            org_name=delivery.data["orgName"],
            assessment_title=key.assessment.title,
            role=key.assessment.role,
            captures=current["captures"],
            time_limit_minutes=key.time_limit_minutes,
            key=key.key,
            expires_at=key.expires_at,
            base_url=settings["BASE_URL"],
            client_install=settings["CLIENT_INSTALL"],
            reply_to=key.organization.reply_to,
            is_reminder=delivery.kind == REMINDER,
            is_extension="isExtension" in delivery.data,
        )
        _send(delivery, compose(invitation, settings["MAIL_FROM"], clock.now()), transport)


def _send_to_user(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    """Send a user's invitation, or the email about new assignments."""
    user = User.get_by_id(delivery.subject_id)
    if not user.active or user.email is None:
        outcomes.cancel(delivery, "The person is no longer active.")
        return
    org_name = user.organization.name
    values = {"org_name": org_name, "base_url": settings["BASE_URL"]}
    if delivery.kind == ASSIGNMENT:
        count, title, due_at = (delivery.data[name] for name in ("count", "assessmentTitle", "dueAt"))
        sessions = f"{count} session{'s' * (count != 1)}"
        subject = f"{sessions} to score: {header_text(title)}"
        due = due_at and format_date_time(parse_stored_time(due_at))
        values |= {"sessions": sessions, "assessment_title": title, "due": due}
    else:
        subject = f"You have been added to {header_text(org_name)} on Proofstone"
        values |= {"role": user.role, "invited_by": delivery.data["invitedBy"]}
    _send_text(
        delivery, settings, transport, f"{delivery.kind}.txt", values, (user.name, user.email), subject
    )


def _send_sign_in_link(delivery: Delivery, settings: Mapping[str, Any], transport: Transport) -> None:
    user = User.get_by_id(delivery.subject_id)
    grant = SignInGrant.get_or_none(SignInGrant.id == delivery.data["grantId"])
    is_usable = grant is not None and grant.is_usable and user in users_with_address(grant.address)
    if grant is None or user.email is None or not is_usable:
        outcomes.cancel(delivery, "The link has expired, or the person is inactive or has another address.")
        return
    # The secret is in the fragment, so it never reaches a server, proxy or log.
    link = f"{settings['BASE_URL']}/console#/sign-in?grant={grant.new_secret()}"
    values = {"link": link, "expiry": format_date_time(grant.expires_at)}
    to = user.name, user.email
    _send_text(delivery, settings, transport, "sign_in.txt", values, to, "Sign in to Proofstone")


def _send_text(
    delivery: Delivery,
    settings: Mapping[str, Any],
    transport: Transport,
    template: str,
    values: dict[str, Any],
    to: tuple[str, str],
    subject: str,
) -> None:
    message_id, sender = _message_id(delivery.id), settings["MAIL_FROM"]
    _send(delivery, compose_text(template, values, to, subject, message_id, sender, clock.now()), transport)


def _send(delivery: Delivery, message: EmailMessage, transport: Transport) -> None:
    release_connection()
    outcomes.succeed(delivery, transport.deliver(message))


def _message_id(delivery_id: Any) -> str:
    return f"<{delivery_id}@proofstone>"


def _remove(delivery: Delivery, mail_folder: str, storage: Storage | None) -> None:
    """Delete a saved email or an object in the bundle store."""
    release_connection()
    if "email" in delivery.data:
        # Also after SMTP_URL was set.
        FolderTransport(Path(mail_folder)).remove(_message_id(delivery.data["email"]))
    elif storage is None:
        raise TemporaryFailure("No bundle store is configured.")
    else:
        try:
            StorageMarker.require(storage)
            storage.delete(delivery.data["objectKey"])
        except ApiError as error:
            raise TemporaryFailure(error.message) from error
    outcomes.succeed(delivery, "done")
