"""The console's assessment list, and creating and editing an assessment."""

import re

from tests.browser.console.conftest import RUBRIC
from tests.browser.console.organization import add_person
from tests.live.cast import ASSESSMENT, Candidate, invite, make_candidate

PROBLEM = {"title": "Orders are lost", "taskBrief": "Find the lost orders.", "description": "A race."}


def test_an_empty_list_explains_the_first_steps(open_console, team):
    visit = open_console(team)
    assert visit.shows("Create your first assessment")
    assert visit.page.locator(".first-start li h3").all_inner_texts() == ["Create", "Invite", "Review"]
    visit.page.get_by_role("link", name="New assessment").click()
    visit.page.get_by_role("heading", name="New assessment").wait_for()
    assert visit.is_clean()


def test_the_list_shows_funnel_and_tasks_and_hides_forbidden_actions(site, open_console, team):
    rubric = team.post("/v1/rubrics", RUBRIC)["rubric"]
    assessment = team.post("/v1/assessments", ASSESSMENT | {"rubricId": rubric["id"]})["assessment"]
    keys = invite(team, assessment, *[f"{name}@example.com" for name in ("alice", "bob", "carol")])["keys"]
    Candidate(site, keys[0]).complete()
    site.execute("UPDATE deliveries SET state = 'failed' WHERE address = 'carol@example.com'")
    visit = open_console(team)
    row = visit.page.locator(".assessment-row")
    row.locator("text=3 invited").wait_for()
    texts = row.locator("svg text").all_text_contents()
    assert texts == ["3 invited", "1 started", "1 completed", "0 reviewed", "0 hired"]
    assert row.locator(".waiting li").all_inner_texts() == ["1 without a team score", "1 email failed"]
    requests = [url for url in visit.requests if "/v1/" in url]
    assert len(requests) == 4, requests
    assert visit.is_clean()
    visit = open_console(add_person(team, "Olga", "observer"), width=390)
    visit.page.locator(".assessment-row").wait_for()
    assert visit.page.get_by_role("button", name="Invite").count() == 0
    assert visit.page.get_by_role("link", name=re.compile("Edit|New assessment")).count() == 0
    visit.page.get_by_role("link", name=f"Details: {assessment['title']}").click()
    visit.shows("you need the role reviewer or admin")
    assert visit.page.get_by_label("Title", exact=True).is_disabled()
    assert visit.page.get_by_label("Invitation valid for (days)").is_disabled()
    assert visit.page.locator("main button:enabled").count() == 0
    assert visit.is_clean()


def test_create_an_assessment_from_a_problem_with_a_rubric_and_a_preview(open_console, team):
    team.post("/v1/issues", PROBLEM)
    visit = open_console(team, "/assessments/new")
    page = visit.page
    page.get_by_role("button", name="Choose a problem").click()
    page.get_by_role("searchbox").fill("lost")
    page.get_by_role("radio", name=re.compile("Orders are lost")).check()
    page.get_by_role("button", name="Use this problem").click()
    preview = page.locator(".preview")
    preview.get_by_text("Find the lost orders.").wait_for()
    page.get_by_label("Title", exact=True).fill("Lost orders")
    page.get_by_label("Time limit (minutes)").fill("90")
    assert preview.locator(".preview-title").inner_text() == "Lost orders"
    assert preview.get_by_text("1 h 30 min").is_visible()
    assert preview.get_by_text("Northwind Traders").is_visible()
    page.get_by_role("button", name="Create a rubric").click()
    page.get_by_role("button", name="Create rubric").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Create assessment").click()
    assert page.locator("input[name=role] + .field-error").inner_text() == "Required."
    visit.messages.clear()  # the browser reports the status 400
    page.get_by_label("Role").fill("Engineer")
    assert visit.shows("Candidates cannot use any AI tool")
    page.get_by_label("Codex").uncheck()
    page.get_by_label("Repository").fill("https://example.com/orders")
    page.get_by_label("Start commit").fill("1" * 40)
    page.get_by_role("button", name="Create assessment").click()
    visit.shows("Lost orders has been created.")
    (assessment,) = team.get("/v1/assessments")["assessments"]
    assert (assessment["repoUrl"], assessment["repoCommit"]) == ("https://example.com/orders", "1" * 40)
    names = ("title", "taskBrief", "timeLimitMinutes", "allowedTools")
    assert [assessment[name] for name in names] == ["Lost orders", "Find the lost orders.", 90, ["claude"]]
    assert assessment["issue"]["title"] == "Orders are lost"
    assert len(team.get(f"/v1/rubrics/{assessment['rubricId']}")["rubric"]["criteria"]) == 3
    assert visit.is_clean()


