"""Candidates over all assessments of the organization."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import peewee
from flask import Response, stream_with_context

import auditing
import auth
from auth import caller
from blueprints import Blueprint, find, page, refuses
from errors import NotFinished, NotFound, SessionClosed
from models import CandidateKey, Reviewer, Session, clock, folded, invitations, key_records, key_status
from schemas.candidates import Candidate, CandidateChange, CandidateQuery, Candidates, OneCandidate

blp = Blueprint("Candidates", __name__, description="Everybody who was given a key.")

ROWS_AT_A_TIME = 500
IN_ORDER = (CandidateKey.created_at, CandidateKey.id)
# What a spreadsheet would run as a formula is kept a text by a leading apostrophe.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
CSV_HEADERS = {"Content-Disposition": 'attachment; filename="candidates.csv"'}
CSV_SHAPE = {"type": "string", "description": "A line for each candidate, after one of column names."}
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
@auth.required(Reviewer)
@blp.arguments(CandidateQuery, location="query")
@blp.response(200, Candidates)
@blp.alt_response(200, schema=CSV_SHAPE, content_type="text/csv", description=Candidates.Meta.description)
def list_candidates(query):
    """List all candidates

    A page of all candidate keys across all assessments, oldest first, with their assessment's title. With
    `format=csv` the whole list as a file, whatever `limit` and `offset` are.
    """
    rows = _matching(query)
    if query["format"] == "csv":
        auditing.note_export("exportCandidates")
        return Response(stream_with_context(_csv(rows)), mimetype="text/csv", headers=CSV_HEADERS)
    return page("candidates", rows.order_by(*IN_ORDER), query["limit"], query["offset"], _shown)


@blp.patch("/candidates/<id:candidate_id>")
@auth.required(Reviewer, scope="write")
@refuses(NotFinished)
@blp.arguments(CandidateChange)
@blp.response(200, OneCandidate)
@auditing.change()
def change_candidate(data, candidate_id):
    """Change a candidate

    Name, address, `externalId` and `metadata` at any time; null clears. Hired can be whose session has completed or
    expired; taking it back restores what the status was. All of it or nothing.
    """
    invitations.change_candidate(find(CandidateKey, candidate_id), data)
    return {"candidate": record(candidate_id)}


@blp.post("/candidates/<id:candidate_id>/allow-redeem")
@auth.required(Reviewer, scope="write")
@refuses(SessionClosed)
@blp.response(200, OneCandidate)
@auditing.change()
def allow_redeem(candidate_id):
    """Allow one more redeem

    For a candidate whose work has begun and whose computer broke: the key can be redeemed once more, into the same
    session, with the time that is left. Before work has begun nothing needs to be allowed.
    """
    session = Session.get_or_none(Session.key == find(CandidateKey, candidate_id))
    if session is not None:
        session.allow_redeem()
    return {"candidate": record(candidate_id)}


def record(candidate_id):
    """The candidate as lists show it."""
    record = _visible().where(CandidateKey.id == candidate_id).first()
    if record is None:
        raise NotFound()
    return record


def _visible():
    return key_records(clock.now()).where(CandidateKey.organization == caller.organization)


def _matching(query):
    rows = _visible()
    if "assessment_id" in query:
        rows = rows.where(CandidateKey.assessment == query["assessment_id"])
    if "q" in query:
        rows = rows.where(CandidateKey.search_text.contains(folded(query["q"])))
    if "status" in query:
        rows = rows.where(key_status(clock.now()) == query["status"])
    return rows


def _shown(part):
    """What is shown of a page's keys: joined to these few, and not to all that the page passes over."""
    few = CandidateKey.id.in_(part.select(CandidateKey.id))
    return key_records(clock.now()).where(few).order_by(*IN_ORDER)


def _csv(rows: peewee.ModelSelect) -> Iterator[str]:
    """The list as CSV, some hundred rows at a time, in the order of the list."""
    yield _csv_lines([CSV_COLUMNS])
    schema = Candidate()
    following = rows.order_by(*IN_ORDER).limit(ROWS_AT_A_TIME)
    part: list[Any] = list(following)
    while part:
        yield _csv_lines(
            [[_cell(shown[name]) for name in CSV_COLUMNS] for shown in schema.dump(part, many=True)]
        )
        part = list(following.where(_comes_after(part[-1])))


def _comes_after(row: dict[str, Any]) -> peewee.Expression:
    later = CandidateKey.created_at > row["created_at"]
    return later | ((CandidateKey.created_at == row["created_at"]) & (CandidateKey.id > row["id"]))


def _csv_lines(rows):
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _cell(value):
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
