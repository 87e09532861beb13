"""Queued and delivered emails after a change to the candidate or recipient."""

from datetime import timedelta

import pytest
from factories import make_assessment, make_key, make_keys, make_person

from delivery.worker.housekeeping import run_daily_tasks
from models import Delivery, FeedEvent, SignInGrant, db, invitations
from models.ledger import numbering
from tests.statements import plans


def states(kind="invitation"):
    return [row.state for row in Delivery.select().where(Delivery.kind == kind).order_by(Delivery.id)]


@pytest.mark.parametrize("change", ["rejected", "erasure requested", "bounced"])
def test_a_queued_reminder_is_not_sent_after_a_change(
    clock, flask, reviewer, organization, worker, emails, change
):
    key = make_key(make_assessment(organization, expires_in_days=7, reminder_days_before=2))
    worker.run_once()
    clock.fixed += timedelta(days=5, minutes=1)
    assert invitations.enqueue_reminders() == 1
    if change == "rejected":
        invitations.decide(key, reviewer.row, "rejected", "Secret")
    elif change == "bounced":
        flask("deliveries", "bounce", key.candidate_email)
    else:
        key.request_erasure()
    worker.run_once()
    assert (states("reminder"), len(emails())) == (["canceled"], 1)


def test_a_bounce_is_published_and_names_the_domain_in_ascii(flask, organization, worker):
    key = make_key(make_assessment(organization), "ann@m\u00fcller.example")
    worker.run_once()
    assert "Marked 1 " in flask("deliveries", "bounce", "ann@xn--mller-kva.example")
    assert states() == ["failed"]
    (event,) = FeedEvent.select().where(FeedEvent.type == "invite.failed")
    assert event.data["candidateId"] == str(key.id)


def test_a_sign_in_email_is_deleted_with_its_file(clock, organization, worker, emails):
    make_person(organization, "reviewer", email="ann@northwind.example")
    worker.run_once()
    before = len(emails())
    SignInGrant.request_email("ann@northwind.example")
    worker.run_once()
    assert len(emails()) == before + 1
    clock.fixed += timedelta(days=1, minutes=1)
    run_daily_tasks(None, set())
    worker.run_once()
    assert (states("sign_in"), len(emails())) == ([], before)


def test_numbering_reads_keys_from_their_index(organization):
    make_keys(make_assessment(organization), 500)
    numbering.number_new()
    db.execute_sql("ANALYZE")
    (plan,) = plans(lambda: numbering.introduced_keys(organization.id))
    assert "ledger_entries_keys" in plan
