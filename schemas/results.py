"""Results of an assessment's candidates."""

from typing import Any

from rules.result_cursors import ResultCursor
from rules.statistics.cohorts import METRICS, shown_value
from rules.statistics.fairness import DECISIONS
from rules.timestamps import format_timestamp
from schemas import common
from schemas.base import Schema, shape
from schemas.fields import Choice, Described, Flag, Id, Integer, Line, ListOf, Nested, Number, String
from schemas.keys import STATUSES
from schemas.queries import Filter, Limit
from schemas.timestamps import Timestamp

SORTS = (
    *("candidateName", "status", "redeemedAt", "completedAt", *(metric.name for metric in METRICS)),
    *("testsPassed", "scoreTotal", "scoreSpread", "decision"),
)
CSV_COLUMNS = (
    *("candidateId", "sessionId", "externalId", "candidateName", "status", "redeemedAt", "completedAt"),
    *(metric.name for metric in METRICS),
    *("testsPassed", "scoreTotal", "scoreHighestTotal", "scoreSpread"),
    *("integrityFindings", "integrityCheckedAt", "decision"),
)
EXAMPLE_CURSOR = "WyJzY29yZVRvdGFsIiwgImRlc2MiLCAwLCA2MDAwXQ"


class After(Described):
    """The cursor of a page of results."""

    openapi = {"type": "string"}
    default_error_messages = {"invalid": "Must be the `next` of an earlier page."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> ResultCursor:
        try:
            return ResultCursor.parse(value)
        except ValueError:
            raise self.make_error("invalid") from None


class ResultFilter(Filter):
    """Filter and order of results."""

    status = Choice(STATUSES, "Only candidates with this status.")
    decision = Choice(DECISIONS, "Only candidates with this decision.")
    external_id = Line(255, "Only the candidate with this `externalId`.")
    q = String(
        "Only candidates whose name, address or `externalId` contains this, in any letter case.", max=255
    )
    sort = Choice(SORTS, "Field that orders the results.", load_default="redeemedAt")
    order = Choice(["asc", "desc"], "Order. Results without a value are last in both.", load_default="asc")


class ResultQuery(ResultFilter):
    """Part of the results."""

    limit = Limit()
    after = After("The `next` of the previous page, which has the same `sort` and `order`.")


class ResultMetrics(Schema):
    """The metrics that cohort statistics compare; null where the session has no value."""

    duration_ms = Integer("First to last event, in ms.", example=4320000, null=True)
    prompt_count = Integer("Number of prompts.", example=38, null=True)
    command_fail_rate = Number("Share of commands that failed.", example=0.142, null=True)
    verify_intensity = Number("Verifications per change.", example=0.61, null=True)
    manual_edit_ratio = Number(
        "Share of attributed changes that the candidate made or revised.", example=0.33, null=True
    )
    first_change_latency_ms = Integer("First event to first change, in ms.", example=180000, null=True)


class CriterionScore(Schema):
    """The scores of one criterion."""

    key = String("Key of the criterion.", example="problem-solving")
    mean = Number("Mean over the reviewers, with 3 decimals; null without a score.", example=2.5, null=True)
    reviewers = Integer("Number of reviewers who scored it.", example=2)


class ResultScore(Schema):
    """The scores in the version of the rubric in which the session was last scored."""

    total = Number("Weighted sum of the means; null until each criterion is scored.", example=6, null=True)
    highest_total = Number(
        "Total with the highest value of each criterion; null before the first score.", example=8, null=True
    )
    spread = Integer(
        "Largest difference between the reviewers' values of one criterion; null while no criterion has two values.",
        example=1,
        null=True,
    )
    disagreement = Flag("True if the values of a criterion are 2 levels or more apart.", example=False)
    criteria = ListOf(CriterionScore, "Criteria of the rubric; empty before the first score.")
    hidden = Flag(
        "True if there are scores that the caller sees after scoring every criterion; then these are empty.",
        example=False,
    )


class IntegrityFindings(Schema):
    """The kinds of findings that the latest check of the record found."""

    codes = ListOf(
        String(), "Codes of findings as in `GET /v1/sessions/{id}/integrity`.", example=["chain_restart"]
    )
    checked_at = Timestamp("Time of the latest integrity check.")


class Result(Schema):
    """A candidate's result."""

    candidate_id = Id("Candidate id.")
    session_id = Id("Session id; null until the candidate redeems the key.", null=True)
    external_id = String("Your own id for the candidate.", example="applicant-4711", null=True)
    candidate_name = common.CANDIDATE_NAME
    status = Choice(STATUSES, "Current status of the candidate.", example="completed")
    redeemed_at = Timestamp("Time when the session started.", null=True)
    completed_at = Timestamp("Time when the candidate completed; null for an expired session.", null=True)
    metrics = Nested(ResultMetrics, "Metrics; null while the session is open.", null=True)
    tests_passed = Flag("True if the tests passed; null if not known.", example=True, null=True)
    score = Nested(ResultScore, "Reviewers' scores.")
    integrity_findings = Nested(
        IntegrityFindings,
        "Findings about the record, a while after the close and after each later change; null before the first check.",
        null=True,
    )
    decision = Choice(DECISIONS, "Latest decision about the candidate.", example="advanced")


Results = shape(
    "Results",
    "Results, in the order of the query.",
    results=ListOf(Result, "Results."),
    next=String("Value for `after`; null at the end.", example=EXAMPLE_CURSOR, null=True),
)


def result_of(row: Any) -> dict[str, Any]:
    """A Result, written from a row of models.results."""
    key, session = row.key, row.session
    has_metrics = session.derivation_version is not None
    return {
        "candidateId": key.id,
        "sessionId": session.id,
        "externalId": key.external_id,
        "candidateName": key.candidate_name,
        "status": row.status,
        "redeemedAt": _time(session.created_at),
        "completedAt": _time(session.completed_at),
        "metrics": _metrics(session) if has_metrics else None,
        "testsPassed": session.tests_passed,
        "score": {
            "total": _thousandths(session.score_total),
            "highestTotal": _thousandths(session.score_highest),
            "spread": session.score_spread,
            "disagreement": bool(session.has_disagreement),
            "criteria": _criteria(session),
            "hidden": row.has_hidden_scores,
        },
        "integrityFindings": _integrity_findings(session),
        "decision": key.decision,
    }


def csv_row_of(row: Any, criteria: list[str]) -> list[Any]:
    """The values of CSV_COLUMNS, and the mean of each of these criteria."""
    result = result_of(row)
    findings = result["integrityFindings"] or {"codes": [], "checkedAt": None}
    cells = result | (result["metrics"] or {})
    score = result["score"]
    cells |= {
        "scoreTotal": score["total"],
        "scoreHighestTotal": score["highestTotal"],
        "scoreSpread": score["spread"],
    }
    cells |= {"integrityFindings": " ".join(findings["codes"])}
    cells |= {"integrityCheckedAt": findings["checkedAt"], "testsPassed": _flag(result["testsPassed"])}
    means = {criterion["key"]: criterion["mean"] for criterion in result["score"]["criteria"]}
    return [*(cells.get(name) for name in CSV_COLUMNS), *(means.get(key) for key in criteria)]


def _metrics(session: Any) -> dict[str, Any]:
    return {metric.name: shown_value(getattr(session, metric.field), metric) for metric in METRICS}


def _integrity_findings(session: Any) -> dict[str, Any] | None:
    if session.integrity_checked_at is None:
        return None
    codes = [code for code in _list(session.integrity_codes) if isinstance(code, str)]
    return {"codes": codes, "checkedAt": _time(session.integrity_checked_at)}


def _criteria(session: Any) -> list[dict[str, Any]]:
    kinds = {"key": str, "mean": float | None, "reviewers": int}
    return [
        {name: each[name] for name in kinds}
        for each in _list(session.score_criteria)
        if isinstance(each, dict) and all(isinstance(each.get(name), kind) for name, kind in kinds.items())
    ]


def _list(value: Any) -> list:
    """The list in a JSON column; empty for any other value."""
    return value if isinstance(value, list) else []


def _thousandths(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(bool(value)).lower()


def _time(value: Any) -> str | None:
    return None if value is None else format_timestamp(value)
