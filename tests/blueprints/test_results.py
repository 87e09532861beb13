"""An assessment's results: sorting, pagination, filters, scores, findings and the export."""

import csv
import io
import itertools
import operator
import random
from datetime import timedelta

import pytest
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_person,
    make_rubric,
    make_session,
    make_test_run,
)
from response_checks import body_of, error_paths
from statements import capture_queries

from delivery.worker import Worker
from models import Event, Session, TaskFailure, TaskFile, privacy
from models.ledger import integrity
from rules.statistics.cohorts import METRICS
from rules.statistics.fairness import DECISIONS
from schemas.keys import STATUSES
from schemas.results import CSV_COLUMNS, HIDDEN_OUTCOMES, SORTS, VIEWS

METRIC_NAMES = [metric.name for metric in METRICS]


def results(caller, assessment, **query):
    return body_of(caller.get(f"/v1/assessments/{assessment.id}/results", **query))


def result_of(caller, session):
    rows = results(caller, session.assessment)["results"]
    return next(row for row in rows if row["sessionId"] == str(session.id))


def read_csv(caller, assessment, **query):
    response = caller.get(f"/v1/assessments/{assessment.id}/results/export", **query)
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text)))


@pytest.fixture
def cohort(clock, assessment):
    """Candidates in every state, with many ties and nulls."""
    rng = random.Random(7)
    clock.fixed += timedelta(days=1)
    keys = [make_key(assessment, name=rng.choice(["Bob", "alice", "Carol", None])) for _ in range(30)]
    for number, key in enumerate(keys[:22]):
        clock.fixed += timedelta(seconds=rng.randrange(2))
        session, now = make_session(key), clock.now()
        closed = {"closed_at": now, "closed_by": "candidate", "derivation_version": 1, "further_metrics": {}}
        states = [{}, closed, closed | {"completed_at": now}, closed | {"completed_at": now, "hired_at": now}]
        columns = states[number % 4]
        if columns:
            columns |= {metric.field: rng.choice([None, 0, 10**9, 2 * 10**9]) for metric in METRICS}
            columns |= {"tests_passed": rng.choice([None, True, False]), "score_criteria": []}
            columns["score_total"] = rng.choice([None, 1500, 2000])
            columns["score_highest"] = rng.choice([2000, 4000])
            columns["score_spread"] = rng.choice([None, 0, 2])
            columns["has_disagreement"] = columns["score_spread"] == 2
            columns["integrity_codes"] = rng.choice([None, [], ["erased"], ["chain_gap"]])
            columns["integrity_checked_at"] = now
        session.update_columns(**columns)
        if number == 8:
            TaskFile.get().update_columns(replaced_at=now)
        if number % 3:
            make_test_run(
                session, rng.choice([3, 3, 2, 0]), 3, state=rng.choice(["finished", "finished", "untrusted"])
            )
    for number, key in enumerate(keys):
        key.update_columns(decision=rng.choice(DECISIONS))
        if number % 10 == 3:  # two with a session, one without
            key.revoke()
    for key in keys[26:]:
        key.update_columns(expires_at=clock.now() - timedelta(days=1))
    return assessment


def hidden_outcome(result):
    run = result["hiddenTests"]
    if not run or not run["isCurrent"]:
        return "none"
    return (
        run["state"]
        if run["state"] == "untrusted"
        else "passed"
        if run["passed"] == run["total"]
        else "failed"
    )


def sort_value(result, sort):
    if sort in ("scoreTotal", "scoreSpread"):
        return result["score"][sort.removeprefix("score").lower()]
    if sort == "hiddenTests":
        return result[sort]["passed"] if hidden_outcome(result) in ("passed", "failed") else None
    if sort == "rank":
        passed, score = sort_value(result, "hiddenTests"), result["score"]
        shares = (
            -1 if score["total"] is None else score["total"] / score["highestTotal"],
            -1 if passed is None else passed / result["hiddenTests"]["total"],
        )
        return None if shares == (-1, -1) else shares
    if sort in METRIC_NAMES:
        return result["metrics"] and result["metrics"][sort]
    if sort == "candidateName":
        return result[sort] and result[sort].casefold()
    positions = {"status": STATUSES, "decision": DECISIONS}.get(sort)
    return positions.index(result[sort]) if positions else result[sort]


