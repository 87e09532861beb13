"""Orders: one key and one email, states that follow the candidate, and what needs a person."""

from datetime import timedelta

import factories
import pytest

from delivery.worker import Worker
from errors import Conflict, EmailLimit
from integrations import orders, reading, rules, states, worker
from integrations.adapter import CredentialRejected, Hint, Rejected, TemporaryFailure
from integrations.tables import Integration, IntegrationOrder
from models import AuditEntry, CandidateKey, Delivery, FeedEvent, Session, invitations, privacy, sessions
from models.deliveries import outcomes
from rules.delivery.retries import RETRY_DELAYS
from tests.integrations import made_up


def finish(key, **redeem):
    session = factories.make_recorded_session(key, **redeem)
    sessions.complete(session)
    return Session.get_by_id(session.id)


def state_of(order):
    states.refresh()
    order = order.lock()
    return order.state, order.reason


def attention_of(order):
    assert order.lock().state == "attention"
    return order.lock().reason


def events_of(event_type):
    events = FeedEvent.select().where(FeedEvent.type == event_type).order_by(FeedEvent.id)
    return [event.data for event in events]


def test_a_stage_change_invites_the_candidate_once(system, receive, work, integration, assessment):
    hint = system.add(name="Alice\u202e\x00 Smith")
    order = receive(hint)
    assert (order.state, system.reads) == ("received", [])
    receive(hint)
    work()
    receive(hint)
    work()
    key = CandidateKey.get()
    assert (key.candidate_name, key.candidate_email) == ("Alice Smith", "alice1@example.com")
    assert (key.external_id, key.assessment_id) == ("made_up:1", assessment.id)
    assert Delivery.select().where(Delivery.kind == "invitation").count() == 1
    order = order.lock()
    assert (order.state, order.key_id, order.person_id, order.due_at) == ("invited", key.id, "p1", None)
    assert [data["orderId"] for data in events_of("order.created")] == [str(order.id)]
    entry = AuditEntry.get(AuditEntry.actor_kind == "integration")
    assert (entry.action, entry.actor_id, entry.further_ids) == ("issueKeys", integration.id, [str(key.id)])
    assert system.reads == ["1"]


def test_only_a_stage_with_a_rule_creates_an_order(system, integration, rule):
    for hint in (Hint(("1",), "p1", "s2", ("j1",)), Hint(("1",), "p1", "s1", ("j2",)), Hint(("1",))):
        orders.receive(integration, hint)
    rules.update(rule, {"active": False})
    orders.receive(integration, Hint(("1",), "p1", "s1", ("j1",)))
    assert IntegrationOrder.select().count() == 0


def test_a_jobs_rule_wins_whatever_the_webhook_says(system, integration, rule, assessment, work):
    other = made_up.make_rule(integration, factories.make_assessment(assessment.organization), job=None)
    hint = system.add()
    orders.receive(integration, hint._replace(job_ids=()))
    work()
    found = {order.rule_id: order.state for order in IntegrationOrder.select()}
    assert found == {other.id: "skipped", rule.id: "invited"}
    orders.receive(integration, system.add("2", job_id="j2"))
    work()
    assert IntegrationOrder.get(IntegrationOrder.application_id == "2").rule_id == other.id


@pytest.mark.parametrize("changes", [{"stage_id": "s2"}, {"is_active": False}, {"job_id": "j2"}])
def test_an_application_that_left_the_stage_is_skipped_until_it_returns(system, receive, work, changes):
    hint = system.add()
    order = receive(hint)
    system.move(**changes)
    work()
    assert order.lock().state == "skipped"
    system.add()
    receive(hint)
    work()
    assert order.lock().state == "invited"


def test_a_webhook_during_the_reading_is_not_lost(system, receive, work, clock):
    hint = system.add()
    order = receive(hint)
    system.move(stage_id="s2")

    def return_to_the_stage():
        system.before_read = lambda: None
        clock.fixed += timedelta(seconds=1)
        receive(hint)

    stale = system.applications["1"]
    system.before_read = return_to_the_stage
    reading.read(order, order.integration, made_up, system)
    assert (order.lock().state, stale.stage_id) == ("received", "s2")
    system.add()
    work()
    assert order.lock().state == "invited"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"email": None}, "no_address"),
        ({"email": "not an address"}, "no_address"),
        ({"may_email": False}, "may_not_email"),
    ],
)
def test_a_candidate_who_cannot_be_emailed_needs_a_person(system, receive, work, values, reason):
    order = receive(system.add(**values))
    work()
    assert attention_of(order) == reason
    assert [data["reason"] for data in events_of("order.attention")] == [reason]
    system.add()
    orders.retry(order.lock())
    work()
    assert order.lock().state == "invited"


