"""The to-do list: each entry has an action, and disappears once it is done."""

import pytest

from tests.browser.conftest import PHONE
from tests.live.cast import ASSESSMENT, Candidate, invite
from tests.live.client import Client

LEVELS = [{"value": value, "label": label} for value, label in ((1, "Weak"), (2, "Fair"), (3, "Strong"))]
RUBRIC = {
    "name": "Engineers",
    "criteria": [{"key": "quality", "title": "Quality", "weight": 1, "levels": LEVELS}],
}
PEOPLE = ["ann@example.com", "ben@example.com", "cem@example.com", "dan@example.com"]
NAMES = ["Ann Early", "Ben Bounced", "Cem Soon", "Dan Gone"]


@pytest.fixture
def person(site, team):
    """`person("reviewer")`: a client with the token of a new person with this role."""

    def person(role, name="Bob"):
        body = {"name": name, "email": f"{name.lower()}@northwind.example", "role": role}
        scope = "read" if role == "observer" else "write"
        owner = team.post("/v1/org/people", body)["person"]["id"]
        token = team.post("/v1/org/tokens", {"name": "Console", "personId": owner, "scopes": [scope]})
        return Client(site.port, Authorization=f"Bearer {token['secret']}")

    return person


@pytest.fixture
def work(site, team):
    """One thing of each kind that can wait; returns the session to score."""
    rubric = team.post("/v1/rubrics", RUBRIC)["rubric"]
    assessment = team.post("/v1/assessments", ASSESSMENT | {"rubricId": rubric["id"]})["assessment"]
    keys = invite(team, assessment, *PEOPLE, candidateNames=NAMES)["keys"]
    soon, leaving = (site.stored_id(key["id"]) for key in keys[2:])
    done = Candidate(site, keys[0])
    done.complete()
    failed = "UPDATE deliveries SET state = 'failed', last_error = '550 No such user' WHERE subject_id = %s"
    site.execute(failed, site.stored_id(keys[1]["id"]))
    expiry = "UPDATE candidate_keys SET expires_at = %s WHERE id = %s"
    site.execute(expiry, site.stored_time(seconds_ago=-3600), soon)
    asked = "UPDATE candidate_keys SET erasure_requested_at = %s WHERE id = %s"
    site.execute(asked, site.stored_time(seconds_ago=60), leaving)
    webhook = team.post("/v1/webhooks", {"url": f"http://127.0.0.1:{site.port}/", "description": "Tracking"})
    failing = "UPDATE webhooks SET failing_since = %s, last_error = 'It responded with 500.' WHERE id = %s"
    site.execute(failing, site.stored_time(seconds_ago=60), site.stored_id(webhook["webhook"]["id"]))
    return done.session_id


def section(visit, title):
    return visit.page.get_by_role("heading", name=title).locator("xpath=ancestor::section")


def test_each_thing_is_listed_and_done_here(open_console, team, assessment, work):
    visit = open_console(team, "/todo")
    assert visit.shows("5 tasks")
    score = section(visit, "To score").get_by_role("link", name="Score")
    assert score.get_attribute("href") == f"#/sessions/{work}/score"
    assert section(visit, "Failing webhooks").get_by_role("link", name="Tracking", exact=True).count() == 1

    section(visit, "Emails not delivered").get_by_role("button", name="Send again").click()
    assert visit.shows("4 tasks")

    section(visit, "Invitations about to expire").get_by_role("button", name="Extend").click()
    visit.page.get_by_label("Days").fill("10")
    visit.page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    assert visit.shows("3 tasks")
    visit.page.get_by_role("button", name="Undo").click()
    assert visit.shows("4 tasks")

    section(visit, "Erasure requests").get_by_role("button", name="Erase data").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Erase permanently").click()
    assert visit.shows("3 tasks")
    assert "Dan Gone" not in str([key["candidateName"] for key in team.get("/v1/candidates")["candidates"]])
    assert visit.is_clean()


def test_a_reviewer_sees_neither_webhooks_nor_erasures(open_console, person, work):
    visit = open_console(person("reviewer"), "/todo", width=PHONE)
    assert visit.shows("3 tasks")
    headings = visit.page.locator("main h2").all_inner_texts()
    assert [heading.split(" ")[0] for heading in headings] == ["To", "Emails", "Invitations"]
    assert visit.is_clean()


def test_the_page_says_that_all_is_done_or_that_there_is_nothing_to_do(open_console, team, person):
    visit = open_console(team, "/todo")
    assert visit.shows("All done")
    assert visit.is_clean()
    visit = open_console(person("observer", "Olga"), "/todo")
    assert visit.shows("Your role does not include changes")
    assert visit.is_clean()