def read_pages(caller, assessment, **query):
    """Return the results of all pages."""
    page = results(caller, assessment, **query)
    rows = page["results"]
    while page["next"]:
        page = results(caller, assessment, **query, after=page["next"])
        rows += page["results"]
    return rows


def test_the_largest_rubric_can_be_ranked(reviewer, organization):
    levels = [{"value": value, "label": "Level"} for value in (0, 1000)]
    keys = [f"key{number}" for number in range(50)]
    criteria = [{"key": key, "title": key, "weight": 1_000_000, "levels": levels} for key in keys]
    assessment = make_assessment(organization, rubric_id=make_rubric(organization, criteria=criteria).id)
    sessions = [make_session(make_key(assessment)) for _ in range(2)]
    for session in sessions:
        values = [{"criterion": key, "value": 1000} for key in keys]
        body_of(reviewer.put(f"/v1/sessions/{session.id}/scores", {"scores": values}))
    assert len(read_pages(reviewer, assessment, sort="rank", limit=1)) == 2


@pytest.mark.slow
def test_results_are_sorted_with_nulls_last(reviewer, cohort):
    for sort, order in itertools.product(SORTS, ("asc", "desc")):
        query = {"sort": sort, "order": order}
        rows = results(reviewer, cohort, **query)["results"]
        assert len({row["candidateId"] for row in rows}) == len(rows) == 29
        values = [sort_value(result, sort) for result in rows]
        non_null = [value for value in values if value is not None]
        assert non_null == sorted(non_null, reverse=order == "desc"), query
        assert values[: len(non_null)] == non_null, query
        assert read_pages(reviewer, cohort, **query, limit=4) == rows, query
        exported_ids = [row["Candidate ID"] for row in read_csv(reviewer, cohort, **query)]
        assert exported_ids == [row["candidateId"] for row in rows], query


@pytest.mark.slow
def test_filters_work_with_every_sort_field(reviewer, cohort):
    rows = results(reviewer, cohort)["results"]
    filters = [("status", value) for value in STATUSES] + [("decision", value) for value in DECISIONS]
    filters += [("hiddenTests", value) for value in HIDDEN_OUTCOMES]
    for name, value in filters:
        outcome = hidden_outcome if name == "hiddenTests" else operator.itemgetter(name)
        expected = {row["candidateId"] for row in rows if outcome(row) == value}
        assert expected
        for sort in SORTS:
            matches = read_pages(reviewer, cohort, **{name: value}, sort=sort, order="desc", limit=3)
            assert sorted(row["candidateId"] for row in matches) == sorted(expected), (value, sort)


def is_in_view(result, view):
    is_undecided = result["decision"] == "undecided"
    is_closed = result["sessionId"] is not None and result["metrics"] is not None
    codes = result["integrityFindings"]["codes"] if result["integrityFindings"] else []
    return {
        "all": True,
        "undecided": is_closed and is_undecided,
        "to_score": is_closed and is_undecided,
        "disagreement": is_undecided and result["score"]["disagreement"],
        "findings": is_closed and codes == ["chain_gap"],
        "not_started": result["sessionId"] is None,
    }.get(view, result["decision"] == view)


