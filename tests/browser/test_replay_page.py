"""The page after submission: the session's status and its data's retention."""

import pytest

from tests.browser.conftest import DESKTOP, PHONE


def complete(website, session_id, key):
    body = {"key": key, "sessionId": session_id}
    assert website.anonymous.post("/v1/candidate/complete", body).status == 200


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_submitted_session_is_shown_and_key_is_removed_from_the_address(
    open_visit, website, session_id, key, width
):
    complete(website, session_id, key)
    visit = open_visit(f"/replay/{session_id}?key={key}", width)
    assert visit.heading() == "Thank you. We have received your work."
    details = visit.page.locator("dl").inner_text()
    assert "Submitted" in details
    assert "Europe/Berlin" in details
    assert visit.page.locator("[data-fill=events]").inner_text() == "2"
    assert visit.shows("Northwind Traders keeps your work")
    assert visit.page.url == f"{visit.address}/replay/{session_id}"
    assert visit.is_clean()


def test_retention_date_is_shown(open_visit, reviewer, website, session_id, key):
    assert reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": 90}).status == 200
    complete(website, session_id, key)
    retention = open_visit(f"/replay/{session_id}?key={key}").page.locator("[data-fill=retention]:visible")
    assert retention.inner_text().startswith("until ")
    reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": None})


def test_open_and_expired_sessions_are_shown(open_visit, reviewer, session_id, key):
    path = f"/replay/{session_id}?key={key}"
    visit = open_visit(path, PHONE)
    assert visit.heading() == "Your session is still open"
    assert visit.shows("for its retention period, if it has one, starting when your session closes")
    assert reviewer.post(f"/v1/sessions/{session_id}/close").status == 200
    assert open_visit(path).heading() == "Thank you. Your session is closed."


@pytest.mark.parametrize("path", ["{}?key=PST-AAAA-AAAA", "{}", "{}?key=", "nonsense?key={}"])
def test_invalid_key_or_unknown_session_is_not_found(open_visit, session_id, key, path):
    path = "/replay/" + path.format(key if "nonsense" in path else session_id)
    visit = open_visit(path, PHONE)
    assert visit.heading() == "Session not found"
    assert "Northwind" not in visit.page.locator("main").inner_text()
    assert visit.page.url == visit.address + path.partition("?")[0]
