"""The page after submission: the session's status, and how long the data is kept."""

import pytest

from tests.browser.conftest import DESKTOP, PHONE

SUBMITTED = "Thank you. We have received your work."
NOT_FOUND = "Session not found"


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_submitted_session_is_shown_and_key_leaves_the_address(open_visit, website, session_id, key, width):
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    visit = open_visit(f"/replay/{session_id}?key={key}", width)
    assert visit.heading() == SUBMITTED
    facts = visit.page.locator("dl").inner_text()
    assert "Submitted" in facts
    assert "Europe/Berlin" in facts
    assert visit.page.locator("[data-fill=events]").inner_text() == "2"
    assert visit.shows("Northwind Traders keeps your work")
    assert visit.page.url == f"{visit.address}/replay/{session_id}"
    assert visit.is_clean()


def test_retention_date_is_shown(open_visit, reviewer, website, session_id, key):
    assert reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": 90}).status == 200
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    visit = open_visit(f"/replay/{session_id}?key={key}", PHONE)
    assert visit.heading() == SUBMITTED
    retention = visit.page.locator("[data-fill=retention]").inner_text()
    reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": None})
    assert retention.startswith("until ")
    assert "no date" not in retention


def test_open_session_is_shown_as_open(open_visit, session_id, key):
    visit = open_visit(f"/replay/{session_id}?key={key}", PHONE)
    assert visit.heading() == "Your session is still open"


def test_session_closed_by_a_reviewer_is_shown_as_closed(open_visit, reviewer, session_id, key):
    assert reviewer.post(f"/v1/sessions/{session_id}/close").status == 200
    visit = open_visit(f"/replay/{session_id}?key={key}")
    assert visit.heading() == "Thank you. The time is up."


@pytest.mark.parametrize("query", ["", "?key=PST-AAAA-AAAA", "?key="])
def test_wrong_or_missing_key_shows_nothing(open_visit, session_id, query):
    visit = open_visit(f"/replay/{session_id}{query}", PHONE)
    assert visit.heading() == NOT_FOUND
    assert "Northwind" not in visit.page.locator("main").inner_text()
    assert visit.page.url == f"{visit.address}/replay/{session_id}"


def test_unknown_session_shows_nothing(open_visit, key):
    assert open_visit(f"/replay/nonsense?key={key}").heading() == NOT_FOUND
