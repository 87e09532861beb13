"""The page behind an invitation's link: from key to consent to commands."""

import json

import pytest

from tests.browser.conftest import DESKTOP, PHONE, PUBLIC_ADDRESS

COMMAND = "[data-part=commands] pre:visible >> nth=1"
TITLE = "Backend API Challenge"


@pytest.fixture
def agreed_key(website, key) -> str:
    """A key whose candidate has agreed to the current disclosure."""
    shown = website.candidate(key).get("/v1/candidate/consent")["disclosureHash"]
    website.anonymous.post("/v1/candidate/consent", {"key": key, "disclosureHash": shown})
    return key


def has_agreed(website, key) -> bool:
    return website.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"]


def start_command(key) -> str:
    return f"PROMPTSTER_API_URL={PUBLIC_ADDRESS} PROMPTSTER_APP_URL={PUBLIC_ADDRESS} promptster start {key}"


@pytest.mark.parametrize("width", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.slow)])
def test_page_leads_from_key_to_consent_to_command(open_visit, website, key, width):
    visit = open_visit(f"/start#{key}", width)
    page = visit.page
    assert visit.heading() == TITLE
    assert page.locator(".company").inner_text() == "Northwind Traders"
    for text in ("1 hour 30 minutes", "Europe/Berlin", "Your screen, camera or microphone"):
        assert visit.shows(text)
    assert not page.locator("[data-part=commands]").is_visible()
    page.get_by_role("button", name="Agree and continue").click()
    assert page.evaluate("document.querySelector('[data-consent] input').validity.valueMissing")
    assert not has_agreed(website, key)
    assert visit.is_clean()

    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    assert page.locator(COMMAND).inner_text() == start_command(key)
    assert visit.shows("npm install -g @promptster/cli")
    assert visit.shows("the clock start when you run the start command")
    assert has_agreed(website, key)
    assert visit.is_clean()


def test_page_works_with_the_keyboard_alone(open_visit, key):
    page = open_visit(f"/start#{key}").page
    page.locator("h1:visible").wait_for()
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(COMMAND).wait_for()
    assert page.evaluate("document.activeElement.textContent") == "How to start"


def test_command_can_be_copied_and_is_powershell_on_windows(open_visit, agreed_key):
    page = open_visit(f"/start#{agreed_key}", permissions=["clipboard-read", "clipboard-write"]).page
    page.locator("[data-part=commands] .copy:visible >> nth=1").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == start_command(agreed_key)
    page.get_by_role("radio", name="Windows").check(force=True)
    assert page.locator(COMMAND).inner_text().splitlines() == [
        f"$env:PROMPTSTER_API_URL='{PUBLIC_ADDRESS}'",
        f"$env:PROMPTSTER_APP_URL='{PUBLIC_ADDRESS}'",
        f"promptster start {agreed_key}",
    ]


def test_missing_key_can_be_typed_in_in_lower_case(open_visit, key):
    visit = open_visit("/start", PHONE)
    assert visit.heading() == "Your key is missing"
    assert visit.is_clean()
    visit.page.get_by_label("Your key").fill(key.lower())
    visit.page.get_by_role("button", name="Open").click()
    visit.page.get_by_role("heading", name=TITLE).wait_for()
    assert visit.page.locator("dd code").inner_text() == key


def test_unknown_or_expired_key_is_reported(open_visit, website, key):
    assert open_visit("/start#PST-AAAA-AAAA", PHONE).heading() == "Unknown key"
    website.execute("UPDATE candidate_keys SET expires_at = %s WHERE key = %s", website.stored_time(60), key)
    assert open_visit(f"/start#{key}", PHONE).heading() == "This invitation has expired"


def test_started_session_shows_how_to_submit_until_it_is_completed(open_visit, website, session_id, key):
    visit = open_visit(f"/start#{key}", PHONE)
    assert visit.shows("Your session has started, and the clock is running")
    submit = visit.page.locator("[data-part=running] pre").first
    assert submit.inner_text() == f"PROMPTSTER_APP_URL={PUBLIC_ADDRESS} promptster done"
    assert not visit.page.get_by_role("checkbox").is_visible()
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    visit = open_visit(f"/start#{key}", PHONE)
    assert visit.shows("You have submitted this assessment. Thank you!")
    assert not visit.page.locator("pre:visible").count()


def test_offline_page_can_retry(open_visit, key):
    page = open_visit("/start").page
    page.context.set_offline(True)
    page.evaluate(f"location.hash = '{key}'")
    page.get_by_role("heading", name="Could not reach the service").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name=TITLE).wait_for()


def test_changed_disclosure_is_shown_again_and_not_agreed_to(open_visit, website, key):
    visit = open_visit("/start")
    visit.page.route("**/v1/candidate/consent", with_outdated_hash, times=1)
    visit.page.evaluate(f"location.hash = '{key}'")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Agree and continue").click()
    assert visit.shows("The text above has just changed")
    assert not visit.page.get_by_role("checkbox").is_checked()
    assert not has_agreed(website, key)


def with_outdated_hash(route):
    response = route.fetch()
    route.fulfill(response=response, body=json.dumps(response.json() | {"disclosureHash": "yesterday"}))


def test_page_explains_itself_without_javascript(open_visit, key):
    visit = open_visit(f"/start#{key}", java_script_enabled=False)
    assert visit.heading() == "This page needs JavaScript"
