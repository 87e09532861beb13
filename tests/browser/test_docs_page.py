"""The docs page lists every operation, and either credential can try one."""

import pytest

from tests.browser.conftest import DESKTOP, PHONE

METHODS = {"get", "post", "put", "patch", "delete"}
ME = "#operations-Organization-getMe"


@pytest.mark.parametrize("width", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)])
def test_docs_page_lists_every_operation(open_visit, website, width):
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
    assert visit.is_clean()


def test_api_token_can_try_an_operation(open_visit, reviewer):
    token = reviewer.headers["Authorization"].removeprefix("Bearer ")
    response = try_me(open_visit("/docs"), "reviewerToken", token)
    assert "200" in response
    assert "Northwind Traders" in response


@pytest.mark.slow
def test_candidate_key_can_try_an_operation(open_visit, key):
    response = try_me(open_visit("/docs"), "candidateKey", key)
    assert "200" in response
    assert '"candidate"' in response


def test_policy_blocks_injected_scripts(open_visit):
    visit = open_visit("/start")
    visit.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.intruded = 1'}))"
    )
    assert visit.page.evaluate("window.intruded") is None
    assert "Content Security Policy" in visit.messages[0]


def try_me(visit, scheme, credential):
    """Authorize, execute `GET /v1/me`, and return the response as the page shows it."""
    page = visit.page
    page.locator(".btn.authorize").click()
    form = page.locator(".auth-container", has_text=scheme)
    form.locator("input").fill(credential)
    form.locator("button.authorize").click()
    page.locator(".close-modal").click()
    page.locator(f"{ME} .opblock-summary-control").click()
    page.locator(f"{ME} .try-out__btn").click()
    page.locator(f"{ME} .execute").click()
    response = page.locator(f"{ME} .live-responses-table tbody").inner_text()
    assert visit.is_clean()
    return response
