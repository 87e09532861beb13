"""Results of an assessment or an organization."""

from collections.abc import Iterable
from typing import Any

from rules.events.envelopes import as_list
from rules.result_cursors import ResultCursor
from rules.statistics.cohorts import METRICS, api_value
from rules.statistics.fairness import DECISIONS
from rules.timestamps import format_timestamp
from schemas import common, queries
from schemas.base import Author, Schema, define_schema
from schemas.fields import Choice, Dict, Flag, Id, Integer, Line, ListOf, Nested, Number, String
from schemas.keys import INVITE_STATES, STATUSES
from schemas.queries import Filter, Limit
from schemas.test_runs import HIDDEN_TESTS, HiddenTests
from schemas.timestamps import Timestamp

SORTS = (
    *("rank", "candidateName", "status", "redeemedAt", "completedAt", *(metric.name for metric in METRICS)),
    *("testsPassed", "hiddenTests", "scoreTotal", "scoreSpread", "decision"),
)
VIEWS = (
    *("undecided", "to_score", "disagreement", "findings"),
    *("advanced", "rejected", "hired", "not_started"),
)
HIDDEN_OUTCOMES = ("passed", "failed", "untrusted", "none")
# Headers, which are the console's labels where it has one, with the names of their values.
CSV_COLUMNS = {
    "Candidate": "candidateName",
    "Email": "candidateEmail",
    "External ID": "externalId",
    "Status": "status",
    "Started": "redeemedAt",
    "Completed": "completedAt",
    "Total": "scoreTotal",
    "Highest total": "scoreHighestTotal",
    "Spread": "scoreSpread",
    "Reviewers": "scoreReviewers",
    "Independent": "scoreIndependent",
    "Hiring decision": "decision",
    "Reason": "decisionReason",
    "Decided by": "decidedByName",
    "Findings": "integrityFindings",
    "Findings checked": "integrityCheckedAt",
    "Hidden tests: state": "hiddenTests.state",
    "Hidden tests: passed": "hiddenTests.passed",
    "Hidden tests: total": "hiddenTests.total",
    "Hidden tests: complete": "hiddenTests.isComplete",
    "Hidden tests: in-process": "hiddenTests.inProcess",
    "Hidden tests: current": "hiddenTests.isCurrent",
    "Hidden tests: source": "hiddenTests.source",
    "Tests passed": "testsPassed",
    "Tests: source": "testsPassedSource",
    "Events": "eventCount",
    "Duration (ms)": "durationMs",
    "Prompts": "promptCount",
    "Failed commands": "commandFailRate",
    "Verifications per change": "verifyIntensity",
    "Candidate's edits": "manualEditRatio",
    "Time to first change (ms)": "firstChangeLatencyMs",
    "Candidate ID": "candidateId",
    "Session ID": "sessionId",
}
EXAMPLE_CURSOR = "WyJzY29yZVRvdGFsIiwgImRlc2MiLCAwLCA2MDAwXQ"


class After(queries.After):
    """A cursor for results."""

    cursor = ResultCursor


class ResultFilter(Filter):
    """Filters and sort order for results."""

    status = Choice(STATUSES, "Only candidates with this status.")
    decision = Choice(DECISIONS, "Only candidates with this hiring decision.")
    view = Choice(
        VIEWS,
        "Only closed sessions without a decision (`undecided`), the same without the caller's scores "
        "(`to_score`), undecided candidates whose visible scores disagree (`disagreement`), closed sessions with "
        "findings (`findings`), candidates with a decision, or candidates without a session (`not_started`).",
    )
    external_id = Line(255, "Only the candidate with this `externalId`.")
    hidden_tests = Choice(
        HIDDEN_OUTCOMES,
        "Only candidates whose run of the current hidden tests is `passed`, `failed`, `untrusted` or missing (`none`).",
    )
    q = String("Case-insensitive search in name, email address and `externalId`.", max=255)
    sort = Choice(SORTS, "Sort field.", load_default="redeemedAt")
    order = Choice(
        ["asc", "desc"],
        "Sort order: by default `desc` for `rank`, else `asc`. Results without a value come last.",
    )


