"""The invitation's page: consent, start, workspace and submission."""

import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.browser.conftest import DESKTOP, PHONE, PUBLIC_ADDRESS, Visit
from tests.git_bundles.bundles import bundle_of_blobs
from tests.live.cast import ASSESSMENT, give_consent, make_assessment, make_keys, start_session
from tests.live.service import Service

COMMAND = "[data-part=workspace] pre:visible >> nth=0"
TITLE = "Backend API Challenge"


@pytest.fixture
def started_key(website, key) -> str:
    """A key with a session without events."""
    start_session(website, key)
    return key


def has_agreed(website, key) -> bool:
    return website.candidate(key).get("/v1/candidate/consent")["alreadyConfirmed"]


def start_command(key) -> str:
    return f"PROMPTSTER_API_URL={PUBLIC_ADDRESS} PROMPTSTER_APP_URL={PUBLIC_ADDRESS} promptster start {key}"


def set_time(website, key, column, seconds_ago) -> None:
    """Set a timestamp of the key's session."""
    condition = "key_id = (SELECT id FROM candidate_keys WHERE key = %s)"
    statement = f"UPDATE sessions SET {column} = %s WHERE {condition}"
    website.execute(statement, website.stored_time(seconds_ago), key)


def zip_file() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("orders.py", "print(1)\n")
    return packed.getvalue()


def submit(visit, content: bytes, name: str = "work.zip") -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    visit.page.get_by_label("Or submit a zip of the folder").set_input_files(file)
    visit.page.get_by_role("button", name="Submit", exact=True).click()


def end_session(visit) -> None:
    visit.page.get_by_role("dialog").get_by_role("button", name="End the session").click()


def set_submission(website, key, **columns) -> None:
    """Set columns of the key's submissions, as the worker does after reading them."""
    condition = (
        "session_id = (SELECT id FROM sessions WHERE key_id = (SELECT id FROM candidate_keys WHERE key = %s))"
    )
    names = ", ".join(f"{name} = %s" for name in columns)
    website.execute(f"UPDATE submissions SET {names} WHERE {condition}", *columns.values(), key)


def update(visit) -> None:
    """Load the current state now."""
    visit.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def is_started(website, key) -> bool:
    return website.candidate(key).get("/v1/candidate/consent")["status"] == "active"


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_consent_start_and_workspace(open_visit, website, key, width):
    visit = open_visit(f"/start#{key}", width)
    page = visit.page
    assert visit.heading() == TITLE
    assert page.locator(".company").inner_text() == "Northwind Traders"
    for text in ("Senior Backend Engineer", "1 hour 30 minutes", "Europe/Berlin"):
        assert visit.shows(text)
    assert visit.shows("Your screen, camera or microphone")
    assert visit.shows("macOS, Linux, or Windows with Git Bash (part of Git for Windows) or WSL")
    assert not page.get_by_role("button", name="Start", exact=True).is_visible()
    page.get_by_role("button", name="Agree and continue").click()
    assert page.evaluate("document.querySelector('[data-consent] input').validity.valueMissing")
    assert not has_agreed(website, key)
    assert visit.is_clean()

    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    assert visit.shows("You have agreed. The recording has not started.")
    assert visit.shows("the clock start when you press Start. You then have 1 hour 30 minutes")
    assert has_agreed(website, key)
    assert not is_started(website, key)

    page.get_by_role("button", name="Start", exact=True).click()
    assert page.locator(COMMAND).inner_text() == f"curl -fsSL {PUBLIC_ADDRESS}/workspace.sh | sh"
    assert is_started(website, key)
    assert re.fullmatch("1:(29:[0-9]{2}|30:00)", page.locator("[role=timer]").inner_text())
    assert visit.shows("Nothing received yet")
    assert not page.get_by_text("If it cannot fetch the repository").is_visible()
    assert visit.is_clean()
    page.reload()
    assert visit.shows("Your session has started")
    assert page.locator(COMMAND).is_visible()


