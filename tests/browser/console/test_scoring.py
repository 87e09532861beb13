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
    heading = visit.page.get_by_role("heading", name=title, exact=True)
    return visit.page.locator(".scoring-criterion", has=heading)


def scores_of(client, session_id):
    """Return the values of the client's scorecard by criterion, the recommendation included."""
    card = client.get(f"/v1/sessions/{session_id}/scores")
    rows = [*card["criteria"], card["recommendation"]]
    return {row["key"]: [score["value"] for score in row["scores"]] for row in rows}


def save(visit, message="Your score has been saved."):
    visit.page.get_by_role("button", name="Save", exact=True).click()
    assert visit.shows(message)


def test_one_save_stores_all_criteria_and_the_recommendation(team, bob, session_id, open_console):
    body = {"value": 3, "comment": "Solid work."}
    for key in ("quality", "tests"):
        assert team.request("PUT", f"/v1/sessions/{session_id}/scores/{key}", body).status == 200
    visit = open_console(bob, f"/sessions/{session_id}/score")
    for title, level in (("Quality", "1 · Weak"), ("Tests", "2 · Fair"), ("Recommendation", "2 · No")):
        form_of(visit, title).get_by_label(level, exact=True).check()
    assert visit.page.get_by_text("Solid work.").count() == 0
    save(visit, "Your 3 scores have been saved.")
    visit.page.locator(".scoring-criterion input:focus").wait_for()
    assert visit.shows("You have scored 2 of 2 criteria.")
    assert visit.shows("Total 4.5 of 6 (lowest possible 2)")
    form_of(visit, "Quality").get_by_text("Solid work.").first.wait_for()
    assert visit.shows("To discuss: the scores are two or more levels apart.")
    assert scores_of(team, session_id) == {"quality": [1, 3], "tests": [2, 3], "recommendation": [2]}
    form = form_of(visit, "Tests")
    form.get_by_role("button", name="Withdraw").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Wrong candidate.")
    dialog.get_by_role("button", name="Withdraw").click()
    assert visit.shows("You have scored 1 of 2 criteria.")
    assert visit.is_clean()


def test_the_keyboard_alone_fills_a_scorecard_and_opens_the_next(
    site, team, bob, assessment, session_id, open_console
):
    make_candidate(site, team, assessment).complete()
    other = make_candidate(site, team, assessment)
    other.complete()
    first, second = (entry["sessionId"] for entry in bob.get("/v1/todo")["unscored"]["entries"])
    visit = open_console(bob, f"/sessions/{first}/score?tab=brief").settle()
    keyboard = visit.page.keyboard
    assert visit.page.locator(".selected h3").inner_text() == "Quality"
    for keys in ("3", "j", "2", "j", "4", "k", "k"):
        keyboard.press(keys)
    keyboard.press("Tab")
    keyboard.type("2 calls jumble.")
    keyboard.press("Control+Shift+Enter")
    visit.page.wait_for_url(f"**/sessions/{second}/score?tab=brief")
    assert scores_of(bob, first) == {"quality": [3], "tests": [2], "recommendation": [4]}
    comment = bob.get(f"/v1/sessions/{first}/scores")["criteria"][0]["scores"][0]["comment"]
    assert comment == "2 calls jumble."
    visit.settle()
    for keys in ("1", "j", "1"):
        keyboard.press(keys)
    keyboard.press("Control+Shift+Enter")
    assert visit.shows("You have no other session of this assessment to score.")
    assert scores_of(bob, second) == {"quality": [1], "tests": [1], "recommendation": []}
    assert visit.is_clean()


def test_the_teams_scores_are_shown_on_request_and_mark_later_scores(team, bob, session_id, open_console):
    for key in ("quality", "tests"):
        path = f"/v1/sessions/{session_id}/scores/{key}"
        assert team.request("PUT", path, {"value": 3, "comment": "Solid work."}).status == 200
    visit = open_console(bob, f"/sessions/{session_id}/score")
    visit.page.get_by_role("button", name="Show the team's scores").click()
    dialog = visit.page.get_by_role("dialog")
    assert dialog.get_by_text("are marked as not independent").is_visible()
    dialog.get_by_role("button", name="Show scores").click()
    form_of(visit, "Quality").get_by_text("Solid work.").first.wait_for()
    form_of(visit, "Quality").get_by_label("2 · Fair").check()
    save(visit)
    assert form_of(visit, "Quality").get_by_text("not independent").first.is_visible()
    assert form_of(visit, "Tests").get_by_text("not independent").count() == 0
    assert visit.is_clean()


def test_input_is_restored_after_an_expired_sign_in(bob, session_id, open_console):
    visit = open_console(bob, f"/sessions/{session_id}/score")
    page, quality = visit.page, form_of(visit, "Quality")
    quality.get_by_label("3 · Strong").check()
    quality.get_by_label("Comment").fill("Read it first.")
    page.context.set_extra_http_headers({})
    page.get_by_role("button", name="Save", exact=True).click()
    assert visit.shows("You have been signed out. Sign in again to continue.")
    page.get_by_label("API token").fill(bob.headers["Authorization"].removeprefix("Bearer "))
    page.get_by_role("button", name="Sign in").click()
    assert visit.shows("Your unsaved input has been restored.")
    assert quality.get_by_label("Comment").input_value() == "Read it first."
    save(visit)
    page.reload()
    assert visit.shows("You have scored 1 of 2 criteria.")
    assert page.get_by_text("Not saved yet").count() == 0


