"""Decisions about an application, by what the system's API says: whom to invite, and what to report."""

from datetime import timedelta

import pytest
from factories import make_organization

from tests.integrations.story import COLLECTING, DAY, KEY, LINK, SERVERS, in_process, text_of

ADA, BOB = "ada@example.com", "bob@example.com"
BASE_URL = "http://localhost:8000"

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]


@pytest.fixture
def start(app_with, clock, tmp_path, organization):
    """A function that yields a story with a system and an account's options."""
    return lambda system, **options: in_process(app_with, clock, tmp_path, organization, system, **options)


@pytest.fixture(params=SERVERS)
def story(request, start):
    with start(request.param) as story:
        yield story


def event_types(story):
    return [event["type"] for event in story.get("/v1/events?limit=200")["events"]]


def test_missing_names_are_null_and_control_characters_are_removed(story):
    story.set_up()
    unnamed = story.invite(ADA, first=None, last=None)
    order = story.wait_for(unnamed, "invited")
    assert story.get(f"/v1/candidates/{order['candidateId']}")["candidate"]["candidateName"] is None
    odd = story.invite("bob@example.com", first="Bo\u202eb\x07", last="L" * 300)
    order = story.wait_for(odd, "invited")
    name = story.get(f"/v1/candidates/{order['candidateId']}")["candidate"]["candidateName"]
    assert name.startswith("Bob L")
    assert len(name) <= 255


def test_greenhouse_invites_the_first_personal_address(start):
    with start("greenhouse") as story:
        story.set_up()
        application = story.account.apply(story.job, story.stage)
        work, home = ({"value": f"{kind}@example.com", "type": kind} for kind in ("work", "personal"))
        story.account.set_address(application, work, home)
        story.account.move(application, story.stage)
        story.key_for("personal@example.com")
        other = story.account.apply(story.job, story.stage)
        story.account.set_address(other, work | {"value": "only@example.com"})
        story.account.move(other, story.stage)
        story.key_for("only@example.com")


def test_a_candidate_without_an_address_needs_a_person(story):
    story.set_up()
    application = story.invite()
    order = story.wait_for(application, "attention", "no_address")
    assert order["message"]
    assert order["remedy"]
    assert story.place.emails() == []
    story.account.set_address(application, {"value": ADA, "type": "personal"})
    story.retry(order)
    story.key_for(ADA)
    assert "order.attention" in event_types(story)


@pytest.mark.parametrize("place", ["webhook", "API"])
def test_a_candidate_who_may_not_be_emailed_needs_a_person(start, place):
    with start("greenhouse", can_email=False if place == "API" else None) as story:
        story.set_up()
        application = story.account.apply(story.job, story.stage, ADA)
        fields = {"can_email": False} if place == "webhook" else {"can_email": True}
        assert story.account.send(*story.account.stage_change(application, **fields)) == [200]
        story.wait_for(application, "attention", "may_not_email")
        assert story.place.emails() == []


@pytest.mark.parametrize("state", ["received", "skipped"])
def test_a_later_webhook_that_forbids_emails_stops_the_order(start, state):
    with start("greenhouse") as story:
        story.set_up()
        application = story.account.apply(story.job, story.other_stage, ADA)
        story.hint_about(application, can_email=True)
        if state == "skipped":
            story.wait_for(application, "skipped")
        story.account.set_stage(application, story.stage)
        for _ in range(2):
            story.hint_about(application, can_email=False)
        story.wait_for(application, "attention", "may_not_email")
        story.settle()
        assert story.place.emails() == []
        assert event_types(story).count("order.attention") == 1
        story.retry(story.order(application))
        story.key_for(ADA)
        story.hint_about(application, can_email=False)
        assert story.order(application)["state"] == "invited"


@pytest.mark.parametrize("how", ["rejected", "hired"])
def test_a_candidate_who_has_left_the_stage_is_skipped_and_a_new_hint_reopens(story, how):
    story.set_up()
    application = story.account.apply(story.job, story.stage, ADA)
    hint = story.account.stage_change(application)
    story.account.set_stage(application, story.other_stage)
    assert story.account.send(*hint) == [200]
    story.wait_for(application, "skipped")
    story.account.set_stage(application, story.stage)
    story.account.leave(application, how)
    assert story.account.send(*hint) == [200]
    story.settle()
    assert story.only_order()["state"] == "skipped"
    assert story.place.emails() == []


def test_leaving_the_stage_after_the_invitation_revokes_nothing(story):
    story.set_up()
    application = story.invite(ADA)
    key = story.key_for(ADA)
    assert story.account.move(application, story.other_stage) == [200]
    story.settle()
    assert story.wait_for(application, "invited")
    story.start(key)