def test_views_filter_and_count_results(reviewer, organization, cohort, neighbour):
    cohort.update_columns(rubric=make_rubric(organization))
    other = make_closed_session(make_assessment(organization, title="Other"))
    rows = results(reviewer, cohort)["results"]
    counts = body_of(reviewer.get(f"/v1/assessments/{cohort.id}/results/views"))["views"]
    all_counts = body_of(reviewer.get("/v1/results/views"))["views"]
    assert set(counts) == {"all", *VIEWS}
    for view, count in counts.items():
        expected = {row["candidateId"] for row in rows if is_in_view(row, view)}
        assert 0 < len(expected) == count, view
        query = {} if view == "all" else {"view": view}
        assert {row["candidateId"] for row in results(reviewer, cohort, **query)["results"]} == expected
        everywhere = body_of(reviewer.get("/v1/results", **query, sort="rank"))["results"]
        is_other = view in ("all", "undecided")  # it has no rubric
        assert {row["candidateId"] for row in everywhere} == expected | (
            {str(other.key_id)} if is_other else set()
        )
        assert all_counts[view] == len(everywhere)
    assert body_of(neighbour.get("/v1/results/views"))["views"]["all"] == 0
    body_of(reviewer.delete(f"/v1/assessments/{other.assessment_id}"))
    assert body_of(reviewer.get("/v1/results/views"))["views"] == counts


@pytest.mark.usefixtures("cohort")
def test_results_of_an_invalid_assessment_id_are_not_found(reviewer):
    for path in ("results", "results/views", "results/export"):
        assert reviewer.get(f"/v1/assessments/none/{path}").status_code == 404


def test_a_recommendation_alone_leaves_a_session_to_score(reviewer, organization):
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_closed_session(assessment)
    for key, count in (("recommendation", 1), ("quality", 0)):
        body_of(reviewer.put(f"/v1/sessions/{session.id}/scores/{key}", {"value": 1}))
        views = body_of(reviewer.get(f"/v1/assessments/{assessment.id}/results/views"))["views"]
        assert views["to_score"] == body_of(reviewer.get("/v1/todo"))["unscored"]["count"] == count


def test_organizations_results_sort_hidden_names_last(app, reviewer, organization):
    make_key(make_assessment(organization, blind=True), name="Aaron")
    for name in ("Bob", "Alice"):
        make_key(make_assessment(organization), name=name)
    person = Caller.person(app, make_person(organization))
    for caller, last in ((person, None), (reviewer, "Bob")):
        rows = body_of(caller.get("/v1/results", sort="candidateName"))["results"]
        assert [row["candidateName"] for row in rows][1:] == (
            ["Bob", None] if last is None else ["Alice", "Bob"]
        )


def test_result_includes_session_data(app, reviewer, organization, clock):
    rubric = make_rubric(organization)
    assessment = make_assessment(organization, rubric_id=rubric.id)
    session = make_closed_session(assessment, envelope(), envelope("command_exec", 5, {"exitCode": 1}))
    reviewer.patch(f"/v1/candidates/{session.key_id}", {"externalId": "=7"})
    pending = make_key(assessment, name="Bob")
    person = Caller.person(app, make_person(organization, name="Ann"))
    path = f"/v1/sessions/{session.id}"
    body_of(reviewer.put(f"{path}/scores/quality", {"value": 2}))
    body_of(
        person.put(f"/v1/candidates/{session.key_id}/decision", {"decision": "advanced", "reason": "Clear"})
    )
    first, second = results(reviewer, assessment)["results"]
    body = body_of(reviewer.get(path))
    assert first == {
        "candidateId": str(session.key_id),
        "sessionId": str(session.id),
        "externalId": "=7",
        "candidateName": "Alice",
        "candidateEmail": "alice@example.com",
        "assessmentId": str(assessment.id),
        "assessmentTitle": assessment.title,
        "blind": False,
        "status": "completed",
        "expiresAt": body_of(reviewer.get(f"/v1/candidates/{session.key_id}"))["candidate"]["expiresAt"],
        "invite": {"state": "queued"},
        "erasureRequestedAt": None,
        "redeemedAt": body["redeemedAt"],
        "completedAt": body["completedAt"],
        "eventCount": 2,
        "metrics": {name: body["metrics"][name] for name in METRIC_NAMES},
        "testsPassed": body["metrics"]["testsPassed"],
        "testsPassedSource": None,
        "hiddenTests": None,
        "score": {
            "total": 2.0,
            "highestTotal": 2.0,
            "spread": None,
            "disagreement": False,
            "criteria": [{"key": "quality", "mean": 2.0, "reviewers": 1}],
            "reviewers": 1,
            "independent": True,
            "hidden": False,
        },
        "integrityFindings": None,
        "decision": "advanced",
        "decisionReason": "Clear",
        "decidedBy": body["decidedBy"],
    }
    expected = {"candidateId": str(pending.id), "sessionId": None, "status": "pending", "metrics": None}
    assert expected.items() <= second.items()
    unscored = {"total": None, "highestTotal": None, "criteria": [], "reviewers": 0, "independent": None}
    assert second["score"] == first["score"] | unscored
    row, other = read_csv(reviewer, assessment)
    assert list(row) == [*CSV_COLUMNS, "Quality"]
    cells = {"External ID": "'=7", "Total": "2", "Highest total": "2", "Spread": "", "Quality": "2"}
    cells |= {"Status": "Completed", "Email": "alice@example.com", "Reviewers": "1", "Independent": "true"}
    cells |= {"Hiring decision": "Advanced", "Reason": "Clear", "Decided by": "Ann"}
    assert cells.items() <= row.items()
    assert (other["Status"], other["Total"], other["Quality"]) == ("Pending", "", "")
    (filtered,) = results(reviewer, assessment, externalId="=7")["results"]
    assert filtered == first


