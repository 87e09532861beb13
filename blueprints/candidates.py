"""Candidates across all assessments."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Response, jsonify

from access import audit, auth, caller, concurrency, etags, raises, reports_ignored_fields
from access.idempotency import idempotent
from blueprints import Blueprint, file_response, find, get_filters, or_not_found, split_page
from errors import DuplicateExternalId, NotFinished, SessionClosed, invalid
from models import (
    ApiToken,
    CandidateKey,
    CandidateList,
    Session,
    find_candidate,
    hiring_decisions,
    invitations,
    sessions,
)
from models.candidates import CandidateRow
from rules.cursors import Cursor
from schemas import candidates as schemas
from schemas.keys import serialize_candidate

blp = Blueprint("Candidates", __name__, description="Candidates across all assessments.")

# Characters that start a formula in a spreadsheet; a preceding apostrophe prevents that. Any character but a letter, a
# digit or another of these can be the spreadsheet's separator. A dash between words is no formula with any separator.
_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(rf"(?<![\w{_SIGNS}])[{_SIGNS}](?!(?<=\w .) )")
CSV_COLUMNS = (
    *("id", "key", "candidateName", "candidateEmail", "status", "sessionId", "redeemedAt", "completedAt"),
    *("expiresAt", "createdAt", "assessmentId", "assessmentTitle", "externalId", "decision"),
)


@blp.get("/candidates")
@auth.required(ApiToken)
@reports_ignored_fields
@blp.arguments(schemas.CandidateQuery, location="query")
@blp.response(200, schemas.Candidates)
def list_candidates(query):
    """List candidates

    Candidates across all assessments, oldest first. For long lists, paginate with `after`: each page takes constant
    time. Without the `write` scope, `key` is masked as `PST-****-****`.
    """
    candidates = CandidateList(caller.organization_id, caller, **get_filters(query))
    limit, offset = query["limit"], query["offset"]
    rows, next_cursor = candidate_page(candidates, query)
    items = [serialize_candidate(row, caller.can_view_keys) for row in rows]
    return jsonify(candidates=items, next=next_cursor, total=candidates.count(), limit=limit, offset=offset)


@blp.get("/candidates/<id:candidate_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.CandidateResponse)
@audit.record_read
def get_candidate(candidate_id):
    """Get a candidate

    Without the `write` scope, `key` is masked as `PST-****-****`.
    """
    return candidate_response(candidate_id)


@blp.get("/candidates/export")
@auth.required(ApiToken)
@blp.arguments(schemas.CandidateFilter, location="query")
@blp.file(
    "A header row, then one row per candidate.",
    "CSV file of candidates.",
    "text/csv",
    example=",".join(CSV_COLUMNS) + "\r\n",
)
@audit.record_read
def export_candidates(query):
    """Export the candidates

    All matching candidates as a CSV file, oldest first. Without the `write` scope, `key` is masked as `PST-****-****`.
    """
    candidates = CandidateList(caller.organization_id, caller, **query)
    return file_response("candidates.csv", _csv(candidates, caller.can_view_keys), "text/csv")


@blp.patch("/candidates/<id:candidate_id>")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@raises(NotFinished, DuplicateExternalId)
@blp.arguments(schemas.CandidateUpdate)
@blp.response(200, schemas.CandidateResponse)
@audit.record_change()
def update_candidate(data, candidate_id):
    """Update a candidate

    Name, email address, `externalId` and `metadata` can be changed at any time; null clears a field. `externalId` must
    be unique within the assessment. `hired` requires a completed or expired session. `hired: true` sets the decision
    `hired`; `hired: false` changes `hired` to `undecided`, and restores the previous status.
    """
    invitations.update_candidate(
        find(CandidateKey, candidate_id), data, caller, candidate_check(candidate_id)
    )
    return candidate_response(candidate_id)


@blp.put("/candidates/<id:candidate_id>/decision")
@auth.required(ApiToken, scope="write")
@etags.with_if_match
@raises(NotFinished)
@blp.arguments(schemas.NewDecision)
@blp.response(200, schemas.CandidateResponse)
@audit.record_change()
def set_decision(data, candidate_id):
    """Set a candidate's hiring decision

    Replaces the previous decision and its reasons. Send `If-Match` to avoid overwriting a decision that you have not
    seen. `hired` requires a completed or expired session and becomes the candidate's `status`; any other decision
    restores the previous status. Candidates never see decisions.
    """
    invitations.decide(find(CandidateKey, candidate_id), caller, **data, check=candidate_check(candidate_id))
    return candidate_response(candidate_id)


@blp.get("/candidates/<id:candidate_id>/decision-warnings")
@auth.required(ApiToken)
@concurrency.long_read
@blp.arguments(schemas.DecisionQuery, location="query")
@blp.response(200, schemas.DecisionWarnings)
@audit.record_read
def list_decision_warnings(query, candidate_id):
    """List warnings about a hiring decision

    Compares the total, as a share of the highest possible one, with the opposite decisions of the same assessment.
    Totals that are hidden from the caller are not compared. The session's integrity is checked for each request.
    Warnings do not block a decision.
    """
    key = find(CandidateKey, candidate_id)
    return {"warnings": hiring_decisions.find_warnings(key, caller, query["decision"])}


@blp.post("/candidates/<id:candidate_id>/allow-redeem")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(SessionClosed)
@blp.response(200, schemas.CandidateResponse)
@audit.record_change()
def allow_redeem(candidate_id):
    """Allow another redemption

    For candidates who switch computers: lets the key be redeemed once more for the same session, without extending its
    time. Not needed if no event has been received yet.
    """
    session = Session.get_or_none(Session.key == find(CandidateKey, candidate_id))
    if session is not None:
        sessions.allow_redeem(session)
    return candidate_response(candidate_id)


def candidate_response(candidate_id: Any) -> Response:
    row = or_not_found(find_candidate(caller, candidate_id))
    return jsonify(candidate=serialize_candidate(row, caller.can_view_keys))


def candidate_check(candidate_id: Any) -> Callable[[], None]:
    """Return the check of `If-Match` for a change to a candidate."""
    return etags.precondition(lambda: candidate_response(candidate_id))


def candidate_page(candidates: CandidateList, query: dict[str, Any]) -> tuple[list[CandidateRow], str | None]:
    """Return a page's rows and the next cursor. Without a limit, return all rows after the query's cursor."""
    newest_first = query.get("order") == "desc"
    if "after" in query:
        candidates = candidates.after(_find_position(query["after"]), newest_first)
    if "limit" not in query:
        return candidates.rows(newest_first=newest_first), None
    rows = candidates.rows(query["limit"] + 1, query.get("offset", 0), newest_first)
    return split_page(rows, query["limit"])


def _find_position(after: Any) -> Any:
    """Return the cursor, or the key with the id. Raises Invalid."""
    if isinstance(after, Cursor):
        return after
    last = CandidateKey.all_visible_to(caller).where(CandidateKey.id == after).get_or_none()
    if last is None:
        raise invalid("after", "No such candidate in your organization.")
    return last


def _csv(candidates: CandidateList, reveals_keys: bool) -> Iterator[str]:
    yield csv_lines([CSV_COLUMNS])
    for batch in candidates.batches():
        rows = [serialize_candidate(row, reveals_keys) for row in batch]
        yield csv_lines([csv_cell(row[name]) for name in CSV_COLUMNS] for row in rows)


def csv_lines(rows: Iterable[Any]) -> str:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def csv_cell(value: Any) -> str:
    """Format a value as a CSV cell: 29.0 is `29`. Escapes formulas for every separator of a spreadsheet."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else _FORMULA.sub(r"'\g<0>", str(value))