def test_page_shows_the_repository_after_the_start(open_visit, website, reviewer):
    repository = {"repoUrl": "https://git.example.com/orders.git"}
    assessment = reviewer.post("/v1/assessments", ASSESSMENT | repository)["assessment"]
    key = make_keys(reviewer, assessment, 1)[0]["key"]
    visit = open_visit(f"/start#{key}")
    assert not visit.page.get_by_text("The repository:").is_visible()
    start_session(website, key)
    visit.page.reload()
    assert visit.shows(f"The repository: {repository['repoUrl']}")
    assert visit.shows("If it cannot fetch the repository, the folder still contains TASK.md")


def test_page_works_with_the_keyboard(open_visit, website, key):
    page = open_visit(f"/start#{key}").page
    page.locator("h1:visible").wait_for()
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Start when you are ready"
    while page.evaluate("document.activeElement.textContent") != "Start":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(COMMAND).wait_for()
    page.wait_for_function("document.activeElement.textContent === 'Your workspace'")


def test_key_and_command_can_be_copied(open_visit, session_id, key):
    page = open_visit(f"/start#{key}", permissions=["clipboard-read", "clipboard-write"]).page
    page.get_by_role("button", name="Copy your key").click()
    page.locator("[data-announcement]", has_text="Copied.").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.locator("[data-part=workspace] .copy >> nth=0").click()
    page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('/workspace.sh | sh')"
    )


def test_script_can_be_read_first(open_visit, session_id, key):
    visit = open_visit(f"/start#{key}")
    with visit.page.expect_popup() as popup:
        visit.page.get_by_role("link", name="read the script").click()
    popup.value.get_by_text("Prepare a folder for a Proofstone assessment").wait_for()


def test_workspace_shows_received_events(open_visit, session_id, key):
    visit = open_visit(f"/start#{key}", PHONE)
    assert visit.shows("Last event:")
    assert received(visit) == [["terminal", "2", "0", "0"]]
    assert not visit.page.locator("[data-part=silent]").is_visible()
    assert visit.is_clean()


def test_a_silent_tool_is_named_if_another_has_sent_events(open_visit, website, session_id, key):
    visit = open_visit(f"/start#{key}", PHONE)
    visit.page.route(
        "**/v1/candidate/workspace", with_tools("claude", "codex", "opencode", sent="claude-code")
    )
    update(visit)
    assert visit.shows("Nothing has arrived from these tools")
    assert visit.shows("Codex: start it with ./codex, not codex.")
    assert not visit.page.locator("[data-silent=claude-code]").is_visible()
    assert received(visit) == [["Claude Code", "2", "0", "0"], ["Codex", *"000"], ["opencode", *"000"]]
    assert visit.is_clean()
    set_time(website, key, "closes_at", -120)
    update(visit)
    assert visit.shows("The time is up. Submit now")
    assert not visit.page.locator("[data-part=silent]").is_visible()


def test_working_without_ai_gets_no_warning(open_visit, website, started_key):
    set_time(website, started_key, "created_at", 3600)
    visit = open_visit(f"/start#{started_key}")
    assert visit.shows("Nothing received yet")
    assert not visit.page.locator(".notice.bad:visible, [data-part=silent]:visible").all()


def received(visit) -> list[list[str]]:
    return [row.split("\t") for row in visit.page.locator("[data-received] tr").all_inner_texts()]


def with_tools(*names, sent):
    """Change the state's tools, and the tool that has sent the events."""

    def change(route):
        response = route.fetch()
        body = response.json() | {"tools": [{"name": name} for name in names]}
        body["received"] = [tool | {"tool": sent} for tool in body["received"]]
        route.fulfill(response=response, json=body)

    return change


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (None, "$0.42 of $10.00 used"),
        ("budget_spent", "The budget for AI models is used up. Your session continues"),
        ("provider_key_rejected", "rejected this service's key. Tell the person who invited you"),
        ("provider_unavailable", "was not available at 11:05. Try again in a few minutes"),
    ],
)
def test_budget_and_model_problems_are_shown(open_visit, started_key, problem, sentence):
    def change(route):
        response = route.fetch()
        usage = {
            "spentUsd": 0.42,
            "budgetUsd": 10,
            "problem": problem,
            "lastCallAt": "2026-04-01T09:05:00.000Z",
        }
        route.fulfill(response=response, json=response.json() | {"modelUsage": usage})

    visit = open_visit("/start", PHONE)
    visit.page.route("**/v1/candidate/workspace", change)
    visit.page.evaluate(f"location.hash = '{started_key}'")
    assert visit.shows(sentence)
    assert len(visit.page.locator("[data-problem]:visible").all()) == (problem is not None)
    assert visit.is_clean()


