"""Reports: what they say, when they are sent, and that each is one note."""

from datetime import timedelta

import factories
import pytest

import models
from integrations import orders, rules, states
from integrations.adapter import CredentialRejected, Rejected, TemporaryFailure
from integrations.reports import ReportValues, build_text
from integrations.tables import Integration, IntegrationOrder, IntegrationReport
from models import CandidateKey, FeedEvent, Rubric, Score, Session, invitations, privacy, sessions
from rules.delivery.retries import RETRY_DELAYS
from tests.integrations import made_up

TIMED_OUT = TemporaryFailure("The system did not respond within 10 seconds.")
MINUTES_15 = timedelta(minutes=15)


@pytest.fixture
def submitted(invited, assessment):
    """An order whose candidate has submitted; the assessment has a rubric."""
    assessment.update_columns(rubric=factories.make_rubric(assessment.organization))
    return submit(invited)


def submit(order):
    session = factories.make_recorded_session(CandidateKey.get_by_id(order.key_id))
    sessions.complete(session)
    return order


def session_of(order):
    return Session.get(Session.key == order.key_id)


def score(order, reviewer, value):
    Score.submit(session_of(order), "quality", reviewer.row, value=value, comment="Secret", evidence=[])


def reports_of(order):
    rows = IntegrationReport.select().where(IntegrationReport.order == order)
    return [(row.number, row.status, row.state) for row in rows.order_by(IntegrationReport.number)]


def numbers_in(notes):
    return [text.rpartition("-")[2] for text in notes]


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ({"state": "invited"}, ["Status: Invited"]),
        ({"state": "expired", "url": "https://x/1"}, ["Status: Expired", "https://x/1"]),
        (
            {"state": "submitted", "parts": ["duration"], "duration_ms": 5_400_000, "tests": "2 of 3 passed"},
            ["Status: Submitted", "Duration: 1 hour 30 minutes"],
        ),
        (
            {"parts": ["score", "tests"], "total": 24500, "highest": 32000, "tests": "2 of 3 passed"},
            ["Status: Scored", "Score: 24.5 of 32", "Tests: 2 of 3 passed"],
        ),
        ({"parts": [], "total": 24000, "highest": 32000}, ["Status: Scored"]),
        ({"state": "submitted", "parts": ["score"], "total": 24000, "highest": 32000}, ["Status: Submitted"]),
        (
            {"state": "submitted", "parts": ["score"], "was_scored": True},
            ["Status: Submitted", "Score: withdrawn"],
        ),
        (
            {"parts": ["criteria"], "criteria": (("Quality", 1.5, 2),)},
            ["Status: Scored", "Quality: 1.5 of 2"],
        ),
        (
            {"parts": ["score"], "total": 1000, "highest": 2000, "url": "https://x/1", "is_hidden": True},
            ["Status: Scored"],
        ),
    ],
)
def test_a_report_has_only_what_the_rule_includes(facts, lines):
    defaults = {"title": "Backend", "state": "scored", "parts": ["score", "duration"]}
    assert build_text(ReportValues(**defaults | facts)).splitlines() == ["Backend", *lines]


def test_changes_of_fifteen_minutes_are_one_note(system, submitted, reviewer, report, clock, work):
    states.refresh()
    clock.fixed += MINUTES_15 - timedelta(seconds=1)
    score(submitted, reviewer, 1)
    work()
    assert system.notes == []
    clock.fixed += timedelta(seconds=1)
    work()
    session = session_of(submitted)
    reference = f"Ref {submitted.id.hex[-6:]}-1"
    assert system.notes_of() == [
        "Backend API Challenge\nStatus: Scored\nScore: 1 of 2\n"
        f"https://assess.example.com/console#/sessions/{session.id}\n{reference}"
    ]
    assert system.marks == {"1": "Scored"}
    assert reports_of(submitted) == [(1, "scored", "sent")]
    (event,) = FeedEvent.select().where(FeedEvent.type == "order.reported")
    assert (event.data["state"], event.data["candidateId"]) == ("scored", str(submitted.key_id))
    report(48)
    assert len(system.notes) == 1


def test_only_the_rules_states_are_reported(system, invited, report, rule):
    report()
    assert system.notes == []
    rules.update(rule, {"reports": ["started"]})
    factories.make_recorded_session(CandidateKey.get_by_id(invited.key_id))
    report()
    sessions.complete(session_of(invited))
    report()
    assert reports_of(invited) == [(1, "started", "sent")]


