"""The organization's pages, except integrations and notifications."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from rules.delivery.event_types import EVENT_TYPES
from tests.browser.conftest import PHONE
from tests.delivery.receiver import receiving
from tests.live.client import Client

PARTS = ["people", "tokens", "runners", "webhooks", "candidates", "retention", "audit", "usage", "sign_ins"]
if find_spec("integrations"):
    PARTS += ["integrations", "notifications"]


def press(visit, name):
    """Press a button in the open dialog, or on the page."""
    within = visit.page.locator("dialog[open], body:not(:has(dialog[open])) main")
    within.get_by_role("button", name=name, exact=True).first.click()


def test_add_change_deactivate_and_delete_a_person(open_console, team):
    visit = open_console(team, "/organization/people")
    assert visit.shows("No people yet")
    assert visit.shows("flask person create")
    press(visit, "Add a person")
    visit.page.get_by_label("Name").fill("Bob Sample")
    visit.page.get_by_label("Email address").fill("bob@example.com")
    press(visit, "Add and invite")
    assert visit.shows("1 person")
    press(visit, "Add a person")
    visit.page.get_by_label("Name").fill("Robert")
    visit.page.get_by_label("Email address").fill("bob@example.com")
    press(visit, "Add and invite")
    assert visit.shows("Nothing was changed")  # the address is taken
    press(visit, "Cancel")
    press(visit, "Change: Bob Sample")
    visit.page.get_by_label("Observer").check()
    press(visit, "Save")
    visit.page.get_by_role("cell", name="Observer").wait_for()
    press(visit, "Deactivate: Bob Sample")
    press(visit, "Deactivate")
    assert visit.shows("Inactive")
    visit.page.get_by_role("button", name="Undo").click()
    visit.page.get_by_text("Inactive").wait_for(state="detached")
    press(visit, "Delete: Bob Sample")
    press(visit, "Delete")
    assert visit.shows("No people yet")
    assert visit.page.evaluate("document.activeElement.tagName") == "H1"
    assert [message for message in visit.messages if "409" not in message] == []


def test_a_tokens_secret_is_shown_once_and_revoking_disables_it(open_console, site, team):
    visit = open_console(team, "/organization/tokens")
    press(visit, "Create an API token")
    visit.page.get_by_label("Name").fill("Scripts")
    visit.page.get_by_label("Scope").select_option("write")
    press(visit, "Create")
    secret = visit.page.get_by_role("textbox", name="Secret").input_value()
    press(visit, "Close")
    visit.page.locator("dialog").wait_for(state="detached")
    assert Client(site.port, Authorization=f"Bearer {secret}").get("/v1/me")["name"] == "Scripts"
    assert secret not in visit.page.content()
    press(visit, "Revoke: Scripts")
    press(visit, "Revoke")
    assert visit.shows("1 token")
    assert Client(site.port, Authorization=f"Bearer {secret}").get("/v1/me").status == 401
    assert visit.is_clean()


def test_an_admin_creates_and_revokes_a_runners_token(open_console, site, team):
    visit = open_console(team, "/organization/runners")
    press(visit, "Create a runner's token")
    visit.page.get_by_label("Name").fill("Test machine 1")
    press(visit, "Create")
    secret = visit.page.get_by_role("textbox", name="Secret").input_value()
    press(visit, "Close")
    runner = Client(site.port, Authorization=f"Bearer {secret}")
    claim = {"runner": "machine", "engine": "podman"}
    assert runner.post("/v1/runner/jobs/claim", claim).status == 204
    press(visit, "Revoke: Test machine 1")
    press(visit, "Revoke")
    assert visit.shows("No runners")
    assert runner.post("/v1/runner/jobs/claim", claim).status == 401
    assert visit.is_clean()


def test_a_webhook_is_added_and_tested(open_console, site, team):
    with receiving() as receiver, site.worker():
        visit = open_console(team, "/organization/webhooks")
        press(visit, "Add a webhook")
        visit.page.get_by_label("URL", exact=True).fill(receiver.url())
        visit.page.get_by_label("Name", exact=True).fill("Tracking")
        types = visit.page.locator("[name=types]").evaluate_all("inputs => inputs.map(({value}) => value)")
        assert types == list(EVENT_TYPES), "Update TYPES in console/organization/webhooks.js."
        visit.page.get_by_label("session.completed").check()
        press(visit, "Add")
        assert visit.page.get_by_role("textbox", name="Secret").input_value().startswith("whsec_")
        press(visit, "Close")
        press(visit, "Send a test: Tracking")
        assert visit.shows("The test was received.")
        visit.page.get_by_role("cell", name="Delivered").wait_for()
    assert team.get("/v1/webhooks")["webhooks"][0]["types"] == ["session.completed"]
    assert visit.is_clean()


def test_a_failing_webhook_shows_the_reason_and_can_redeliver(open_console, site, team):
    url = f"http://127.0.0.1:{site.port}/nothing"
    hook = team.post("/v1/webhooks", {"url": url, "description": "Tracking"})["webhook"]["id"]
    failing = "UPDATE webhooks SET failing_since = %s WHERE id = %s"
    site.execute(failing, site.stored_time(seconds_ago=7200), site.stored_id(hook))
    with site.worker():
        visit = open_console(team, "/organization/webhooks")
        assert visit.shows("First failure 2 hours ago.")
        press(visit, "Send a test: Tracking")
        assert visit.shows("The test failed. The receiver responded with 404.")
    state = visit.page.get_by_label("State")
    state.select_option("failed")
    visit.page.get_by_role("button", name="Redeliver: webhook.test").click()
    assert visit.shows("The message will be sent again.")
    assert state.input_value() == "failed"
    state.select_option("")
    visit.page.get_by_role("cell", name="Queued").wait_for()
    assert visit.is_clean()


def test_candidate_information_is_previewed_before_saving(open_console, team):
    visit = open_console(team, "/organization/candidates")
    visit.page.get_by_label("Organization name").fill("Northwind")
    visit.page.get_by_label("Also recorded").fill("Calls to our own model\n\n  <b>Logs</b>  ")
    preview = visit.page.locator(".preview")
    assert preview.locator(".added").all_inner_texts() == [
        "Addition:\nCalls to our own model",
        "Addition:\n<b>Logs</b>",
    ]
    assert preview.get_by_text("recorded for Northwind").count() == 1
    assert team.get("/v1/org/settings")["settings"]["displayName"] is None
    press(visit, "Save")
    assert visit.shows("Saved.")
    saved = team.get("/v1/org/disclosure")["disclosure"]["captures"]
    assert saved[-2:] == ["Calls to our own model", "<b>Logs</b>"]
    preview.locator(".added").nth(1).wait_for()  # The part reloads after saving.
    assert preview.locator(".added").count() == 2
    visit.page.get_by_label("Additional data use").fill("We delete it 180 days after our decision")
    press(visit, "Save")
    assert visit.shows("seem to contradict the retention period")
    assert visit.is_clean()


def test_shortening_retention_requires_confirmation(open_console, team):
    visit = open_console(team, "/organization/retention")
    assert visit.shows("until an admin erases it")
    visit.page.get_by_label("Automatically").check()
    visit.page.get_by_label("Days").fill("90")
    press(visit, "Save")
    assert visit.shows("more than 90 days ago is permanently erased")
    press(visit, "Erase and save")
    assert visit.shows("Personal data is erased 90 days after the session or unused invitation ends.")
    assert team.get("/v1/org/settings")["settings"]["retentionDays"] == 90
    assert visit.is_clean()


def test_the_audit_log_is_filtered_and_exported(open_console, team, assessment):
    team.request("PATCH", "/v1/org/settings", {"retentionDays": 30})
    visit = open_console(team, "/organization/audit")
    assert visit.shows("entries shown, newest first")
    visit.page.get_by_label("Action").fill("Update settings")
    press(visit, "Filter")
    assert visit.shows("1 entry shown")
    assert visit.shows("retentionDays")
    with visit.page.expect_download() as download:
        press(visit, "Export")
    lines = Path(download.value.path()).read_text().splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["updateSettings"]
    assert visit.is_clean()


def test_a_download_can_take_minutes(open_console, team):
    visit = open_console(team, "/organization/audit").settle()
    visit.page.evaluate(
        "AbortSignal.timeout = (ms) => (ms < 300_000 ? AbortSignal.abort() : new AbortController().signal)"
    )
    with visit.page.expect_download():
        press(visit, "Export")
    assert visit.is_clean()


def test_usage_without_model_calls(open_console, team):
    visit = open_console(team, "/organization/usage")
    assert visit.shows("No model calls yet")
    assert visit.shows("Self-hosted")
    assert visit.is_clean()


@pytest.mark.parametrize("part", PARTS)
def test_a_reviewer_can_read_every_section_but_change_none(open_console, bob, part):
    visit = open_console(bob, f"/organization/{part}", width=PHONE)
    visit.page.locator(".part:not([aria-busy]) > *").first.wait_for()
    assert visit.page.locator("main button.primary:visible").all_inner_texts() in ([], ["Filter"])
    assert visit.page.get_by_text("Only admins can change this").count() == (
        part not in ("audit", "usage", "sign_ins")
    )
    assert visit.page.get_by_role("navigation", name="Organization").get_by_role("link").count() == len(PARTS)
    assert visit.is_clean()