class ResultQuery(ResultFilter):
    """A page of results."""

    limit = Limit()
    after = After("The previous page's `next`. Requires the same `sort` and `order`.")


class ResultMetrics(common.MetricFields):
    """The metrics from cohort statistics; null if the session has no value."""

    prompt_count = Integer("Number of prompts.", example=38, null=True)


class CriterionScore(Schema):
    """Scores for one criterion."""

    key = String("Criterion key.", example="problem-solving")
    mean = Number("Mean score with 3 decimals; null without a score.", example=2.5, null=True)
    reviewers = Integer("Number of reviewers who scored the criterion.", example=2)


class ResultScore(Schema):
    """Scores in the rubric version of the latest score."""

    total = Number("Weighted sum of the means; null until every criterion is scored.", example=6, null=True)
    highest_total = Number("Highest possible total; null before the first score.", example=8, null=True)
    spread = Integer(
        "Largest difference between two scores for a criterion; null if no criterion has two scores.",
        example=1,
        null=True,
    )
    disagreement = Flag("True if scores for a criterion are 2 or more levels apart.", example=False)
    criteria = ListOf(CriterionScore, "The rubric's criteria; empty before the first score.")
    reviewers = Integer("Number of reviewers with a score; null if it is hidden.", example=2, null=True)
    independent = Flag(
        "False if a reviewer could see other reviewers' scores first; null before the first score.",
        example=True,
        null=True,
    )
    hidden = Flag(
        "True if scores are hidden from the caller (`othersHidden` of the scorecard).", example=False
    )


class IntegrityFindings(Schema):
    """Findings from the latest integrity check."""

    codes = ListOf(String(), "Codes from `GET /v1/sessions/{id}/integrity`.", example=["chain_restart"])
    checked_at = Timestamp("Time of the latest integrity check.")


class ResultInvite(Schema):
    """The latest invitation's state."""

    state = Choice(INVITE_STATES, "As in `GET /v1/candidates`.", example="sent")


class Result(Schema):
    """A candidate's result."""

    candidate_id = Id("Candidate id.")
    session_id = Id("Session id; null until the candidate redeems the key.", null=True)
    external_id = common.EXTERNAL_ID
    candidate_name = common.CANDIDATE_NAME
    candidate_email = common.CANDIDATE_EMAIL
    assessment_id = Id("Assessment id.")
    assessment_title = common.ASSESSMENT_TITLE
    blind = Flag("True if names are hidden from people who have not scored the session.", example=False)
    status = Choice(STATUSES, "Candidate's status.", example="completed")
    expires_at = Timestamp("Time when the key expires unless redeemed.")
    invite = Nested(ResultInvite, "The latest invitation.", null=True)
    erasure_requested_at = Timestamp("Time when the candidate requested erasure.", null=True)
    redeemed_at = Timestamp("Time when the session started.", null=True)
    completed_at = Timestamp("Time when the candidate completed; null for an expired session.", null=True)
    event_count = Integer(
        "Number of events that count; null while the session is open.", example=210, null=True
    )
    metrics = Nested(ResultMetrics, "Metrics; null while the session is open, 0 without events.", null=True)
    tests_passed = Flag("True if the tests passed; null if unknown.", example=True, null=True)
    tests_passed_source = common.TESTS_PASSED_SOURCE
    hidden_tests = HIDDEN_TESTS
    score = Nested(ResultScore, "Reviewers' scores.")
    integrity_findings = Nested(IntegrityFindings, "Latest findings; null before the first check.", null=True)
    decision = Choice(DECISIONS, "Latest hiring decision.", example="advanced")
    decision_reason = String("Reason for the decision.", example="Careful, well-tested fix.", null=True)
    decided_by = Nested(Author, "Person or service account that decided; null if unknown.", null=True)


_COUNTS = Dict("Results by view, and `all`.", values=Integer(), example={"all": 40, "undecided": 12})
ViewCounts = define_schema("ViewCounts", "Number of results in each view.", views=_COUNTS)
Results = define_schema(
    "Results",
    "A page of results.",
    results=ListOf(Result, "Results."),
    next=String("Value for `after`; null on the last page.", example=EXAMPLE_CURSOR, null=True),
)