def test_a_webhook_that_forbids_emails_is_obeyed(system, receive, work):
    order = receive(system.add()._replace(may_email=False))
    work()
    assert (attention_of(order), system.reads) == ("may_not_email", [])


@pytest.mark.parametrize("change", ["archive", "delete"])
def test_an_unavailable_assessment_waits_for_another(
    system, receive, work, rule, assessment, reviewer, change
):
    order = receive(system.add())
    if change == "delete":
        assessment.soft_delete()
    else:
        assessment.apply_changes(reviewer.row, {"archived": True})
    work()
    assert attention_of(order) == "assessment_unavailable"
    rules.update(rule, {"assessment": factories.make_assessment(assessment.organization)})
    orders.retry(order.lock())
    work()
    assert order.lock().state == "invited"


def test_a_missing_subscription_is_retried_hourly_for_three_days(system, receive, work, clock, organization):
    organization.update_columns(plan="team", subscription="canceled")
    order = receive(system.add())
    for hours in (0, 1, 1, 70, 1, 24):
        clock.fixed += timedelta(hours=hours)
        work()
    assert attention_of(order) == "subscription"
    assert len(system.reads) == 4
    assert len(events_of("order.attention")) == 1
    organization.subscribe("active")
    orders.retry(order.lock())
    work()
    assert order.lock().state == "invited"


def test_an_open_key_is_linked_without_a_second_email(system, receive, work, assessment):
    key = factories.make_key(assessment, "ALICE1@example.com")
    first, second = receive(system.add()), receive(system.add("2", email="alice1@example.com"))
    work()
    assert [first.lock().key_id, second.lock().key_id] == [key.id, key.id]
    assert CandidateKey.get_by_id(key.id).external_id == "made_up:1"
    assert Delivery.select().where(Delivery.kind == "invitation").count() == 1
    session = factories.make_recorded_session(key)
    assert [state_of(first), state_of(second)] == [("started", None)] * 2
    sessions.complete(session)
    assert state_of(second) == ("submitted", None)


def test_a_finished_candidate_is_reported_or_invited_again_by_a_person(system, receive, work, assessment):
    finish(factories.make_key(assessment, "alice1@example.com"))
    first, second = receive(system.add()), receive(system.add("2", email="alice1@example.com"))
    work()
    assert [attention_of(first), attention_of(second)] == ["already_assessed"] * 2
    assert state_of(first) == ("attention", "already_assessed")
    with pytest.raises(Conflict):
        orders.retry(first.lock())
    assert orders.retry(first.lock(), "report").state == "submitted"
    orders.retry(second.lock(), "invite")
    work()
    assert second.lock().state == "invited"
    assert second.lock().key_id != first.lock().key_id


def test_a_person_can_ask_for_a_report_that_the_rule_omits(system, receive, work, report, rule, assessment):
    rules.update(rule, {"reports": ["scored"]})
    finish(factories.make_key(assessment, "alice1@example.com"))
    order = receive(system.add())
    work()
    orders.retry(order.lock(), "report")
    report()
    assert "Status: Submitted" in system.notes_of()[0]
    report(48)
    assert len(system.notes) == 1


def test_two_webhooks_of_a_candidate_with_a_taken_id_get_no_id(system, receive, work, assessment):
    key = factories.make_key(assessment, "other@example.com")
    invitations.update_candidate(key, {"external_id": "made_up:1"})
    order = receive(system.add())
    work()
    assert order.lock().key.external_id is None


def test_the_state_follows_the_candidate(invited, reviewer, assessment):
    rubric = factories.make_rubric(assessment.organization)
    assessment.update_columns(rubric=rubric)
    key = invited.key
    session = factories.make_recorded_session(key)
    assert state_of(invited) == ("started", None)
    sessions.complete(session)
    assert state_of(invited) == ("submitted", None)
    session = Session.get_by_id(session.id)
    person = factories.make_person(assessment.organization)
    assignment = factories.models.Assignment.create(session=session, user=person, assigned_by=reviewer.row)
    factories.models.Score.submit(session, "quality", reviewer.row, value=1, comment=None, evidence=[])
    assert state_of(invited) == ("submitted", None)
    assignment.set_once("removed_at")
    assert state_of(invited) == ("scored", None)
    factories.models.Score.withdraw(session, "quality", reviewer.row)
    assert state_of(invited) == ("submitted", None)
    invitations.decide(key, reviewer.row, "rejected", None)
    assert state_of(invited) == ("scored", None)
    assert states.refresh() == 0


def test_the_state_follows_the_invitation(invited, reviewer, clock):
    clock.fixed += timedelta(days=8)
    assert state_of(invited) == ("expired", None)
    invitations.reopen(invited.key, lambda: None)
    assert state_of(invited) == ("invited", None)
    invitations.revoke(invited.key, lambda: None)
    assert state_of(invited) == ("revoked", None)


