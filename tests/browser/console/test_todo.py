"""The to-do list: each task has an action, and disappears when it is done."""

import pytest

from tests.browser.conftest import PHONE
from tests.browser.console.conftest import add_rubric
from tests.browser.console.organization import add_person
from tests.live.cast import Candidate, invite

PEOPLE = ["ann@example.com", "ben@example.com", "cem@example.com", "dan@example.com"]
NAMES = ["Ann Early", "Ben Bounced", "Cem Soon", "Dan Gone"]


@pytest.fixture
def session_to_score(site, team, assessment):
    """The id of a session to score, with one task of each other kind."""
    add_rubric(team, assessment)
    keys = invite(team, assessment, *PEOPLE, candidateNames=NAMES)["keys"]
    expiring_id, erasing_id = (site.stored_id(key["id"]) for key in keys[2:])
    completed = Candidate(site, keys[0])
    completed.complete()
    failed = "UPDATE deliveries SET state = 'failed', last_error = '550 No such user' WHERE subject_id = %s"
    site.execute(failed, site.stored_id(keys[1]["id"]))
    site.execute("UPDATE deliveries SET state = 'sent' WHERE subject_id = %s", expiring_id)
    expiry = "UPDATE candidate_keys SET expires_at = %s WHERE id = %s"
    site.execute(expiry, site.stored_time(seconds_ago=-3600), expiring_id)
    erasure = "UPDATE candidate_keys SET erasure_requested_at = %s WHERE id = %s"
    for candidate_id in (expiring_id, erasing_id):
        site.execute(erasure, site.stored_time(seconds_ago=60), candidate_id)
    webhook = team.post("/v1/webhooks", {"url": f"http://127.0.0.1:{site.port}/", "description": "Tracking"})
    failing = "UPDATE webhooks SET failing_since = %s, last_error = 'It responded with 500.' WHERE id = %s"
    site.execute(failing, site.stored_time(seconds_ago=60), site.stored_id(webhook["webhook"]["id"]))
    return completed.session_id


def section(visit, title):
    return visit.page.get_by_role("heading", name=title).locator("xpath=ancestor::section")


def test_tasks_disappear_when_done(open_console, team, session_to_score):
    visit = open_console(team, "/todo")
    assert visit.shows("6 items")
    score = section(visit, "To score").get_by_role("link", name="Score")
    assert score.get_attribute("href") == f"#/sessions/{session_to_score}/score"
    assert section(visit, "Failing webhooks").get_by_role("link", name="Tracking", exact=True).count() == 1

    section(visit, "Emails not delivered").get_by_role("button", name="Resend").click()
    assert visit.shows("5 items")

    section(visit, "Invitations about to expire").get_by_role("button", name="Extend").click()
    visit.page.get_by_label("Days").fill("10")
    visit.page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    assert visit.shows("4 items")
    visit.page.get_by_role("button", name="Undo").click()
    assert visit.shows("5 items")

    section(visit, "Erasure requests").get_by_role("button", name="Dismiss: Cem Soon").click()
    visit.page.get_by_label("Reason").fill("You told us that you did not send it.")
    visit.page.get_by_role("dialog").get_by_role("button", name="Dismiss the request").click()
    assert visit.shows("The erasure request of Cem Soon was dismissed.")
    assert visit.shows("4 items")

    section(visit, "Erasure requests").get_by_role("button", name="Erase data").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("To confirm, type: Dan Gone").fill("Dan Gone")
    dialog.get_by_role("button", name="Erase").click()
    assert visit.shows("3 items")
    assert "Dan Gone" not in str([key["candidateName"] for key in team.get("/v1/candidates")["candidates"]])
    assert visit.is_clean()


@pytest.mark.usefixtures("session_to_score")
def test_reviewers_do_not_see_webhooks_and_erasures(open_console, bob):
    visit = open_console(bob, "/todo", width=PHONE)
    assert visit.shows("3 items")
    headings = visit.page.locator("main h2").all_inner_texts()
    assert [heading.split(" ")[0] for heading in headings] == ["To", "Emails", "Invitations"]
    assert visit.is_clean()


def test_an_empty_list_depends_on_the_role(open_console, team):
    visit = open_console(team, "/todo")
    assert visit.shows("All done")
    assert visit.is_clean()
    visit = open_console(add_person(team, "Olga", "observer"), "/todo")
    assert visit.shows("Your role does not include changes")
    assert visit.is_clean()
