"""`flask sessions rederive`: recompute metrics, list changes, and report cohorts with several versions."""

import pytest
from factories import add_event, envelope, make_assessment, make_closed_session, make_key, make_session

from models import Event, Session, sessions
from rules.metrics import derivation


@pytest.fixture
def closed(assessment):
    return make_closed_session(assessment, envelope("prompt"), envelope("prompt", at=60))


def change(session, **values):
    Session.update(**values).where(Session.id == session.id).execute()


@pytest.mark.bypasses_ledger
def test_changed_metrics_are_listed_and_stored(flask, reviewer, closed):
    change(closed, prompt_count=7, command_fail_rate=500_000_000)
    lines = flask("sessions", "rederive").splitlines()
    assert f"{closed.id}  commandFailRate  0.5 -> 0.0" in lines
    assert f"{closed.id}  promptCount  7 -> 2" in lines
    assert lines[-1] == "Sessions recomputed: 1, changed: 1."
    assert reviewer.get(f"/v1/sessions/{closed.id}").json["metrics"]["promptCount"] == 2
    assert "changed: 0." in flask("sessions", "rederive")


def test_new_derivation_versions_are_changes(flask, reviewer, closed, monkeypatch):
    monkeypatch.setattr(derivation, "VERSION", 3)
    assert f"{closed.id}  derivationVersion  2 -> 3" in flask("sessions", "rederive")
    assert reviewer.get(f"/v1/sessions/{closed.id}").json["metrics"]["derivationVersion"] == 3


@pytest.mark.bypasses_ledger
def test_single_assessments_can_be_rederived(app, flask, organization, closed):
    other = make_closed_session(make_assessment(organization), envelope("prompt"))
    change(closed, prompt_count=7)
    change(other, prompt_count=7)
    assert "Sessions recomputed: 1, changed: 1." in flask(
        "sessions", "rederive", "--assessment", other.assessment_id
    )
    assert Session.get_by_id(closed.id).prompt_count == 7
    result = app.test_cli_runner().invoke(args=["sessions", "rederive", "--assessment", "nonsense"])
    assert (result.exit_code, "No such assessment: nonsense." in result.output) == (1, True)


@pytest.mark.bypasses_ledger
def test_sessions_without_their_events_keep_their_metrics(flask, closed):
    Event.delete().execute()
    change(closed, prompt_count=7, derivation_version=0)
    assert "Sessions recomputed: 1, changed: 0." in flask("sessions", "rederive")
    row = Session.get_by_id(closed.id)
    assert (row.prompt_count, row.derivation_version) == (7, 0)


def test_open_sessions_are_not_rederived(flask, assessment):
    add_event(make_session(make_key(assessment)), envelope("prompt"))
    assert "Sessions recomputed: 0, changed: 0." in flask("sessions", "rederive")


def test_events_after_the_close_are_not_reported_as_changes(flask, closed):
    add_event(closed, envelope("prompt", at=70))
    assert "Sessions recomputed: 1, changed: 0." in flask("sessions", "rederive")
    assert Session.get_by_id(closed.id).prompt_count == 3


def test_cohorts_list_several_versions(flask, reviewer, assessment, closed, monkeypatch):
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    second, third = (make_closed_session(assessment, envelope("prompt")) for _ in range(2))
    unmixed = reviewer.get(path).json["cohortStats"]
    assert "derivationVersions" not in unmixed
    for session, version in ((second, 0), (third, 3)):
        monkeypatch.setattr(derivation, "VERSION", version)
        sessions.rederive(session)
    monkeypatch.undo()
    mixed = reviewer.get(path, sessionId=closed.id).json["cohortStats"]
    assert mixed["derivationVersions"] == [0, 2, 3]
    flask("sessions", "rederive")
    assert reviewer.get(path).json["cohortStats"] == unmixed
