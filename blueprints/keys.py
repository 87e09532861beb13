"""Candidate keys: generate, list, revoke."""

from flask import jsonify

from access import audit, auth, caller, etags, gates, raises, reports_ignored_fields
from access.idempotency import idempotent
from blueprints import Blueprint, find, or_not_found
from blueprints.candidates import candidate_check, candidate_page
from errors import DuplicateCandidates, DuplicateExternalId, NoTimeLimit
from models import ApiToken, Assessment, CandidateKey, CandidateList, generate_keys, invitations
from schemas.keys import KeyPage, Keys, NewKeys, RevokedKey, serialize_key
from schemas.queries import CursorPageQuery

blp = Blueprint("Candidate keys", __name__, description="Candidates' keys for assessments.")


@blp.post("/assessments/<id:assessment_id>/keys")
@auth.required(ApiToken, scope="write")
@reports_ignored_fields
@gates.subscribed
@idempotent
@raises(DuplicateCandidates, DuplicateExternalId, NoTimeLimit)
@blp.arguments(NewKeys)
@blp.response(201, Keys)
@audit.prepare_entry
def issue_keys(data, assessment_id, audit_entry):
    """Generate candidate keys

    Atomic: either all keys are generated or none. Candidates with an email address are invited in the background.
    `onDuplicate` applies to addresses that already have an open key. Entries in `candidates` can include an
    `externalId`, which must be unique in the assessment, `metadata`, and extra time if the assessment has a time limit.
    """
    options = data | {"audit_entry": audit_entry, "viewer": caller}
    rows = generate_keys(caller.organization, or_not_found(assessment_id), **options)
    return jsonify(keys=[serialize_key(row, caller.can_view_keys) for row in rows]), 201


@blp.get("/assessments/<id:assessment_id>/keys")
@auth.required(ApiToken)
@reports_ignored_fields
@blp.arguments(CursorPageQuery, location="query")
@blp.response(200, KeyPage)
def list_keys(query, assessment_id):
    """List candidate keys

    All keys except revoked ones, oldest first. Set `limit` to paginate. Without the `write` scope, `key` is masked as
    `PST-****-****`.
    """
    assessment = find(Assessment, assessment_id)
    keys = CandidateList(caller.organization_id, caller, assessment_id=assessment.id)
    rows, next_cursor = candidate_page(keys, query)
    return jsonify(keys=[serialize_key(row, caller.can_view_keys) for row in rows], next=next_cursor)


@blp.delete("/assessments/<id:assessment_id>/keys/<id:key_id>")
@auth.required(ApiToken, scope="write")
@reports_ignored_fields
@etags.with_if_match
@blp.response(200, RevokedKey)
@audit.record_change()
def revoke_key(assessment_id, key_id):
    """Revoke a candidate key

    The key stops working immediately and disappears from lists. Its session still counts in statistics. `If-Match`
    takes the candidate's `ETag`.
    """
    keys = CandidateKey.visible_to(caller).where(CandidateKey.assessment == assessment_id)
    invitations.revoke(find(CandidateKey, key_id, keys), candidate_check(key_id))
    return {"ok": True, "id": key_id}
