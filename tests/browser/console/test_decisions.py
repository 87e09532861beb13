"""Decisions with their reasons and warnings, and actions on a selection of candidates."""

import csv

import pytest
from playwright.sync_api import expect

from tests.browser.console.conftest import add_rubric
from tests.live.cast import Candidate, invite, list_keys

LEVELS = [{"value": value, "label": f"Level {value}"} for value in (1, 2, 3, 4)]
CRITERIA = [{"key": key, "title": key.title(), "levels": LEVELS} for key in ("testing", "design", "review")]
SHOW_BAR = """async ([assessment, rows]) => {
  const { selectionBar } = await import("/console/decisions/selection.js");
  window.calls = 0;
  const onDone = () => { calls += 1; };
  const bar = selectionBar({ can: () => true, me: { orgId: "o", id: "me" }, assessmentOf: () => assessment, onDone });
  document.querySelector("main").prepend(bar.element);
  bar.update(rows);
}"""

READ = """async () => {
  const { queueRead } = await import("/console/shared/api.js");
  return Promise.race([queueRead(async () => "read"), new Promise((resolve) => setTimeout(resolve, 5000, "waiting"))]);
}"""


@pytest.fixture
def scored(site, team, assessment):
    """Three closed sessions with totals of 9, 6 and 3 of 12, as candidates."""
    add_rubric(team, assessment, CRITERIA)
    keys = invite(team, assessment, *(f"{name}@example.com" for name in ("ann", "ben", "cid")))["keys"]
    for key, values in zip(keys, ((3, 4, 2), (2, 2, 2), (1, 1, 1)), strict=True):
        candidate = Candidate(site, key)
        candidate.complete()
        for criterion, value in zip(CRITERIA, values, strict=True):
            path = f"/v1/sessions/{candidate.session_id}/scores/{criterion['key']}"
            assert team.request("PUT", path, {"value": value}).status == 200
    return list_keys(team, assessment)


@pytest.fixture
def select(open_console, team, assessment):
    def select(keys):
        visit = open_console(team, "/todo").settle()
        visit.page.evaluate(SHOW_BAR, [assessment, [key | {"candidateId": key["id"]} for key in keys]])
        return visit

    return select


def test_a_rejection_has_a_suggested_reason_and_a_warning(team, scored, select):
    ann, ben, _ = scored
    advanced = {"decision": "advanced"}
    assert team.request("PUT", f"/v1/candidates/{ben['id']}/decision", advanced).status == 200
    visit = select([ann])
    page = visit.page
    page.get_by_role("button", name="Decide").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    assert visit.shows("Candidates advanced or hired with a lower total: 1.")
    reason = dialog.get_by_label("Reason", exact=True)
    assert reason.input_value() == "Review 2 of 4, Testing 3 of 4"
    dialog.get_by_label("Hiring decision").select_option("Hired")
    assert reason.input_value() == "Design 4 of 4, Testing 3 of 4"
    reason.fill("")
    dialog.get_by_role("button", name="Save").click()
    assert dialog.is_visible()
    reason.fill("  ")
    dialog.get_by_role("button", name="Save").click()
    assert dialog.locator(":invalid[name=reason]").is_visible()
    reason.fill("Finds the cause first.")
    dialog.get_by_label("Hiring decision").select_option("Advanced")
    assert reason.input_value() == "Finds the cause first."
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    assert team.get(f"/v1/candidates/{ann['id']}")["candidate"]["decisionReason"] == "Finds the cause first."
    assert visit.is_clean()


def test_a_finding_that_changes_results_needs_a_second_reason(site, team, scored, select):
    altered = "UPDATE sessions SET tests_passed_count = 9 WHERE id = %s"
    site.execute(altered, site.stored_id(scored[0]["sessionId"]))
    visit = select(scored[:1])
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Advanced")
    second = dialog.get_by_label("Reason despite the findings")
    second.wait_for()
    dialog.get_by_role("button", name="Save").click()
    assert dialog.is_visible()
    second.fill("  ")
    dialog.get_by_role("button", name="Save").click()
    assert dialog.is_visible()
    second.fill("Reproduced without the recording.")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    candidate = team.get(f"/v1/candidates/{scored[0]['id']}")["candidate"]
    assert candidate["decisionFindingReason"] == "Reproduced without the recording."
    assert visit.is_clean()


