"""To-do lists for reviewers: sessions, messages, keys, test runs, lost submissions, erasure requests and webhooks.

Each list is one query, oldest first, including the total number of rows. Assigned sessions are the first to score, and
candidates who requested erasure the last.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

import peewee

from models import scores, visibility
from models.assessments import Assessment
from models.base import Query, clock
from models.deliveries import Delivery
from models.deliveries.table import INVITATION, REMINDER
from models.keys import CandidateKey
from models.orgs import ApiToken
from models.review.assignments import Assignment
from models.sessions import Session
from models.sessions.submissions import Submission
from models.tasks import checks
from models.tasks.checks import TaskCheck
from models.tasks.files import TESTS, TaskFile
from models.tasks.runner_tokens import RunnerToken
from models.tasks.runs import FAILED, WAITING, TestRun
from models.webhooks import Webhook
from rules import roles
from rules.rows import row_id

EXPIRES_SOON = timedelta(days=3)
RUNNER_EXPECTED_WITHIN = timedelta(minutes=5)

S, K, A, D = Session.alias("s"), CandidateKey.alias("k"), Assessment.alias("a"), Delivery.alias("d")
M = Assignment.alias("m")
_TOTAL = peewee.fn.COUNT(peewee.SQL("*")).over()
# A literal, because SQLite does not use a partial index for a parameter.
_IS_UNDECIDED = (K.decision == peewee.SQL("'undecided'")) & K.revoked_at.is_null()
_CANDIDATE = (
    K.id.alias("candidate_id"),
    *(K.candidate_name, K.candidate_email, K.external_id),
    *(A.blind, A.id.alias("assessment_id"), A.title.alias("assessment_title")),
)


def todo(reviewer: ApiToken, limit: int) -> dict[str, Any]:
    """Return each list as `{count, entries}`; None if the caller's role does not allow the work.

    limit -- maximum number of entries
    """
    is_admin = reviewer.scope == "write" and roles.allows(reviewer.role, "admin")
    expiring = _open_keys(reviewer, K.expires_at).where(K.expires_at <= clock.now() + EXPIRES_SOON)
    queries: dict[str, Any] = {
        "unscored": _unscored(reviewer),
        "disagreements": disagreements(reviewer).order_by(_closed_at().is_null(), _closed_at(), S.id),
        "failed_messages": failed_messages(reviewer).order_by(D.created_at, D.id),
        "expiring_keys": expiring.order_by(K.expires_at, K.id),
        "stalled_test_runs": _stalled_test_runs(reviewer),
        "failed_checks": _failed_checks(reviewer),
    }
    if "write" not in reviewer.scopes:
        queries = dict.fromkeys(queries)
    queries |= {
        "lost_submissions": _lost_submissions(reviewer) if is_admin else None,
        "erasure_requests": _erasure_requests(reviewer) if is_admin else None,
        "failing_webhooks": _failing_webhooks(reviewer) if is_admin else None,
    }
    lists = {name: list(query.limit(limit).dicts()) for name, query in queries.items() if query is not None}
    ids = [row.get("candidate_id") for rows in lists.values() for row in rows]
    hidden = visibility.hidden_candidates(reviewer, ids)

    def redact(row: dict[str, Any]) -> dict[str, Any]:
        return visibility.without_identity(row) if row_id(row.get("candidate_id")) in hidden else row

    response: dict[str, Any] = dict.fromkeys(queries)
    for name, rows in lists.items():
        response[name] = {"count": rows[0]["total"] if rows else 0, "entries": [redact(row) for row in rows]}
    if unscored := lists.get("unscored"):
        response["unscored"]["assigned_count"] = unscored[0]["assigned_total"]
    return response


def _closed_at() -> Any:
    """Return SQL for when a session closed, even if the close is not recorded yet; null if it is open."""
    passed_limit = peewee.Case(None, [(S.closes_at <= clock.now(), S.closes_at)])
    return peewee.fn.COALESCE(S.closed_at, passed_limit)


def _candidates(reviewer: ApiToken, *columns: Any) -> Query:
    """Select the organization's candidates, without erased candidates and deleted assessments."""
    query = K.select(*_CANDIDATE, _TOTAL.alias("total"), *columns).join(A, on=(A.id == K.assessment))
    return query.where(
        K.organization == reviewer.organization_id, K.erased_at.is_null(), A.deleted_at.is_null()
    )


def _undecided(reviewer: ApiToken) -> Query:
    """Select sessions of candidates without a decision."""
    columns = (S.id.alias("session_id"), _closed_at().alias("closed_at"), K.erasure_requested_at)
    query = _candidates(reviewer, *columns).join(S, on=(S.key == K.id))
    return query.where(_IS_UNDECIDED)


def _unscored(reviewer: ApiToken) -> Query:
    """Select closed sessions that the caller has not scored, assigned ones first, by due date."""
    is_closed = S.closed_at.is_null(False) | (S.closes_at <= clock.now())
    query = _undecided(reviewer).where(is_closed, A.rubric.is_null(False))
    query = query.where(~peewee.fn.EXISTS(scores.select_scoring(reviewer, S.id)))
    is_assigned = (M.session == S.id) & (M.user == reviewer.user_id) & M.removed_at.is_null()
    assigned = M.id.is_null(False).converter(bool).alias("assigned")
    query = query.select_extend(assigned, M.due_at, peewee.fn.COUNT(M.id).over().alias("assigned_total"))
    query = query.join(M, peewee.JOIN.LEFT_OUTER, on=is_assigned)
    order = (K.erasure_requested_at.is_null(False), M.id.is_null(), M.due_at.is_null(), M.due_at)
    return query.order_by(*order, _closed_at(), S.id)


