"""Cohort rollups equal a recount of their sessions after every kind of change (R19 to R22)."""

from datetime import datetime, timedelta

import independent_cohorts
import pytest
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_key,
    make_session,
    mark_hired,
)

from models import CohortCount, CohortRollup, Session, cohorts, privacy, sessions
from rules.metrics import derivation
from rules.statistics import rollups


@pytest.fixture
def cohort(assessment):
    """Three closed sessions with different numbers."""
    return [make_closed_session(assessment, *work(number)) for number in range(3)]


def work(number):
    yield envelope("prompt")
    yield envelope("command", 10, {"command": "make", "exitCode": number % 2})
    yield from (envelope("prompt", 20 * index) for index in range(number))
    yield envelope("file_diff", 300 + 7 * number)


def change(session, **values):
    Session.update(**values).where(Session.id == session.id).execute()


def assert_equal_to_its_sessions(assessment):
    """Compare the rollup with a recount by `verify` and by an independent implementation."""
    assert cohorts.first_difference(assessment) is None
    members = Session.select(*(getattr(Session, name) for name in independent_cohorts.COLUMNS))
    members = list(members.where(Session.assessment == assessment, Session.closed_at.is_null(False)).dicts())
    assert CohortRollup.get_by_id(assessment.id).totals == independent_cohorts.totals(members)
    ids = [member["id"] for member in members]
    assert cohorts.percentiles(ids) == independent_cohorts.percentiles(members)
    assert not CohortCount.select().where(CohortCount.metric != rollups.KEYS, CohortCount.n <= 0).exists()
    return members


def test_closed_sessions_are_counted(assessment, cohort):
    assert len(assert_equal_to_its_sessions(assessment)) == 3


def test_an_open_session_is_not_counted(assessment, cohort):
    add_event(make_session(make_key(assessment)), envelope())
    assert len(assert_equal_to_its_sessions(assessment)) == 3


def test_events_after_the_close_are_counted(assessment, cohort):
    for number in range(5):
        add_event(cohort[0], envelope("prompt", 400 + number))
    sessions.close_due(cohort[0])
    numbers = {member["id"]: member["prompt_count"] for member in assert_equal_to_its_sessions(assessment)}
    assert numbers == {cohort[0].id: 6, cohort[1].id: 2, cohort[2].id: 3}


def test_sessions_closed_by_their_limit_are_counted(clock, organization):
    assessment = make_assessment(organization, time_limit_minutes=60)
    for number in range(3):
        session = make_session(make_key(assessment))
        for event in work(number):
            add_event(session, event)
    clock.fixed += timedelta(hours=2)
    sessions.close_all_due()
    assert len(assert_equal_to_its_sessions(assessment)) == 3


def test_a_submitted_test_result_is_counted(assessment, cohort):
    sessions.submit_test_result(cohort[1], 3, 0, None, None)
    assert CohortRollup.get_by_id(assessment.id).totals["passed"] == 1
    sessions.submit_test_result(cohort[1], 3, 1, None, None)
    assert "passed" not in CohortRollup.get_by_id(assessment.id).totals
    assert_equal_to_its_sessions(assessment)


def test_hiring_and_a_late_completion_change_no_number(assessment, cohort):
    before = CohortRollup.get_by_id(assessment.id).totals
    mark_hired(cohort[0], True)
    mark_hired(cohort[0], False)
    sessions.complete(cohort[1])
    sessions.close(cohort[1])
    assert CohortRollup.get_by_id(assessment.id).totals == before
    assert_equal_to_its_sessions(assessment)


def test_an_erasure_keeps_the_numbers_and_counts_an_open_session(assessment, cohort):
    session = make_session(make_key(assessment))
    add_event(session, envelope("prompt"))
    privacy.erase(session.key)
    privacy.erase(cohort[0].key)
    sessions.rederive(cohort[0])
    sessions.submit_test_result(cohort[2], 1, 0, None, None)
    assert len(assert_equal_to_its_sessions(assessment)) == 4