def test_a_second_application_of_the_same_person_shares_the_key_and_gets_the_reports(story):
    story.set_up()
    first = story.invite(ADA)
    story.wait_for(first, "invited")
    second = story.invite(ADA.upper())
    linked = story.wait_for(second, "invited")
    assert linked["candidateId"] == story.order(first)["candidateId"]
    assert len(story.place.emails()) == 1
    story.work(ADA)
    story.wait_for(second, "submitted")
    story.place.advance(COLLECTING)
    assert len(story.notes(first, 1)) == len(story.notes(second, 1)) == 1


@pytest.mark.parametrize("action", ["report", "invite"])
def test_a_person_decides_about_a_candidate_with_a_finished_session(story, action):
    story.set_up()
    first = story.invite(ADA)
    story.work(ADA)
    story.wait_for(first, "submitted")
    second = story.invite(ADA)
    order = story.wait_for(second, "attention", "already_assessed")
    assert len(story.place.emails()) == 1
    story.retry(order, action)
    if action == "invite":
        story.wait_for(second, "invited")
        story.place.until(lambda: len(story.place.emails()) == 2, "The second email was not sent.")
    else:
        story.place.advance(COLLECTING)
        story.notes(second, 1)
        assert len(story.place.emails()) == 1


def test_orders_wait_for_an_archived_assessment(story):
    story.set_up()
    story.api("PATCH", f"/v1/assessments/{story.assessment['id']}", {"archived": True})
    application = story.invite(ADA)
    order = story.wait_for(application, "attention", "assessment_unavailable")
    assert not story.get(f"{story.path}/rules")["rules"][0]["assessmentAvailable"]
    other = story.create_assessment(title="Other take-home")
    story.api("PATCH", f"{story.path}/rules/{story.rule['id']}", {"assessmentId": other["id"]})
    story.retry(order)
    assert "Other take-home" in text_of(story.place.until(story.place.emails, "No email.")[0])


def test_orders_wait_for_a_subscription(app_with, clock, tmp_path):
    organization = make_organization("Acme", "growth")
    organization.subscribe("active")
    with in_process(app_with, clock, tmp_path, organization, "ashby") as story:
        story.set_up()
        organization.subscribe("canceled")
        application = story.invite(ADA)
        story.wait_for(application, "attention", "subscription")
        assert story.place.emails() == []
        organization.subscribe("active")
        story.place.advance(timedelta(hours=1))
        story.key_for(ADA)


def test_a_suppressed_email_is_sent_once_when_the_limit_allows_it(story):
    story.set_up()
    for _ in range(5):
        keys = story.api(
            "POST",
            f"/v1/assessments/{story.assessment['id']}/keys",
            {"count": 1, "candidateEmails": [ADA]},
            201,
        )["keys"]
        story.settle()
        story.api("DELETE", f"/v1/assessments/{story.assessment['id']}/keys/{keys[0]['id']}")
    application = story.invite(ADA)
    order = story.wait_for(application, "attention", "email_suppressed")
    assert len(story.place.emails()) == 5
    story.place.advance(DAY)
    story.place.until(lambda: len(story.place.emails()) == 6, "The email was not sent.")
    story.settle()
    assert len(story.place.emails()) == 6
    assert story.wait_for(application, "invited")["candidateId"] == order["candidateId"]


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_the_end_of_an_invitation_is_reported(story, how):
    story.set_up()
    application = story.invite(ADA)
    order = story.wait_for(application, "invited")
    if how == "revoked":
        story.api("DELETE", f"/v1/assessments/{story.assessment['id']}/keys/{order['candidateId']}")
    else:
        story.place.advance(timedelta(days=60))
    story.wait_for(application, how)
    story.place.advance(COLLECTING)
    (note,) = story.notes(application, 1)
    assert how in note.casefold()


def test_changes_within_15_minutes_are_one_note(story):
    story.set_up(reports=["invited", "started", "submitted", "scored"])
    application = story.invite(ADA)
    session_id = story.start(story.key_for(ADA))
    story.wait_for(application, "started")
    story.submit(story.key_for(ADA), session_id)
    story.wait_for(application, "submitted")
    story.place.advance(COLLECTING)
    story.notes(application, 1)
    story.settle()
    assert len(story.account.notes_of(application)) == 1


def test_a_blind_assessment_reports_the_score_after_the_decision(story):
    story.set_up()
    blind = story.create_assessment(title="Blind take-home", blind=True)
    story.api("PATCH", f"{story.path}/rules/{story.rule['id']}", {"assessmentId": blind["id"]})
    application = story.invite(ADA)
    session_id = story.work(ADA)
    story.score(session_id, 5)
    story.place.advance(COLLECTING)
    for note in story.notes(application, 1):
        assert "Score:" not in note
        assert "sessions/" not in note
    before = len(story.account.notes_of(application))
    story.decide(story.order(application)["candidateId"], "advanced")
    story.place.advance(DAY)
    last = story.notes(application, before + 1)[-1]
    assert "Score: 10" in last
    assert session_id in last