def without_total(reviewer: ApiToken) -> Query:
    """Select closed sessions without a total, because a criterion has no score."""
    has_no_total = S.closed_at.is_null(False) & S.score_total.is_null()
    query = _undecided(reviewer).where(has_no_total, A.rubric.is_null(False))
    return query.where(S.organization == reviewer.organization_id)


def disagreements(reviewer: ApiToken) -> Query:
    """Select sessions whose reviewers disagree, if the caller can see their scores."""
    query = _undecided(reviewer).where(S.has_disagreement, visibility.scores_visible(reviewer))
    return query.where(S.organization == reviewer.organization_id)


def _open_keys(reviewer: ApiToken, *columns: Any) -> Query:
    """Select keys that a candidate can still redeem."""
    query = _candidates(reviewer, *columns)
    is_redeemed = peewee.fn.EXISTS(S.select(S.id).where(S.key == K.id))
    return query.where(~is_redeemed, K.revoked_at.is_null(), K.expires_at > clock.now())


def failed_messages(reviewer: ApiToken) -> Query:
    """Select undelivered reminders and latest invitations of open keys."""
    query = _open_keys(reviewer, D.id.alias("delivery_id"), D.kind, D.last_error, D.created_at)
    is_latest = (D.kind == REMINDER) | ((D.kind == INVITATION) & (D.id == K.invitation_id))
    query = query.join(D, on=((D.subject_id == K.id) & (D.state == "failed")))
    return query.where(D.organization == reviewer.organization_id, is_latest)


def by_assessment(query: Query) -> Counter:
    """Count a list's rows by assessment."""
    counts: Any = query.select(A.id, peewee.fn.COUNT(peewee.SQL("*"))).group_by(A.id).tuples()
    return Counter(dict(counts))


def _lost_submissions(reviewer: ApiToken) -> Query:
    """Select sessions whose submission the bundle store has lost."""
    columns = (S.id.alias("session_id"), Submission.created_at.alias("received_at"))
    query = _candidates(reviewer, *columns).join(S, on=(S.key == K.id))
    query = query.join(Submission, on=(Submission.session == S.id)).where(Submission.is_lost())
    return query.order_by(Submission.created_at, Submission.id)


def _stalled_test_runs(reviewer: ApiToken) -> Query:
    """Select undecided sessions whose test run failed, or waits although it is due, while no runner is alive."""
    columns = (S.id.alias("session_id"), TestRun.state, TestRun.reason, TestRun.created_at)
    query = _candidates(reviewer, *columns).join(S, on=(S.key == K.id))
    query = query.join(TestRun, on=(TestRun.id == S.hidden_run_id))
    is_late = (TestRun.state == WAITING) & (TestRun.due_at <= clock.now() - RUNNER_EXPECTED_WITHIN)
    is_stalled = is_late & ~peewee.fn.EXISTS(RunnerToken.alive(reviewer.organization_id))
    return query.where(_IS_UNDECIDED, (TestRun.state == FAILED) | is_stalled).order_by(TestRun.id)


def _failed_checks(reviewer: ApiToken) -> Query:
    """Select assessments whose latest check found that the task is not ready, or failed."""
    newer = TaskCheck.alias()
    is_newer = (newer.owner_id == TaskCheck.owner_id) & (newer.id > TaskCheck.id)
    columns = (A.id.alias("assessment_id"), A.title.alias("assessment_title"))
    query = TaskCheck.select(*columns, TaskCheck.problem, TaskCheck.finished_at, _TOTAL.alias("total"))
    query = query.join(A, on=(A.id == TaskCheck.owner_id))
    query = query.where(A.organization == reviewer.organization_id, A.deleted_at.is_null())
    has_failed = TaskCheck.state.in_((checks.NOT_READY, checks.FAILED))
    has_tests = peewee.fn.EXISTS(TaskFile.current(A.id).where(TaskFile.kind == TESTS))
    query = query.where(has_failed, has_tests)
    query = query.where(~peewee.fn.EXISTS(newer.select(newer.id).where(is_newer)))
    return query.order_by(TaskCheck.finished_at, TaskCheck.id)


def _erasure_requests(reviewer: ApiToken) -> Query:
    """Select candidates who requested erasure, even if the key is revoked or the assessment deleted."""
    query = K.select(*_CANDIDATE, _TOTAL.alias("total"), K.erasure_requested_at)
    query = query.join(A, on=(A.id == K.assessment)).where(K.organization == reviewer.organization_id)
    query = query.where(K.erasure_requested_at.is_null(False), K.erased_at.is_null())
    return query.order_by(K.erasure_requested_at, K.id)


def _failing_webhooks(reviewer: ApiToken) -> Query:
    """Select webhooks whose latest attempts failed or that the service disabled."""
    since = peewee.fn.COALESCE(Webhook.failing_since, Webhook.disabled_at)
    query = Webhook.visible_to(reviewer).select(
        Webhook.id.alias("webhook_id"),
        *(Webhook.url, Webhook.description, Webhook.disabled_reason, Webhook.last_error),
        *(since.alias("failing_since"), _TOTAL.alias("total")),
    )
    was_disabled = Webhook.disabled_reason.in_(("gone", "failing"))
    is_failing = Webhook.disabled_reason.is_null() & Webhook.failing_since.is_null(False)
    return query.where(was_disabled | is_failing).order_by(since, Webhook.id)
