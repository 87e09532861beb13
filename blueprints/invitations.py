"""Invitations: resend, extend, reopen, grant extra time, and track messages."""

import errors
from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page
from blueprints.candidates import candidate_check, candidate_response
from models import ApiToken, CandidateKey, Delivery, invitations, visibility
from schemas import invitations as schemas
from schemas.candidates import CandidateResponse
from schemas.queries import PageQuery

blp = Blueprint("Invitations", __name__, description="Candidates' invitations, reminders and accommodations.")


@blp.post("/candidates/<id:candidate_id>/invite")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@idempotent
@raises(errors.NoEmailAddress, errors.InvitationExpired, errors.SessionEnded, errors.EmailLimit)
@blp.response(200, CandidateResponse)
@audit.record_change()
def resend_invitation(candidate_id):
    """Resend an invitation

    Queues a new message with the same key, and cancels a queued invitation. It is sent after 25 seconds: until then,
    `DELETE /v1/deliveries/{id}` cancels it. Each address receives at most 5 messages per assessment in 24 hours.
    """
    invitations.invite(find(CandidateKey, candidate_id), candidate_check(candidate_id))
    return candidate_response(candidate_id)


@blp.post("/candidates/<id:candidate_id>/remind")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@idempotent
@raises(errors.NoEmailAddress, errors.InvitationExpired, errors.KeyRedeemed, errors.EmailLimit)
@blp.response(200, CandidateResponse)
@audit.record_change()
def remind_candidate(candidate_id):
    """Remind a candidate

    Queues a reminder unless one is queued. It replaces the automatic one before the current expiry. Only for keys that
    have neither expired nor been redeemed. The delay and the limit of messages are the same as for an invitation.
    """
    invitations.remind(find(CandidateKey, candidate_id), candidate_check(candidate_id))
    return candidate_response(candidate_id)


@blp.post("/candidates/<id:candidate_id>/extend")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@idempotent
@raises(errors.KeyRedeemed, errors.InvitationExpired, errors.NoEmailAddress, errors.EmailLimit)
@blp.arguments(schemas.NewExpiry)
@blp.response(200, CandidateResponse)
@audit.record_change()
def extend_key(data, candidate_id):
    """Update a key's expiry

    Only for keys that have neither expired nor been redeemed. `sendEmail` sends the invitation again, with the new
    expiry. Reminders follow the new expiry.
    """
    invitations.extend(find(CandidateKey, candidate_id), candidate_check(candidate_id), **data)
    return candidate_response(candidate_id)


@blp.post("/candidates/<id:candidate_id>/reopen")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@idempotent
@raises(errors.KeyRedeemed, errors.KeyNotExpired, errors.NoEmailAddress, errors.EmailLimit)
@blp.arguments(schemas.ReopenedExpiry)
@blp.response(200, CandidateResponse)
@audit.record_change()
def reopen_key(data, candidate_id):
    """Reopen an expired key

    Only for keys that expired before they were redeemed. `sendEmail` sends the invitation again, with the new expiry.
    """
    invitations.reopen(find(CandidateKey, candidate_id), candidate_check(candidate_id), **data)
    return candidate_response(candidate_id)


@blp.get("/candidates/<id:candidate_id>/accommodation")
@auth.required(ApiToken, scope="write")
@blp.response(200, schemas.AccommodationResponse)
@audit.record_read
def get_accommodation(candidate_id):
    """Get a candidate's accommodation

    Requires the `write` scope. Lists and statistics do not include accommodations.
    """
    return {"accommodation": find(CandidateKey, candidate_id)}


@blp.put("/candidates/<id:candidate_id>/accommodation")
@auth.required(ApiToken, scope="write")
@raises(errors.NoTimeLimit, errors.SessionClosed, errors.TimeLimitPassed)
@blp.arguments(schemas.NewAccommodation)
@blp.response(200, schemas.AccommodationResponse)
@audit.record_change()
def set_accommodation(data, candidate_id):
    """Update a candidate's time limit

    Allowed before and during the session, if the assessment has a time limit. Updates the `closesAt` of an open
    session. An empty body removes the accommodation.
    """
    key = find(CandidateKey, candidate_id)
    invitations.accommodate(key, data.get("extra_minutes"), data.get("time_multiplier"))
    return {"accommodation": find(CandidateKey, candidate_id)}


@blp.get("/candidates/<id:candidate_id>/deliveries")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.Deliveries)
@audit.record_read
def list_candidate_deliveries(query, candidate_id):
    """List the messages to a candidate

    Invitations and reminders, newest first, with the email server's last error.
    """
    return _get_page(Delivery.personal_rows(find(CandidateKey, candidate_id)), query)


@blp.get("/deliveries")
@auth.required(ApiToken)
@blp.arguments(schemas.DeliveryQuery, location="query")
@blp.response(200, schemas.Deliveries)
def list_deliveries(query):
    """List messages

    Messages to all of the organization's candidates, newest first. `state=failed` lists undelivered messages.
    """
    messages = Delivery.visible_to(caller)
    if "state" in query:
        messages = messages.where(Delivery.state == query["state"])
    return _get_page(messages, query)


@blp.post("/deliveries/<id:delivery_id>/retry")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(errors.NotFailed, errors.EmailLimit)
@blp.response(200, schemas.DeliveryResponse)
@audit.record_change()
def retry_delivery(delivery_id):
    """Retry a failed message

    Resets the number of attempts. If the key was revoked or has expired, the message is canceled.
    """
    (delivery,) = visibility.redact_emails(caller, [invitations.retry(find(Delivery, delivery_id))])
    return {"delivery": delivery}


@blp.delete("/deliveries/<id:delivery_id>")
@auth.required(ApiToken, scope="write")
@raises(errors.NotQueued)
@blp.response(200, schemas.DeliveryResponse)
@audit.record_change()
def cancel_delivery(delivery_id):
    """Cancel a queued message

    Rejected once a worker has started to send it. After a canceled reminder, the automatic one that it replaced is sent
    when it is due.
    """
    (delivery,) = visibility.redact_emails(caller, [invitations.cancel(find(Delivery, delivery_id))])
    return {"delivery": delivery}


def _get_page(messages, query):
    response = page("deliveries", messages, query, newest_first=True)
    return response | {"deliveries": visibility.redact_emails(caller, response["deliveries"])}