@pytest.mark.parametrize("code", ["seal_missing", "call_not_recorded"])
def test_a_missing_reason_is_named_if_the_dialog_asks_for_it(open_console, team, scored, code):
    key = scored[0]
    assert team.request("PUT", f"/v1/candidates/{key['id']}/decision", {"decision": "advanced"}).status == 200

    def respond(route):
        finding = {"code": code, "explanation": "", "eventIds": [], "count": 0, "details": None}
        route.fulfill(json=route.fetch().json() | {"findings": [finding]})

    path = f"/sessions/{key['sessionId']}"
    visit = open_console(team, path, before=lambda page: page.route("**/integrity", respond)).settle()
    note = visit.page.get_by_text("No reason was given for deciding despite the findings.")
    assert note.count() == (code == "call_not_recorded")


def test_several_candidates_are_rejected_each_with_a_reason(team, scored, select):
    visit = select(scored)
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog", name="Decide on 3 candidates")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    reasons = dialog.get_by_label("Reason", exact=True)
    reasons.nth(2).fill("No tests.")
    other = {"decision": "advanced", "reason": "Careful fix."}
    assert team.request("PUT", f"/v1/candidates/{scored[1]['id']}/decision", other).status == 200
    dialog.get_by_role("button", name="Save").click()
    assert visit.shows("ben@example.com: the hiring decision changed since you loaded it.")
    decisions = [
        (key["decision"], key["decisionReason"]) for key in list_keys(team, {"id": scored[0]["assessmentId"]})
    ]
    assert decisions == [
        ("rejected", "Review 2 of 4, Testing 3 of 4"),
        ("advanced", "Careful fix."),
        ("rejected", "No tests."),
    ]
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_function("() => calls === 1")
    assert visit.shows("2 decisions have been saved.")


def test_reports_do_not_wait_for_the_warnings_of_a_closed_dialog(scored, select):
    visit, waiting = select(scored), []
    visit.page.route("**/decision-warnings?*", lambda route: waiting.append(route))
    visit.page.get_by_role("button", name="Decide").click()
    for decision in ("Advanced", "Rejected"):
        visit.page.get_by_role("dialog").get_by_label("Hiring decision").select_option(decision)
    visit.page.keyboard.press("Escape")
    assert visit.page.evaluate(READ) == "read"
    assert len(waiting) < 2 * len(scored)


def test_saving_waits_for_the_warnings_of_the_selected_decision(site, team, scored, select):
    altered = "UPDATE sessions SET tests_passed_count = 9 WHERE id = %s"
    site.execute(altered, site.stored_id(scored[0]["sessionId"]))
    visit, waiting = select(scored[:1]), []
    visit.page.route("**/decision-warnings?decision=advanced", lambda route: waiting.append(route), times=1)
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    decision = dialog.get_by_label("Hiring decision")
    decision.select_option("Advanced")
    dialog.get_by_role("button", name="Save").click()
    expect(decision).to_be_disabled()
    waiting[0].fulfill(status=503, json={})
    second = dialog.get_by_label("Reason despite the findings")
    second.wait_for()
    expect(decision).to_be_enabled()
    second.fill("Reproduced without the recording.")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    candidate = team.get(f"/v1/candidates/{scored[0]['id']}")["candidate"]
    assert candidate["decisionFindingReason"] == "Reproduced without the recording."


def test_a_revoked_candidate_is_left_out_and_named(team, scored, select):
    visit = select(scored[:2])
    team.delete(f"/v1/assessments/{scored[0]['assessmentId']}/keys/{scored[0]['id']}")
    visit.page.get_by_role("button", name="Decide").click()
    assert visit.shows("ann@example.com: was revoked or erased.")
    visit.page.get_by_role("dialog", name="Decide on ben@example.com").wait_for()
    visit.page.keyboard.press("Escape")
    visit.page.get_by_role("button", name="Revoke").click()
    dialog = visit.page.get_by_role("dialog")
    assert "ann@example.com: was revoked or erased." in dialog.inner_text()


def test_a_draft_does_not_replace_a_later_decision(team, scored, select):
    visit = select(scored[:1])
    button = visit.page.get_by_role("button", name="Decide")
    button.click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    dialog.get_by_label("Reason", exact=True).fill("No tests.")
    visit.page.keyboard.press("Escape")
    button.click()
    assert dialog.get_by_label("Hiring decision").input_value() == "rejected"
    visit.page.keyboard.press("Escape")
    advanced = {"decision": "advanced", "reason": "Careful fix."}
    assert team.request("PUT", f"/v1/candidates/{scored[0]['id']}/decision", advanced).status == 200
    button.click()
    assert dialog.get_by_label("Hiring decision").input_value() == "advanced"
    assert dialog.get_by_label("Reason", exact=True).input_value() == "Careful fix."