def test_workspace_shows_that_the_time_is_up(open_visit, website, started_key):
    set_time(website, started_key, "closes_at", -120)
    visit = open_visit(f"/start#{started_key}")
    assert visit.shows("The time is up. Submit now: the session closes at")
    assert visit.page.locator("[role=timer]").inner_text() == "0:00"


def test_zip_can_be_submitted_until_ten_minutes_after_the_close(open_visit, website, started_key):
    set_time(website, started_key, "closes_at", 60)
    visit = open_visit(f"/start#{started_key}", PHONE)
    assert visit.shows("Your session is closed. You can still submit until")
    submit(visit, zip_file())
    assert visit.shows("Your submission has been received and is being read")
    set_submission(website, started_key, state="stored")
    update(visit)
    assert visit.shows("You have submitted this assessment. Thank you!")
    assert visit.shows("You can replace your submission until")
    assert website.candidate(started_key).get("/v1/candidate/workspace")["submission"]["format"] == "zip"
    assert visit.is_clean()


def test_zip_cannot_be_submitted_later(open_visit, website, started_key):
    set_time(website, started_key, "closes_at", 11 * 60)
    visit = open_visit(f"/start#{started_key}")
    assert visit.shows("Your session is closed. Northwind")
    assert not visit.page.locator("[data-submission]").is_visible()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_ending_the_session_asks_once_and_says_what_was_received(open_visit, website, started_key, width):
    visit = open_visit(f"/start#{started_key}", width)
    assert visit.shows("A zip has no diff: reviewers see your files, but not what you changed")
    assert visit.shows("git bundle create work.bundle HEAD refs/proofstone/base")
    submit(visit, zip_file())
    dialog = visit.page.get_by_role("dialog")
    size = len(zip_file())
    assert f"We have received your submission: Zip archive, {size} bytes" in dialog.inner_text()
    assert "It is being read." in dialog.inner_text()
    assert visit.is_clean()
    dialog.get_by_role("button", name="Keep working").click()
    assert visit.shows("Your work was received, but your session is still open")
    assert is_started(website, started_key)
    visit.page.get_by_role("button", name="End the session").click()
    end_session(visit)
    assert visit.shows("Your submission has been received and is being read")
    set_submission(website, started_key, state="stored")
    update(visit)
    assert visit.shows("You have submitted this assessment. Thank you!")
    assert visit.shows("It has been read. It has no diff.")
    state = website.candidate(started_key).get("/v1/candidate/workspace")
    assert (state["status"], state["submission"]["format"]) == ("completed", "zip")
    assert visit.is_clean()
    visit.page.reload()
    assert visit.shows("Submitted")


def test_a_completed_session_can_be_submitted_again_for_ten_minutes(open_visit, website, started_key):
    visit = open_visit(f"/start#{started_key}")
    submit(visit, zip_file())
    end_session(visit)
    assert visit.shows("You can replace your submission until")
    submit(visit, bundle_of_blobs(a=b"a\n"), "work.bundle")
    assert visit.shows("Git bundle")
    assert not visit.page.get_by_text("Thank you!").is_visible()
    assert visit.is_clean()
    set_time(website, started_key, "closed_at", 11 * 60)
    update(visit)
    assert visit.shows("Thank you!")
    assert not visit.page.locator("[data-submission]").is_visible()


