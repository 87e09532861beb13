"""The docs page lists every operation, and can call one with either credential."""

from collections import Counter

import pytest

from tests.browser.conftest import DESKTOP, PHONE

METHODS = {"get", "post", "put", "patch", "delete"}
ME = "#operations-Organization-getMe"


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "reviewerToken"), (PHONE, "candidateKey")])
def test_docs_page_lists_operations_and_can_call_one(open_visit, website, reviewer, key, width, scheme):
    visit = open_visit("/docs", width)
    page = visit.page
    page.wait_for_selector(".opblock-tag")
    document = website.anonymous.get("/openapi.json").json
    tags = Counter(
        operation["tags"][0]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    )
    assert page.locator(".opblock-tag").count() == len(tags) + 1  # and the webhooks
    for tag in ("Candidates", "Organization"):
        page.locator(f".opblock-tag[data-tag='{tag}'] button").press("Enter")
        page.wait_for_function(
            "([tag, n]) => document.querySelectorAll(`[id^='operations-${tag}-']`).length === n",
            arg=[tag, tags[tag]],
        )
    operation = page.locator("#operations-Candidates-listCandidates")
    operation.locator(".opblock-summary-control").click()
    operation.locator("text=Maximum number of results").wait_for()
    assert operation.locator("tr.response").count() >= 3

    token = reviewer.headers["Authorization"].removeprefix("Bearer ")
    credential, text = (token, "Northwind Traders") if scheme == "reviewerToken" else (key, '"candidate"')
    page.locator(".btn.authorize").click()
    form = page.locator(".auth-container", has_text=scheme)
    form.locator("input").fill(credential)
    form.locator("button.authorize").click()
    page.locator(".close-modal").click()
    for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
        page.locator(f"{ME} {button}").click()
    response = page.locator(f"{ME} .live-responses-table tbody").inner_text()
    assert "200" in response
    assert text in response
    assert visit.is_clean()


def test_links_open_their_operation(open_visit):
    page = open_visit("/docs#/Scores/putScore").page
    page.locator("#operations-Scores-putScore .parameters").first.wait_for()
    page.wait_for_function(
        """() => {
            const summary = document.querySelector("#operations-Scores-putScore .opblock-summary-path");
            const {left, top} = summary.getBoundingClientRect();
            return summary.contains(document.elementFromPoint(left + 5, top + 5));
        }"""
    )


def test_policy_blocks_injected_scripts(open_visit):
    visit = open_visit("/start")
    script = "Object.assign(document.createElement('script'), {textContent: 'window.hacked = 1'})"
    visit.page.evaluate(f"document.body.append({script})")
    assert visit.page.evaluate("window.hacked") is None
    assert "Content Security Policy" in visit.messages[0]