@pytest.mark.parametrize("expires", [True, False])
def test_an_unused_invitation_is_reported(system, invited, report, clock, expires):
    if expires:
        clock.fixed += timedelta(days=8)
    else:
        invitations.revoke(invited.key, lambda: None)
    report()
    assert reports_of(invited) == [(1, "expired" if expires else "revoked", "sent")]
    assert "http" not in system.notes_of()[0]


def test_corrections_are_reported_at_most_once_a_day(system, submitted, reviewer, report):
    score(submitted, reviewer, 1)
    report()
    for value in (2, 1, 2):
        score(submitted, reviewer, value)
        report(1)
    assert len(system.notes) == 1
    report(22)
    assert "Score: 2 of 2" in system.notes_of()[1]
    Score.withdraw(session_of(submitted), "quality", reviewer.row)
    report(12)
    assert len(system.notes) == 2
    report(13)
    assert "Status: Submitted\nScore: withdrawn" in system.notes_of()[2]
    assert numbers_in(system.notes_of()) == ["1", "2", "3"]


def test_criteria_and_tests_are_reported_if_the_rule_includes_them(
    system, submitted, reviewer, report, rule, assessment
):
    rules.update(rule, {"include": ["criteria", "tests"]})
    sessions.submit_test_result(session_of(submitted), passed=2, failed=1, note="Secret")
    score(submitted, reviewer, 2)
    report()
    lines = system.notes_of()[0].splitlines()
    assert lines[1:4] == [
        "Status: Scored",
        "Quality: 2 of 2",
        "Tests: 2 of 3 passed (submitted by your team)",
    ]


def test_criteria_keep_the_version_in_which_they_were_scored(system, submitted, reviewer, report, rule):
    rules.update(rule, {"include": ["criteria"]})
    score(submitted, reviewer, 2)
    rubric = Rubric.get()
    levels = [{"value": value, "label": str(value)} for value in (0, 100)]
    rubric.apply_changes({"criteria": [criterion | {"levels": levels} for criterion in rubric.criteria]})
    report()
    assert "Quality: 2 of 2" in system.notes_of()[0].splitlines()


def test_a_decision_without_a_score_withdraws_none(system, submitted, report):
    key = CandidateKey.get_by_id(submitted.key_id)
    invitations.decide(key, None, "rejected", None)
    report()
    sessions.submit_test_result(session_of(submitted), passed=2, failed=1, note=None)
    rules.update(submitted.rule, {"include": ["score", "tests"]})
    report(25 * 60)
    assert len(system.notes_of()) == 2
    assert not any("Score" in note.replace("Status: Scored", "") for note in system.notes_of())


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "12 of 12 passed (hidden tests, in-process)"),
        ({"is_complete": False, "passed_count": 9}, "9 of 12 passed (hidden tests, in-process, incomplete)"),
        ({"state": "untrusted"}, "untrusted (hidden tests)"),
    ],
)
def test_results_of_hidden_tests_have_their_marks(system, submitted, report, rule, changes, line):
    rules.update(rule, {"include": ["tests"]})
    session = session_of(submitted)
    run = factories.make_run(session)
    columns = {"state": "finished", "passed_count": 12, "total_count": 12, "is_complete": True}
    run.update_columns(**columns | changes)
    session.update_columns(hidden_run_id=run.id)
    report()
    assert f"Tests: {line}" in system.notes_of()[0].splitlines()


def test_a_blind_assessments_report_has_link_and_score_after_the_decision(
    system, submitted, reviewer, report, assessment
):
    assessment.update_columns(blind=True)
    score(submitted, reviewer, 2)
    report()
    assert system.notes_of()[0].splitlines()[:-1] == [assessment.title, "Status: Scored"]
    invitations.decide(submitted.key, reviewer.row, "rejected", "Secret")
    report()
    assert "Score: 2 of 2" in system.notes_of()[1]
    assert "/console#/sessions/" in system.notes_of()[1]
    assert "Secret" not in "".join(system.notes_of())


def test_a_score_that_a_blind_assessment_has_hidden_is_not_withdrawn(
    system, submitted, reviewer, report, assessment
):
    assessment.update_columns(blind=True)
    score(submitted, reviewer, 2)
    report()
    Score.withdraw(session_of(submitted), "quality", reviewer.row)
    invitations.decide(submitted.key, reviewer.row, "rejected", "Secret")
    report()
    assert "Score" not in system.notes_of()[1].replace("Status: Scored", "")


