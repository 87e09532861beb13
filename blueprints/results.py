"""Results of an assessment or organization: candidates with sessions, metrics, scores, findings and decisions."""

from collections.abc import Iterator
from typing import Any

from flask import jsonify

from access import audit, auth, caller, etags
from blueprints import Blueprint, file_response, find
from blueprints.candidates import csv_cell, csv_lines
from errors import invalid
from models import ApiToken, Assessment, sessions, visibility
from models.candidates import search_filters
from models.results import ResultList
from rules.result_cursors import INVALID
from schemas import results as schemas
from web.compression import with_compression

blp = Blueprint("Results", __name__, description="Candidates in one table.")


@blp.get("/assessments/<id:assessment_id>/results")
@auth.required(ApiToken)
@with_compression
@etags.with_etag
@blp.arguments(schemas.ResultQuery, location="query")
@blp.response(200, schemas.Results)
def list_results(query, assessment_id):
    """List results

    One entry per session, including sessions whose key was revoked or erased, and one per candidate who has not
    redeemed their key. Cursors stay valid when results change. Metrics are the same as in `cohort-stats`. `score`
    contains the means from `GET /v1/sessions/{id}/scores`, and is hidden with them.
    """
    return _page(query, find(Assessment, assessment_id))


@blp.get("/results")
@auth.required(ApiToken)
@with_compression
@etags.with_etag
@blp.arguments(schemas.ResultQuery, location="query")
@blp.response(200, schemas.Results)
def list_all_results(query):
    """List the organization's results

    Like an assessment's results, for all assessments. Sorting by `candidateName` puts hidden names last.
    """
    return _page(query)


@blp.get("/assessments/<id:assessment_id>/results/views")
@auth.required(ApiToken)
@blp.response(200, schemas.ViewCounts)
def count_views(assessment_id):
    """Count the results of each view

    The number of results for each value of the filter `view`, and of all results.
    """
    return {"views": _find_results({"sort": "rank"}, find(Assessment, assessment_id)).view_counts()}


@blp.get("/results/views")
@auth.required(ApiToken)
@blp.response(200, schemas.ViewCounts)
def count_all_views():
    """Count the organization's results of each view

    Like the counts of one assessment, for all assessments.
    """
    return {"views": _find_results({"sort": "rank"}).view_counts()}


def _page(query: dict[str, Any], assessment: Any = None) -> Any:
    results, limit, after = _find_results(query, assessment), query["limit"], query.get("after")
    if after and not results.accepts(after):
        raise invalid("after", INVALID)
    rows = results.page(limit + 1, after)
    next_cursor = str(rows[limit - 1].position) if len(rows) > limit else None
    visible = visibility.redact_results(caller, rows[:limit])
    return jsonify(results=[schemas.serialize_result(row) for row in visible], next=next_cursor)


@blp.get("/assessments/<id:assessment_id>/results/export")
@auth.required(ApiToken)
@blp.arguments(schemas.ResultFilter, location="query")
@blp.file(
    "A header row, then one row per result.",
    "CSV file of results.",
    "text/csv",
    example=",".join(schemas.CSV_COLUMNS) + "\r\n",
)
@audit.record_read
def export_results(query, assessment_id):
    """Export the results

    All matching results as a CSV file in query order, with a column for each criterion of the assessment's rubric.
    A score that is hidden from the caller is "hidden", a missing one "not scored". "Findings" contains codes,
    separated by spaces. If it is empty, "Findings checked" shows whether the recording has been checked.
    """
    return file_response(
        "results.csv", _csv(_find_results(query, find(Assessment, assessment_id))), "text/csv"
    )


def _find_results(query: dict[str, Any], assessment: Any = None) -> ResultList:
    if query["sort"] == "candidateName" and assessment and assessment.blind and caller.user_id:
        raise invalid("sort", "Names are hidden in a blind assessment. Sort by a different field.")
    sessions.close_all_due(assessment_id=assessment and assessment.id, organization_id=caller.organization_id)
    filters: dict[str, Any] = {
        name: query[name] for name in ("status", "decision", "external_id", "hidden_tests") if name in query
    }
    if "q" in query:
        filters |= search_filters(caller, query["q"])
    order = query.get("order") or ("desc" if query["sort"] == "rank" else "asc")
    return ResultList(caller, assessment, query["sort"], order, filters, query.get("view"))


def _csv(results: ResultList) -> Iterator[str]:
    criteria = results.criterion_titles()
    yield csv_lines([map(csv_cell, [*schemas.CSV_COLUMNS, *criteria.values()])])
    for batch in results.all():
        visible = visibility.redact_results(caller, batch)
        yield csv_lines(map(csv_cell, schemas.build_csv_row(row, criteria)) for row in visible)
