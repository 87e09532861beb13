"""`flask sessions rederive`: derives again, shows what changed, and a cohort says while it mixes versions."""

import json

import pytest
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session

from models import Event, Session, sessions
from rules import metrics


@pytest.fixture
def closed(assessment):
    return make_closed_session(assessment, envelope("prompt"), envelope("prompt", at=60))


def change(session, **values):
    Session.update(**values).where(Session.id == session.id).execute()


def test_the_same_events_give_the_same_numbers(flask, closed):
    assert "Sessions recomputed: 1, changed: 0." in flask("sessions", "rederive")


def test_what_changed_is_shown(flask, reviewer, closed):
    change(closed, prompt_count=7, command_fail_rate=500_000_000)
    lines = flask("sessions", "rederive").splitlines()
    assert f"{closed.id}  commandFailRate  0.5 -> 0.0" in lines
    assert f"{closed.id}  promptCount  7 -> 2" in lines
    assert lines[-1] == "Sessions recomputed: 1, changed: 1."
    assert reviewer.get(f"/v1/sessions/{closed.id}").json["metrics"]["promptCount"] == 2
    assert "changed: 0." in flask("sessions", "rederive")


def test_a_new_version_of_the_definition_is_a_change(flask, reviewer, closed, monkeypatch):
    monkeypatch.setattr(metrics, "VERSION", 2)
    assert f"{closed.id}  derivationVersion  1 -> 2" in flask("sessions", "rederive")
    assert reviewer.get(f"/v1/sessions/{closed.id}").json["metrics"]["derivationVersion"] == 2


def test_one_assessment_alone_can_be_derived_again(app, flask, organization, closed):
    other = make_closed_session(make_assessment(organization), envelope("prompt"))
    change(closed, prompt_count=7)
    change(other, prompt_count=7)
    assert "Sessions recomputed: 1, changed: 1." in flask(
        "sessions", "rederive", "--assessment", other.assessment_id
    )
    assert Session.get_by_id(closed.id).prompt_count == 7
    result = app.test_cli_runner().invoke(args=["sessions", "rederive", "--assessment", "nonsense"])
    assert (result.exit_code, "No such assessment: nonsense." in result.output) == (1, True)


def test_a_session_without_its_events_keeps_its_numbers(flask, closed):
    Event.delete().execute()
    change(closed, prompt_count=7, derivation_version=0)
    assert "Sessions recomputed: 1, changed: 0." in flask("sessions", "rederive")
    found = Session.get_by_id(closed.id)
    assert (found.prompt_count, found.derivation_version) == (7, 0)


def test_open_sessions_are_not_derived(flask, assessment):
    add_event(make_session(make_key(assessment)), envelope("prompt"))
    assert "Sessions recomputed: 0, changed: 0." in flask("sessions", "rederive")


def test_events_that_came_after_the_close_are_no_change_of_the_definition(flask, closed):
    add_event(closed, envelope("prompt", at=70))
    assert "Sessions recomputed: 1, changed: 0." in flask("sessions", "rederive")
    assert Session.get_by_id(closed.id).prompt_count == 3


def test_a_cohort_that_mixes_versions_says_so(flask, reviewer, assessment, closed, monkeypatch):
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    second, third = (make_closed_session(assessment, envelope("prompt")) for _ in range(2))
    alike = reviewer.get(path).json["cohortStats"]
    assert set(alike) == {"sessionCount", "metrics"}
    for session, version in ((second, 0), (third, 3)):
        monkeypatch.setattr(metrics, "VERSION", version)
        sessions.rederive(session)
    monkeypatch.undo()
    mixed = reviewer.get(path, sessionId=closed.id).json["cohortStats"]
    assert mixed["derivationVersions"] == [0, 1, 3]
    flask("sessions", "rederive")
    assert reviewer.get(path).json["cohortStats"] == alike


def test_every_metric_of_an_answer_is_compared(closed):
    shown = sessions.shown_metrics(Session.get_by_id(closed.id))
    assert json.loads(json.dumps(shown)) == shown
    assert shown["derivationVersion"] == metrics.VERSION