def test_rederived_sessions_are_recounted(assessment, cohort, monkeypatch):
    monkeypatch.setattr(derivation, "VERSION", 5)
    sessions.rederive(cohort[0])
    assert cohorts.statistics(assessment.id)["derivation_versions"] == [1, 5]
    assert_equal_to_its_sessions(assessment)
    for session in cohort:
        sessions.rederive(session)
    assert "derivation_versions" not in cohorts.statistics(assessment.id)
    assert_equal_to_its_sessions(assessment)


def test_sums_are_exact_beyond_64_bits(assessment):
    """Half a million sessions whose clocks were wrong by centuries reach such sums."""
    ends = envelope(ts="1700-01-01T00:00:00Z"), envelope(ts="2260-01-01T00:00:00Z")
    for _ in range(2):
        change(make_closed_session(assessment, *ends), duration_ms=2**63 - 1)
    cohorts.rebuild(assessment)
    assert CohortRollup.get_by_id(assessment.id).totals["duration_ms_sum"] == 2**64 - 2
    make_closed_session(assessment, envelope(), envelope(at=1))
    make_closed_session(assessment, *ends)
    centuries = (datetime(2260, 1, 1) - datetime(1700, 1, 1)) // timedelta(milliseconds=1)
    totals = CohortRollup.get_by_id(assessment.id).totals
    assert totals["duration_ms_sum"] == 2**64 - 2 + 1000 + centuries
    assert_equal_to_its_sessions(assessment)


# Commands


def flask(app, *arguments):
    result = app.test_cli_runner().invoke(args=["cohorts", *map(str, arguments)])
    return result.exit_code, result.output


def test_verify_reports_equal_rollups(app, assessment, cohort):
    line = f"{assessment.id}  {assessment.title}  ok\n"
    assert flask(app, "verify") == (0, line)
    assert flask(app, "verify", "--assessment", assessment.id) == (0, line)


@pytest.mark.parametrize(
    ("column", "difference"),
    [
        ({"tests_passed": True}, "passed is 0 and should be 1"),
        ({"prompt_count": 100}, "prompt_count_observations is 6 and should be 105"),
        ({"derivation_version": 9}, "version_1 is 3 and should be 2"),
    ],
)
def test_verify_names_the_first_difference_and_rebuild_repairs_it(
    app, assessment, cohort, column, difference
):
    change(cohort[0], **column)
    code, output = flask(app, "verify")
    assert (code, difference in output) == (1, True)
    assert flask(app, "rebuild", "--assessment", assessment.id)[0] == 0
    assert flask(app, "verify")[0] == 0
    assert_equal_to_its_sessions(assessment)


def test_verify_reports_a_wrong_counter(app, assessment, cohort):
    last = len(cohorts.LEVELS) - 1
    CohortCount.update(n=CohortCount.n + 2).where(
        CohortCount.metric == 1, CohortCount.level == last, CohortCount.bucket == 2
    ).execute()
    assert "prompt_count, level 3, bucket 2 has 2 too many" in flask(app, "verify")[1]
    CohortCount.delete().where(CohortCount.metric.in_([0, 1])).execute()
    assert "duration_ms, level 0, bucket 0 has -3 too many" in flask(app, "verify")[1]


@pytest.mark.parametrize("surplus", [2, -1])
def test_verify_reports_a_wrong_total_of_keys_and_rebuild_repairs_it(
    app, assessment, cohort, reviewer, surplus
):
    CohortCount.add_keys(assessment.id, surplus)
    assert f"the total of keys has {surplus} too many" in flask(app, "verify")[1]
    flask(app, "rebuild")
    assert flask(app, "verify")[0] == 0
    assert reviewer.get("/v1/candidates").json["total"] == 3


def test_an_assessment_without_sessions_has_no_difference(app, assessment):
    assert cohorts.first_difference(assessment) is None
    cohorts.rebuild(assessment)
    assert cohorts.statistics(assessment.id) is None