def test_the_export_keeps_the_criteria_of_a_former_rubric(reviewer, organization):
    levels = [{"value": value, "label": str(value)} for value in (1, 2)]
    shared = {"weight": 1, "levels": levels}
    former, current = (
        make_rubric(organization, name=key, criteria=[shared | {"key": key, "title": key.title()}])
        for key in ("former", "current")
    )
    assessment = make_assessment(organization, rubric_id=former.id)
    path = f"/v1/sessions/{make_closed_session(assessment).id}/scores/former"
    body_of(reviewer.put(path, {"value": 2}))
    body_of(reviewer.patch(f"/v1/assessments/{assessment.id}", {"rubricId": str(current.id)}))
    (row,) = read_csv(reviewer, assessment)
    assert list(row)[len(CSV_COLUMNS) :] == ["Current", "Former"]
    assert (row["Total"], row["Former"], row["Current"]) == ("2", "2", "not scored")


def test_test_results_have_their_source_everywhere(reviewer, organization, assessment):
    session = make_closed_session(assessment, envelope("test_run", data={"passed": 3, "failed": 0}))
    assert result_of(reviewer, session)["testsPassedSource"] == "candidate"
    run = make_test_run(session, 9, 12)
    body_of(reviewer.put(f"/v1/sessions/{session.id}/test-result", {"passed": 10, "failed": 2}))

    def check(**expected):
        hidden_tests = {"passed": 9, "total": 12, "runId": str(run.id), "source": "runner"} | expected
        result, one = result_of(reviewer, session), body_of(reviewer.get(f"/v1/sessions/{session.id}"))
        (listed,) = body_of(reviewer.get("/v1/sessions"))["sessions"]
        assert result["hiddenTests"] == one["hiddenTests"] == listed["hiddenTests"] == hidden_tests
        assert result["testsPassedSource"] == one["metrics"]["testsPassedSource"] == "team"
        assert one["testResult"]["source"] == listed["testResult"]["source"] == "team"
        (row,) = read_csv(reviewer, assessment)
        assert (row["Tests passed"], row["Tests: source"]) == ("false", "team")
        cells = {name: str(value).lower() for name, value in hidden_tests.items() if name != "runId"}
        assert {CSV_COLUMNS[name].partition(".")[2]: row[name] for name in row if "Hidden" in name} == cells

    check(state="finished", isComplete=True, inProcess=False, isCurrent=True)
    run.tests.update_columns(replaced_at=run.created_at)
    check(state="finished", isComplete=True, inProcess=False, isCurrent=False)
    run = make_test_run(session, 9, 12, {}, state="untrusted", is_complete=False)
    check(state="untrusted", isComplete=False, inProcess=True, isCurrent=True)


