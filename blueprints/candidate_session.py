"""Endpoints to consent, redeem and complete (docs/candidate-client.md, 3.3 to 3.5 and 3.12)."""

from datetime import timedelta

from flask import request

import errors
from access import audit, credential_throttling, raises
from blueprints import Blueprint, build_disclosure, get_key_session, setting
from models import Consent, db, sessions
from models.sessions import find_key
from schemas import candidate_session as schemas

blp = Blueprint("Candidate", __name__, description="A candidate's client, from consent to completion.")

CLIENT_STATE_LIFETIME = timedelta(hours=24)  # after the close


@blp.get("/candidate/consent")
@raises(errors.KeyNotFound, errors.KeyExpired)
@blp.arguments(schemas.ConsentQuery, location="query")
@blp.response(200, schemas.ConsentState)
def get_consent(query):
    """Get the disclosure

    Returns the disclosure, and whether the candidate has consented to it. Send the key in the query, or in the
    `X-API-Key` header to keep it out of URLs.
    """
    credential = query.get("key") or request.headers.get("X-API-Key")
    if not credential:
        raise errors.invalid("key", "Required.")
    with credential_throttling.lookup(credential):
        key = find_key(credential)
    current = build_disclosure(key.organization)
    return {
        "already_confirmed": Consent.exists_for(key, current["hash"]),
        "consent_required": sessions.requires_consent(key),
        "disclosure_hash": current["hash"],
        "disclosure": current,
        "assessment_title": key.assessment.title,
        "role": key.assessment.role,
        "org_name": key.organization.public_name,
        "time_limit_minutes": key.time_limit_minutes,
        "status": key.status_for_candidate,
        "expires_at": key.expires_at,
    }


@blp.post("/candidate/consent")
@raises(errors.KeyNotFound, errors.KeyExpired, errors.DisclosureOutdated)
@blp.arguments(schemas.NewConsent)
@blp.response(200, schemas.Confirmed)
def give_consent(data):
    """Consent to the disclosure

    Idempotent. Consent to an outdated disclosure, identified by its hash, is rejected.
    """
    with credential_throttling.lookup(data["key"]):
        key = find_key(data["key"])
    current = build_disclosure(key.organization)
    confirmed_hash = data.get("disclosure_hash")
    if confirmed_hash and confirmed_hash != current["hash"]:
        raise errors.DisclosureOutdated()
    with db.atomic():
        if confirmed_hash:
            Consent.record(key, current["version"], confirmed_hash, current["channels"])
        else:
            Consent.record(key, None, None)
        audit.record_candidate(key, "giveConsent")
    return {"ok": True}


@blp.post("/candidate/redeem")
@raises(errors.KeyNotFound, errors.KeyExpired, errors.ConsentRequired, errors.AlreadyRedeemed)
@blp.arguments(schemas.NewSession)
@blp.response(200, schemas.RedeemedSession)
def redeem_key(data):
    """Redeem a key

    Starts the session and its time limit. A client that lost the response can repeat the request until the first event
    or completion; it receives the same session.
    """
    with credential_throttling.lookup(data["key"]), db.atomic():
        session = sessions.redeem(data["key"], data.get("signing_pub_key"), build_disclosure)
        audit.record_candidate(session.key, "redeemKey")
    columns = ("task_brief", "brief", "issue_id", "repo_subdir", "setup_instructions")
    return {name: getattr(session.assessment, name) for name in columns} | {
        "repo_url": session.get_repo_url(setting("BASE_URL")),
        "repo_commit": session.repo_commit,
        # The client supports only agents, not model providers' tools.
        "allowed_tools": session.assessment.allowed_agents,
        "session_id": session.id,
        "session_token": session.key.key,
        "assessment_id": session.assessment_id,
        "assessment_title": session.assessment.title,
        "org_name": session.key.organization.public_name,
        "time_limit_minutes": session.key.time_limit_minutes,
        "expires_at": session.closes_at and session.closes_at + CLIENT_STATE_LIFETIME,
        "tos_accepted": True,
    }


@blp.post("/candidate/complete")
@raises(errors.KeyNotFound, errors.KeyExpired, errors.NotRedeemed, errors.NotFound)
@blp.arguments(schemas.Completion)
@blp.response(200, schemas.Completed)
def complete_session(data):
    """Complete a session

    Closes the session and computes its metrics. A repeated request returns the original completion time.
    """
    with credential_throttling.lookup(data["key"]):
        key = find_key(data["key"])
    session = get_key_session(key, data["session_id"])
    derivation = sessions.derive_before_lock(session) if session.closed_at is None else None
    with db.atomic():
        completed_at = sessions.complete(session, derivation)
        audit.record_candidate(key, "completeSession")
    return {"ok": True, "completed_at": completed_at}
