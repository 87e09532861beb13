"""The page that the candidate's client prints at the end: thanks, the session's state, and what becomes of the data."""

import pytest

from tests.browser.conftest import NARROW, WIDE


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_thanks_and_takes_the_key_out_of_the_address(open_visit, website, session_id, key, width):
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    visit = open_visit(f"/replay/{session_id}?key={key}", width)
    assert visit.heading() == "Thank you. Your work has arrived."
    facts = visit.page.locator("dl").inner_text()
    assert "Submitted" in facts
    assert "Europe/Berlin" in facts
    assert visit.page.locator("[data-fill=events]").inner_text() == "2"
    assert visit.page.locator("text=Northwind Traders keeps your work").is_visible()
    assert visit.page.url == f"{visit.address}/replay/{session_id}"
    assert visit.is_sound()


def test_it_says_until_when_the_data_is_kept(open_visit, reviewer, website, session_id, key):
    assert reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": 90}).status == 200
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    visit = open_visit(f"/replay/{session_id}?key={key}", NARROW)
    assert visit.heading() == "Thank you. Your work has arrived."
    until = visit.page.locator("[data-fill=kept]").inner_text()
    reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": None})
    assert until.startswith("until ")
    assert "no date" not in until


def test_an_open_session_is_said_to_be_open(open_visit, session_id, key):
    visit = open_visit(f"/replay/{session_id}?key={key}", NARROW)
    assert visit.heading() == "Your session is still open"


def test_a_session_closed_by_a_reviewer_reads_as_closed(open_visit, reviewer, session_id, key):
    assert reviewer.post(f"/v1/sessions/{session_id}/close").status == 200
    visit = open_visit(f"/replay/{session_id}?key={key}")
    assert visit.heading() == "Thank you. The time is over."


@pytest.mark.parametrize("query", ["", "?key=PST-AAAA-AAAA", "?key="])
def test_without_the_right_key_it_shows_nothing(open_visit, session_id, query):
    visit = open_visit(f"/replay/{session_id}{query}", NARROW)
    assert visit.heading() == "There is nothing to see here"
    assert "Northwind" not in visit.page.locator("main").inner_text()
    assert visit.page.url == f"{visit.address}/replay/{session_id}"


def test_an_address_that_is_no_session_shows_nothing(open_visit, key):
    assert open_visit(f"/replay/nonsense?key={key}").heading() == "There is nothing to see here"
