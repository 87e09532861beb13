"""Assignments, the comparison of reviewers, and rubrics."""

import pytest

from tests.browser.console.conftest import add_rubric
from tests.browser.console.organization import add_person
from tests.browser.console.test_every_page import check
from tests.live.cast import Candidate, invite

EMAILS = ["ann@example.com", "ben@example.com", "cem@example.com"]


SHOW_NOTES = """async (sessionId) => {
  const { notesPanel } = await import("/console/review/notes.js");
  const { me } = await (await fetch("/v1/sign-in", { headers: { "X-Proofstone-Console": "1" } })).json();
  document.querySelector("main").append(notesPanel({ sessionId, me, can: (scope) => scope !== "admin", canAdd: true }));
}"""


@pytest.fixture
def sessions(site, team, assessment):
    """The ids of three completed sessions."""
    add_rubric(team, assessment)
    candidates = [Candidate(site, key) for key in invite(team, assessment, *EMAILS)["keys"]]
    for candidate in candidates:
        candidate.complete()
    return [candidate.session_id for candidate in candidates]


def test_sessions_are_assigned_and_counted_in_the_navigation(open_console, team, bob, assessment, sessions):
    add_person(team, "Olga", "observer")
    visit = open_console(bob, f"/assessments/{assessment['id']}/reviewers").settle()
    todo = visit.page.get_by_role("navigation", name="Main").get_by_role("link", name="To do")
    assert todo.inner_text().split() == ["To", "do", "3", "to", "score"]
    visit.page.get_by_role("button", name="Assign reviewers").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Bob").press("Space")
    assert dialog.get_by_role("checkbox").count() == 1
    dialog.get_by_label("Due on").fill("2030-05-31")
    dialog.get_by_role("button", name="Assign reviewers").press("Enter")
    assert visit.shows("3 sessions were assigned.")

    visit.go("/todo").settle()
    assert visit.page.get_by_text("assigned to you · due in").count() == 3
    team.request("PUT", f"/v1/sessions/{sessions[0]}/scores/quality", {"value": 3})
    bob.request("PUT", f"/v1/sessions/{sessions[0]}/scores/quality", {"value": 2})

    visit.go(f"/assessments/{assessment['id']}/reviewers").settle()
    row = visit.page.get_by_role("row").filter(has_text="Bob")
    assert "1 of 3 scored" in row.inner_text()
    assert "Quality: 50 points lower (1 session)" in row.inner_text()
    check(visit)
    row.get_by_role("button", name="Remove open assignments: Bob").click()
    assert visit.shows("2 assignments of Bob were removed.")
    assert "1 of 1 scored" in row.inner_text()
    assert visit.is_clean()


def test_notes_are_added_and_deleted(open_console, team, bob, sessions):
    team.post(f"/v1/sessions/{sessions[0]}/notes", {"text": "Ask about <b>retries</b>."})
    visit = open_console(bob, "/assessments").settle()
    visit.page.evaluate(SHOW_NOTES, sessions[0])
    assert visit.shows("Ask about <b>retries</b>.")
    note = visit.page.get_by_label("New note")
    note.fill("She explained it well.")
    visit.page.get_by_role("button", name="Add note").press("Enter")
    visit.page.get_by_role("button", name="Delete the note by Bob").wait_for()
    assert visit.page.get_by_role("button", name="Delete the note by").count() == 1
    assert note.input_value() == ""
    check(visit)
    visit.page.get_by_role("button", name="Delete the note by Bob").click()
    visit.page.get_by_text("She explained it well.").wait_for(state="detached")
    visit.page.locator("h2:focus", has_text="Notes").wait_for()
    assert visit.is_clean()


def test_a_rubric_is_created_changed_and_archived(open_console, team, assessment):
    visit = open_console(team, "/rubrics").settle()
    assert visit.shows("No rubrics yet")
    visit.page.get_by_role("link", name="New rubric").click()
    visit.page.get_by_label("Name").fill("Engineers")
    visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Version 1 of “Engineers” was saved.")

    visit.page.get_by_role("link", name="Engineers").click()
    check(visit.settle())
    levels = visit.page.get_by_label("Levels").first
    levels.fill(levels.input_value().replace("Weak", "Weak: guesses"))
    visit.page.get_by_role("button", name="Save as version 2").click()
    assert visit.shows("Version 2 of “Engineers” was saved.")
    check(visit)
    (rubric,) = team.get("/v1/rubrics")["rubrics"]
    first = rubric["criteria"][0]
    assert (rubric["version"], first["key"]) == (2, "understanding-the-problem")
    assert first["levels"][0] == {"value": 1, "label": "Weak", "description": "guesses"}

    path = f"/v1/assessments/{assessment['id']}"
    team.request("PATCH", path, {"rubricId": rubric["id"]})
    visit.page.get_by_role("link", name="Engineers").click()
    visit.page.get_by_role("button", name="Archive").click()
    confirm = visit.page.get_by_role("dialog").get_by_role("button", name="Archive")
    confirm.click()
    assert visit.shows(f"Assessments use this rubric, so it cannot be deleted. “{assessment['title']}”")
    team.request("PATCH", path, {"rubricId": None})
    confirm.click()
    assert visit.shows("“Engineers” was archived.")


def test_values_and_texts_of_unchanged_levels_stay(open_console, team):
    levels = [
        {"value": value, "label": f"Level {value}: fair", "description": "A\nB"} for value in (0, 5, 10)
    ]
    criteria = [{"key": "speed", "title": "Speed", "weight": 0.05, "levels": levels}]
    rubric = team.post("/v1/rubrics", {"name": "Old", "criteria": criteria})["rubric"]
    visit = open_console(team, f"/rubrics/{rubric['id']}").settle()
    visit.page.get_by_label("Name").fill("New")
    visit.page.get_by_role("button", name="Save as version 2").click()
    assert visit.shows("Version 2 of “New” was saved.")
    assert team.get(f"/v1/rubrics/{rubric['id']}")["rubric"]["criteria"] == rubric["criteria"]
