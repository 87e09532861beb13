"""Scoring a session in the console."""

from tests.browser.conftest import PHONE
from tests.live.cast import event, make_candidate
from tests.live.client import Client

LEVELS = [{"value": value, "label": label} for value, label in ((1, "Weak"), (2, "Fair"), (3, "Solid"))]


def scored_session(site, team, assessment):
    criteria = [{"key": key, "title": key.title(), "levels": LEVELS} for key in ("quality", "tests")]
    rubric = team.post("/v1/rubrics", {"name": "Engineers", "criteria": criteria})["rubric"]
    path = f"/v1/assessments/{assessment['id']}"
    assert team.request("PATCH", path, {"rubricId": rubric["id"]}).status == 200
    candidate = make_candidate(site, team, assessment)
    assert candidate.ingest(event(data={"prompt": "Why does it fail?"})).status == 201
    return candidate.session_id


def test_a_rubric_is_scored_with_evidence_and_the_keyboard(site, team, assessment, open_console):
    session_id = scored_session(site, team, assessment)
    visit = open_console(team, f"/sessions/{session_id}/score")
    page = visit.page
    quality = page.locator("form", has=page.get_by_role("heading", name="Quality"))
    quality.get_by_label("1 · Weak").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.locator(".event-list [role=option]").first.click()
    quality.get_by_label("Comment").fill("Read it first.")
    quality.get_by_label("Comment").press("Tab")
    quality.get_by_role("button", name="Save score").press("Enter")
    assert visit.shows("You have scored 1 of 2 criteria.")
    scores = team.get(f"/v1/sessions/{session_id}/scores")["criteria"][0]["scores"]
    assert [(each["value"], each["comment"], len(each["evidence"])) for each in scores] == [
        (3, "Read it first.", 1)
    ]
    assert visit.is_clean()


def test_a_score_changed_in_another_tab_is_not_overwritten(site, team, assessment, open_console):
    session_id = scored_session(site, team, assessment)
    path = f"/v1/sessions/{session_id}/scores/quality"
    assert team.request("PUT", path, {"value": 1}).status == 200
    visit = open_console(team, f"/sessions/{session_id}/score", width=PHONE)
    form = visit.page.locator("form").first
    form.get_by_label("3 · Solid").check()
    form.get_by_label("Reason").fill("Read again.")
    assert team.request("PUT", path, {"value": 2}).status == 200
    form.get_by_role("button", name="Save revision").click()
    assert visit.shows("You have changed or withdrawn this score meanwhile")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_others_scores_appear_after_the_last_criterion(site, team, assessment, open_console):
    session_id = scored_session(site, team, assessment)
    for key in ("quality", "tests"):
        path = f"/v1/sessions/{session_id}/scores/{key}"
        assert team.request("PUT", path, {"value": 3, "comment": "Solid work."}).status == 200
    body = {"name": "Bob", "email": "bob@example.com", "role": "reviewer"}
    bob = team.post("/v1/org/people", body)["person"]
    token = team.post("/v1/org/tokens", {"name": "Laptop", "scopes": ["write"], "personId": bob["id"]})
    reviewer = Client(site.port, Authorization=f"Bearer {token['secret']}")
    visit = open_console(reviewer, f"/sessions/{session_id}/score")
    for title, done in (("Quality", 1), ("Tests", 2)):
        assert visit.page.get_by_text("Solid work.").count() == 0
        form = visit.page.locator("form", has=visit.page.get_by_role("heading", name=title))
        form.get_by_label("1 · Weak").check()
        form.get_by_role("button", name="Save score").click()
        assert visit.shows(f"You have scored {done} of 2 criteria.")
    assert visit.shows("Solid work.")
    assert visit.shows("To discuss: the scores are two levels or more apart.")
    form.get_by_role("button", name="Withdraw").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Wrong candidate.")
    dialog.get_by_role("button", name="Withdraw").click()
    assert visit.shows("You have scored 1 of 2 criteria.")
    assert visit.is_clean()