def test_an_unreadable_submission_has_a_remedy(open_visit, website, started_key):
    visit = open_visit(f"/start#{started_key}", PHONE)
    submit(visit, bundle_of_blobs(a=b"a\n"), "work.bundle")
    end_session(visit)
    assert visit.shows("Your submission has been received and is being read")
    set_submission(website, started_key, state="unreadable", problem="The bundle is damaged.")
    update(visit)
    assert visit.shows("Your submission could not be read. The bundle is damaged.")
    assert visit.shows("An earlier submission that could be read still counts.")
    assert visit.shows("Submit again with ./submit or as a zip by")
    assert not visit.page.get_by_text("Thank you!").is_visible()
    assert visit.shows("or list new files in .gitignore.")
    assert visit.is_clean()
    submit(visit, zip_file())
    assert visit.shows("is being read")
    set_submission(website, started_key, state="unreadable", problem="The archive is damaged.")
    update(visit)
    assert visit.shows("Your submission could not be read. The archive is damaged.")
    assert visit.shows("Create the zip again, without a password")
    assert not visit.page.get_by_text("list new files").is_visible()
    set_submission(website, started_key, state="waiting", problem="The bundle store lost this file.")
    set_time(website, started_key, "closed_at", 11 * 60)
    visit.page.reload()
    assert visit.shows("It can no longer be replaced. Tell the person who invited you.")


def test_invalid_zip_keeps_the_session_open(open_visit, website, started_key):
    visit = open_visit(f"/start#{started_key}")
    submit(visit, b"not a zip")
    assert visit.shows(
        "The file must be a complete zip archive with at least one file, or a git bundle whose name ends with "
        ".bundle."
    )
    assert is_started(website, started_key)


def test_page_updates_after_the_session_is_completed_elsewhere(open_visit, website, session_id, key):
    visit = open_visit(f"/start#{key}")
    assert visit.shows("Your session has started")
    submit(visit, zip_file())
    visit.page.get_by_role("dialog").wait_for()
    website.anonymous.post("/v1/candidate/complete", {"key": key, "sessionId": session_id})
    update(visit)
    assert visit.shows("Your submission has been received and is being read")
    assert not visit.page.get_by_role("dialog").is_visible()


def test_client_has_commands_for_each_system(browser, tmp_path):
    with Service(tmp_path, BASE_URL=PUBLIC_ADDRESS, CLIENT_INSTALL="npm install -g ./client.tgz") as service:
        service.start(processes=1)
        reviewer = service.organization("Northwind Traders")
        key = make_keys(reviewer, make_assessment(reviewer), 1)[0]["key"]
        visit = Visit(browser.new_context(), f"http://127.0.0.1:{service.port}")
        visit.page.goto(f"{visit.address}/start#{key}")
        visit.page.get_by_role("checkbox").check()
        visit.page.get_by_role("button", name="Agree and continue").click()
        visit.page.get_by_text("Use the Promptster client instead").click()
        commands = visit.page.locator("[data-part=client] pre:visible")
        assert commands.all_inner_texts()[:2] == ["npm install -g ./client.tgz", start_command(key)]
        visit.page.get_by_role("radio", name="Windows").check(force=True)
        assert commands.all_inner_texts()[1].splitlines() == [
            f"$env:PROMPTSTER_API_URL='{PUBLIC_ADDRESS}'",
            f"$env:PROMPTSTER_APP_URL='{PUBLIC_ADDRESS}'",
            f"promptster start {key}",
        ]
        visit.page.context.close()


def test_candidate_can_download_data_and_request_its_erasure(open_visit, website, reviewer, session_id, key):
    reviewer.request("PATCH", "/v1/org/settings", {"replyTo": "hiring@example.com"})
    visit = open_visit(f"/start#{key}", PHONE)
    visit.page.get_by_text("Your data", exact=True).click()
    assert visit.shows("hiring@example.com")
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Download my data").click()
    first, *others = Path(download.value.path()).read_text().splitlines()
    assert json.loads(first)["candidate"]["sessionId"] == session_id
    assert len(others) == 2

    request, dialog = visit.page.locator("[data-erasure]"), visit.page.get_by_role("dialog")
    request.click()
    dialog.get_by_role("button", name="Cancel").click()
    assert request.is_visible()
    request.click()
    dialog.get_by_role("button", name="Request erasure").click()
    assert visit.shows("You requested the erasure of your data on")
    assert not request.is_visible()
    assert website.candidate(key).get("/v1/candidate/me")["erasureRequestedAt"]
    assert visit.is_clean()
    visit.page.reload()
    visit.page.get_by_text("Your data", exact=True).click()
    assert visit.shows("You requested the erasure of your data on")

    candidate_id = reviewer.get(f"/v1/sessions/{session_id}")["candidateId"]
    reviewer.post(f"/v1/candidates/{candidate_id}/dismiss-erasure-request", {"reason": "It was not you."})
    visit.page.reload()
    visit.page.get_by_text("Your data", exact=True).click()
    assert visit.shows(
        "dismissed the request to erase your data: “It was not you.” You can request it again."
    )
    request.click()
    dialog.get_by_role("button", name="Request erasure").click()
    assert visit.shows("You requested the erasure of your data on")
    assert not visit.page.get_by_text("dismissed the request").is_visible()


