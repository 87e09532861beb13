"""Scoring a session in the console."""

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import LEVELS, add_rubric
from tests.live.cast import event, make_candidate

CRITERIA = [{"key": key, "title": key.title(), "levels": LEVELS} for key in ("quality", "tests")]


@pytest.fixture
def rubric(team, assessment):
    return add_rubric(team, assessment, CRITERIA)


@pytest.fixture
def session_id(site, team, assessment, rubric):
    candidate = make_candidate(site, team, assessment)
    assert candidate.ingest(event(data={"text": "Why does it fail?"})).status == 201
    return candidate.session_id


def form_of(visit, title):
    return visit.page.locator("form", has=visit.page.get_by_role("heading", name=title))


def test_input_is_restored_after_an_expired_sign_in(team, bob, session_id, open_console):
    visit = open_console(bob, f"/sessions/{session_id}/score")
    page, quality = visit.page, form_of(visit, "Quality")
    quality.get_by_label("3 · Strong").check()
    quality.get_by_label("Comment").fill("Read it first.")
    page.locator(".event-list [role=option]").first.click()
    page.get_by_role("button", name="Decide").click()
    page.get_by_label("Reason").fill("Careful fix.")
    page.context.set_extra_http_headers({})
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    assert visit.shows("You have been signed out. Sign in again to continue.")
    page.get_by_label("API token").fill(bob.headers["Authorization"].removeprefix("Bearer "))
    page.get_by_role("button", name="Sign in").click()
    assert visit.shows("Your unsaved input has been restored.")
    assert quality.get_by_label("Comment").input_value() == "Read it first."
    assert quality.locator(".scoring-evidence li").count() == 1
    page.get_by_role("button", name="Decide").click()
    assert page.get_by_role("dialog").get_by_label("Reason").input_value() == "Careful fix."
    page.keyboard.press("Escape")
    quality.get_by_role("button", name="Save score").click()
    assert visit.shows("You have scored 1 of 2 criteria.")
    page.reload()
    assert visit.shows("You have scored 1 of 2 criteria.")
    assert page.get_by_text("Not saved yet").count() == 0


def test_a_score_changed_in_another_tab_is_not_overwritten(team, session_id, open_console):
    path = f"/v1/sessions/{session_id}/scores/quality"
    assert team.request("PUT", path, {"value": 1}).status == 200
    visit = open_console(team, f"/sessions/{session_id}/score", width=PHONE)
    form = visit.page.locator("form").first
    form.get_by_label("3 · Strong").check()
    form.get_by_label("Reason").fill("Read again.")
    assert team.request("PUT", path, {"value": 2}).status == 200
    form.get_by_role("button", name="Save revision").click()
    assert visit.shows("This score changed since you loaded it")
    assert team.get(path.removesuffix("/quality"))["criteria"][0]["scores"][0]["value"] == 2
    form.get_by_role("button", name="Save revision").click()
    assert visit.shows("Your score for “Quality” has been saved.")
    score = team.get(path.removesuffix("/quality"))["criteria"][0]["scores"][0]
    assert (score["value"], score["reason"]) == (3, "Read again.")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_other_scores_are_shown_after_the_last_criterion(team, bob, session_id, open_console):
    (sent,) = team.get(f"/v1/sessions/{session_id}/timeline")["events"]
    body = {"value": 3, "comment": "Solid work.", "evidence": [sent["id"]]}
    for key in ("quality", "tests"):
        assert team.request("PUT", f"/v1/sessions/{session_id}/scores/{key}", body).status == 200
    visit = open_console(bob, f"/sessions/{session_id}/score")
    for title, done in (("Quality", 1), ("Tests", 2)):
        assert visit.page.get_by_text("Solid work.").count() == 0
        form = form_of(visit, title)
        form.get_by_label("1 · Weak").check()
        form.get_by_role("button", name="Save score").click()
        assert visit.shows(f"You have scored {done} of 2 criteria.")
    assert visit.shows("Solid work.")
    assert "Why does it fail?" in form.get_by_role("list", name="First token's evidence").inner_text()
    assert visit.shows("To discuss: the scores are two or more levels apart.")
    form.get_by_role("button", name="Withdraw").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Wrong candidate.")
    dialog.get_by_role("button", name="Withdraw").click()
    assert visit.shows("You have scored 1 of 2 criteria.")
    assert visit.is_clean()


