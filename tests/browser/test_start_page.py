"""The page behind an invitation's link: from the key to the consent to the command."""

import json

import pytest

from tests.browser.conftest import NARROW, PUBLIC_ADDRESS, WIDE

CONSENT = "**/v1/candidate/consent"
COMMAND = "[data-part=commands] pre:visible >> nth=1"


def agree(website, key):
    """Agree to the current text."""
    shown = website.candidate(key).get("/v1/candidate/consent")["disclosureHash"]
    website.anonymous.post("/v1/candidate/consent", {"key": key, "disclosureHash": shown})


def start_command(key):
    address = PUBLIC_ADDRESS
    return f"PROMPTSTER_API_URL={address} PROMPTSTER_APP_URL={address} promptster start {key}"


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_leads_from_the_key_to_the_consent_to_the_command(open_visit, website, key, width):
    visit = open_visit(f"/start#{key}", width)
    page = visit.page
    assert visit.heading() == "Backend API Challenge"
    assert page.locator(".company").inner_text() == "Northwind Traders"
    assert page.locator("text=1 hour 30 minutes").first.is_visible()
    assert page.locator("text=Europe/Berlin").is_visible()
    assert page.locator("text=Your screen, camera or microphone").first.is_visible()
    assert not page.locator("[data-part=commands]").is_visible()
    assert visit.is_sound()

    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    assert page.locator(COMMAND).inner_text() == start_command(key)
    assert page.locator("text=npm install -g @promptster/cli").is_visible()
    assert page.locator("text=that starts the clock, not before").locator("visible=true").count() == 1
    assert website.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"] is True
    assert visit.is_sound()


def test_it_can_be_used_from_the_keyboard_alone(open_visit, key):
    page = open_visit(f"/start#{key}").page
    page.locator("h1:visible").wait_for()
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(COMMAND).wait_for()
    assert page.evaluate("document.activeElement.textContent") == "How to start"


def test_nothing_is_agreed_to_by_the_button_alone(open_visit, website, key):
    page = open_visit(f"/start#{key}").page
    page.get_by_role("button", name="Agree and continue").click()
    assert page.evaluate("document.querySelector('[data-consent] input').validity.valueMissing")
    assert website.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"] is False


def test_the_button_copies_the_command(open_visit, website, key):
    agree(website, key)
    visit = open_visit(f"/start#{key}", permissions=["clipboard-read", "clipboard-write"])
    visit.page.locator("[data-part=commands] .copy:visible >> nth=1").click()
    visit.page.get_by_role("button", name="Copied").wait_for()
    assert visit.page.evaluate("navigator.clipboard.readText()") == start_command(key)


def test_windows_has_its_own_form_of_the_command(open_visit, website, key):
    agree(website, key)
    page = open_visit(f"/start#{key}").page
    page.get_by_role("radio", name="Windows").check(force=True)
    assert page.locator(COMMAND).inner_text().splitlines() == [
        f"$env:PROMPTSTER_API_URL='{PUBLIC_ADDRESS}'",
        f"$env:PROMPTSTER_APP_URL='{PUBLIC_ADDRESS}'",
        f"promptster start {key}",
    ]


def test_a_key_in_small_letters_is_the_same_key(open_visit, key):
    visit = open_visit(f"/start#{key.lower()}")
    assert visit.heading() == "Backend API Challenge"
    assert visit.page.locator("dd code").inner_text() == key


def test_without_a_key_it_asks_for_one(open_visit, key):
    visit = open_visit("/start", NARROW)
    assert visit.heading() == "Your key is missing"
    assert visit.is_sound()
    visit.page.get_by_label("Your key").fill(key)
    visit.page.get_by_role("button", name="Open").click()
    visit.page.get_by_role("heading", name="Backend API Challenge").wait_for()


def test_an_unknown_key_is_named_as_such(open_visit):
    assert open_visit("/start#PST-AAAA-AAAA", NARROW).heading() == "This key is not known"


def test_an_expired_key_is_named_as_such(open_visit, website, key):
    website.execute("UPDATE candidate_keys SET expires_at = %s WHERE key = %s", website.stored_time(60), key)
    assert open_visit(f"/start#{key}", NARROW).heading() == "This invitation has expired"


def test_a_session_that_has_begun_is_shown_how_to_submit(open_visit, session_id, key):
    page = open_visit(f"/start#{key}", NARROW).page
    page.locator("text=Your session has begun, and the clock is running").wait_for()
    submit = page.locator("[data-part=running] pre").first
    assert submit.inner_text() == f"PROMPTSTER_APP_URL={PUBLIC_ADDRESS} promptster done"
    assert not page.get_by_role("checkbox").is_visible()


def test_a_completed_session_is_thanked_for(open_visit, website, session_id, key):
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    page = open_visit(f"/start#{key}", NARROW).page
    page.locator("text=You have submitted this assessment. Thank you!").wait_for()
    assert not page.locator("pre:visible").count()


def test_a_service_that_does_not_answer_can_be_tried_again(open_visit, key):
    page = open_visit("/start").page
    page.context.set_offline(True)
    page.evaluate(f"location.hash = '{key}'")
    page.get_by_role("heading", name="The service does not answer").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Backend API Challenge").wait_for()


def test_a_text_that_changed_meanwhile_is_shown_again_and_not_agreed_to(open_visit, website, key):
    visit = open_visit("/start")
    visit.page.route(CONSENT, answer_of_yesterday, times=1)
    visit.page.evaluate(f"location.hash = '{key}'")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Agree and continue").click()
    visit.page.locator("text=The text above has just been changed").wait_for()
    assert not visit.page.get_by_role("checkbox").is_checked()
    assert website.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"] is False


def test_without_javascript_it_says_where_everything_else_is(open_visit, key):
    visit = open_visit(f"/start#{key}", java_script_enabled=False)
    assert visit.heading() == "This page needs JavaScript"


def answer_of_yesterday(route):
    """The service's answer, as it was before the text changed."""
    answer = route.fetch()
    route.fulfill(response=answer, body=json.dumps(answer.json() | {"disclosureHash": "yesterday"}))