def test_a_title_that_two_assessments_share_has_the_end_of_the_id(system, submitted, report, assessment):
    factories.make_assessment(assessment.organization, title=assessment.title)
    report()
    assert system.notes_of()[0].startswith(f"{assessment.title} ({assessment.id.hex[-6:]})\n")


@pytest.mark.parametrize(
    ("failure", "takes_effect"),
    [
        (TIMED_OUT, True),
        (TIMED_OUT, False),
        (TemporaryFailure("The system failed (503).", 503), True),
        (TemporaryFailure("Too many requests.", 429, is_unknown=False, retry_after_seconds=30), False),
        (KeyError("id"), True),
    ],
)
def test_a_note_whose_outcome_is_unknown_is_written_once(system, submitted, report, failure, takes_effect):
    system.failures.append((failure, takes_effect))
    report()
    assert reports_of(submitted) == [(1, "submitted", "queued")]
    report(0.1)
    assert reports_of(submitted) == [(1, "submitted", "sent")]
    assert len(system.notes) == 1


def test_a_kill_after_the_write_is_like_a_lost_response(system, submitted, report):
    system.failures.append((KeyboardInterrupt(), True))
    with pytest.raises(KeyboardInterrupt):
        report()
    assert len(system.notes) == 1
    report()
    assert len(system.notes) == 1
    assert reports_of(submitted) == [(1, "submitted", "sent")]


def test_a_system_without_a_list_of_notes_may_get_two(system, submitted, report):
    system.lists_notes = False
    system.failures.append((TIMED_OUT, True))
    report()
    report(0.1)
    assert len(system.notes) == 2
    assert "may appear twice" in IntegrationReport.get().last_error


def test_a_rejected_write_after_a_lost_one_stays_unknown(system, submitted, report):
    system.lists_notes = False
    busy = TemporaryFailure("Too many requests.", 429, is_unknown=False, retry_after_seconds=30)
    system.failures.extend([(TIMED_OUT, False), (busy, False)])
    report()
    report(0.1)
    system.lists_notes = True
    assert IntegrationReport.get().is_unknown
    report(0.1)
    assert len(system.notes) == 1


def test_a_report_that_a_newer_one_overtakes_is_dropped(system, submitted, reviewer, report):
    system.failures.append((TemporaryFailure("The system failed (500).", 500), False))
    report()
    score(submitted, reviewer, 1)
    system.read_failures.append(TemporaryFailure("The system failed (500).", 500))
    report(0.05)
    report(0.25)
    report()
    assert reports_of(submitted) == [(1, "submitted", "dropped"), (2, "scored", "sent")]
    assert numbers_in(system.notes_of()) == ["2"]


def test_a_merged_candidate_is_found_before_each_report(system, submitted, report):
    system.move(person_id="p9")
    report()
    assert [person_id for person_id, *_ in system.notes] == ["p9"]
    assert submitted.lock().person_id == "p9"


def test_an_application_that_is_gone_needs_a_person(system, submitted, report):
    application = system.applications.pop("1")
    report()
    order = submitted.lock()
    assert (order.state, order.reason, reports_of(order)) == (
        *("attention", "retries_exhausted"),
        [(1, "submitted", "failed")],
    )
    states.refresh()
    assert order.lock().state == "attention"
    system.applications["1"] = application
    assert orders.retry(order).state == "submitted"
    report()
    assert numbers_in(system.notes_of()) == ["1"]


def test_a_change_after_a_failed_report_is_reported(system, submitted, report, reviewer):
    system.failures.append((Rejected("The system rejected the call (422).", 422), False))
    report()
    assert submitted.lock().reason == "retries_exhausted"
    report()
    score(submitted, reviewer, 1)
    report()
    assert reports_of(submitted) == [(1, "submitted", "failed"), (2, "scored", "sent")]


def test_reports_are_retried_for_three_days(system, submitted, report):
    system.failures.extend([(TIMED_OUT, False)] * 20)
    report()
    for delay in RETRY_DELAYS:
        report(delay / timedelta(hours=1) + 0.01)
    assert reports_of(submitted) == [(1, "submitted", "failed")]
    assert len(system.failures) == 10