def test_input_is_kept_if_it_fits_a_changed_rubric(team, session_id, rubric, open_console):
    visit = open_console(team, f"/sessions/{session_id}/score")
    quality, tests = (form_of(visit, title) for title in ("Quality", "Tests"))
    quality.get_by_label("3 · Strong").check()
    quality.get_by_label("Comment").fill("Read it first.")
    visit.page.locator(".event-list [role=option]").first.click()
    tests.get_by_label("2 · Fair").check()
    tests.get_by_label("Comment").fill("Wrote none.")
    levels = [*LEVELS[:2], {"value": 3, "label": "Perfect"}]
    criteria = [CRITERIA[0] | {"levels": levels}, {"key": "style", "title": "Style", "levels": LEVELS}]
    assert team.request("PATCH", f"/v1/rubrics/{rubric['id']}", {"criteria": criteria}).status == 200

    tests.get_by_role("button", name="Save score").click()
    assert visit.shows("The rubric has changed")
    assert visit.shows("Tests: Wrote none.")
    assert quality.get_by_label("Comment").input_value() == "Read it first."
    assert quality.locator(".scoring-evidence li").count() == 1
    assert quality.locator("input:checked").count() == 0  # the level has changed
    quality.get_by_label("3 · Perfect").check()
    quality.get_by_role("button", name="Save score").click()
    assert visit.shows("You have scored 1 of 2 criteria.")
    (score,) = team.get(f"/v1/sessions/{session_id}/scores")["criteria"][0]["scores"]
    assert [score[name] for name in ("value", "comment", "rubricVersion")] == [3, "Read it first.", 2]


def test_a_concurrent_decision_is_shown_before_it_is_replaced(team, session_id, open_console):
    candidate_id = team.get(f"/v1/sessions/{session_id}")["candidateId"]
    path = f"/v1/candidates/{candidate_id}"
    visit = open_console(team, f"/sessions/{session_id}/score")
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    dialog.get_by_label("Reason").fill("No tests.")
    # Other changes of the candidate do not conflict.
    assert team.request("PATCH", path, {"externalId": "applicant-1"}).status == 200
    other = {"decision": "advanced", "reason": "Careful fix."}
    assert team.request("PUT", f"{path}/decision", other).status == 200
    dialog.get_by_role("button", name="Save").click()
    assert visit.shows("Save again to replace the decision of First token: Advanced: Careful fix.")
    assert team.get(path)["candidate"]["decision"] == "advanced"
    assert team.request("PATCH", path, {"externalId": "applicant-2"}).status == 200
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    assert visit.shows("Rejected: No tests.")
    assert team.get(path)["candidate"]["decisionReason"] == "No tests."


def test_an_erased_session_cannot_be_scored(team, session_id, open_console):
    candidate_id = team.get(f"/v1/sessions/{session_id}")["candidateId"]
    assert team.delete(f"/v1/candidates/{candidate_id}/data").status == 200
    visit = open_console(team, f"/sessions/{session_id}/score")
    assert visit.shows("The candidate's data was erased")
    visit.settle()
    assert visit.page.get_by_text("Nothing was recorded").count() == 0
    assert visit.page.get_by_role("button", name="Save score").count() == 0
    visit.page.get_by_role("link", name="Report").click()
    assert visit.shows("No events left to check")
    assert visit.is_clean()


def test_evidence_links_to_its_event_in_the_report(team, session_id, open_console):
    (sent,) = team.get(f"/v1/sessions/{session_id}/timeline")["events"]
    body = {"value": 2, "evidence": [sent["id"]]}
    assert team.request("PUT", f"/v1/sessions/{session_id}/scores/quality", body).status == 200
    visit = open_console(team, f"/sessions/{session_id}/score")
    with visit.page.expect_popup() as opened:
        form_of(visit, "Quality").get_by_role("link", name="Prompt: Why does it fail?").click()
    report = opened.value
    report.get_by_role("region", name="Selected event").get_by_text("Why does it fail?").first.wait_for()
    assert report.url.endswith(f"/sessions/{session_id}?event={sent['id']}")


def test_the_focus_stays_in_the_form_after_removing_evidence(team, session_id, open_console):
    visit = open_console(team, f"/sessions/{session_id}/score")
    quality = form_of(visit, "Quality")
    quality.get_by_label("1 · Weak").focus()
    visit.page.locator(".event-list [role=option]").first.click()
    quality.get_by_role("button", name="Remove").press("Enter")
    assert quality.locator(".scoring-evidence li").count() == 0
    assert quality.get_by_label("Comment").evaluate("element => element === document.activeElement")
