"""The comparison of two sessions."""

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.live.cast import ASSESSMENT, event, make_candidate


def completed_session(site, team, assessment):
    candidate = make_candidate(site, team, assessment)
    for second in (0, 30):
        assert candidate.ingest(event(second=second, data={"prompt": "Why?"})).status == 201
    assert candidate.complete().status == 200
    return candidate.session_id


@pytest.fixture
def rubric(team, assessment):
    add_rubric(team, assessment)


def rows(visit):
    """Return the summary's rows by name."""
    lines = visit.page.locator(".compare-top section:first-child tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in lines}


def test_scored_sessions_can_be_compared_and_swapped(site, team, assessment, rubric, open_console):
    first, second, third = (completed_session(site, team, assessment) for _ in range(3))
    for session_id, value in ((first, 1), (second, 3)):
        path = f"/v1/sessions/{session_id}/scores/quality"
        assert team.request("PUT", path, {"value": value}).status == 200
    visit = open_console(team, f"/compare/{first}/{second}")
    assert visit.heading() == "Compare"
    assert visit.shows("3 sessions in the cohort.")
    assert rows(visit)["Team score"] == ["1 of 3", "3 of 3"]
    visit.page.get_by_role("button", name="Swap").click()
    visit.page.wait_for_url(f"**/compare/{second}/{first}")
    visit.settle().page.get_by_label("Compare with").select_option(third)
    visit.page.get_by_role("button", name="Show", exact=True).click()
    visit.page.wait_for_url(f"**/compare/{second}/{third}")
    assert visit.shows("Final changes")
    assert visit.is_clean()


def test_sessions_without_a_rubric_or_events_have_no_values(site, team, assessment, open_console):
    first, second = (make_candidate(site, team, assessment) for _ in range(2))
    visit = open_console(team, f"/compare/{first.session_id}/{second.session_id}")
    assert visit.shows("Neither session has scores yet.")
    assert not visit.page.get_by_text("0 %", exact=True).count()


def test_comparing_sessions_of_different_assessments_shows_a_warning(site, team, assessment, open_console):
    other = team.post("/v1/assessments", ASSESSMENT)["assessment"]
    ids = [completed_session(site, team, each) for each in (assessment, other)]
    visit = open_console(team, f"/compare/{ids[0]}/{ids[1]}", width=PHONE)
    assert visit.shows("The sessions belong to different assessments")
    assert visit.is_clean()


def test_a_scored_session_can_be_compared_with_a_running_one(site, team, assessment, rubric, open_console):
    first, running = completed_session(site, team, assessment), make_candidate(site, team, assessment)
    candidate_id = team.get(f"/v1/sessions/{first}")["candidateId"]
    decision = {"decision": "advanced", "reason": "Careful fix."}
    for path, body in (
        (f"/v1/sessions/{first}/scores/quality", {"value": 2}),
        (f"/v1/candidates/{candidate_id}/decision", decision),
        (f"/v1/sessions/{first}/test-result", {"passed": 4, "failed": 1}),
    ):
        assert team.request("PUT", path, body).status == 200
    site.execute("UPDATE events SET envelope = '{}' WHERE session_id = %s", site.stored_id(first))
    visit = open_console(team, f"/compare/{first}/{running.session_id}")
    assert visit.shows("Stored data altered")
    summary = rows(visit)
    assert summary["Hiring decision"][0].startswith("Advanced: Careful fix. First token, ")
    assert summary["Findings"][0].startswith("Stored data altered")
    assert {name: summary[name] for name in ("Team score", "Reviewers", "Tests", "Status")} == {
        "Team score": ["2 of 3", "Not scored yet"],
        "Reviewers": ["1 reviewer", "None"],
        "Tests": ["Test result: 4 passed, 1 failed (team)", "Tests: No result"],
        "Status": ["Completed", "Active"],
    }
    assert visit.shows("has no metrics yet: the session is still running.")
    assert visit.shows("The candidate has not submitted yet.")
    assert visit.is_clean()


def test_an_altered_recording_marks_decision_and_scores(site, team, assessment, rubric, open_console):
    first, second = (completed_session(site, team, assessment) for _ in range(2))
    site.execute("UPDATE sessions SET tests_passed_count = 9 WHERE id = %s", site.stored_id(first))
    visit = open_console(team, f"/compare/{first}/{second}").settle()
    marks = {name: ["recording changed" in cell for cell in cells] for name, cells in rows(visit).items()}
    assert marks["Hiring decision"] == marks["Team score"] == [True, False]
