"""Candidates over all assessments of the organization."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import peewee
from flask import Response, stream_with_context

import auditing
import auth
from auth import caller
from blueprints import Blueprint, find, refuses
from errors import NotFinished, NotFound, SessionClosed, invalid
from models import (
    Assessment,
    CandidateKey,
    KeyCount,
    Reviewer,
    Session,
    clock,
    folded,
    invitations,
    key_records,
    key_status,
)
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

    A page of all candidate keys across all assessments, oldest first, with their assessment's title. A long list is
    best read with `after`: how far its pages are behind makes no difference then. With `format=csv` the whole list as
    a file, whatever `limit`, `offset` and `after` are.
    """
    keys = _matching(query)
    if query["format"] == "csv":
        auditing.note_export("exportCandidates")
        return Response(stream_with_context(_csv(keys)), mimetype="text/csv", headers=CSV_HEADERS)
    part = _part(keys, query).order_by(*IN_ORDER).limit(query["limit"]).offset(query["offset"])
    return {
        "candidates": list(_shown(part)),
        "total": _total(keys, query),
        "limit": query["limit"],
        "offset": query["offset"],
    }


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
    """The ids of the keys that are asked for. Without a further filter their index has all that it takes."""
    deleted = Assessment.deleted_ids(caller.organization)
    keys = CandidateKey.select(CandidateKey.id).where(
        CandidateKey.organization == caller.organization,
        CandidateKey.revoked_at.is_null(),
        CandidateKey.assessment.not_in(deleted),
    )
    if "assessment_id" in query:
        keys = keys.where(CandidateKey.assessment == query["assessment_id"])
    if "q" in query:
        keys = keys.where(CandidateKey.search_text.contains(folded(query["q"])))
    if "status" in query:
        keys = keys.join(Session, peewee.JOIN.LEFT_OUTER).where(key_status(clock.now()) == query["status"])
    return keys


def _total(keys, query):
    if "q" in query or "status" in query:
        return keys.count()
    return KeyCount.total(caller.organization, query.get("assessment_id"))


def _part(keys, query):
    """What is behind the candidate that the caller has read to, who may be revoked meanwhile."""
    if "after" not in query:
        return keys
    last = CandidateKey.of_organization(caller).where(CandidateKey.id == query["after"]).get_or_none()
    if last is None:
        raise invalid("after", "There is no candidate with this id.")
    return keys.where(_comes_after(last.created_at, last.id))


def _shown(part):
    """What is shown of a page's keys: joined to these few, and not to all that the page passes over."""
    return key_records(clock.now()).where(CandidateKey.id.in_(part)).order_by(*IN_ORDER)


def _csv(keys: peewee.ModelSelect) -> Iterator[str]:
    """The list as CSV, some hundred rows at a time, in the order of the list."""
    yield _csv_lines([CSV_COLUMNS])
    schema = Candidate()
    following = keys.order_by(*IN_ORDER).limit(ROWS_AT_A_TIME)
    part: list[Any] = list(_shown(following))
    while part:
        yield _csv_lines(
            [[_cell(shown[name]) for name in CSV_COLUMNS] for shown in schema.dump(part, many=True)]
        )
        last = part[-1]
        part = list(_shown(following.where(_comes_after(last["created_at"], last["id"]))))


def _comes_after(created_at: datetime, key_id: Any) -> peewee.Expression:
    # Compared as pairs, which the index can begin at; two comparisons with an "or" it would filter from the start.
    last = (
        peewee.Value(created_at, CandidateKey.created_at.db_value),
        peewee.Value(key_id, CandidateKey.id.db_value),
    )
    return peewee.Tuple(*IN_ORDER) > peewee.Tuple(*last)


def _csv_lines(rows):
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _cell(value):
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
