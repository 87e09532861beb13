"""Workers that are killed at any statement, or work at the same time: one key, one email, one note per report."""

import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import factories
import pytest

import config
import migrations
import models
from app import create_app
from integrations import orders, worker
from integrations.systems import adapters
from integrations.tables import IntegrationOrder, IntegrationReport
from models import CandidateKey, Delivery, FeedEvent, Session, privacy, sessions
from tests.conftest import INTEGRATION_KEYS, LEDGER_KEYS, WORKER
from tests.integrations import made_up

pytestmark = [pytest.mark.slow, pytest.mark.bypasses_ledger]


class StoredNotes(list):
    """Notes in a file, which a killed process leaves behind."""

    def __init__(self, path):
        self.path = path
        path.touch()

    def append(self, note):
        with self.path.open("a") as file:
            file.write(f"{note!r}\n")

    def __iter__(self):
        return map(eval, self.path.read_text().splitlines())


@pytest.fixture(params=["sqlite", "postgresql"])
def integration(request, tmp_path, monkeypatch):
    """An integration in a database of its own, whose changes are committed."""
    url, name = f"sqlite:///{tmp_path}/proofstone.db", f"interruptions_{WORKER}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database(name)
    before = models.db.obj
    keys = {"LEDGER_KEYS": LEDGER_KEYS, "INTEGRATION_KEYS": INTEGRATION_KEYS}
    create_app(config.load({"DATABASE_URL": url, "LOG_LEVEL": "ERROR"} | keys))
    migrations.upgrade()
    models.clock.fixed = datetime(2026, 4, 1, 9, tzinfo=UTC)
    system = made_up.System()
    system.notes = StoredNotes(tmp_path / "notes")
    monkeypatch.setitem(adapters(), "made_up", made_up)
    monkeypatch.setattr(worker, "connect", lambda integration: system)
    row = made_up.make_integration(factories.make_organization("Acme"))
    row.system_in_memory, row.database_url = system, url
    row.own_rule = made_up.make_rule(row, factories.make_assessment(row.organization))
    yield row
    models.clock.fixed = None
    models.db.close_all()
    if before is not None:
        models.db.initialize(before)
    if request.param == "postgresql":
        request.getfixturevalue("postgres_server").drop_database(name)


def is_killed_at(number, integration, run):
    """Run in a process that is killed before its statement with this number. Returns False if it had fewer."""
    models.db.close_all()
    child = os.fork()
    if child == 0:
        # Another thread of the tests can have held a lock of the database object.
        models.bind(integration.database_url)
        execute, count = models.db.obj.execute_sql, [0]

        def execute_sql(*arguments, **options):
            count[0] += 1
            if count[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments, **options)

        models.db.obj.execute_sql = execute_sql
        try:
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def work():
    worker.update_orders("https://assess.example.com")
    worker.call_systems()


def test_a_kill_at_any_statement_invites_and_reports_once(integration):
    system, number, was_killed = integration.system_in_memory, 0, True
    while was_killed:
        number += 1
        hint = system.add(str(number))

        def receive_and_read(hint=hint):
            orders.receive(integration, hint)
            work()

        was_killed = is_killed_at(number, integration, receive_and_read)
        models.clock.fixed += timedelta(seconds=61)
        receive_and_read()
        order = IntegrationOrder.get(IntegrationOrder.application_id == str(number))
        assert order.state == "invited"
        sessions.complete(factories.make_recorded_session(order.key))
        worker.update_orders("https://assess.example.com")
        models.clock.fixed += timedelta(minutes=15)
        was_killed = is_killed_at(number, integration, work) or was_killed
        models.clock.fixed += timedelta(seconds=61)
        work()
    assert number > 30
    assert CandidateKey.select().count() == number
    assert Delivery.select().where(Delivery.kind == "invitation").count() == number
    assert Counter(noted_id for _, noted_id, _ in system.notes) == {
        str(each + 1): 1 for each in range(number)
    }
    for event_type in ("order.created", "order.reported"):
        assert FeedEvent.select().where(FeedEvent.type == event_type).count() == number
    assert {report.state for report in IntegrationReport.select()} == {"sent"}
    assert Session.select().count() == number


def test_workers_at_the_same_time_share_integrations_but_not_calls(integration, monkeypatch):
    monkeypatch.setattr(worker, "MAX_SERVE_SECONDS", 600)
    system, in_progress, overlaps = integration.system_in_memory, [], []
    for number in range(40):
        orders.receive(integration, system.add(str(number), email=f"alice{number % 20}@example.com"))

    def observe():
        in_progress.append(1)
        overlaps.append(len(in_progress))
        in_progress.pop()

    system.before_read = observe
    models.db.close_all()

    def run():
        try:
            worker.call_systems()
        finally:
            models.db.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(overlaps) == 1
    assert sorted(system.reads) == sorted(str(number) for number in range(40))
    assert CandidateKey.select().count() == Delivery.select().count() == 20
    assert {order.state for order in IntegrationOrder.select()} == {"invited"}


def test_two_webhooks_at_the_same_time_are_one_order(integration):
    hint = integration.system_in_memory.add()
    models.db.close_all()

    def receive():
        orders.receive(integration, hint)
        models.db.close()

    threads = [threading.Thread(target=receive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert IntegrationOrder.select().count() == 1
    assert FeedEvent.select().where(FeedEvent.type == "order.created").count() == 1


def test_a_webhook_during_an_erasure_invites_nobody(integration):
    hint = integration.system_in_memory.add()
    orders.receive(integration, hint)
    work()
    with models.db.atomic():
        privacy.erase(CandidateKey.get())
        thread = threading.Thread(target=lambda: (orders.receive(integration, hint), models.db.close()))
        thread.start()
        thread.join(0.5)  # it waits for the erasure
    thread.join()
    work()
    assert [(order.state, order.application_id) for order in IntegrationOrder.select()] == [("erased", None)]
    assert CandidateKey.select().count() == 1


def test_another_rules_order_that_is_read_during_an_erasure_invites_nobody(integration):
    system = integration.system_in_memory
    orders.receive(integration, system.add())
    work()
    made_up.make_rule(integration, integration.own_rule.assessment, "s2")

    def receive_and_read():
        orders.receive(integration, system.add(stage_id="s2"))
        work()
        models.db.close()

    with models.db.atomic():
        privacy.erase(CandidateKey.get())
        thread = threading.Thread(target=receive_and_read)
        thread.start()
        thread.join(0.5)  # it waits for the erasure
    thread.join()
    assert {(order.state, order.application_id) for order in IntegrationOrder.select()} == {("erased", None)}
    assert CandidateKey.select().count() == 1
