"""Orders after the deletion of their candidate, in the system or here, or of the integration."""

import pytest
from response_checks import body_of

from integrations import orders
from integrations.adapter import Hint
from integrations.tables import IntegrationOrder
from models import CandidateKey, privacy
from tests.integrations import made_up


def delete(integration, person_id="p1", *application_ids):
    orders.receive(integration, Hint(application_ids, person_id, is_deleted=True))


def ids_of(order):
    order = order.lock()
    return order.state, order.application_id, order.person_id


def test_a_deletion_in_the_system_requests_erasure(system, receive, work, invited, integration):
    waiting = receive(system.add("2", person_id="p1", email=None))
    work()
    del system.applications["2"]
    delete(integration)
    assert CandidateKey.get_by_id(invited.key_id).erasure_requested_at
    assert waiting.lock().person_id == ""
    work()
    assert ids_of(waiting) == ("erased", None, None)
    assert receive(system.add("2")) is None


@pytest.mark.parametrize("state", ["received", "attention", "skipped"])
def test_a_merge_keeps_the_order_of_an_application_that_still_exists(
    system, receive, work, integration, state
):
    changes = {"attention": {"email": None}, "skipped": {"is_active": False}}.get(state, {})
    order = receive(system.add(**changes))
    if state != "received":
        work()
    assert order.lock().state == state
    system.move(person_id="p2")
    delete(integration, "p1", "1")
    work()
    assert ids_of(order) == (state if changes else "invited", "1", "p2")


def test_a_merge_invites_nobody_whom_a_webhook_has_forbidden_to_email(system, receive, work, integration):
    order = receive(system.add()._replace(may_email=False))
    system.move(person_id="p2")
    delete(integration, "p1", "1")
    work()
    assert (order.lock().state, system.reads) == ("erased", [])


def test_an_order_that_was_erased_meanwhile_stays_erased(system, receive, integration, monkeypatch):
    order = receive(system.add()._replace(may_email=False))
    lock = IntegrationOrder.lock

    def lock_second(order):
        monkeypatch.setattr(IntegrationOrder, "lock", lock)
        delete(integration, "p1", "1")  # in another process
        return order.lock()

    monkeypatch.setattr(IntegrationOrder, "lock", lock_second)
    delete(integration, "p1", "1")
    assert ids_of(order) == ("erased", None, None)


def test_an_erasure_includes_the_persons_applications_for_other_jobs(
    system, receive, work, invited, integration, assessment
):
    made_up.make_rule(integration, assessment, job="j2")
    other = receive(system.add("2", person_id="p1", job_id="j2", email=None))
    bystander = receive(system.add("3", email=None))
    work()
    privacy.erase(CandidateKey.get_by_id(invited.key_id))
    assert ids_of(other) == ("erased", None, None)
    assert ids_of(bystander) == ("attention", "3", "p3")
    assert receive(system.add("2", person_id="p1")) is None


def test_an_erasure_keeps_the_order_of_an_invitation_that_was_sent_meanwhile(
    system, receive, work, invited, integration, assessment, monkeypatch
):
    made_up.make_rule(integration, assessment, job="j2")
    other = receive(system.add("2", person_id="p1", job_id="j2"))
    lock = IntegrationOrder.lock

    def lock_after_invitation(order):
        monkeypatch.setattr(IntegrationOrder, "lock", lock)
        work()  # in another process
        return order.lock()

    monkeypatch.setattr(IntegrationOrder, "lock", lock_after_invitation)
    privacy.erase(CandidateKey.get_by_id(invited.key_id))
    assert ids_of(other) == ("invited", "2", "p1")
    assert ids_of(invited) == ("erased", None, None)


def test_a_deleted_integration_keeps_no_ids_of_people_without_an_invitation(
    reviewer, system, receive, work, invited, integration
):
    waiting = receive(system.add("2", email=None))
    skipped = receive(system.add("3", is_active=False))
    work()
    body_of(reviewer.delete(f"/v1/integrations/{integration.id}"))
    assert ids_of(waiting) == ids_of(skipped) == ("erased", None, None)
    assert waiting.lock().reason is None
    assert ids_of(invited) == ("invited", "1", "p1")