def test_a_person_who_repeats_the_report_of_a_score_does_not_wait(system, submitted, reviewer, report):
    score(submitted, reviewer, 1)
    system.failures.append((Rejected("The system rejected the call (422).", 422), False))
    report()
    assert submitted.lock().reason == "retries_exhausted"
    orders.retry(submitted.lock())
    report(0.01)
    assert reports_of(submitted) == [(1, "scored", "sent")]
    orders.retry(submitted.lock(), "report")
    report(0.01)
    assert numbers_in(system.notes_of()) == ["1", "2"]


def test_a_retried_report_that_had_been_written_is_not_written_again(system, submitted, report):
    system.failures.extend([(TIMED_OUT, True)])
    report()
    IntegrationReport.update(attempts=len(RETRY_DELAYS)).execute()
    system.read_failures.append(TIMED_OUT)
    report(0.1)
    assert submitted.lock().reason == "retries_exhausted"
    orders.retry(submitted.lock(), "report")
    report()
    assert (len(system.notes), reports_of(submitted)) == (1, [(1, "submitted", "sent")])


def test_a_rejected_credential_loses_no_report(system, submitted, report, integration):
    system.failures.append((CredentialRejected("The system rejected the credential (403).", 403), False))
    report()
    assert Integration.get_by_id(integration.id).stopped_reason == "credential_rejected"
    report(96)
    assert (submitted.lock().state, reports_of(submitted)) == ("submitted", [(1, "submitted", "queued")])
    integration.update_columns(stopped_reason=None)
    report()
    assert reports_of(submitted) == [(1, "submitted", "sent")]


def test_orders_are_read_before_reports_are_sent(system, submitted, report, receive, work, clock):
    states.refresh()
    receive(system.add("2"))
    clock.fixed += MINUTES_15
    work()
    assert system.reads == ["1", "2", "1"]


def test_every_linked_application_gets_the_reports(system, receive, work, report, assessment):
    key = factories.make_key(assessment, "alice@example.com")
    for number in ("1", "2"):
        receive(system.add(number, email="alice@example.com"))
    work()
    sessions.complete(factories.make_recorded_session(key))
    report()
    assert sorted(noted_id for _, noted_id, _ in system.notes) == ["1", "2"]


def test_an_erasure_writes_one_last_note_and_deletes_its_row(system, submitted, report):
    report()
    privacy.erase(CandidateKey.get_by_id(submitted.key_id))
    (last,) = IntegrationReport.select()
    assert (last.application_id, last.number) == ("1", 2)
    report()
    assert system.notes_of()[1:] == [f"Status: Data erased\nRef {submitted.id.hex[-6:]}-2"]
    assert IntegrationReport.select().count() == 0


@pytest.mark.parametrize("stops", [True, False])
def test_the_last_note_is_tried_for_a_day(system, submitted, report, integration, stops):
    report()
    integration.update_columns(active=not stops)
    system.failures.extend([(TIMED_OUT, False)] * 20)
    privacy.erase(CandidateKey.get_by_id(submitted.key_id))
    report(23)
    assert IntegrationReport.select().count() == 1
    report(2)
    assert IntegrationReport.select().count() == 0
    assert len(system.notes) == 1


def test_no_table_has_traces_after_an_erasure(system, receive, work, report, assessment):
    values = {
        "person_id": "person-quartermain",
        "name": "Zoe Quartermain",
        "email": "zoe@quartermain.example",
    }
    order = receive(system.add("application-quartermain", **values))
    work()
    submit(order.lock())
    report()
    assert {IntegrationOrder, CandidateKey} <= tables_with("quartermain")
    privacy.erase(CandidateKey.get_by_id(order.lock().key_id))
    report()
    assert tables_with("quartermain") == set()


def tables_with(text):
    return {table for table in models.tables() if text in repr(list(table.select().tuples())).casefold()}


def test_an_erasure_during_the_call_leaves_no_report(system, submitted, report):
    system.before_read = lambda: privacy.erase(CandidateKey.get_by_id(submitted.key_id))
    report()
    assert all("Data erased" in text for text in system.notes_of())
    assert IntegrationReport.select().count() == 0


def test_a_mark_that_is_rejected_does_not_stop_the_note(system, submitted, report, monkeypatch):
    def reject(api, application, text):
        raise Rejected("The system has no such field (400).", 400)

    monkeypatch.setattr(made_up, "set_mark", reject)
    report()
    assert len(system.notes) == 1
    assert IntegrationReport.get().last_error == "The system has no such field (400)."
