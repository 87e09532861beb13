"""Claims are fair between organizations."""

from collections import Counter
from datetime import timedelta

import factories
import pytest
from statements import plans

from models import Delivery, WebhookDelivery, db, sql
from models.leases import RoundRobin
from models.webhooks import outbox


@pytest.fixture
def queue(clock):
    """Queues messages to a new webhook of an organization, each later than the one before."""

    def enqueue(organization, count):
        hook = factories.make_webhook(organization)
        for _ in range(count):
            outbox.enqueue_test(hook)
            clock.fixed += timedelta(seconds=1)
        return hook

    return enqueue


def claim(turns, is_finished=True):
    """Claim the next message as a sender does; returns its organization's id."""
    message = WebhookDelivery.claim(turns)
    if message is None:
        return None
    turns.start(message.lane)
    if is_finished:
        turns.finish(message.lane)
    return message.lane.organization_id


def test_a_single_message_is_next_whatever_another_organization_has_queued(queue, organization, neighbour):
    queue(organization, 1000)
    turns = RoundRobin()
    assert [claim(turns) for _ in range(3)] == [organization.id] * 3
    queue(neighbour.row.organization, 1)
    assert claim(turns) == neighbour.row.organization_id
    assert claim(turns) == organization.id


def test_organizations_are_served_in_turn(queue, organization, neighbour):
    for owner in (organization, neighbour.row.organization, factories.make_organization("Third")):
        queue(owner, 20)
    turns = RoundRobin()
    order = [claim(turns) for _ in range(30)]
    assert len(set(order[:3])) == 3
    assert order == order[:3] * 10


def test_an_organizations_webhooks_are_served_in_turn(queue, organization):
    hooks = {queue(organization, 3).id, queue(organization, 1).id}
    turns = RoundRobin()
    claimed = []
    for _ in range(2):
        message = WebhookDelivery.claim(turns)
        turns.start(message.lane)
        turns.finish(message.lane)
        claimed.append(message.webhook_id)
    assert set(claimed) == hooks


def test_one_organization_never_has_all_senders(queue, organization, neighbour):
    queue(organization, 10)
    turns = RoundRobin(senders=4)
    assert [claim(turns, is_finished=False) for _ in range(4)] == [organization.id] * 3 + [None]
    queue(neighbour.row.organization, 1)
    assert claim(turns, is_finished=False) == neighbour.row.organization_id


def test_a_single_sender_serves_everybody(queue, organization):
    queue(organization, 2)
    turns = RoundRobin(senders=1)
    assert claim(turns) == claim(turns) == organization.id


def test_the_organization_with_the_fewest_messages_in_progress_is_next(queue, organization, neighbour):
    queue(organization, 5)
    queue(neighbour.row.organization, 5)
    turns = RoundRobin(senders=5)
    claimed = Counter(claim(turns, is_finished=False) for _ in range(4))
    assert set(claimed.values()) == {2}


def test_emails_are_claimed_in_turn(clock, organization, neighbour):
    factories.make_keys(factories.make_assessment(organization), 10, email="a@example.com")
    clock.fixed += timedelta(seconds=1)
    factories.make_key(factories.make_assessment(neighbour.row.organization))
    turns, owners = RoundRobin(), []
    for _ in range(3):
        message = Delivery.claim(turns)
        turns.start(message.lane)
        turns.finish(message.lane)
        owners.append(message.organization_id)
    assert owners == [organization.id, neighbour.row.organization_id, organization.id]


@pytest.mark.parametrize(
    ("queue_table", "index"),
    [(Delivery, "deliveries_queued"), (WebhookDelivery, "webhook_deliveries_queued")],
)
def test_lanes_and_claims_read_one_index(queue, organization, clock, queue_table, index):
    queue(organization, 200)
    factories.make_keys(factories.make_assessment(organization), 50, email="a@example.com")
    db.execute_sql(
        f"ANALYZE {queue_table._meta.table_name}"
    )  # The plan follows these statistics, not earlier ones.
    assert any(index in plan for plan in plans(lambda: sql.rows(queue_table.due_lanes, now=clock.now())))
    assert all(index in plan for plan in plans(queue_table.claim))
