"""Candidate keys: generate, list, revoke."""

from access import audit, auth, gates
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, refuses
from errors import DuplicateCandidates, NotFound
from models import ApiToken, Assessment, CandidateKey, clock, invitations, key_records
from schemas.keys import Keys, NewKeys, RevokedKey

blp = Blueprint("Candidate keys", __name__, description="Keys that open an assessment to candidates.")


@blp.post("/assessments/<id:assessment_id>/keys")
@auth.required(ApiToken, scope="write")
@idempotent
@gates.subscribed
@refuses(DuplicateCandidates)
@blp.arguments(NewKeys)
@blp.response(201, Keys)
@audit.change(made="keys")
def issue_keys(data, assessment_id):
    """Generate candidate keys

    All of them or none. Candidates with an email address are invited; the answer does not wait for the mail. What
    becomes of an address that has an open key already, `onDuplicate` says.
    """
    assessment = find(Assessment, assessment_id, invitations.held_to_issue(data["on_duplicate"]))
    assessment.organization = caller.organization
    return {"keys": invitations.issue_keys(assessment, **data)}


@blp.get("/assessments/<id:assessment_id>/keys")
@auth.required(ApiToken)
@blp.response(200, Keys)
def list_keys(assessment_id):
    """List candidate keys

    All that are not revoked, oldest first.
    """
    assessment = find(Assessment, assessment_id)
    return {"keys": list(_listed().where(CandidateKey.assessment == assessment))}


@blp.delete("/assessments/<id:assessment_id>/keys/<id:key_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, RevokedKey)
@audit.change()
def revoke_key(assessment_id, key_id):
    """Revoke a candidate key

    It stops to authenticate at once and disappears from lists. A session that it began stays in the statistics.
    """
    key = find(CandidateKey, key_id)
    if key.assessment_id != assessment_id:
        raise NotFound()
    key.revoke()
    return {"ok": True, "id": key_id}


def _listed():
    return key_records(clock.now()).order_by(CandidateKey.created_at, CandidateKey.id)
