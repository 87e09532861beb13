"""Candidates over all assessments of the organization."""

import csv
import io
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import peewee
from flask import Response, stream_with_context

from access import audit, auth
from access.auth import caller
from blueprints import Blueprint, find, or_not_found, refuses
from errors import NotFinished, SessionClosed, invalid
from models import (
    ApiToken,
    Assessment,
    CandidateKey,
    KeyCount,
    Session,
    clock,
    folded,
    invitations,
    key_records,
    key_status,
)
from models.base import Query
from models.compiled import Compiled, Parameter
from schemas.candidates import Candidate, CandidateChange, CandidateQuery, Candidates, OneCandidate

blp = Blueprint("Candidates", __name__, description="Everybody who was given a key.")

ROWS_AT_A_TIME = 500
IN_ORDER = (CandidateKey.created_at, CandidateKey.id)
# What a spreadsheet would run as a formula is kept a text by a leading apostrophe.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
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
@auth.required(ApiToken)
@blp.arguments(CandidateQuery, location="query")
@blp.response(200, Candidates)
@blp.alt_response(200, schema=CSV_SHAPE, content_type="text/csv", description=Candidates.Meta.description)
def list_candidates(query):
    """List all candidates

    A page of all candidate keys across all assessments, oldest first, with their assessment's title. A long list is
    best read with `after`: how far its pages are behind makes no difference then. With `format=csv` the whole list as
    a file, whatever `limit`, `offset` and `after` are.
    """
    asked = _asked(query)
    if query["format"] == "csv":
        audit.note_export("exportCandidates")
        return Response(stream_with_context(_csv(asked)), mimetype="text/csv", headers=CSV_HEADERS)
    part = _behind(asked, query["after"]) if "after" in query else asked
    return {
        "candidates": _rows(part, limit=query["limit"], offset=query["offset"]),
        "total": _total(asked),
        "limit": query["limit"],
        "offset": query["offset"],
    }


@blp.patch("/candidates/<id:candidate_id>")
@auth.required(ApiToken, scope="write")
@refuses(NotFinished)
@blp.arguments(CandidateChange)
@blp.response(200, OneCandidate)
@audit.change()
def change_candidate(data, candidate_id):
    """Change a candidate

    Name, address, `externalId` and `metadata` at any time; null clears. Hired can be whose session has completed or
    expired; taking it back restores what the status was. All of it or nothing.
    """
    invitations.change_candidate(find(CandidateKey, candidate_id), data)
    return {"candidate": record(candidate_id)}


@blp.post("/candidates/<id:candidate_id>/allow-redeem")
@auth.required(ApiToken, scope="write")
@refuses(SessionClosed)
@blp.response(200, OneCandidate)
@audit.change()
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
    return or_not_found(_visible().where(CandidateKey.id == candidate_id).first())


def _visible():
    return key_records(clock.now()).where(CandidateKey.organization == caller.organization)


def _asked(query: dict[str, Any]) -> dict[str, Any]:
    """Whose candidates are asked for, when, and the values of the filters that were given."""
    asked: dict[str, Any] = {"organization_id": caller.organization_id, "now": clock.now()}
    asked |= {name: query[name] for name in ("assessment_id", "status") if name in query}
    return asked | ({"pattern": _pattern(folded(query["q"]))} if "q" in query else {})


def _pattern(text: str) -> str:
    """What LIKE takes for every text that contains this one; `!` takes the next sign's meaning away."""
    return "%" + re.sub("([!%_])", r"!\1", text) + "%"


def _behind(asked: dict[str, Any], candidate_id: Any) -> dict[str, Any]:
    """What is behind the candidate that the caller has read to, who may be revoked meanwhile."""
    last = CandidateKey.of_organization(caller).where(CandidateKey.id == candidate_id).get_or_none()
    if last is None:
        raise invalid("after", "There is no candidate with this id.")
    return asked | {"last_created_at": last.created_at, "last_id": last.id}


def _rows(asked: dict[str, Any], limit: int, offset: int = 0) -> list[dict[str, Any]]:
    return _page(frozenset(asked)).dicts(**asked, limit=limit, offset=offset)


def _total(asked: dict[str, Any]) -> int:
    if "pattern" in asked or "status" in asked:
        return _count(frozenset(asked)).scalar(**asked)
    return KeyCount.total(asked["organization_id"], asked.get("assessment_id"))


# Each set of filters has statements of its own: to build them anew takes as long as to answer.


@cache
def _page(names: frozenset[str]) -> Compiled:
    return Compiled(lambda: _shown(_walk(names)))


@cache
def _count(names: frozenset[str]) -> Compiled:
    return Compiled(lambda: CandidateKey.select(peewee.fn.COUNT(peewee.SQL("1"))).from_(_matching(names)))


def _walk(names: frozenset[str]) -> Query:
    """The ids of a page's keys."""
    keys = _matching(names)
    if "last_id" in names:
        keys = keys.where(_COMES_AFTER)
    limit, offset = (Parameter(name, peewee.IntegerField()) for name in ("limit", "offset"))
    return keys.order_by(*IN_ORDER).limit(limit).offset(offset)


# Compared as pairs, which the index can begin at; two comparisons with an "or" it would filter from the start.
_COMES_AFTER = peewee.Tuple(*IN_ORDER) > peewee.Tuple(
    Parameter("last_created_at", CandidateKey.created_at), Parameter("last_id", CandidateKey.id)
)


def _matching(names: frozenset[str]) -> Query:
    """The ids of the keys that are asked for. Without a further filter their index has all that it takes."""
    organization = Parameter("organization_id", CandidateKey.organization)
    keys = CandidateKey.select(CandidateKey.id).where(
        CandidateKey.organization == organization,
        CandidateKey.revoked_at.is_null(),
        CandidateKey.assessment.not_in(Assessment.deleted_ids(organization)),
    )
    if "assessment_id" in names:
        keys = keys.where(CandidateKey.assessment == Parameter("assessment_id", CandidateKey.assessment))
    if "pattern" in names:
        pattern = peewee.NodeList((Parameter("pattern", CandidateKey.search_text), peewee.SQL("ESCAPE '!'")))
        keys = keys.where(peewee.Expression(CandidateKey.search_text, peewee.OP.ILIKE, pattern))
    if "status" in names:
        status = Parameter("status", peewee.TextField())
        keys = keys.join(Session, peewee.JOIN.LEFT_OUTER).where(key_status(_NOW) == status)
    return keys


def _shown(part: Query) -> Query:
    """What is shown of a page's keys: joined to these few, and not to all that the page passes over."""
    return key_records(_NOW).where(CandidateKey.id.in_(part)).order_by(*IN_ORDER)


_NOW = Parameter("now", Session.closes_at)


def _csv(asked: dict[str, Any]) -> Iterator[str]:
    """The list as CSV, some hundred rows at a time, in the order of the list."""
    yield _csv_lines([CSV_COLUMNS])
    schema = Candidate()
    part = _rows(asked, ROWS_AT_A_TIME)
    while part:
        yield _csv_lines(
            [[_cell(shown[name]) for name in CSV_COLUMNS] for shown in schema.dump(part, many=True)]
        )
        last = part[-1]
        behind = {"last_created_at": last["created_at"], "last_id": last["id"]}
        part = _rows(asked | behind, ROWS_AT_A_TIME)


def _csv_lines(rows):
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _cell(value):
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