def test_different_decisions_are_not_reset_by_saving(team, scored, select):
    path = f"/v1/candidates/{scored[0]['id']}"
    assert team.request("PUT", f"{path}/decision", {"decision": "advanced"}).status == 200
    visit = select(scored)
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").click()
    assert dialog.locator(":invalid[name=decision]").is_visible()
    assert team.get(path)["candidate"]["decision"] == "advanced"


def test_a_selection_is_extended_and_who_changed_meanwhile_is_left_out(site, team, assessment, select):
    keys = invite(team, assessment, *(f"{name}@example.com" for name in ("ann", "ben", "cid")))["keys"]
    Candidate(site, keys[2])
    site.execute("UPDATE deliveries SET state = 'sent' WHERE address = 'ann@example.com'")
    visit = select(list_keys(team, assessment))
    page = visit.page
    page.get_by_role("button", name="Extend").click()
    dialog = page.get_by_role("dialog", name="Extend 2 invitations")
    people = dialog.locator(".email-list li")
    assert "gets the new date at ann@example.com" in people.first.inner_text()
    assert visit.shows("cid@example.com: has already started.")
    dialog.get_by_label("Send an email with the new date").uncheck()
    assert "gets no email" in people.first.inner_text()
    dialog.get_by_label("Send an email with the new date").check()
    assert team.request("PATCH", f"/v1/candidates/{keys[1]['id']}", {"externalId": "4711"}).status == 200
    dialog.get_by_role("button", name="Extend").click()
    assert visit.shows("1 candidate was left out. ben@example.com: changed since you opened this.")
    dialog.get_by_role("button", name="Cancel").click()
    assert visit.shows("The invitation of ann@example.com was extended.")
    expiries = [key["expiresAt"] > keys[0]["expiresAt"] for key in list_keys(team, assessment)]
    assert expiries[:2] == [True, False]
    with page.expect_response("**/extend"):
        page.get_by_role("button", name="Undo").click()
    ann = list_keys(team, assessment)[0]
    assert (ann["expiresAt"], ann["invite"]["state"]) == (keys[0]["expiresAt"], "sent")


def test_undo_cancels_emails_about_reopened_invitations_and_leaves_them_open(site, team, assessment, select):
    invite(team, assessment, *(f"{name}@example.com" for name in ("ann", "ben", "cid", "dan")))
    site.execute("UPDATE deliveries SET state = 'sent'")
    site.execute(
        "UPDATE candidate_keys SET expires_at = created_at WHERE candidate_email = 'dan@example.com'"
    )
    before = list_keys(team, assessment)
    visit = select(before)
    page = visit.page
    page.get_by_role("button", name="Extend").click()
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    assert visit.shows("The invitation of dan@example.com had expired. Undo leaves it open.")
    assert [key["invite"]["state"] for key in list_keys(team, assessment)] == ["queued"] * 4
    page.get_by_role("button", name="Undo").click()
    visit.settle()
    *pending, dan = list_keys(team, assessment)
    assert [key["expiresAt"] for key in pending] == [key["expiresAt"] for key in before[:3]]
    assert [key["invite"]["state"] for key in (*pending, dan)] == ["sent"] * 4
    assert dan["status"] == "pending"
    site.execute(
        "UPDATE candidate_keys SET expires_at = created_at WHERE candidate_email = 'dan@example.com'"
    )
    visit = select([dan])
    page = visit.page
    page.get_by_role("button", name="Extend").click()
    page.get_by_role("dialog").get_by_label("Send an email with the new date").uncheck()
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    assert visit.shows("The invitation of dan@example.com was extended.")
    assert page.get_by_role("button", name="Undo").count() == 0


def test_an_email_that_has_replaced_a_queued_one_cannot_be_undone(team, assessment, select):
    invite(team, assessment, "ann@example.com")
    visit = select(list_keys(team, assessment))
    visit.page.get_by_role("button", name="Resend").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Resend").click()
    visit.page.locator(".toast").wait_for()
    assert visit.page.get_by_role("button", name="Undo").count() == 0