@pytest.mark.parametrize("include", [[], ["score"], ["criteria"]], ids=str)
def test_a_note_has_what_the_rule_includes(start, include):
    with start("ashby") as story:
        story.set_up(include=include, reports=["scored"])
        application = story.invite(ADA)
        story.score(story.work(ADA), 5, comment="Very good.")
        story.place.advance(COLLECTING)
        (note,) = story.notes(application, 1)
        assert ("Score: 10" in note) is ("score" in include)
        assert ("Quality" in note) is ("criteria" in include)
        assert "Very good." not in note


def test_a_merged_candidate_gets_the_note(story):
    story.set_up()
    application = story.invite(ADA)
    story.work(ADA)
    story.account.merge(application)
    story.wait_for(application, "submitted")
    story.place.advance(COLLECTING)
    story.notes(application, 1)


def test_a_deletion_in_the_system_becomes_an_erasure_request(story):
    story.set_up()
    application = story.invite(ADA)
    story.wait_for(application, "invited")
    assert story.account.send(*story.account.remove(application)) == [200]
    story.settle()
    requests = next(entry for name, entry in story.get("/v1/todo").items() if "erasure" in name.casefold())
    assert requests["count"] == 1
    assert "candidate.erasure_requested" in event_types(story)


def test_a_merge_keeps_the_order_of_the_application(start):
    with start("greenhouse") as story:
        story.set_up()
        application = story.invite()
        story.wait_for(application, "attention", "no_address")
        merged = {"id": story.account.candidate_of(application)["id"], "deleted_application_ids": []}
        story.account.merge(application)
        story.account.set_address(application, {"value": ADA, "type": "personal"})
        assert story.account.send(*story.account.event("delete_candidate", {"person": merged})) == [200]
        story.key_for(ADA)


def test_the_erasure_names_the_system_whose_notes_stay(story):
    story.set_up()
    application = story.invite(ADA)
    erased = story.erase(story.wait_for(application, "invited")["candidateId"])
    assert story.account.system in str(erased).casefold()


def test_a_jobs_rule_wins_over_the_rule_for_all_jobs(start):
    with start("ashby") as story:
        story.set_up()
        other = story.create_assessment(title="Frontend take-home")
        job = story.account.add_job("Frontend")
        story.add_rule(jobId=job, assessmentId=other["id"])
        application = story.account.apply(job, story.stage, ADA)
        story.account.move(application, story.stage)
        story.invite("bob@example.com")
        story.key_for("bob@example.com")
        story.key_for(ADA)
        assert "Frontend take-home" in text_of(story.place.emails(ADA)[0])
        assert "Backend take-home" in text_of(story.place.emails("bob@example.com")[0])


def test_nobody_is_invited_for_a_job_whose_rule_is_off(start):
    with start("ashby") as story:
        story.set_up()
        off = story.add_rule(jobId=story.job, active=False)
        application = story.invite(ADA)
        story.settle()
        assert story.orders() == []
        assert story.get(f"{story.path}/rules/{story.rule['id']}/catch-up") == {"applications": []}
        story.api("PATCH", f"{story.path}/rules/{off['id']}", {"active": True})
        story.hint(application)
        assert story.wait_for(application, "invited")["ruleId"] == off["id"]


def test_catch_up_invites_only_what_a_person_confirms(story):
    story.set_up()
    addresses = ["ada@example.com", "bob@example.com", "carol@example.com"]
    applications = [story.account.apply(story.job, story.stage, address) for address in addresses]
    gone = story.account.apply(story.job, story.stage, "dave@example.com")
    story.account.leave(gone)
    check = story.api("POST", f"{story.path}/check")["check"]
    assert check["rules"] == [{"ruleId": story.rule["id"], "waiting": 3}]
    story.settle()
    assert story.orders() == []
    path = f"{story.path}/rules/{story.rule['id']}/catch-up"
    waiting = [str(entry["applicationId"]) for entry in story.get(path)["applications"]]
    assert sorted(waiting) == sorted(applications)
    story.api("POST", path, {"applicationIds": applications[:2]}, 201)
    story.key_for(addresses[0])
    story.key_for(addresses[1])
    story.settle()
    assert len(story.place.emails()) == 2
    assert [str(entry["applicationId"]) for entry in story.get(path)["applications"]] == [applications[2]]


def test_the_email_has_a_key_and_a_link(story):
    story.set_up()
    story.invite(ADA)
    key = story.key_for(ADA)
    text = text_of(story.place.emails(ADA)[0])
    assert KEY.search(text).group(1) == key
    assert LINK.search(text).group(1).startswith(BASE_URL)