def serialize_result(row: Any) -> dict[str, Any]:
    """Build a Result from a row of models.results."""
    key, session = row.key, row.session
    metrics = {metric.name: api_value(getattr(session, metric.field), metric) for metric in METRICS}
    return {
        "candidateId": key.id,
        "sessionId": session.id,
        "externalId": key.external_id,
        "candidateName": key.candidate_name,
        "candidateEmail": key.candidate_email,
        "assessmentId": row.assessment.id,
        "assessmentTitle": row.assessment.title,
        "blind": row.assessment.blind,
        "status": row.status,
        "expiresAt": _time(key.expires_at),
        "invite": row.invite_state and {"state": row.invite_state},
        "erasureRequestedAt": _time(key.erasure_requested_at),
        "redeemedAt": _time(session.created_at),
        "completedAt": _time(session.completed_at),
        "eventCount": session.event_count,
        "metrics": None if session.derivation_version is None else metrics,
        "testsPassed": session.tests_passed,
        "testsPassedSource": session.tests_passed_source,
        "hiddenTests": row.hidden_tests and HiddenTests().dump(row.hidden_tests),
        "score": {
            "total": _thousandths(session.score_total),
            "highestTotal": _thousandths(session.score_highest),
            "spread": session.score_spread,
            "disagreement": bool(session.has_disagreement),
            "criteria": _criteria(session),
            "reviewers": None if row.has_hidden_scores else session.score_reviewers or 0,
            "independent": session.score_independent,
            "hidden": row.has_hidden_scores,
        },
        "integrityFindings": _integrity_findings(session),
        "decision": key.decision,
        "decisionReason": key.decision_reason,
        "decidedBy": row.decided_by,
    }


def build_csv_row(row: Any, criteria: Iterable[str]) -> list[Any]:
    """Build a CSV row: the values of CSV_COLUMNS, then each criterion's mean."""
    result = serialize_result(row)
    missing = "hidden" if row.has_hidden_scores else "not scored" if result["sessionId"] else None
    status = result["status"]
    if status == "expired":
        status = "not completed" if result["sessionId"] else "never started"
    score, hidden_tests = result["score"], result["hiddenTests"] or {}
    findings = result["integrityFindings"] or {"codes": [], "checkedAt": None}
    cells = (
        result
        | (result["metrics"] or {})
        | {
            "testsPassed": _csv_flag(result["testsPassed"]),
            **{f"hiddenTests.{name}": _csv_flag(value) for name, value in hidden_tests.items()},
            "status": status.capitalize(),
            "decision": result["decision"].capitalize(),
            "decidedByName": row.decided_by and row.decided_by["name"],
            "scoreTotal": missing if score["total"] is None else score["total"],
            "scoreHighestTotal": score["highestTotal"],
            "scoreSpread": score["spread"],
            "scoreReviewers": missing if row.has_hidden_scores else score["reviewers"],
            "scoreIndependent": _csv_flag(score["independent"]),
            "integrityFindings": " ".join(findings["codes"]),
            "integrityCheckedAt": findings["checkedAt"],
        }
    )
    means = {criterion["key"]: criterion["mean"] for criterion in score["criteria"]}
    scores = (missing if (mean := means.get(key)) is None else mean for key in criteria)
    return [*(cells.get(name) for name in CSV_COLUMNS.values()), *scores]


def _csv_flag(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _integrity_findings(session: Any) -> dict[str, Any] | None:
    if session.integrity_checked_at is None:
        return None
    codes = [code for code in as_list(session.integrity_codes) if isinstance(code, str)]
    return {"codes": codes, "checkedAt": _time(session.integrity_checked_at)}


def _criteria(session: Any) -> list[dict[str, Any]]:
    types = {"key": str, "mean": float | None, "reviewers": int}
    return [
        {name: entry[name] for name in types}
        for entry in as_list(session.score_criteria)
        if isinstance(entry, dict) and all(isinstance(entry.get(name), kind) for name, kind in types.items())
    ]


def _thousandths(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _time(value: Any) -> str | None:
    return None if value is None else format_timestamp(value)
