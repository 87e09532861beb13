"""Claims are fair across organizations."""

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
    """Queue messages to a new webhook, one per second."""

    def enqueue(organization, count):
        hook = factories.make_webhook(organization)
        for _ in range(count):
            outbox.enqueue_test(hook)
            clock.fixed += timedelta(seconds=1)
        return hook

    return enqueue


def claim_message(round_robin, is_finished=True, table=WebhookDelivery):
    message = table.claim(round_robin)
    if message is not None:
        round_robin.start(message.lane)
        if is_finished:
            round_robin.finish(message.lane)
    return message


def claim(round_robin, is_finished=True, table=WebhookDelivery):
    """Claim the next message as a sender does; returns its organization's id."""
    message = claim_message(round_robin, is_finished, table)
    return message and message.lane.organization_id


def test_long_queues_do_not_delay_other_organizations(queue, organization, neighbour):
    queue(organization, 1000)
    round_robin = RoundRobin()
    assert [claim(round_robin) for _ in range(3)] == [organization.id] * 3
    queue(neighbour.row.organization, 1)
    assert claim(round_robin) == neighbour.row.organization_id
    assert claim(round_robin) == organization.id


def test_organizations_alternate(queue, organization, neighbour):
    for owner in (organization, neighbour.row.organization, factories.make_organization("Third")):
        queue(owner, 20)
    round_robin = RoundRobin()
    order = [claim(round_robin) for _ in range(30)]
    assert len(set(order[:3])) == 3
    assert order == order[:3] * 10


def test_an_organizations_webhooks_alternate(queue, organization):
    hooks = {queue(organization, 3).id, queue(organization, 1).id}
    round_robin = RoundRobin()
    assert {claim_message(round_robin).webhook_id for _ in range(2)} == hooks


def test_an_organization_never_uses_all_senders(queue, organization, neighbour):
    queue(organization, 10)
    round_robin = RoundRobin(senders=4)
    assert [claim(round_robin, is_finished=False) for _ in range(4)] == [organization.id] * 3 + [None]
    queue(neighbour.row.organization, 1)
    assert claim(round_robin, is_finished=False) == neighbour.row.organization_id


def test_a_single_sender_serves_one_organization_repeatedly(queue, organization):
    queue(organization, 2)
    round_robin = RoundRobin(senders=1)
    assert claim(round_robin) == claim(round_robin) == organization.id


def test_the_organization_with_the_fewest_messages_in_progress_is_next(queue, organization, neighbour):
    queue(organization, 5)
    queue(neighbour.row.organization, 5)
    round_robin = RoundRobin(senders=5)
    claimed = Counter(claim(round_robin, is_finished=False) for _ in range(4))
    assert set(claimed.values()) == {2}


def test_emails_of_organizations_alternate(clock, organization, neighbour):
    factories.make_keys(factories.make_assessment(organization), 10, email="a@example.com")
    clock.fixed += timedelta(seconds=1)
    other = neighbour.row.organization
    factories.make_key(factories.make_assessment(other))
    round_robin = RoundRobin()
    owners = [claim(round_robin, table=Delivery) for _ in range(3)]
    assert owners == [organization.id, other.id, organization.id]


@pytest.mark.parametrize(
    ("queue_table", "index"),
    [(Delivery, "deliveries_queued"), (WebhookDelivery, "webhook_deliveries_queued")],
)
def test_lanes_and_claims_read_one_index(queue, organization, clock, queue_table, index):
    queue(organization, 200)
    factories.make_keys(factories.make_assessment(organization), 50, email="a@example.com")
    db.execute_sql(f"ANALYZE {queue_table._meta.table_name}")
    assert any(index in plan for plan in plans(lambda: sql.rows(queue_table.due_lanes, now=clock.now())))
    assert all(index in plan for plan in plans(queue_table.claim))