def test_score_is_updated_after_each_change(app, reviewer, organization):
    levels = [{"value": value, "label": str(value)} for value in (1, 2, 3)]
    criteria = [
        {"key": key, "title": key, "weight": weight, "levels": levels}
        for key, weight in (("quality", 0.1), ("tests", 2))
    ]
    rubric = make_rubric(organization, criteria=criteria)
    session = make_session(make_key(make_assessment(organization, rubric_id=rubric.id)))
    other, path = Caller.reviewer(app, organization), f"/v1/sessions/{session.id}/scores"

    def check(total, spread):
        scores = body_of(reviewer.get(path))
        assert result_of(reviewer, session)["score"] == {
            "total": scores["total"],
            "highestTotal": scores["highestTotal"],
            "spread": spread,
            "disagreement": any(criterion["disagreement"] for criterion in scores["criteria"]),
            "criteria": [
                {"key": row["key"], "mean": row["mean"], "reviewers": len(row["scores"])}
                for row in scores["criteria"]
            ],
            "reviewers": scores["reviewerCount"],
            "independent": all(score["independent"] for row in scores["criteria"] for score in row["scores"]),
            "hidden": False,
        }
        assert scores["total"] == total

    for caller, criterion, value, total, spread in (
        (reviewer, "quality", 3, None, None),
        (reviewer, "tests", 1, 2.3, None),
        (other, "tests", 2, 3.3, 1),
        (other, "tests", 3, 4.3, 2),
    ):
        body_of(caller.put(f"{path}/{criterion}", {"value": value}))
        check(total, spread)
    body_of(reviewer.patch(f"/v1/rubrics/{rubric.id}", {"criteria": criteria[:1]}))
    check(4.3, 2)
    body_of(reviewer.delete(f"{path}/quality"))
    check(None, 2)
    body_of(reviewer.patch(f"/v1/assessments/{session.assessment_id}", {"rubricId": None}))
    body_of(other.delete(f"{path}/tests"))
    remaining = {"key": "tests", "mean": 1.0, "reviewers": 1}
    assert result_of(reviewer, session)["score"]["criteria"][1] == remaining


def test_findings_are_updated_after_each_change(reviewer, clock, worker, assessment):
    session = make_session(make_key(assessment))
    add_event(session, envelope())
    body_of(reviewer.post(f"/v1/sessions/{session.id}/close"))
    worker.run_once()
    assert result_of(reviewer, session)["integrityFindings"] is None
    clock.fixed += timedelta(minutes=11)
    worker.run_once()
    reported = result_of(reviewer, session)["integrityFindings"]
    findings = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
    codes = [finding["code"] for finding in findings]
    assert reported == {"codes": codes, "checkedAt": "2026-04-01T09:11:00.000Z"}
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert result_of(reviewer, session)["integrityFindings"] == reported
    Event.update(envelope="{}").where(Event.session == session).execute()
    body_of(reviewer.put(f"/v1/sessions/{session.id}/test-result", {"passed": 1, "failed": 0}))
    worker.run_once()
    reported = result_of(reviewer, session)["integrityFindings"]
    assert reported["checkedAt"] == "2026-04-01T09:12:00.000Z"
    assert "event_changed" in reported["codes"]
    privacy.erase(session.key)
    worker.run_once()
    assert result_of(reviewer, session)["integrityFindings"]["codes"] == ["erased"]


def test_failing_check_does_not_block_other_sessions(reviewer, clock, assessment, monkeypatch):
    sessions = [make_closed_session(assessment, envelope()) for _ in range(4)]
    clock.fixed += timedelta(minutes=11)
    monkeypatch.setattr(integrity, "MAX_CHECKED", 2)
    check = integrity.collect_findings

    def fail(session):
        if session.id in {failing.id for failing in sessions[:2]}:
            raise ValueError
        return check(session)

    monkeypatch.setattr(integrity, "collect_findings", fail)
    worker = Worker(reviewer.client.application.config)
    for _ in range(2):
        worker.run_once()
    is_checked = [
        session.integrity_checked_at is not None for session in Session.select().order_by(Session.id)
    ]
    assert is_checked == [False, False, True, True]
    assert {failure.task for failure in TaskFailure.select()} == {"integrity"}


