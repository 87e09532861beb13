"""Reports that the system rejects: what a retry does, and that no later change is lost."""

from datetime import timedelta

import factories
import pytest
from response_checks import body_of

from integrations import orders, rules, states
from integrations.adapter import Rejected
from integrations.tables import IntegrationReport
from models import CandidateKey, Delivery, TaskFailure, invitations, sessions
from models.deliveries import outcomes

REJECTED = Rejected("The system rejected the call (422).", 422)


def fail_invitation(order):
    outcomes.fail(Delivery.get_by_id(order.key.invitation_id), "No such mailbox.")


def reports_of(order):
    rows = IntegrationReport.select().where(IntegrationReport.order == order)
    return [(row.status, row.state) for row in rows.order_by(IntegrationReport.number)]


@pytest.mark.parametrize("action", [None, "report"])
def test_a_retry_shows_an_invitation_that_failed_in_the_meantime(
    reviewer, system, invited, report, rule, integration, action
):
    rules.update(rule, {"reports": ["invited"]})
    system.failures.append((REJECTED, False))
    report()
    assert invited.lock().reason == "retries_exhausted"
    fail_invitation(invited)
    path = f"/v1/integrations/{integration.id}/orders/{invited.id}/retry"
    order = body_of(reviewer.post(path, {"action": action}))["order"]
    assert (order["state"], order["reason"], order["lastError"]) == ("attention", "email_failed", None)
    report()
    assert (TaskFailure.select().count(), system.notes) == (0, [])


def test_a_report_that_a_person_asked_for_is_not_sent_if_the_invitation_fails(invited, report):
    orders.retry(invited, "report")
    fail_invitation(invited)
    report()
    assert (invited.lock().reason, reports_of(invited)) == ("email_failed", [])
    assert TaskFailure.select().count() == 0


@pytest.mark.parametrize("is_refreshed", [True, False])
def test_a_change_while_an_older_report_fails_is_reported(
    system, invited, report, reviewer, clock, is_refreshed
):
    sessions.complete(factories.make_recorded_session(CandidateKey.get_by_id(invited.key_id)))

    def decide():
        clock.fixed += timedelta(minutes=2)
        invitations.decide(CandidateKey.get_by_id(invited.key_id), reviewer.row, "advanced", None)
        if is_refreshed:
            states.refresh()
            clock.fixed += timedelta(minutes=2)

    system.before_write = decide
    system.failures.append((REJECTED, False))
    report()
    system.before_write = lambda: None
    report()
    assert reports_of(invited) == [("submitted", "failed"), ("scored", "sent")]
    assert invited.lock().state == "scored"


@pytest.mark.parametrize("is_reported", [True, False])
def test_a_failed_report_needs_a_person_if_a_change_meanwhile_leads_to_no_other(
    system, invited, report, rule, reviewer, clock, is_reported
):
    rules.update(rule, {"reports": ["submitted"]})
    sessions.complete(factories.make_recorded_session(CandidateKey.get_by_id(invited.key_id)))

    def change():
        clock.fixed += timedelta(minutes=2)
        key = CandidateKey.get_by_id(invited.key_id)
        if is_reported:
            key.request_erasure()
        else:
            invitations.decide(key, reviewer.row, "advanced", None)
        states.refresh()

    system.before_write = change
    system.failures.append((REJECTED, False))
    report()
    report()
    assert reports_of(invited) == [("submitted", "failed")]
    order = invited.lock()
    assert (order.reason, order.last_error) == ("retries_exhausted", REJECTED.message)


def test_a_failed_report_needs_a_person_until_another_follows(system, invited, report, clock):
    sessions.complete(factories.make_recorded_session(CandidateKey.get_by_id(invited.key_id)))
    system.failures.append((REJECTED, False))
    report()
    clock.fixed += timedelta(minutes=2)
    CandidateKey.get_by_id(invited.key_id).request_erasure()
    report()
    assert (invited.lock().reason, reports_of(invited)) == ("retries_exhausted", [("submitted", "failed")])
    orders.retry(invited)
    report()
    assert (invited.lock().state, reports_of(invited)) == ("submitted", [("submitted", "sent")])