def test_an_expired_session_is_expired_until_it_is_scored(invited, assessment, reviewer, clock, report):
    assessment.update_columns(time_limit_minutes=60, rubric=factories.make_rubric(assessment.organization))
    session = factories.make_recorded_session(CandidateKey.get_by_id(invited.key_id))
    assert state_of(invited) == ("started", None)
    clock.fixed += timedelta(minutes=66)
    assert state_of(invited) == ("expired", None)
    sessions.close_all_due()
    session, person = Session.get_by_id(session.id), factories.make_person(assessment.organization)
    assignment = factories.models.Assignment.create(session=session, user=person, assigned_by=reviewer.row)
    factories.models.Score.submit(session, "quality", reviewer.row, value=1, comment=None, evidence=[])
    for _ in range(2):
        report(1)
    assert state_of(invited) == ("expired", None)
    assignment.set_once("removed_at")
    assert state_of(invited) == ("scored", None)


def test_a_failed_invitation_is_retried_by_a_person(invited):
    delivery = Delivery.get_by_id(invited.key.invitation_id)
    outcomes.fail(delivery, "No such mailbox.")
    assert state_of(invited) == ("attention", "email_failed")
    orders.retry(invited.lock())
    assert Delivery.get_by_id(delivery.id).state == "queued"
    assert state_of(invited) == ("invited", None)
    assert Delivery.select().where(Delivery.kind == "invitation").count() == 1


def test_a_canceled_email_leaves_the_invitation_failed(invited):
    outcomes.fail(Delivery.get_by_id(invited.key.invitation_id), "No such mailbox.")
    invitations.invite(invited.key, lambda: None)
    assert state_of(invited) == ("invited", None)
    invitations.cancel(Delivery.get(Delivery.state == "queued", Delivery.kind == "invitation"))
    assert state_of(invited) == ("attention", "email_failed")


def test_a_suppressed_invitation_is_sent_once_when_the_limit_allows_it(
    system, receive, work, assessment, clock
):
    for key in factories.make_keys(assessment, 5, "alice1@example.com"):
        key.revoke()
        clock.fixed += timedelta(hours=1)
    order = receive(system.add())
    work()
    work()
    assert attention_of(order) == "email_suppressed"
    with pytest.raises(EmailLimit):
        orders.retry(order.lock())
    clock.fixed += timedelta(hours=19, minutes=1)
    states.refresh()
    assert state_of(order) == ("invited", None)
    states.refresh()
    queued = Delivery.select().where(Delivery.subject_id == order.lock().key_id, Delivery.state == "queued")
    assert queued.count() == 1


def test_a_failing_system_is_retried_for_three_days(system, receive, work, clock):
    order = receive(system.add())
    system.read_failures.extend([TemporaryFailure("The system did not respond.", 503)] * 20)
    work()
    order = order.lock()
    assert (order.state, order.last_error) == ("received", "The system did not respond.")
    for delay in RETRY_DELAYS:
        clock.fixed += delay
        work()
    assert attention_of(order) == "retries_exhausted"
    assert len(system.reads) == 10
    system.read_failures.clear()
    orders.retry(order.lock())
    clock.fixed += timedelta(minutes=1)
    work()
    assert order.lock().state == "invited"


def test_a_rate_limit_pauses_the_integration_without_using_up_attempts(
    system, receive, work, clock, integration
):
    first, second = receive(system.add()), receive(system.add("2"))
    failure = TemporaryFailure("Too many requests.", 429, is_unknown=False, retry_after_seconds=20)
    system.read_failures.append(failure)
    work()
    assert (system.reads, first.lock().attempts) == (["1"], 0)
    clock.fixed += timedelta(seconds=19)
    work()
    assert system.reads == ["1"]
    clock.fixed += timedelta(seconds=1)
    work()
    assert [first.lock().state, second.lock().state] == ["invited", "invited"]


def test_a_rejected_call_needs_a_person(system, receive, work):
    order = receive(system.add())
    system.read_failures.append(Rejected("The system rejected the call (422).", 422))
    work()
    assert attention_of(order) == "retries_exhausted"
    assert order.lock().last_error == "The system rejected the call (422)."


def test_a_bug_in_an_adapter_does_not_block_other_orders(system, receive, work, clock):
    first, second = receive(system.add()), receive(system.add("2"))
    system.read_failures.append(KeyError("email alice@example.com"))
    work()
    assert [first.lock().state, second.lock().state] == ["received", "invited"]
    assert "alice" not in first.lock().last_error
    clock.fixed += timedelta(minutes=1)
    work()
    assert first.lock().state == "invited"