def test_results_include_erased_sessions_anonymously(reviewer, assessment):
    session = make_closed_session(assessment, envelope())
    privacy.erase(session.key)
    make_key(assessment).revoke()
    (row,) = results(reviewer, assessment)["results"]
    assert (row["sessionId"], row["candidateName"]) == (str(session.id), None)
    assert row["metrics"]["promptCount"] == 1


@pytest.mark.bypasses_ledger
def test_cursor_stays_valid_when_results_change(reviewer, cohort):
    query = {"sort": "durationMs", "order": "desc", "limit": 5}
    rows = results(reviewer, cohort, **query | {"limit": 200})["results"]
    first = results(reviewer, cohort, **query)
    Session.update(duration_ms=3 * 10**9).where(Session.id == first["results"][-1]["sessionId"]).execute()
    assert results(reviewer, cohort, **query, after=first["next"])["results"] == rows[5:10]


def test_invalid_cursor_is_rejected(reviewer, cohort):
    path = f"/v1/assessments/{cohort.id}/results"
    cursor = results(reviewer, cohort, sort="durationMs", limit=2)["next"]
    for query in (
        {"after": cursor},
        {"after": cursor, "sort": "durationMs", "order": "desc"},
        *({"after": text} for text in ("x", "é", "W10", "e30", "bnVsbA", "[" * 3000, cursor[:-9])),
    ):
        assert error_paths(reviewer.get(path, **query)) == [["after"]], query


def test_blind_results_hide_names_from_users(app, reviewer, organization):
    assessment = make_assessment(organization, blind=True)
    make_key(assessment)
    person = Caller.person(app, make_person(organization))
    (result,) = results(person, assessment)["results"]
    assert (result["candidateName"], result["candidateEmail"], result["blind"]) == (None, None, True)
    assert [(row["Candidate"], row["Email"]) for row in read_csv(person, assessment)] == [("", "")]
    path = f"/v1/assessments/{assessment.id}/results"
    assert error_paths(person.get(path, sort="candidateName")) == [["sort"]]
    assert [row["candidateName"] for row in results(reviewer, assessment, q="Alice")["results"]] == ["Alice"]
    assert results(person, assessment, q="Alice")["results"] == read_csv(person, assessment, q="Alice") == []


def test_search_is_a_substring_match(reviewer, cohort):
    rows = results(reviewer, cohort)["results"]
    expected = {row["candidateId"] for row in rows if row["candidateName"] == "Carol"}
    assert expected
    for sort in ("redeemedAt", "scoreTotal", "candidateName", "decision"):
        matches = read_pages(reviewer, cohort, q="ARO", sort=sort, order="desc", limit=3)
        assert sorted(row["candidateId"] for row in matches) == sorted(expected), sort
    assert {row["Candidate ID"] for row in read_csv(reviewer, cohort, q="caro")} == expected
    assert results(reviewer, cohort, q="caro_")["results"] == []
    matches = results(reviewer, cohort, q="carol", status="completed")["results"]
    assert {row["status"] for row in matches} == {"completed"}


def test_each_page_takes_a_constant_number_of_queries(clock, reviewer, cohort):
    reviewer.get("/v1/me")  # records the token's use
    path = f"/v1/assessments/{cohort.id}/results"
    for sort in SORTS:
        query = {"sort": sort, "limit": 4}
        cursor = results(reviewer, cohort, **query)["next"]
        for page in (query, query | {"after": cursor}):
            with capture_queries() as queries:
                reviewer.get(path, **page)
            # Token, assessment, expired sessions, page, hidden tests.
            assert len(queries) == 5
