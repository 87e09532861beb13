"""Two sessions side by side in the console."""

from tests.browser.conftest import PHONE
from tests.live.cast import ASSESSMENT, event, make_candidate

LEVELS = [{"value": value, "label": label} for value, label in ((1, "Weak"), (2, "Fair"), (3, "Solid"))]


def finished_session(site, team, assessment):
    candidate = make_candidate(site, team, assessment)
    for second in (0, 30):
        assert candidate.ingest(event(second=second, data={"prompt": "Why?"})).status == 201
    assert candidate.complete().status == 200
    return candidate.session_id


def test_two_scored_sessions_are_compared(site, team, assessment, open_console):
    criteria = [{"key": "quality", "title": "Quality", "levels": LEVELS}]
    rubric = team.post("/v1/rubrics", {"name": "Engineers", "criteria": criteria})["rubric"]
    path = f"/v1/assessments/{assessment['id']}"
    assert team.request("PATCH", path, {"rubricId": rubric["id"]}).status == 200
    first, second = (finished_session(site, team, assessment) for _ in range(2))
    for session_id, value in ((first, 1), (second, 3)):
        path = f"/v1/sessions/{session_id}/scores/quality"
        assert team.request("PUT", path, {"value": value}).status == 200
    visit = open_console(team, f"/compare/{first}/{second}")
    assert visit.heading() == "Compare"
    assert visit.shows("2 sessions in the cohort.")
    visit.page.get_by_role("button", name="Swap").click()
    visit.page.wait_for_url(f"**/compare/{second}/{first}")
    assert visit.shows("Final changes")
    assert visit.is_clean()


def test_sessions_of_other_assessments_say_what_cannot_be_compared(site, team, assessment, open_console):
    other = team.post("/v1/assessments", ASSESSMENT)["assessment"]
    ids = [finished_session(site, team, each) for each in (assessment, other)]
    visit = open_console(team, f"/compare/{ids[0]}/{ids[1]}", width=PHONE)
    assert visit.shows("The sessions belong to different assessments")
    assert visit.is_clean()
