"""Candidates over all assessments of the organization."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify, stream_with_context

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find, or_not_found, refuses
from errors import NotFinished, SessionClosed, invalid
from models import ApiToken, CandidateKey, CandidateList, Session, find_candidate, invitations, sessions
from schemas.candidates import CandidateChange, CandidateQuery, Candidates, OneCandidate
from schemas.keys import candidate_of

blp = Blueprint("Candidates", __name__, description="Everybody who was given a key.")

# Spreadsheets run cells that start like this as formulas; a leading apostrophe keeps them text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CSV_HEADERS = {"Content-Disposition": 'attachment; filename="candidates.csv"'}
CSV_SHAPE = {"type": "string", "description": "A header line, then a line for each candidate."}
CSV_COLUMNS = (
    "id",
    "key",
    "candidateName",
    "candidateEmail",
    "status",
    "sessionId",
    "redeemedAt",
    "completedAt",
    "expiresAt",
    "createdAt",
    "assessmentId",
    "assessmentTitle",
    "externalId",
)


@blp.get("/candidates")
@auth.required(ApiToken)
@blp.arguments(CandidateQuery, location="query")
@blp.response(200, Candidates)
@blp.alt_response(200, schema=CSV_SHAPE, content_type="text/csv", description=Candidates.Meta.description)
def list_candidates(query):
    """List all candidates

    A page of the candidate keys of all assessments, oldest first, with their assessment's title. Read a long list
    with `after`: each page costs the same, however far behind it is. `format=csv` returns the whole list as a file
    and ignores `limit`, `offset` and `after`.
    """
    filters = {name: query[name] for name in ("assessment_id", "status", "q") if name in query}
    candidates = CandidateList(caller.organization_id, **filters)
    if query["format"] == "csv":
        audit.record_export("exportCandidates")
        return Response(stream_with_context(_csv(candidates)), mimetype="text/csv", headers=CSV_HEADERS)
    limit, offset = query["limit"], query["offset"]
    rows = _after(candidates, query).page(limit, offset)
    return jsonify(
        candidates=[candidate_of(row) for row in rows], total=candidates.count(), limit=limit, offset=offset
    )


@blp.patch("/candidates/<id:candidate_id>")
@auth.required(ApiToken, scope="write")
@refuses(NotFinished)
@blp.arguments(CandidateChange)
@blp.response(200, OneCandidate)
@audit.change()
def change_candidate(data, candidate_id):
    """Change a candidate

    Atomic. Name, address, `externalId` and `metadata` can change at any time; null clears. `hired` needs a session
    that has completed or expired; setting it to false restores the previous status.
    """
    invitations.change_candidate(find(CandidateKey, candidate_id), data)
    return candidate_response(candidate_id)


@blp.post("/candidates/<id:candidate_id>/allow-redeem")
@auth.required(ApiToken, scope="write")
@refuses(SessionClosed)
@blp.response(200, OneCandidate)
@audit.change()
def allow_redeem(candidate_id):
    """Allow one more redeem

    For a candidate whose computer broke during the work: the key can be redeemed once more, into the same session
    with its remaining time. Not needed before the first event.
    """
    session = Session.get_or_none(Session.key == find(CandidateKey, candidate_id))
    if session is not None:
        sessions.allow_redeem(session)
    return candidate_response(candidate_id)


def candidate_response(candidate_id: Any) -> Response:
    """The candidate as lists show it."""
    return jsonify(candidate=candidate_of(or_not_found(find_candidate(caller, candidate_id))))


def _after(candidates: CandidateList, query: dict[str, Any]) -> CandidateList:
    if "after" not in query:
        return candidates
    last = CandidateKey.of_organization(caller).where(CandidateKey.id == query["after"]).get_or_none()
    if last is None:
        raise invalid("after", "No such candidate in your organization.")
    return candidates.after(last)


def _csv(candidates: CandidateList) -> Iterator[str]:
    yield _csv_lines([CSV_COLUMNS])
    for batch in candidates.batches():
        shown = map(candidate_of, batch)
        yield _csv_lines([[_cell(candidate[name]) for name in CSV_COLUMNS] for candidate in shown])


def _csv_lines(rows: Any) -> str:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
