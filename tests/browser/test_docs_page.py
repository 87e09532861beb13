"""The docs page: it shows every operation, and trying one out works with either credential."""

import pytest

from tests.browser.conftest import NARROW, WIDE

METHODS = {"get", "post", "put", "patch", "delete"}
ME = "#operations-Organization-getMe"


@pytest.mark.parametrize("width", [WIDE, pytest.param(NARROW, marks=pytest.mark.slow)])
def test_it_shows_every_operation_and_asks_nobody_else(open_visit, website, width):
    visit = open_visit("/docs", width)
    visit.page.wait_for_selector(".opblock")
    document = website.anonymous.get("/openapi.json").json
    assert visit.page.locator(".opblock").count() == sum(
        len(METHODS & item.keys()) for item in document["paths"].values()
    )
    operation = visit.page.locator("#operations-Candidates-listCandidates")
    operation.locator(".opblock-summary-control").click()
    operation.locator("text=Maximum number of results").wait_for()
    assert operation.locator("tr.response").count() >= 3
    assert visit.is_sound()


def test_a_reviewers_token_can_be_tried(open_visit, reviewer):
    token = reviewer.headers["Authorization"].removeprefix("Bearer ")
    answer = try_me(open_visit("/docs"), "reviewerToken", token)
    assert "200" in answer
    assert "Northwind Traders" in answer


@pytest.mark.slow
def test_a_candidates_key_can_be_tried(open_visit, key):
    answer = try_me(open_visit("/docs"), "candidateKey", key)
    assert "200" in answer
    assert '"candidate"' in answer


def test_the_policy_lets_no_other_script_run(open_visit):
    visit = open_visit("/start")
    visit.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.intruded = 1'}))"
    )
    assert visit.page.evaluate("window.intruded") is None
    assert "Content Security Policy" in visit.messages[0]


def try_me(visit, scheme, credential):
    """Authorize, try `GET /v1/me`, and return what the page shows as the answer."""
    page = visit.page
    page.locator(".btn.authorize").click()
    form = page.locator(".auth-container", has_text=scheme)
    form.locator("input").fill(credential)
    form.locator("button.authorize").click()
    page.locator(".close-modal").click()
    page.locator(f"{ME} .opblock-summary-control").click()
    page.locator(f"{ME} .try-out__btn").click()
    page.locator(f"{ME} .execute").click()
    answer = page.locator(f"{ME} .live-responses-table tbody").inner_text()
    assert visit.is_sound()
    return answer
