"""Input that a lost response, a colleague's change, or leaving a page must not lose or repeat."""

import pytest

from tests.browser.console.conftest import RUBRIC, add_person, add_rubric
from tests.live.cast import ASSESSMENT, invite, make_candidate


def test_a_request_whose_response_was_lost_is_not_repeated(open_console, team):
    lost = []

    def respond(route):
        if lost or route.request.method != "POST":
            return route.continue_()
        lost.append(route.fetch())
        return route.abort()

    visit = open_console(team, "/rubrics/new", before=lambda page: page.route("**/v1/rubrics", respond))
    visit.page.get_by_label("Name").fill("Engineers")
    visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Could not reach the service")
    visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Version 1 of “Engineers” was saved.")
    assert [response.status for response in lost] == [201]
    assert len(team.get("/v1/rubrics")["rubrics"]) == 1


def test_the_same_request_later_is_a_new_one(open_console, team):
    """Such as a second reminder on the same day."""

    def open_form(page):
        page.clock.install()
        page.route("**/v1/rubrics", lambda route: (route.fetch(), route.abort()), times=1)

    visit = open_console(team, "/rubrics/new", before=open_form)
    visit.page.get_by_label("Name").fill("Engineers")
    visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Could not reach the service")
    visit.page.clock.fast_forward("11:00")
    visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Version 1 of “Engineers” was saved.")
    assert len(team.get("/v1/rubrics")["rubrics"]) == 2


@pytest.mark.parametrize(
    ("status", "body"), [(502, {}), (409, {"code": "in_progress", "error": "Still running."})]
)
def test_a_request_with_an_unknown_outcome_is_not_repeated(open_console, team, status, body):
    stored = []

    def respond(route):
        if len(stored) == 2 or route.request.method != "POST":
            return route.continue_()
        stored.append(route.fetch().status)
        return route.fulfill(status=status, json=body)

    visit = open_console(team, "/rubrics/new", before=lambda page: page.route("**/v1/rubrics", respond))
    visit.page.get_by_label("Name").fill("Engineers")
    for _ in range(3):
        with visit.page.expect_response("**/v1/rubrics"):
            visit.page.get_by_role("button", name="Create rubric").click()
    assert visit.shows("Version 1 of “Engineers” was saved.")
    assert len(team.get("/v1/rubrics")["rubrics"]) == 1


RETRY = """async (seconds) => {
  const { retryWhenBusy } = await import("/console/shared/api.js");
  let calls = 0;
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  const send = () => { calls += 1; throw { code: "too_many_requests", retrySeconds: seconds }; };
  const name = await Promise.race([
    retryWhenBusy(send, controller.signal).catch((error) => error.name ?? error.code),
    new Promise((resolve) => setTimeout(resolve, 2000, "asleep")),
  ]);
  return [name, calls];
}"""


def test_a_rate_limit_is_not_awaited_and_leaving_ends_the_wait(open_console, team):
    visit = open_console(team).settle()
    assert visit.page.evaluate(RETRY, 3600) == ["too_many_requests", 1]
    assert visit.page.evaluate(RETRY, 5) == ["AbortError", 1]


def test_a_new_repository_keeps_commit_setup_and_tools_of_the_form(open_console, team):
    task = {"repoUrl": "https://github.com/example/a", "repoCommit": "a" * 40, "setupInstructions": "make"}
    body = ASSESSMENT | task | {"allowedTools": ["claude", "codex"]}
    assessment = team.post("/v1/assessments", body)["assessment"]
    visit = open_console(team, f"/assessments/{assessment['id']}/edit")
    visit.page.get_by_label("Repository", exact=True).fill("https://github.com/example/b")
    visit.page.get_by_role("button", name="Save").click()
    assert visit.shows("has been saved.")
    saved = team.get(f"/v1/assessments/{assessment['id']}")["assessment"]
    expected = task | {"repoUrl": "https://github.com/example/b", "allowedTools": ["claude", "codex"]}
    assert {name: saved[name] for name in expected} == expected


def test_a_colleagues_change_of_a_role_is_kept(open_console, team):
    add_person(team, "Bob")
    visit = open_console(team, "/organization/people").settle()
    visit.page.get_by_role("button", name="Change: Bob").click()
    (bob,) = team.get("/v1/org/people")["people"]
    assert team.request("PATCH", f"/v1/org/people/{bob['id']}", {"role": "observer"}).status == 200
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Robert")
    dialog.get_by_role("button", name="Save").click()
    visit.page.get_by_role("cell", name="Robert").wait_for()
    (person,) = team.get("/v1/org/people")["people"]
    assert (person["name"], person["role"]) == ("Robert", "observer")


def test_a_rubric_that_a_colleague_has_changed_can_be_loaded_again(open_console, team):
    rubric = team.post("/v1/rubrics", RUBRIC)["rubric"]
    visit = open_console(team, f"/rubrics/{rubric['id']}").settle()
    assert team.request("PATCH", f"/v1/rubrics/{rubric['id']}", {"name": "Theirs"}).status == 200
    visit.page.get_by_label("Name").fill("Mine")
    visit.page.get_by_role("button", name="Save as version 2").click()
    assert visit.shows("Someone else changed this rubric")
    visit.page.get_by_role("button", name="Load the current version").click()
    visit.page.get_by_role("button", name="Save as version 3").wait_for()
    assert visit.page.get_by_label("Name").input_value() == "Theirs"


def test_a_note_is_kept_when_the_page_is_left(site, open_console, team, assessment):
    candidate = make_candidate(site, team, assessment)
    visit = open_console(team, f"/sessions/{candidate.session_id}").settle()
    visit.page.get_by_label("New note").fill("She explained it well.")
    visit.go("/assessments").settle()
    visit.go(f"/sessions/{candidate.session_id}").settle()
    assert visit.page.get_by_label("New note").input_value() == "She explained it well."
    visit.page.get_by_role("button", name="Add note").click()
    visit.page.locator(".notes li", has_text="She explained it well.").wait_for()
    assert visit.page.get_by_label("New note").input_value() == ""


@pytest.mark.parametrize("name", ["Ann  Lee", "Ann\u00a0Lee", "Zoe\u0308"])
def test_a_name_with_unusual_characters_can_be_confirmed(open_console, team, assessment, name):
    key = invite(team, assessment, "ann@example.com")["keys"][0]
    assert team.request("PATCH", f"/v1/candidates/{key['id']}", {"candidateName": name}).status == 200
    assert team.request("POST", f"/v1/candidates/{key['id']}/invite").status == 200
    visit = open_console(team, f"/assessments/{assessment['id']}?view=all").settle()
    visit.page.locator("tbody .menu-button").click()
    visit.page.get_by_role("menuitem", name="Erase data").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.locator("[name=typed]").fill("Zoë" if name.startswith("Z") else "Ann Lee")
    dialog.get_by_role("button", name="Erase", exact=True).click()
    assert visit.shows("The data has been erased.")


def test_a_decision_shows_the_teams_scores(site, open_console, team, bob, assessment):
    add_rubric(team, assessment)
    candidate = make_candidate(site, team, assessment)
    candidate.complete()
    path = f"/v1/sessions/{candidate.session_id}/scores/quality"
    assert team.request("PUT", path, {"value": 3}).status == 200
    visit = open_console(bob, f"/sessions/{candidate.session_id}").settle()
    assert visit.shows("Not visible yet")
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Advanced")
    dialog.get_by_role("button", name="Save").click()
    assert visit.shows("3 of 3")
    visit.page.wait_for_function("document.activeElement.textContent === 'Change the decision'")