def test_one_candidate_does_not_stop_the_decision_on_others(site, team, assessment, select):
    keys = invite(team, assessment, *(f"{name}@example.com" for name in ("ann", "ben", "cid")))["keys"]
    ann, _, cid = (Candidate(site, key) for key in keys)
    ann.complete()
    cid.complete()
    visit = select(list_keys(team, assessment))
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Hired")
    for reason in dialog.get_by_label("Reason", exact=True).all():
        reason.fill("Fast.")
    dialog.get_by_role("button", name="Save").click()
    assert visit.shows("ben@example.com: ")
    assert not visit.page.get_by_text("Nothing was changed").is_visible()
    assert [key["status"] for key in list_keys(team, assessment)] == ["hired", "active", "hired"]


def test_a_candidate_who_changed_and_is_rejected_does_not_stop_the_decision(team, scored, select):
    visit = select(scored[:2])
    statuses = [412, 409]
    path = f"**/candidates/{scored[0]['id']}/decision"
    bodies = {412: {"code": "precondition_failed"}, 409: {"code": "not_finished", "error": "Not finished."}}

    def respond(route):
        if not statuses:
            return route.continue_()
        status = statuses.pop(0)
        return route.fulfill(status=status, json=bodies[status])

    visit.page.route(path, respond)
    visit.page.get_by_role("button", name="Decide").click()
    dialog = visit.page.get_by_role("dialog")
    dialog.get_by_label("Hiring decision").select_option("Rejected")
    dialog.get_by_role("button", name="Save").click()
    assert visit.shows("ann@example.com: Not finished.")
    decisions = [key["decision"] for key in list_keys(team, {"id": scored[0]["assessmentId"]})]
    assert decisions == ["undecided", "rejected", "undecided"]
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")


def test_an_email_whose_response_was_lost_is_not_sent_again(team, assessment, select):
    invite(team, assessment, "ann@example.com")
    (key,) = list_keys(team, assessment)
    visit = select([key])
    dialog = visit.page.get_by_role("dialog")

    def lose(route):
        assert route.fetch().ok
        route.abort()

    visit.page.route("**/invite", lose, times=1)
    for text in ("Could not reach the service", "on its way"):
        visit.page.get_by_role("button", name="Resend").click()
        dialog.get_by_role("button", name="Resend").click()
        assert visit.shows(text)
        visit.page.keyboard.press("Escape")
    assert len(team.get(f"/v1/candidates/{key['id']}/deliveries")["deliveries"]) == 2


def test_a_failed_undo_names_the_candidate(team, assessment, select):
    keys = invite(team, assessment, "ann@example.com", "ben@example.com")["keys"]
    visit = select(list_keys(team, assessment))
    page = visit.page
    error = {"code": "delivery_started", "error": "The email was sent."}
    page.get_by_role("button", name="Remind").click()
    page.get_by_role("dialog").get_by_role("button", name="Remind").click()
    assert visit.shows("2 reminders are on their way.")
    delivery = team.get(f"/v1/candidates/{keys[0]['id']}/deliveries")["deliveries"][0]["id"]
    page.route(f"**/v1/deliveries/{delivery}", lambda route: route.fulfill(status=409, json=error))
    page.get_by_role("button", name="Undo").click()
    assert visit.shows("1 change was not undone. ann@example.com: The email was sent.")


def test_a_selection_is_reminded_revoked_and_exported(team, assessment, select, tmp_path):
    invite(team, assessment, *(f"{name}@example.com" for name in ("ann", "ben", "cid")))
    keys = list_keys(team, assessment)
    visit = select(keys[:2])
    page = visit.page
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "file.csv")
    rows = list(csv.reader((tmp_path / "file.csv").read_text().splitlines()))
    assert len(rows) == 3
    assert all(keys[number]["id"] in rows[number + 1] for number in (0, 1))
    page.get_by_role("button", name="Remind").click()
    page.get_by_role("dialog").get_by_role("button", name="Remind").click()
    assert visit.shows("2 reminders are on their way.")
    path = f"/v1/candidates/{keys[0]['id']}/deliveries"
    assert team.get(path)["deliveries"][0]["kind"] == "reminder"
    with page.expect_response("**/deliveries/*"):
        page.get_by_role("button", name="Undo").click()
    visit.settle()
    assert team.get(path)["deliveries"][0]["state"] == "canceled"
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    assert visit.shows("2 invitations have been revoked.")
    assert [key["candidateEmail"] for key in list_keys(team, assessment)] == ["cid@example.com"]
    assert visit.is_clean()
