"""Events under concurrent writers, readers and workers: feed and webhook tell each of them, the feed just once."""

import json
import os
import signal
from collections import Counter
from contextlib import ExitStack, closing

import pytest
import standardwebhooks
import uuid_utils.compat

from tests.delivery.receiver import receiving
from tests.live.cast import make_assessment, make_keys, start_session
from tests.live.client import Load, run_concurrently
from tests.live.service import wait_until

OPENED = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
WRITERS, ROUNDS, KEYS = 8, 4, 3


@pytest.fixture
def writer(service):
    """A reviewer of an organization in which nothing has happened."""
    return service.organization("Writers")


@pytest.fixture
def reader(writer):
    return Reader(writer)


class Reader:
    """Follows the feed from its beginning."""

    def __init__(self, client):
        self.client = client
        self.after = 0
        self.events = []

    def read_on(self):
        page = self.client.get(f"/v1/events?after={self.after}&limit=7")
        assert page.status == 200
        self.events += page["events"]
        self.after = page["next"]
        return len(self.events)

    def counted(self):
        return Counter(event["type"] for event in self.events)


def happen(service, writer):
    """What one writer does, one thing after another."""
    for _ in range(ROUNDS):
        for key in make_keys(writer, make_assessment(writer), KEYS):
            start_session(service, key["key"])


EXPECTED = {
    "assessment.created": WRITERS * ROUNDS,
    "key.created": WRITERS * ROUNDS * KEYS,
    "session.started": WRITERS * ROUNDS * KEYS,
}


@pytest.mark.slow
def test_the_feed_yields_each_event_exactly_once(service, writer, reader):
    with service.worker(), service.worker(), Load([reader.read_on]):
        run_concurrently([lambda: happen(service, writer)] * WRITERS)
        wait_until(lambda: len(reader.events) >= sum(EXPECTED.values()), "Events are missing.")
    assert reader.counted() == EXPECTED
    assert len({event["id"] for event in reader.events}) == len(reader.events)
    again = Reader(writer)
    while again.read_on() < len(reader.events):
        pass
    assert again.events == reader.events


@pytest.mark.slow
def test_a_writer_that_commits_late_is_not_skipped(service, writer, reader):
    """Its event was written before others that are read already."""
    if not service.is_postgres:
        pytest.skip("SQLite lets only one write at a time.")
    organization = service.execute("SELECT max(id::text) FROM organizations WHERE name = 'Writers'")[0][0]
    late = str(uuid_utils.compat.uuid7())
    with closing(service.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO occurrences (id, created_at, organization_id, type, data) VALUES (%s, now(), %s, %s, '{}')",
            (late, organization, "assessment.created"),
        )
        with service.worker():
            make_assessment(writer)
            wait_until(reader.read_on, "The event does not come.")
        assert late not in [event["id"] for event in reader.events]
        connection.commit()
        with service.worker():
            wait_until(lambda: reader.read_on() == 2, "The late event does not come.")
    assert reader.events[1]["id"] == late


@pytest.mark.slow
def test_a_webhook_is_told_what_the_feed_tells_though_workers_are_killed(service, writer, reader):
    with receiving() as receiver:
        receiver.responses = [(503, {}, b"")] * 3
        secret = writer.post("/v1/webhooks", {"url": receiver.url()})["secret"]
        run_concurrently([lambda: happen(service, writer)] * 2)
        for killed_after in (3, 10):
            with ExitStack() as stack:
                worker = stack.enter_context(service.worker(**OPENED))
                wait_until(
                    lambda: make_due(service) or len(receiver.messages) > killed_after,  # noqa: B023
                    "The receiver hears nothing.",
                )
                os.kill(worker.pid, signal.SIGKILL)
        with service.worker(**OPENED):
            wait_until(lambda: make_due(service) or all_told(service), "Messages are left.")
        official = standardwebhooks.Webhook(secret)
        payloads = [official.verify(each.body.decode(), each.headers) for each in receiver.messages]
        ids = {each.headers["webhook-id"] for each in receiver.messages}
    wait_until(lambda: reader.read_on() >= len(ids), "The feed tells less.")
    assert {json.dumps(each, sort_keys=True) for each in payloads} == {
        json.dumps(each, sort_keys=True) for each in reader.events
    }
    assert ids == {event["id"] for event in reader.events}
    assert len(ids) == sum(EXPECTED.values()) // WRITERS * 2


def make_due(service):
    """What waits for its next try, or for the end of a lease, need not wait any longer."""
    service.execute("UPDATE webhooks SET held_until = NULL")
    service.execute("UPDATE webhook_deliveries SET due_at = created_at WHERE state = 'queued'")


def all_told(service):
    waiting = "SELECT count(*) FROM occurrences WHERE position IS NULL"
    queued = "SELECT count(*) FROM webhook_deliveries WHERE state <> 'delivered'"
    return service.execute(waiting)[0][0] == service.execute(queued)[0][0] == 0