def test_key_can_be_entered_in_lower_case(open_visit, key):
    visit = open_visit("/start", PHONE)
    assert visit.heading() == "Your key is missing"
    assert visit.is_clean()
    visit.page.get_by_role("textbox", name="Your key").fill(key.lower())
    visit.page.get_by_role("button", name="Open").click()
    visit.page.get_by_role("heading", name=TITLE).wait_for()
    assert visit.page.locator("dd code").inner_text() == key


def test_unknown_and_expired_keys_are_reported(open_visit, website, key):
    assert open_visit("/start#PST-AAAA-AAAA", PHONE).heading() == "Unknown key"
    website.execute("UPDATE candidate_keys SET expires_at = %s WHERE key = %s", website.stored_time(60), key)
    assert open_visit(f"/start#{key}", PHONE).heading() == "This invitation has expired"


def test_page_can_retry_after_being_offline(open_visit, key):
    page = open_visit("/start").page
    page.context.set_offline(True)
    page.evaluate(f"location.hash = '{key}'")
    page.get_by_role("heading", name="Could not reach the service").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name=TITLE).wait_for()


def test_changed_disclosure_requires_new_consent(open_visit, website, key):
    visit = open_visit("/start")
    visit.page.route("**/v1/candidate/consent", with_outdated_hash, times=1)
    visit.page.evaluate(f"location.hash = '{key}'")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Agree and continue").click()
    assert visit.shows("The text above has just changed")
    assert not visit.page.get_by_role("checkbox").is_checked()
    assert not has_agreed(website, key)


def test_a_disclosure_that_changed_before_the_start_is_shown(open_visit, website, reviewer, key):
    visit = open_visit(f"/start#{key}")
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Agree and continue").click()
    start = visit.page.get_by_role("button", name="Start", exact=True)
    start.wait_for()
    reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": 45})
    start.click()
    assert visit.shows("The text above has just changed")
    reviewer.request("PATCH", "/v1/org/settings", {"retentionDays": None})
    assert not is_started(website, key)


def with_outdated_hash(route):
    response = route.fetch()
    route.fulfill(response=response, body=json.dumps(response.json() | {"disclosureHash": "yesterday"}))


def test_consent_can_be_given_during_the_session(open_visit, website, key):
    give_consent(website, key)
    website.anonymous.post("/v1/candidate/redeem", {"key": key})
    visit = open_visit(f"/start#{key}", PHONE)
    assert visit.shows("Your AI tools cannot be used until you agree to the recording below.")
    assert not visit.page.get_by_text("Agreeing does not start your session").is_visible()
    assert visit.is_clean()
    visit.page.get_by_role("checkbox").check()
    visit.page.get_by_role("button", name="Agree and continue").click()
    visit.page.locator("[data-focus-workspace]:focus").wait_for()
    assert not visit.page.locator("[data-part=consent-missing]").is_visible()
    assert not visit.page.locator("[data-consent]").is_visible()
    assert not website.candidate(key).get("/v1/candidate/consent")["consentRequired"]


def test_page_without_javascript_shows_a_message(open_visit, key):
    visit = open_visit(f"/start#{key}", java_script_enabled=False)
    assert visit.heading() == "This page needs JavaScript"


def test_print_is_light_in_dark_mode(open_visit, key):
    page = open_visit(f"/start#{key}", color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    colors = "(element) => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    assert page.locator("body").evaluate(colors) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
