"""The candidate's way: consent, redeem, complete (client contract, sections 3.3 to 3.5 and 3.12)."""

from datetime import timedelta

from flask import request

from access import audit
from blueprints import Blueprint, refuses, require_own, setting
from errors import (
    AlreadyRedeemed,
    ConsentRequired,
    DisclosureOutdated,
    KeyExpired,
    KeyNotFound,
    NotFound,
    NotRedeemed,
    invalid,
)
from models import Consent, Session, db, disclosure, sessions
from models.sessions import find_key
from schemas.candidate_session import (
    Completed,
    Completion,
    Confirmed,
    ConsentQuery,
    ConsentState,
    NewConsent,
    NewSession,
    RedeemedSession,
)

blp = Blueprint(
    "Candidate", __name__, description="What a candidate's client calls, from consent to completion."
)

KEPT_BY_CLIENT_AFTER_CLOSE = timedelta(hours=24)


@blp.get("/candidate/consent")
@refuses(KeyNotFound, KeyExpired)
@blp.arguments(ConsentQuery, location="query")
@blp.response(200, ConsentState)
def get_consent(query):
    """What there is to agree to

    The text that the candidate agrees to, and whether that has happened. The key stands in the query, or in the
    header `X-API-Key`, which keeps it out of addresses.
    """
    text = query.get("key") or request.headers.get("X-API-Key")
    if not text:
        raise invalid("key", "Required.")
    key = find_key(text)
    current = disclosure.for_organization(key.organization)
    return {
        "already_confirmed": Consent.exists_for(key, current["hash"]),
        "disclosure_hash": current["hash"],
        "disclosure": current | {"tos_url": setting("TERMS_URL")},
        "assessment_title": key.assessment.title,
        "org_name": key.organization.shown_name,
        "time_limit_minutes": key.time_limit_minutes,
        "status": key.status,
        "expires_at": key.expires_at,
    }


@blp.post("/candidate/consent")
@refuses(KeyNotFound, KeyExpired, DisclosureOutdated)
@blp.arguments(NewConsent)
@blp.response(200, Confirmed)
def give_consent(data):
    """Agree

    Records that the candidate agreed. Agreeing again changes nothing. With the hash of another text than the
    current one nothing is recorded.
    """
    key = find_key(data["key"])
    current = disclosure.for_organization(key.organization)
    shown = data.get("disclosure_hash") or None
    if shown is not None and shown != current["hash"]:
        raise DisclosureOutdated()
    with db.atomic():
        Consent.give(key, current["version"] if shown else None, shown)
        audit.record_candidate(key, "giveConsent")
    return {"ok": True}


@blp.post("/candidate/redeem")
@refuses(KeyNotFound, KeyExpired, ConsentRequired, AlreadyRedeemed)
@blp.arguments(NewSession)
@blp.response(200, RedeemedSession)
def redeem(data):
    """Redeem a key

    Begins the session, and with it the clock. Until the first event or the completion it can be repeated with the
    same result, for a client that lost the answer.
    """
    with db.atomic():
        session = sessions.redeem(data["key"], data.get("signing_pub_key"))
        audit.record_candidate(session.key, "redeem")
    assessment = session.assessment
    return {
        "session_id": session.id,
        "session_token": session.key.key,
        "assessment_id": assessment.id,
        "assessment_title": assessment.title,
        "org_name": session.key.organization.shown_name,
        "task_brief": assessment.task_brief,
        "brief": assessment.brief,
        "repo_url": assessment.repo_url,
        "repo_commit": assessment.repo_commit,
        "repo_subdir": assessment.repo_subdir,
        "setup_instructions": assessment.setup_instructions,
        "time_limit_minutes": session.key.time_limit_minutes,
        "issue_id": assessment.issue_id,
        "expires_at": session.closes_at and session.closes_at + KEPT_BY_CLIENT_AFTER_CLOSE,
        "tos_accepted": True,
        "allowed_tools": assessment.allowed_tools,
    }


@blp.post("/candidate/complete")
@refuses(KeyNotFound, KeyExpired, NotRedeemed, NotFound)
@blp.arguments(Completion)
@blp.response(200, Completed)
def complete(data):
    """Complete a session

    Closes the session and derives its metrics. Completing again answers the original moment.
    """
    key = find_key(data["key"])
    session = Session.of_key(key)
    require_own(session, data["session_id"])
    with db.atomic():
        completed_at = sessions.complete(session)
        audit.record_candidate(key, "complete")
    return {"ok": True, "completed_at": completed_at}