def test_a_score_changed_in_another_tab_is_not_overwritten(team, session_id, open_console):
    path = f"/v1/sessions/{session_id}/scores/quality"
    assert team.request("PUT", path, {"value": 1}).status == 200
    visit = open_console(team, f"/sessions/{session_id}/score", width=PHONE)
    form = form_of(visit, "Quality")
    form.get_by_label("3 · Strong").check()
    form.get_by_label("Reason").fill("Read again.")
    form_of(visit, "Tests").get_by_label("3 · Strong").check()
    assert team.request("PUT", path, {"value": 2}).status == 200
    save(visit, "This score changed since you loaded it")
    assert scores_of(team, session_id) == {"quality": [2], "tests": [], "recommendation": []}
    save(visit, "Your 2 scores have been saved.")
    score = team.get(path.removesuffix("/quality"))["criteria"][0]["scores"][0]
    assert (score["value"], score["reason"]) == (3, "Read again.")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_input_is_kept_if_it_fits_a_changed_rubric(team, session_id, rubric, open_console):
    visit = open_console(team, f"/sessions/{session_id}/score")
    quality, tests = (form_of(visit, title) for title in ("Quality", "Tests"))
    quality.get_by_label("3 · Strong").check()
    quality.get_by_label("Comment").fill("Read it first.")
    tests.get_by_label("2 · Fair").check()
    tests.get_by_label("Comment").fill("Wrote none.")
    levels = [*LEVELS[:2], {"value": 3, "label": "Perfect"}]
    criteria = [CRITERIA[0] | {"levels": levels}, {"key": "style", "title": "Style", "levels": LEVELS}]
    assert team.request("PATCH", f"/v1/rubrics/{rubric['id']}", {"criteria": criteria}).status == 200

    save(visit, "The rubric has changed")
    assert visit.shows("Tests: Wrote none.")
    assert quality.get_by_label("Comment").input_value() == "Read it first."
    assert quality.locator("input:checked").count() == 0  # the level has changed
    quality.get_by_label("3 · Perfect").check()
    save(visit)
    (score,) = team.get(f"/v1/sessions/{session_id}/scores")["criteria"][0]["scores"]
    assert [score[name] for name in ("value", "comment", "rubricVersion")] == [3, "Read it first.", 2]


def test_a_concurrent_decision_is_shown_before_it_is_replaced(team, session_id, open_console):
    candidate_id = team.get(f"/v1/sessions/{session_id}")["candidateId"]
    path = f"/v1/candidates/{candidate_id}"
    visit = open_console(team, f"/sessions/{session_id}/score")
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    dialog.get_by_label("Reason", exact=True).fill("No tests.")
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
    assert visit.page.get_by_role("button", name="Save", exact=True).count() == 0
    assert visit.page.get_by_role("radio", disabled=False).count() == 0
    assert visit.is_clean()


def test_evidence_opens_its_place_beside_the_scorecard(team, session_id, open_console):
    (sent,) = team.get(f"/v1/sessions/{session_id}/timeline")["events"]
    body = {"value": 2, "evidence": [sent["id"], "diff:src/app.py:12", "test:test_retry"]}
    assert team.request("PUT", f"/v1/sessions/{session_id}/scores/quality", body).status == 200
    visit = open_console(team, f"/sessions/{session_id}/score")
    evidence = form_of(visit, "Quality").get_by_role("list", name="Evidence")
    evidence.get_by_role("link", name="src/app.py:12").click()
    assert visit.page.get_by_role("tab", name="Diff", selected=True).is_visible()
    evidence.get_by_role("link", name="test_retry").click()
    assert visit.page.get_by_role("tab", name="Tests", selected=True).is_visible()
    evidence.get_by_role("link", name="Prompt: Why does it fail?").click()
    selected = visit.page.get_by_role("region", name="Selected event")
    selected.get_by_text("Why does it fail?").first.wait_for()
    assert visit.page.url.endswith(f"/sessions/{session_id}/score?event={sent['id']}")
    form_of(visit, "Quality").get_by_role("button", name="Remove").first.press("Enter")
    assert evidence.locator("li").count() == 2
    assert visit.is_clean()


def test_a_message_becomes_evidence_for_the_selected_criterion(team, session_id, open_console):
    visit = open_console(team, f"/sessions/{session_id}/score?tab=conversation").settle()
    form_of(visit, "Tests").get_by_label("2 · Fair").check()
    visit.page.get_by_role("button", name="Add as evidence").first.click()
    evidence = form_of(visit, "Tests").get_by_role("list", name="Evidence")
    evidence.get_by_role("link", name="Why does it fail?").wait_for()
    save(visit)
    (sent,) = team.get(f"/v1/sessions/{session_id}/timeline")["events"]
    criteria = team.get(f"/v1/sessions/{session_id}/scores")["criteria"]
    assert [score["evidence"] for row in criteria for score in row["scores"]] == [[sent["id"]]]