def test_a_draft_is_restored_and_a_copy_is_prefilled(open_console, team, assessment):
    visit = open_console(team, "/assessments/new")
    page = visit.page
    page.get_by_label("Role").fill("Data engineer")
    page.get_by_role("button", name="Create a rubric").click()
    page.get_by_role("button", name="Create rubric").click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="New assessment").click()
    visit.shows("Your draft has been restored.")
    assert page.get_by_label("Role").input_value() == "Data engineer"
    assert page.locator("[name=rubricId]").input_value() == team.get("/v1/rubrics")["rubrics"][0]["id"]
    page.get_by_role("button", name="Start over").click()
    page.locator("input[name=role]").and_(page.locator("[value='']")).wait_for()
    page.goto(f"{visit.address}/console#/assessments/{assessment['id']}/edit")
    page.get_by_role("link", name="Copy").click()
    page.get_by_role("heading", name="New assessment").wait_for()
    page.locator("input[name=title]").and_(page.locator(f"[value='{assessment['title']}']")).wait_for()
    assert page.get_by_label("Time limit (minutes)").input_value() == "90"
    assert visit.is_clean()


def test_an_edits_draft_is_restored_unless_the_assessment_has_changed(site, open_console, team, assessment):
    make_candidate(site, team, assessment)
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    page, days = visit.page, visit.page.get_by_label("Invitation valid for (days)")
    days.fill("12")
    page.reload()
    visit.shows("Your draft has been restored.")
    assert days.input_value() == "12"
    assert page.get_by_label("Title", exact=True).input_value() == assessment["title"]
    team.request("PATCH", f"/v1/assessments/{assessment['id']}", {"blind": True})
    page.reload()
    page.get_by_role("checkbox", name="Hide names", checked=True).wait_for()
    assert days.input_value() == str(assessment["expiresInDays"])
    assert visit.is_clean()


def test_saving_a_structured_brief_sends_only_changes(open_console, team, assessment):
    path = f"/v1/assessments/{assessment['id']}"
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    page = visit.page
    page.get_by_text("Structured brief").click()
    page.get_by_label("Scenario").fill("Orders disappear.")
    page.get_by_role("button", name="Add a step").click()
    step = page.get_by_role("group", name="Step 1")
    step.get_by_label("Name").fill("Find the cause")
    step.get_by_label("Tasks").fill("Reproduce it.\nWrite a test.")
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {
        "brief": {
            "scenario": "Orders disappear.",
            "phases": [{"name": "Find the cause", "tasks": ["Reproduce it.", "Write a test."]}],
        }
    }
    visit.shows("has been saved.")
    assert team.get(path)["assessment"]["brief"]["scenario"] == "Orders disappear."
    assert visit.is_clean()


def test_a_concurrent_change_is_not_overwritten(open_console, team, assessment):
    path = f"/v1/assessments/{assessment['id']}"
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    page = visit.page
    page.get_by_label("Title", exact=True).fill("Mine")
    team.request("PATCH", path, {"title": "Theirs"})
    page.get_by_role("button", name="Save").click()
    visit.shows("Someone else changed this assessment")
    visit.messages.clear()  # the browser reports the status 412
    page.get_by_role("button", name="Load the current version").click()
    page.locator("input[name=title]").and_(page.locator("[value=Theirs]")).wait_for()
    assert team.get(path)["assessment"]["title"] == "Theirs"
    assert visit.is_clean()


def test_fields_that_candidates_have_seen_are_disabled(site, open_console, team, assessment):
    Candidate(site, invite(team, assessment, "alice@example.com")["keys"][0])
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    page = visit.page
    visit.shows("A candidate has started, so")
    page.get_by_text("Locked fields").click()
    assert page.get_by_label("Title", exact=True).is_disabled()
    page.get_by_label("Invitation valid for (days)").fill("14")
    page.get_by_role("button", name="Save").click()
    visit.shows("has been saved.")
    assert team.get(f"/v1/assessments/{assessment['id']}")["assessment"]["expiresInDays"] == 14
    assert visit.is_clean()


def test_archiving_can_be_undone_and_deleting_is_confirmed(open_console, team, assessment):
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    page = visit.page
    page.get_by_role("button", name="Archive").click()
    page.get_by_text("No assessments match").wait_for()
    page.get_by_label("Show 1 archived").check()
    page.get_by_role("button", name=f"Restore: {assessment['title']}").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name=f"Invite: {assessment['title']}").wait_for()
    page.get_by_role("link", name=f"Edit: {assessment['title']}").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    visit.shows("Create your first assessment")
    assert team.get("/v1/assessments")["assessments"] == []
    assert visit.is_clean()