def test_a_rejected_credential_stops_the_integration_until_it_is_replaced(system, receive, work, integration):
    first, second = receive(system.add()), receive(system.add("2"))
    system.read_failures.append(CredentialRejected("The system rejected the credential (401).", 401))
    work()
    work()
    assert (attention_of(first), second.lock().state, system.reads) == (
        "credential_rejected",
        "received",
        ["1"],
    )
    assert Integration.get_by_id(integration.id).stopped_reason == "credential_rejected"
    integration.update_columns(stopped_reason=None)
    work()
    assert [first.lock().state, second.lock().state] == ["invited", "invited"]


def test_a_credential_replaced_during_the_call_does_not_stop(system, receive, work, integration):
    receive(system.add())
    system.read_failures.append(CredentialRejected("The system rejected the credential (401).", 401))
    system.before_read = lambda: integration.update_columns(credential="test:new")
    work()
    assert Integration.get_by_id(integration.id).stopped_reason is None


def test_the_next_order_is_read_with_a_replaced_credential(system, receive, work, integration, monkeypatch):
    used = []

    def connect(row):
        used.append(row.credential)
        return system

    monkeypatch.setattr(worker, "connect", connect)
    for number in ("1", "2"):
        receive(system.add(number))
    system.before_read = lambda: integration.update_columns(credential="test:new")
    work()
    assert used[1] == "test:new"


def test_a_paused_or_deleted_integration_makes_no_calls(system, receive, work, integration, clock):
    receive(system.add())
    for column, value in (("active", False), ("deleted_at", clock.fixed)):
        before = getattr(integration, column)
        integration.update_columns(**{column: value})
        work()
        assert system.reads == []
        integration.update_columns(**{column: before})


def test_organizations_do_not_wait_for_each_other(system, receive, work, clock, monkeypatch):
    def advance():
        clock.fixed += timedelta(seconds=1)

    system.before_read = advance
    monkeypatch.setattr(worker, "MAX_SERVE_SECONDS", 0)
    for number in range(3):
        receive(system.add(f"1{number}"))
    other = made_up.make_integration(factories.make_organization("Beta"))
    made_up.make_rule(other, factories.make_assessment(other.organization))
    for number in range(2):
        orders.receive(other, system.add(f"2{number}"))
    work()
    assert system.reads == ["10", "20", "11", "21", "12"]


def test_a_broken_connection_does_not_block_other_integrations(system, receive, work, monkeypatch):
    def connect(integration):
        if integration.name == "Broken":
            raise ValueError("unexpected")
        return system

    monkeypatch.setattr(worker, "connect", connect)
    order = receive(system.add())
    broken = made_up.make_integration(factories.make_organization("Beta"))
    broken.update_columns(name="Broken", claimed_until=order.created_at - timedelta(days=1))
    made_up.make_rule(broken, factories.make_assessment(broken.organization))
    orders.receive(broken, system.add("2"))
    work()
    assert order.lock().state == "invited"


def test_the_workers_tasks_invite_and_report(app, system, receive, clock):
    process = Worker(app.config, optional_tasks=app.extensions["worker_tasks"])
    order = receive(system.add())
    process.run_once()
    sessions.complete(factories.make_recorded_session(order.lock().key))
    process.run_once()
    clock.fixed += timedelta(minutes=15)
    process.run_once()
    assert "Status: Submitted" in system.notes_of()[0]


def test_a_killed_workers_claim_expires(system, receive, work, integration, clock):
    order = receive(system.add())
    integration.update_columns(claimed_until=clock.fixed + timedelta(seconds=60))
    work()
    assert order.lock().state == "received"
    clock.fixed += timedelta(seconds=60)
    work()
    assert order.lock().state == "invited"


def test_a_deleted_rule_invites_nobody(system, receive, work, rule):
    order = receive(system.add())
    rules.delete(rule)
    work()
    assert (order.lock().state, system.reads) == ("skipped", [])


def test_catch_up_lists_and_invites_applications_without_an_order(system, receive, work, integration, rule):
    receive(system.add())
    system.add("2")
    system.add("3", stage_id="s2")
    assert [application.id for application in rules.waiting(integration, rule, system)] == ["2"]
    assert CandidateKey.select().count() == 0
    created = orders.create(integration, rule, ["2", "3"])
    work()
    assert [order.lock().state for order in created] == ["invited", "skipped"]
    assert rules.waiting(integration, rule, system) == []


def test_an_erased_application_is_forgotten_and_never_invited_again(
    system, receive, invited, integration, rule
):
    privacy.erase(CandidateKey.get_by_id(invited.key_id))
    order = invited.lock()
    assert (order.state, order.application_id, order.person_id) == ("erased", None, None)
    assert receive(system.add()) is None
    assert orders.create(integration, rule, ["1"]) == []
    assert rules.waiting(integration, rule, system) == []
    assert state_of(order) == ("erased", None)


def test_every_reason_has_a_sentence_and_a_remedy():
    for sentence, remedy in orders.REASONS.values():
        assert sentence.endswith(".")
        assert remedy.endswith(".")
